# SPDX-License-Identifier: Apache-2.0
"""Answer slots, by a clock that only computations and waits move."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from accord.agent.network import worker as worker_module
from accord.agent.network.slots import slot_end
from accord.agent.network.worker import Worker
from accord.core.errors import RequisitionRefused
from accord.rpc.codec import HeldEdition
from accord.v1 import agent_pb2
from tests.unit.agent.answering import (
    AnswererDouble,
    cohort_calls,
    new_ids,
    payload,
    reveal_calls,
)
from tests.unit.rpc.hub_double import until

SLOT = 0.25


class Time:
    """Seconds that pass only where somebody computes or waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        await asyncio.sleep(0)
        self.now += seconds


@dataclasses.dataclass
class Outlet:
    """Remembers what left, and when."""

    time: Time
    sent: list[tuple[float, agent_pb2.ConnectRequest]] = dataclasses.field(
        default_factory=list
    )

    async def send(self, message: agent_pb2.ConnectRequest) -> None:
        await asyncio.sleep(0)
        self.sent.append((self.time.now - 1000.0, message))

    def moments(self, kind: str) -> list[float]:
        return [at for at, message in self.sent if message.HasField(kind)]  # type: ignore[arg-type]  # names of fields


@dataclasses.dataclass
class Desk:
    """A worker whose steps take as long as a test says."""

    worker: Worker
    answerer: AnswererDouble
    outlet: Outlet
    time: Time


@contextlib.asynccontextmanager
async def at_work(slot: float, takes: dict[str, float]) -> AsyncIterator[Desk]:
    """Run a worker; *takes* has the seconds of each query's computation."""
    time, answerer = Time(), AnswererDouble()

    def compute(query_id: str) -> None:
        time.now += takes.get(query_id, 0)

    answerer.work = compute
    worker = Worker(answerer, slot=slot, clock=time.read, sleep=time.sleep)
    worker.outlet = outlet = Outlet(time)
    running = asyncio.create_task(worker.run())
    try:
        yield Desk(worker, answerer, outlet, time)
    finally:
        running.cancel()
        await worker.close()


def requisitions(*query_ids: str) -> agent_pb2.Requisitions:
    return agent_pb2.Requisitions(
        requisitions=[
            agent_pb2.Requisition(
                payload=payload(query_id), signature=bytes(64), attempt=1
            )
            for query_id in query_ids
        ]
    )


async def leaves_at(seconds: Sequence[float], slot: float = SLOT) -> list[float]:
    """Return when the vectors of one batch leave whose queries take *seconds*."""
    takes = dict(zip(new_ids(len(seconds)), seconds, strict=True))
    async with at_work(slot, takes) as desk:
        await desk.worker.take(cohort_calls(*takes))
        await until(lambda: desk.outlet.sent and not desk.worker.busy)
        return desk.outlet.moments("masked")


@given(st.floats(0, 1000), st.floats(0.001, 60))
def test_a_slot_ends_at_the_first_doubling_that_suffices(
    elapsed: float, slot: float
) -> None:
    end = slot_end(slot, elapsed)
    assert end >= elapsed
    assert end == slot or end / 2 < elapsed
    ratio = end / slot
    assert ratio == 2 ** round(np.log2(ratio))


def test_without_slots_nothing_waits() -> None:
    assert slot_end(0, 12.5) == 12.5


async def test_batches_that_take_different_times_leave_at_the_same() -> None:
    """How long records took is not to be seen, up to the doubling."""
    assert await leaves_at([0.001]) == await leaves_at([0.24]) == [0.25]
    assert await leaves_at([0.26]) == await leaves_at([0.1, 0.2]) == [0.5]
    assert await leaves_at([0.501]) == await leaves_at([0.3, 0.26]) == [1.0]


@pytest.mark.parametrize("padding", [0.001, 0.239, 0.24, 0.2401])
async def test_who_fills_up_a_batch_moves_no_slot(padding: float) -> None:
    """A query takes its whole slots, whatever else is asked with it."""
    assert await leaves_at([0.0100, padding]) == await leaves_at([0.0101, padding])


async def test_the_limit_itself_still_suffices() -> None:
    assert await leaves_at([0.25]) == [0.25]
    assert await leaves_at([0.5]) == [0.5]


async def test_without_slots_vectors_leave_at_once() -> None:
    assert await leaves_at([0.125], slot=0) == [0.125]


async def test_refusals_of_a_cohort_leave_with_its_vectors() -> None:
    good, bad = new_ids(2)
    async with at_work(SLOT, {}) as desk:

        def refuse(query_id: str) -> None:
            desk.time.now += 0.07
            if query_id == bad:
                raise RequisitionRefused("COHORT_CHANGED", "no")

        desk.answerer.work = refuse
        await desk.worker.take(cohort_calls(good, bad))
        await until(lambda: len(desk.outlet.sent) == 2)
    assert desk.outlet.moments("masked") == desk.outlet.moments("refusals") == [0.5]


async def test_other_rounds_leave_at_once() -> None:
    first, second = new_ids(2)
    takes = {first: 0.07, second: 0.02}
    async with at_work(SLOT, takes) as desk:
        await desk.worker.take(requisitions(first))
        await until(lambda: desk.outlet.sent)
        await desk.worker.take(reveal_calls(second))
        await until(lambda: len(desk.outlet.sent) == 2)
        await desk.worker.take(agent_pb2.Settled(query_ids=[first]))
        await until(lambda: len(desk.outlet.sent) == 3)
    assert desk.outlet.moments("readies") == [pytest.approx(0.07)]
    assert desk.outlet.moments("reveals") == [pytest.approx(0.09)]
    assert desk.outlet.moments("erasures") == [pytest.approx(0.16)]


@pytest.mark.parametrize("seconds", [0.01, 0.24])
async def test_what_waits_behind_a_cohort_does_not_show_when_it_was_done(
    seconds: float,
) -> None:
    """A ready that is asked for right after a cohort call leaves after its slot."""
    slow, quick = new_ids(2)
    async with at_work(SLOT, {slow: seconds}) as desk:
        await desk.worker.take(cohort_calls(slow))
        await desk.worker.take(requisitions(quick))
        await until(lambda: len(desk.outlet.sent) == 2)
    assert [at for at, _ in desk.outlet.sent] == [0.25, 0.25]
    assert desk.outlet.moments("readies") == [0.25]


@pytest.mark.parametrize("seconds", [0.01, 0.24])
async def test_neither_does_a_look_for_policies(seconds: float) -> None:
    [query_id] = new_ids(1)
    begun: list[float] = []
    async with at_work(SLOT, {query_id: seconds}) as desk:

        def heard_of(sequence: int) -> None:
            begun.append(desk.time.now - 1000 * sequence)

        desk.answerer.heard_of = heard_of  # type: ignore[method-assign]
        await desk.worker.take(cohort_calls(query_id))
        await until(lambda: desk.answerer.asked)
        await desk.worker.heard_of(1)
    assert begun == [0.25]


@pytest.mark.parametrize("seconds", [0.01, 0.24])
async def test_how_long_a_freeze_took_is_not_to_be_seen(seconds: float) -> None:
    """Neither by the message about it nor by what waited behind it."""
    [query_id] = new_ids(1)
    async with at_work(SLOT, {}) as desk:
        freeze = desk.answerer.editions

        def slowly() -> Sequence[HeldEdition]:
            desk.time.now += seconds
            return freeze()

        desk.answerer.editions = slowly  # type: ignore[method-assign]
        freezing = asyncio.create_task(desk.worker.editions())
        await asyncio.sleep(0)
        await desk.worker.take(requisitions(query_id))
        await until(lambda: bool(desk.outlet.sent))
        await freezing
        assert desk.time.now - 1000 == desk.outlet.moments("readies")[0] == SLOT
        desk.answerer.editions = freeze  # type: ignore[method-assign]
        await desk.worker.editions()
        assert desk.time.now - 1000 == SLOT, "nothing changed: there is nothing to hide"


@pytest.mark.parametrize(
    "fails", [None, RequisitionRefused("EXPIRED", "no"), OSError()]
)
async def test_no_line_of_the_log_comes_before_the_slot_is_over(
    fails: Exception | None,
) -> None:
    """Logs travel, too: the time of a line must not tell how long records took."""
    [query_id] = new_ids(1)
    written: list[tuple[float, str]] = []
    async with at_work(SLOT, {}) as desk:

        def keep(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401
            written.append((desk.time.now - 1000.0, event["event"]))
            return event

        def compute(_query_id: str) -> None:
            desk.time.now += 0.07
            if fails is not None:
                raise fails

        desk.answerer.work = compute
        with capture_logs(processors=[keep]):
            await desk.worker.take(cohort_calls(query_id))
            await until(lambda: desk.outlet.sent and not desk.worker.busy)
    assert written
    assert {at for at, _ in written} == {SLOT}


async def test_a_batch_behind_another_begins_its_own_slot() -> None:
    """Its time is not counted from an arrival that lies far back."""
    ids = new_ids(4)
    takes = dict.fromkeys(ids, 0.2)
    async with at_work(SLOT, takes) as desk:
        for query_id in ids[:2]:
            await desk.worker.take(cohort_calls(query_id))
            await desk.worker.take(requisitions(query_id))
        await until(lambda: len(desk.outlet.sent) == 4)
    assert desk.outlet.moments("masked") == pytest.approx([0.25, 0.70])


async def test_calls_that_come_meanwhile_leave_together() -> None:
    first, *others = new_ids(6)
    async with at_work(SLOT, dict.fromkeys([first, *others], 0.04)) as desk:
        await desk.worker.take(cohort_calls(first))
        await until(lambda: desk.answerer.asked)
        for query_id in others:
            await desk.worker.take(cohort_calls(query_id))
        await until(lambda: not desk.worker.busy)
    moments = desk.outlet.moments("masked")
    assert moments[0] == 0.25
    assert moments[-1] == 1.5
    assert {each % 0.25 for each in moments} == {0}


async def test_large_vectors_are_not_all_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sizes are public, so that where a batch is cut says nothing."""
    monkeypatch.setattr(worker_module, "MOST_HELD", 3 * 800)
    ids = new_ids(7)
    async with at_work(SLOT, dict.fromkeys(ids, 0.01)) as desk:
        desk.answerer.vector = np.zeros(100, np.uint64)
        await desk.worker.take(cohort_calls(*ids))
        await until(lambda: not desk.worker.busy)
    sizes = [len(message.masked.masked) for _, message in desk.outlet.sent]
    assert sizes == [3, 3, 1]
    assert desk.outlet.moments("masked") == pytest.approx([0.75, 1.5, 1.75])


async def test_a_batch_of_which_nothing_is_wanted_any_more_takes_no_slot() -> None:
    first, second = new_ids(2)
    async with at_work(SLOT, {first: 0.1}) as desk:
        await desk.worker.take(requisitions(first))
        await desk.worker.take(cohort_calls(second))
        await desk.worker.take(agent_pb2.Settled(query_ids=[second]))
        await until(lambda: not desk.worker.busy)
    assert desk.outlet.moments("erasures") == [pytest.approx(0.1)]
    assert ("mask", second) not in desk.answerer.asked


async def test_a_seed_that_was_given_away_is_said_though_the_query_has_ended() -> None:
    """The end may come while the seed is committed; what has not begun is dropped."""
    first, second = new_ids(2)
    settled = agent_pb2.Settled(query_ids=[first, second])
    async with at_work(SLOT, {}) as desk:
        loop = asyncio.get_running_loop()

        def ended(query_id: str) -> None:
            if ("reveal", query_id) == desk.answerer.asked[0]:
                taken = asyncio.run_coroutine_threadsafe(
                    desk.worker.take(settled), loop
                )
                taken.result(10)

        desk.answerer.work = ended
        await desk.worker.take(reveal_calls(first, second))
        await until(lambda: desk.outlet.sent and not desk.worker.busy)
    assert [query for kind, query in desk.answerer.asked if kind == "reveal"] == [first]
    reveals = [m.reveals.reveals for _, m in desk.outlet.sent if m.HasField("reveals")]
    assert [[each.query_id for each in some] for some in reveals] == [[first]]


async def test_while_there_is_no_stream_results_are_dropped_at_their_slot() -> None:
    [query_id] = new_ids(1)
    async with at_work(SLOT, {query_id: 0.1}) as desk:
        desk.worker.outlet = None
        await desk.worker.take(cohort_calls(query_id))
        await until(lambda: not desk.worker.busy)
        assert desk.time.now == 1000.25
        desk.worker.outlet = desk.outlet
        await desk.worker.take(cohort_calls(query_id))
        await until(lambda: desk.outlet.sent)
    assert desk.outlet.moments("masked") == [0.5]
