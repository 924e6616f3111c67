# SPDX-License-Identifier: Apache-2.0
"""The hub is killed after any of its commits: nothing is lost, nothing is paid twice.

Agencies go on from where they are, which can be further than the hub remembers: they
have masked, or revealed, what a hub from before has not even asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.core.errors import PreconditionFailed
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.tables import RELEASES, ROUNDS
from accord.hub.serve import utc_now
from accord.ledger import State, entries
from accord.v1 import analyst_pb2, review_pb2
from tests.unit.hub.agencies import Part
from tests.unit.hub.scripted import answering, until
from tests.unit.hub.world import (
    AGREEMENT,
    PARTIES,
    World,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    edit_agreement,
    finished,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """Everything as it was right after a commit, before anybody heard of it."""

    database: Path
    at: dt.datetime
    parts: dict[str, dict[str, Part]]
    """What agencies remember."""


class Copies:
    """What a power cut would have left, for every commit."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self.made: list[Copy] = []
        self.crashed = False

    def take(self) -> None:
        file = self._folder / f"{len(self.made)}.db"
        path = self._world.state.database
        source, target = sqlite3.connect(path), sqlite3.connect(file)
        source.backup(target)
        source.close()
        target.close()
        self.made.append(Copy(file, utc_now(), self._remembered()))

    def _remembered(self) -> dict[str, dict[str, Part]]:
        """Agencies live on the loop; the hub's transactions do not."""

        async def look() -> dict[str, dict[str, Part]]:
            return {
                label: deepcopy(agency.parts)
                for label, agency in self._world._agencies.items()
            }

        if threading.current_thread() is threading.main_thread():
            return {}
        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(10)

    def _put_back(self, copy: Copy) -> None:
        path = self._world.state.database
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        path.write_bytes(copy.database.read_bytes())

    async def crash(self, place: int) -> None:
        """Begin again where the hub was killed before the commit after *place*.

        Agencies are as far as they can have been: at the next commit, of which they
        have not heard.
        """
        self.crashed = True
        world, copy = self._world, self.made[place]
        later = self.made[min(place + 1, len(self.made) - 1)]
        await world.stop_hub()
        self._put_back(copy)
        for label, parts in later.parts.items():
            world.agency(label).parts = deepcopy(parts)
        await world.start(since(copy.at))


@pytest.fixture
async def copies(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Copies]:
    folder = tmp_path / "copies"
    folder.mkdir()
    found = Copies(world, folder)
    write = Store.write

    @contextlib.contextmanager
    def watched(self: Store) -> Iterator[sa.Connection]:
        with write(self) as tx:
            yield tx
        if not found.crashed:
            found.take()

    monkeypatch.setattr(Store, "write", watched)
    yield found
    monkeypatch.undo()


def since(moment: dt.datetime) -> Callable[[], dt.datetime]:
    """Return a clock that goes on from a moment."""
    behind = utc_now() - moment
    return lambda: utc_now() - behind


def paid(world: World) -> list[State]:
    """Return the states of the ledger's entries; and how many releases there are."""
    store = Store(world.state.database)
    with store.read() as tx:
        found = [each.state for each in entries(LedgerTransaction(tx))]
        releases = tx.execute(sa.select(RELEASES.c.id)).all()
        rounds = tx.execute(sa.select(ROUNDS.c.submission)).all()
    store.close()
    assert len(releases) <= 1
    assert not rounds
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_after_any_commit_the_question_is_released_and_paid_once(
    world: World, copies: Copies
) -> None:
    await world.all_agents()
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    begin = len(copies.made)
    await call(world.analyst(token).SubmitQuery(asked))
    first = (await finished(world.analyst(token), asked.id)).reply.release
    price = account(world, f"agreement/{AGREEMENT}")
    end = len(copies.made)
    assert end - begin >= 3  # admission, opening, release, and what is written behind
    for place in range(begin, end):
        await copies.crash(place)
        for label in PARTIES:
            await world.agent(label, answering)
        await call(world.analyst(token).SubmitQuery(asked))  # who heard nothing
        found = await finished(world.analyst(token), asked.id)
        assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
        assert paid(world) == [State.CHARGED]
        assert account(world, f"agreement/{AGREEMENT}") == price
        for label in PARTIES:
            assert account(world, f"agency/{label}") == price
    again = (await finished(world.analyst(token), asked.id)).reply.release
    assert again == first  # the last step had the release


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_after_any_commit_a_fallback_is_paid_by_its_members_alone(
    world: World, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECONDS", "2")
    await world.restart()
    outside = "health-service"

    async def all_back() -> None:
        for label in PARTIES:
            stop = "masked" if label == outside else ""
            await world.agent(label, answering, stop_before=stop)

    await all_back()
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    begin = len(copies.made)
    await call(world.analyst(token).SubmitQuery(asked))
    await finished(world.analyst(token), asked.id)
    price = account(world, f"agreement/{AGREEMENT}")
    assert price[0] > 0
    for place in range(begin, len(copies.made)):
        await copies.crash(place)
        await all_back()
        await call(world.analyst(token).SubmitQuery(asked))  # who heard nothing
        found = await finished(world.analyst(token), asked.id)
        assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED, (
            found.failure.sentence
        )
        assert sorted(paid(world)) == [State.CHARGED, State.RETURNED]
        assert account(world, f"agreement/{AGREEMENT}") == price
        assert account(world, "agency/city-police") == price
        assert account(world, f"agency/{outside}") == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("let_go", [True, False], ids=["let go", "kept back"])
async def test_after_any_commit_a_held_release_is_paid_and_decided_on_once(
    world: World,
    copies: Copies,
    let_go: bool,
) -> None:
    """Who heard nothing asks, or decides, again."""
    edit_agreement(
        world.state,
        {"approval:": "review: {releases: human, reviewers: [rita]}\napproval:"},
    )
    await until(lambda: world.hub.standing.version == 2)
    await world.all_agents()
    token = add_analyst(world.state, "ana")
    rita = add_analyst(world.state, "rita", role="reviewer")
    first, second = a_submission(), a_submission()

    async def ask(asked: analyst_pb2.SubmitQueryRequest) -> None:
        with contextlib.suppress(PreconditionFailed):  # it was kept back before
            await call(world.analyst(token).SubmitQuery(asked))
            await finished(world.analyst(token), asked.id)

    async def review() -> None:
        stub = world.reviewer(rita)
        for each in (await call(stub.ListHeld(review_pb2.ListHeldRequest()))).held:
            await call(
                stub.DecideHeld(
                    review_pb2.DecideHeldRequest(
                        id=each.release.id,
                        let_go=let_go,
                        reason=(
                            review_pb2.REVIEW_REASON_NO_CONCERN
                            if let_go
                            else review_pb2.REVIEW_REASON_LEGAL
                        ),
                    )
                )
            )

    async def everything() -> None:
        await ask(first)
        await ask(second)
        await review()

    begin = len(copies.made)
    await everything()
    price = account(world, f"agreement/{AGREEMENT}")
    assert price[0] > 0
    end = len(copies.made)
    assert end - begin >= 5  # admission, opening, holding, following, the decision
    state = (
        analyst_pb2.SUBMISSION_STATE_RELEASED
        if let_go
        else analyst_pb2.SUBMISSION_STATE_FAILED
    )
    for place in range(begin, end):
        await copies.crash(place)
        for label in PARTIES:
            await world.agent(label, answering)
        await everything()
        assert (await finished(world.analyst(token), first.id)).state == state
        assert paid(world) == [State.CHARGED]
        assert account(world, f"agreement/{AGREEMENT}") == price
        assert len(audited(world, "release.held")) == 1
        assert len(audited(world, "review.decided")) == 1
        assert len(audited(world, "release.published")) == int(let_go)
