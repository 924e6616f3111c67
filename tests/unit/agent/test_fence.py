# SPDX-License-Identifier: Apache-2.0
"""Agents that were restored from a copy: they answer nothing until staff says so."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from accord.agent.rounds import fence, rows
from accord.agent.rounds.rows import Stage
from accord.agent.state import AgentState
from accord.core.errors import (
    ConfigurationError,
    PreconditionFailed,
    RequisitionRefused,
)
from accord.core.terms import Requisition
from accord.ledger import entry
from accord.rpc.logs import allow_listed
from tests.unit.agent.agencies import NOW
from tests.unit.agent.agency_world import THREE, World, expected
from tests.unit.agent.agreements import AGENCY, signed
from tests.unit.agent.hub_rounds import Round

HOUR = datetime.timedelta(hours=1)


def refused(step: Callable[..., object], *arguments: Any) -> str:  # noqa: ANN401
    with pytest.raises(RequisitionRefused) as caught:
        step(*arguments)
    return caught.value.reason


def standing(world: World) -> fence.Standing:
    state = world.states[AGENCY]
    with state.ledger() as connection:
        return fence.standing(state, connection)


def copied(world: World, folder: Path) -> Path:
    """Make a copy of the database, as a backup at night does."""
    copy = folder / "backup.db"
    shutil.copy(world.states[AGENCY].database, copy)
    return copy


def restored(world: World, copy: Path) -> None:
    """Put a copy in the place of the database."""
    for left in world.states[AGENCY].root.glob("agent.db-*"):
        left.unlink()
    shutil.copy(copy, world.states[AGENCY].database)


def confirmed(world: World) -> int:
    state = world.states[AGENCY]
    with state.ledger() as connection:
        return fence.confirm(state, connection, world.clock.now)


def later(world: World, **changes: Any) -> Requisition:  # noqa: ANN401
    """Let an hour pass and return what is asked then."""
    world.clock.now += HOUR
    times = {"issued_at": world.clock.now, "expires_at": world.clock.now + HOUR}
    return world.asked(**times | changes)


def opened_and_restored(world: World, folder: Path, since: Stage) -> Round:
    """Open a query, then go back to a copy that does not know it."""
    asked = world.asked()
    found = world.ready(asked)
    if since is Stage.MASKED:
        world.hub.mask(found)
    copy = copied(world, folder)
    if since is not Stage.MASKED:
        world.hub.mask(found)
    world.hub.reveal(found)
    restored(world, copy)
    return found


@pytest.mark.parametrize("since", [Stage.READY, Stage.MASKED])
def test_a_restored_copy_refuses_every_step(
    world: World, tmp_path: Path, since: Stage
) -> None:
    found = opened_and_restored(world, tmp_path, since)
    assert standing(world).restored
    before = world.spent(AGENCY)
    answerer = world.answerer(AGENCY)
    fetch = world.offer.fetch
    asked = world.asked()
    assert refused(answerer.ready, *signed(asked), 1, fetch) == "STATE_RESTORED"
    assert refused(world.hub.mask_one, found, AGENCY) == "STATE_RESTORED"
    assert refused(world.hub.reveal_one, found, AGENCY) == "STATE_RESTORED"
    # It would say that it erased what it had revealed, and give back what was spent.
    assert answerer.settle([found.query_id]) == ()
    world.clock.now = asked.expires_at
    answerer.expire()
    assert world.spent(AGENCY) == before
    assert answerer.editions()
    assert answerer.encapsulations() == ()
    assert answerer.unopened() == ()


@pytest.mark.parametrize("since", [Stage.READY, Stage.MASKED])
def test_a_confirmed_copy_answers_what_is_asked_from_then_on(
    world: World, tmp_path: Path, since: Stage
) -> None:
    found = opened_and_restored(world, tmp_path, since)
    known = standing(world).known
    assert known == 2
    world.clock.now += HOUR / 2
    assert confirmed(world) == 1
    assert standing(world).sequence == standing(world).known == known + 1
    answerer = world.answerers[AGENCY]
    fetch = world.offer.fetch
    # What was asked before is refused for ever, in any attempt, and stays charged.
    asked = world.asked(query_id=found.query_id)
    for attempt in (1, 2):
        reason = refused(answerer.ready, *signed(asked), attempt, fetch)
        assert reason == "STATE_RESTORED"
    assert refused(world.hub.mask_one, found, AGENCY) == "OUT_OF_ORDER"
    assert refused(world.hub.reveal_one, found, AGENCY) == "OUT_OF_ORDER"
    assert answerer.settle([found.query_id]) == ()
    loss = asked.loss.nano_rho
    assert world.spent(AGENCY) == (loss if since is Stage.MASKED else 0, 0)
    assert refused(answerer.ready, *signed(world.asked()), 1, fetch) == "STATE_RESTORED"
    new = later(world)
    assert (world.whole(new).sum() == expected(THREE)).all()


def test_the_hub_finds_a_whole_directory_that_was_restored(world: World) -> None:
    """Database and file are of one age; only the hub has heard more."""
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    answerer = world.answerers[AGENCY]
    for heard in (0, 1):
        answerer.heard_of(heard)
        assert not standing(world).restored
    with capture_logs(processors=[allow_listed]) as lines:
        answerer.heard_of(7)
        assert answerer.state_sequence() == 1
    said = {"event": "state.restored", "reason": "STATE_RESTORED"}
    assert [{key: line[key] for key in said} for line in lines] == [said, said]
    assert standing(world).restored
    assert refused(world.hub.reveal_one, found, AGENCY) == "STATE_RESTORED"
    # Another program of this agency knows it too.
    again = world.answerer(AGENCY)
    assert refused(again.reveal, found.query_id, 1, []) == "STATE_RESTORED"
    confirmed(world)
    assert answerer.state_sequence() == 8
    answerer.heard_of(8)
    assert not standing(world).restored


def test_a_hub_that_says_anything_cannot_break_the_count(world: World) -> None:
    answerer = world.answerers[AGENCY]
    answerer.heard_of(2**64 - 1)
    assert standing(world).restored
    confirmed(world)
    assert not standing(world).restored
    assert answerer.state_sequence() == fence.MOST + 1
    assert (world.whole(later(world)).sum() == expected(THREE)).all()


@pytest.mark.parametrize(
    "content", [None, b"", b"-1\n", b"x\n", b"\xff", b"9" * 19, b"9" * 40]
)
def test_without_its_file_a_database_may_be_old(
    world: World, content: bytes | None
) -> None:
    file = world.states[AGENCY].sequence_file
    assert file.read_bytes() == b"0\n"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    fetch = world.offer.fetch
    answerer = world.answerers[AGENCY]
    asked = signed(world.asked())
    assert refused(answerer.ready, *asked, 1, fetch) == "STATE_RESTORED"
    # Neither setting the agent up again nor a hub that is told of it ends this.
    AgentState.create(world.states[AGENCY].root)
    answerer.heard_of(0)
    assert refused(answerer.ready, *asked, 1, fetch) == "STATE_RESTORED"
    confirmed(world)
    assert (world.whole(later(world)).sum() == expected(THREE)).all()


def test_a_file_that_is_behind_is_brought_up_before_anything_is_said(
    world: World,
) -> None:
    """As a process leaves it that ended between commit and file."""
    found = world.hub.mask(world.ready(world.asked()))
    file = world.states[AGENCY].sequence_file
    assert file.read_bytes() == b"1\n"
    file.write_bytes(b"0\n")
    world.hub.mask_one(found, AGENCY)
    assert file.read_bytes() == b"1\n"


def test_nothing_is_said_where_the_file_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the vector is kept and goes out when there is room again."""
    found = world.ready(world.asked())

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fence, "sync_directory", full)
        patch.setattr(fence, "created_file", full)
        for _ in range(2):
            with pytest.raises(PreconditionFailed, match=r"state\.sequence") as caught:
                world.hub.mask_one(found, AGENCY)
            assert caught.value.reason == "SEQUENCE_NOT_WRITABLE"
    with world.states[AGENCY].ledger() as connection:
        row = rows.find(connection, found.query_id)
    assert row is not None
    assert row.masked is not None
    world.hub.mask(found)
    assert found.masked[AGENCY].receipt == row.masked.receipt(AGENCY)
    assert (world.hub.reveal(found).sum() == expected(THREE)).all()


def test_a_confirmation_charges_what_was_open_and_says_nothing_was_erased(
    world: World,
) -> None:
    """Staff confirms a copy of which nobody found that it is old."""
    masked = world.hub.mask(world.ready(world.asked()))
    ready = world.ready(world.asked())
    with world.states[AGENCY].ledger() as connection:
        row = rows.find(connection, masked.query_id)
    assert row is not None
    assert row.masked is not None
    assert confirmed(world) == 2
    assert world.answerers[AGENCY].settle([masked.query_id, ready.query_id]) == ()
    with world.states[AGENCY].ledger() as connection:
        charged = entry(connection, masked.query_id)
        assert charged is not None
        assert charged.state.value == "charged"
        assert entry(connection, ready.query_id) is None
    seed = row.masked.seed or b""
    for file in world.states[AGENCY].root.glob("agent.db*"):
        assert seed not in file.read_bytes()


def test_a_requisition_of_the_second_of_the_confirmation_is_refused(
    world: World,
) -> None:
    confirmed(world)
    second = datetime.timedelta(seconds=1)
    fetch = world.offer.fetch
    answerer = world.answerers[AGENCY]
    for issued in (NOW, NOW + second):
        asked = signed(world.asked(issued_at=issued))
        assert refused(answerer.ready, *asked, 1, fetch) == "STATE_RESTORED"
    asked = signed(world.asked(issued_at=NOW + 2 * second))
    answerer.ready(*asked, 1, fetch)


def test_a_database_of_before_the_rounds_is_not_taken_over(world: World) -> None:
    state = world.states[AGENCY]
    with state.ledger() as connection:
        connection.execute("DROP TABLE agent_head")
    for use in (
        lambda: world.answerer(AGENCY).ledger_height(),
        lambda: AgentState.create(state.root),
    ):
        with pytest.raises(ConfigurationError, match="another directory") as caught:
            use()
        assert caught.value.reason == "STATE_FORMAT"


def test_a_database_of_a_later_version_is_not_touched(world: World) -> None:
    with world.states[AGENCY].ledger() as connection:
        connection.execute("UPDATE agent_head SET format = 99")
    with pytest.raises(ConfigurationError, match="newer version"):
        world.answerer(AGENCY).ledger_height()
