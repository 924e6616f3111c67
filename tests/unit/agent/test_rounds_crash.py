# SPDX-License-Identifier: Apache-2.0
"""Agents that end in the middle of a step, and two that take one at the same time.

Whatever had happened, the same message is answered after the restart, the round goes
on to the right sum, and nothing is paid for twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accord.agent.rounds import fence, rows
from accord.agent.rounds.rows import Row, Stage
from accord.core.errors import RequisitionRefused
from accord.core.terms import Requisition
from tests.unit.agent.agency_world import THREE, World, expected
from tests.unit.agent.agreements import AGENCY, signed
from tests.unit.agent.hub_rounds import Round
from tests.unit.agent.round_victim import ENDED, Job, Point, started, together, went

ROUNDS = "accord.agent.rounds"


def job(world: World, step: str, *arguments: Any, point: Point | None = None) -> Job:  # noqa: ANN401
    return Job(
        state=world.states[AGENCY].root,
        agency=AGENCY,
        step=step,
        arguments=arguments,
        point=point,
    )


def crash(world: World, folder: Path, step: str, *arguments: Any, point: Point) -> None:  # noqa: ANN401
    """Have a process take a step and end at a point of it."""
    with started(folder, job(world, step, *arguments, point=point)) as process:
        assert went(process) == (ENDED, None)


def mask_arguments(world: World, found: Round) -> tuple[Any, ...]:
    lacked = world.hub.lacked(found, AGENCY)
    return found.query_id, found.attempt, found.cohort, found.readies, lacked


def kept(world: World, query_id: str) -> Row | None:
    with world.states[AGENCY].ledger() as connection:
        return rows.find(connection, query_id)


def standing(world: World) -> fence.Standing:
    with world.states[AGENCY].ledger() as connection:
        return fence.standing(world.states[AGENCY], connection)


def finish(world: World, asked: Requisition, found: Round) -> None:
    """Lead the round to its end with a restarted agent; it costs once."""
    world.hub.members[AGENCY] = world.answerer(AGENCY)
    world.hub.reveal(world.hub.mask(found))
    assert (found.sum() == expected(THREE)).all()
    assert world.spent(AGENCY) == (asked.loss.nano_rho, 0)
    found_standing = standing(world)
    assert (found_standing.known, found_standing.restored) == (2, False)


@pytest.mark.parametrize(
    ("point", "stage"),
    [
        (Point(function=f"{ROUNDS}.ready.make_ready", after=True), None),
        (Point(function=f"{ROUNDS}.rows.put_ready", after=True), None),
        (Point(function=f"{ROUNDS}.ready.ReadyStep"), Stage.READY),
    ],
    ids=["signed", "not committed", "committed"],
)
def test_ended_in_the_first_round(
    world: World, tmp_path: Path, point: Point, stage: Stage | None
) -> None:
    asked = world.asked()
    crash(world, tmp_path, "ready", *signed(asked), 1, point=point)
    row = kept(world, asked.query_id)
    assert (None if row is None else row.stage) is stage
    found = world.ready(asked)
    if row is not None:
        assert found.steps[AGENCY].ready == row.ready(AGENCY)
    finish(world, asked, found)


@pytest.mark.parametrize(
    ("point", "reserved", "stage"),
    [
        (Point(function=f"{ROUNDS}.masking.reserve_once"), False, Stage.READY),
        (
            Point(function=f"{ROUNDS}.masking.reserve_once", after=True),
            False,
            Stage.READY,
        ),
        (Point(function=f"{ROUNDS}.masking.counts"), True, Stage.READY),
        (Point(function=f"{ROUNDS}.masking.counts", after=True), True, Stage.READY),
        (
            Point(function=f"{ROUNDS}.rows.put_masked", after=True),
            True,
            Stage.READY,
        ),
        (
            Point(function=f"{ROUNDS}.masking.put_record", after=True),
            True,
            Stage.READY,
        ),
        (Point(function=f"{ROUNDS}.rows.checkpoint"), True, Stage.MASKED),
        (Point(function=f"{ROUNDS}.fence._write"), True, Stage.MASKED),
        (Point(function=f"{ROUNDS}.fence._write", after=True), True, Stage.MASKED),
    ],
    ids=[
        "before the reservation",
        "reservation not committed",
        "reservation committed",
        "counted",
        "not committed",
        "record not committed",
        "committed",
        "sequence not raised",
        "sequence raised",
    ],
)
def test_ended_in_the_second_round(
    world: World, tmp_path: Path, point: Point, reserved: bool, stage: Stage
) -> None:
    asked = world.asked()
    found = world.ready(asked)
    crash(world, tmp_path, "mask", *mask_arguments(world, found), point=point)
    assert world.spent(AGENCY) == (0, asked.loss.nano_rho * reserved)
    row = kept(world, asked.query_id)
    assert row is not None
    assert row.stage is stage
    assert not standing(world).restored
    world.hub.members[AGENCY] = world.answerer(AGENCY)
    again = world.hub.mask_one(found, AGENCY)
    if row.masked is not None:
        assert again.receipt == row.masked.receipt(AGENCY)
    finish(world, asked, found)


@pytest.mark.parametrize(
    ("point", "stage"),
    [
        (Point(function=f"{ROUNDS}.rows.put_revealed", after=True), Stage.MASKED),
        (Point(function=f"{ROUNDS}.opening.charge", after=True), Stage.MASKED),
        (Point(function=f"{ROUNDS}.fence._write"), Stage.REVEALED),
        (Point(function=f"{ROUNDS}.fence._write", after=True), Stage.REVEALED),
    ],
    ids=["not charged", "not committed", "sequence not raised", "sequence raised"],
)
def test_ended_in_the_third_round(
    world: World, tmp_path: Path, point: Point, stage: Stage
) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    before = kept(world, asked.query_id)
    assert before is not None
    assert before.masked is not None
    arguments = (found.query_id, found.attempt, found.receipts)
    crash(world, tmp_path, "reveal", *arguments, point=point)
    row = kept(world, asked.query_id)
    assert row is not None
    assert (row.stage, row.masked) == (stage, before.masked)
    opened = stage is Stage.REVEALED
    loss = asked.loss.nano_rho
    assert world.spent(AGENCY) == ((loss, 0) if opened else (0, loss))
    world.hub.members[AGENCY] = world.answerer(AGENCY)
    assert world.hub.reveal_one(found, AGENCY) == before.masked.seed
    finish(world, asked, found)


ENDS = [
    ("rows.erase", False),
    ("ending.give_back_reserved", False),
    ("rows.checkpoint", True),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "function", "erased"),
    [
        *(("settle", function, erased) for function, erased in ENDS),
        ("settle", "ending.make_erased", True),
        *(("expire", function, erased) for function, erased in ENDS),
    ],
)
def test_ended_while_a_query_ends(
    world: World, tmp_path: Path, step: str, function: str, erased: bool
) -> None:
    """Seed and money go together: never one without the other."""
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    if step == "expire":
        with world.states[AGENCY].ledger() as connection:
            connection.execute("UPDATE round SET expires_at = 1")
    arguments = ([found.query_id],) if step == "settle" else ()
    point = Point(function=f"{ROUNDS}.{function}", after=True)
    crash(world, tmp_path, step, *arguments, point=point)
    row = kept(world, asked.query_id)
    assert row is not None
    assert (row.stage is Stage.ERASED) is erased
    assert world.spent(AGENCY) == (0, 0 if erased else asked.loss.nano_rho)
    done = world.answerer(AGENCY).settle([found.query_id])
    assert [each.query_id for each in done] == [found.query_id]
    assert world.spent(AGENCY) == (0, 0)


def test_a_new_attempt_that_was_not_committed_has_erased_nothing(
    world: World, tmp_path: Path
) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    before = kept(world, asked.query_id)
    point = Point(function=f"{ROUNDS}.rows.put_ready", after=True)
    crash(world, tmp_path, "ready", *signed(asked), 2, point=point)
    assert kept(world, asked.query_id) == before
    finish(world, asked, found)


# Two programs, one database


def test_two_programs_say_the_same_ready(world: World, tmp_path: Path) -> None:
    asked = world.asked()
    found = together(tmp_path, job(world, "ready", *signed(asked), 1), 3)
    assert [status for status, _ in found] == [0, 0, 0]
    assert len({step.ready.signature for _, step in found}) == 1
    finish(world, asked, world.ready(asked))


def test_two_programs_send_the_same_vector_and_reserve_once(
    world: World, tmp_path: Path
) -> None:
    asked = world.asked()
    found = world.ready(asked)
    said = together(tmp_path, job(world, "mask", *mask_arguments(world, found)), 3)
    assert [status for status, _ in said] == [0, 0, 0]
    steps = [step for _, step in said]
    assert len({step.receipt for step in steps}) == 1
    assert len({step.vector.tobytes() for step in steps}) == 1
    assert world.spent(AGENCY) == (0, asked.loss.nano_rho)
    assert standing(world).sequence == 1
    finish(world, asked, found)


def test_two_programs_reveal_one_seed_and_charge_once(
    world: World, tmp_path: Path
) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    arguments = (found.query_id, found.attempt, found.receipts)
    said = together(tmp_path, job(world, "reveal", *arguments), 3)
    assert [status for status, _ in said] == [0, 0, 0]
    assert len({seed for _, seed in said}) == 1
    finish(world, asked, found)


def test_a_query_that_ends_while_it_is_masked_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program settles it after this one has counted, before it commits."""
    asked = world.asked()
    found = world.ready(asked)
    real = rows.put_masked

    def settled_first(*arguments: Any) -> bool:  # noqa: ANN401
        connection = arguments[0]
        connection.execute("ROLLBACK")
        world.answerer(AGENCY).settle([found.query_id])
        connection.execute("BEGIN IMMEDIATE")
        return real(*arguments)

    monkeypatch.setattr(rows, "put_masked", settled_first)
    with pytest.raises(RequisitionRefused) as caught:
        world.hub.mask_one(found, AGENCY)
    assert caught.value.reason == "OUT_OF_ORDER"
    assert world.spent(AGENCY) == (0, 0)
    assert standing(world).sequence == 0
