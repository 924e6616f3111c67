# SPDX-License-Identifier: Apache-2.0
"""An agency notices every change of what it has seen in its hub's log."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accord.agent.answer import StoreAnswerer
from accord.agent.witness.log import MOST_FORKS, Growth, Verdict, accept, forks, judge
from accord.core.errors import NotFound, RequisitionRefused, Unreachable
from accord.ledger.sqlite import transaction
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.merkle.tree import prove_growth, root_of
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY, signed
from tests.unit.agent.agreements import KEY as HUB
from tests.unit.merkle.trees import Log

ENTRIES = [b"entry %d" % number for number in range(40)]
LOG = Log(ENTRIES)


def head(
    size: int, log: Log = LOG, *, epoch: int = 0, height: int | None = None
) -> SignedHead:
    made = TreeHead(
        size=size,
        root=root_of(size, log.nodes),
        at=datetime.datetime(2026, 3, 1, 12, 0, size, tzinfo=datetime.UTC),
        ledger_height=size * 3 if height is None else height,
        epoch=epoch,
    )
    return SignedHead.sign(made, HUB)


def growth(old: int, new: int, log: Log = LOG) -> Growth:
    proof = prove_growth(old, new, log.nodes) if old <= new else []
    return Growth(from_size=old, proof=proof)


def greeted(answerer: StoreAnswerer, new: int, log: Log = LOG) -> Witnessed | None:
    """Let a hub show its log as it is to an agent that comes."""
    seen = answerer.log_seen()
    old = 0 if seen is None else seen.head.size
    return answerer.greet(head(new, log), growth(old, new, log))


def refused(step: Callable[..., object], *arguments: Any) -> str:  # noqa: ANN401
    """Return the reason for which a step is refused; nothing where it is not."""
    try:
        step(*arguments)
    except RequisitionRefused as error:
        return error.reason
    return ""


def ready(world: World) -> str:
    """Ask something new, and return how it is refused."""
    asked = signed(world.asked())
    return refused(world.answerers[AGENCY].ready, *asked, 1, world.offer.fetch)


def edited() -> Log:
    return Log([*ENTRIES[:4], b"another", *ENTRIES[5:]])


def dropped() -> Log:
    return Log(ENTRIES[:4] + ENTRIES[5:])


def reordered() -> Log:
    return Log([*ENTRIES[:4], ENTRIES[5], ENTRIES[4], *ENTRIES[6:]])


def written_anew() -> Log:
    """Return a log that was cut off, and has grown in another way since."""
    return Log([*ENTRIES[:8], *(b"new %d" % number for number in range(30))])


FORGERIES = [edited, dropped, reordered, written_anew]


def test_a_log_that_only_grows_is_cosigned(world: World) -> None:
    answerer = world.answerers[AGENCY]
    first = greeted(answerer, 10)
    assert first is not None
    later = answerer.grown(head(17), growth(10, 17))
    assert later is not None
    assert later.head == head(17).head
    assert later.agency == AGENCY
    assert later.is_signed_by(world.states[AGENCY].secret_keys(AGENCY).public.sign)
    assert world.answerer(AGENCY).log_seen() == head(17)
    assert greeted(world.answerer(AGENCY), 17) == later
    assert ready(world) == ""


@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("size", [10, 11, 25, 35])
def test_every_change_before_the_head_is_a_fork(
    world: World, forge: Callable[[], Log], size: int
) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    assert greeted(answerer, size, forge()) is None
    assert ready(world) == "LOG_FORKED"
    assert answerer.log_seen() == head(10)
    with world.states[AGENCY].ledger() as connection, transaction(connection) as tx:
        (fork,) = forks(tx)
    assert (fork.seen, fork.shown) == (head(10), head(size, forge()))
    assert fork.seen.is_signed_by(HUB.public_key().public_bytes_raw())
    assert fork.shown.is_signed_by(HUB.public_key().public_bytes_raw())


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_fork_is_found_on_an_open_stream_too(
    world: World, forge: Callable[[], Log]
) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    assert answerer.grown(head(20, forge()), growth(10, 20, forge())) is None
    assert ready(world) == "LOG_FORKED"


def test_a_forked_log_stops_every_step_and_every_restart(world: World) -> None:
    asked = world.asked()
    running = world.ready(asked)
    greeted(world.answerers[AGENCY], 10)
    greeted(world.answerers[AGENCY], 12, edited())
    again = world.answerer(AGENCY)
    step = refused(again.mask, asked.query_id, 1, "fallback", running.readies, ())
    assert step == "LOG_FORKED"
    assert refused(again.reveal, asked.query_id, 1, ()) == "LOG_FORKED"
    # A hub that shows the old log again is not believed before staff has looked.
    assert greeted(again, 14) is None
    assert ready(world) == "LOG_FORKED"


def test_staff_goes_on_from_what_was_shown_last(world: World) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    greeted(answerer, 12, edited())
    greeted(answerer, 14, edited())
    with world.states[AGENCY].ledger() as connection:
        with transaction(connection) as tx:
            taken = accept(tx, world.clock.now)
            assert taken.shown == head(14, edited())
        with transaction(connection) as tx:
            kept = forks(tx)
            assert [each.accepted_at for each in kept] == [world.clock.now] * 2
            with pytest.raises(NotFound):
                accept(tx, world.clock.now)
    assert ready(world) == ""
    assert greeted(answerer, 20, edited()) is not None
    assert greeted(answerer, 21) is None
    assert ready(world) == "LOG_FORKED"


def test_a_hub_that_came_back_to_its_log_can_be_accepted(world: World) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    greeted(answerer, 12, edited())
    assert greeted(answerer, 13) is None
    with world.states[AGENCY].ledger() as connection, transaction(connection) as tx:
        assert accept(tx, world.clock.now).shown == head(13)
    assert greeted(answerer, 14) is not None


def test_evidence_does_not_fill_the_disk(world: World) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 5)
    for size in range(6, 36):
        greeted(answerer, size, edited())
        greeted(answerer, size, edited())
    with world.states[AGENCY].ledger() as connection, transaction(connection) as tx:
        found = forks(tx)
    assert len(found) == MOST_FORKS
    assert found[0].shown == head(6, edited())
    assert found[-1].shown == head(35, edited())


def test_a_hub_that_lost_its_newest_entries_is_behind_until_it_has_them(
    world: World,
) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 20)
    assert greeted(answerer, 12) is None
    assert ready(world) == "HUB_BEHIND"
    assert answerer.log_seen() == head(20)
    assert greeted(answerer, 24) is not None
    assert ready(world) == ""


def test_a_hub_that_shows_no_log_is_not_answered(world: World) -> None:
    answerer = world.answerers[AGENCY]
    assert answerer.greet(None, Growth(from_size=0, proof=())) is None
    assert ready(world) == "HUB_BEHIND"


def test_a_head_of_somebody_else_is_nothing(world: World) -> None:
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    stranger = dataclasses.replace(head(12), signature=bytes(64))
    assert answerer.greet(stranger, growth(10, 12)) is None
    assert ready(world) == "SIGNATURE_INVALID"
    with world.states[AGENCY].ledger() as connection, transaction(connection) as tx:
        assert forks(tx) == ()
    assert greeted(answerer, 12) is not None
    assert ready(world) == ""


def test_a_proof_from_another_head_says_nothing(world: World) -> None:
    """As where two processes of one agent take turns."""
    answerer = world.answerers[AGENCY]
    greeted(answerer, 10)
    assert answerer.grown(head(12), growth(9, 12)) is None
    with pytest.raises(Unreachable):
        answerer.greet(head(12), growth(9, 12))
    assert ready(world) == ""
    assert answerer.log_seen() == head(10)


def cases() -> Iterator[tuple[SignedHead, Verdict]]:
    yield head(15), Verdict.FOLLOWS
    yield head(15, height=29), Verdict.BEHIND
    yield head(15, epoch=3, height=2), Verdict.FOLLOWS
    yield head(15, epoch=1), Verdict.BEHIND
    yield head(9), Verdict.BEHIND
    yield head(9, epoch=1), Verdict.BEHIND
    # Rebuilt from an old copy: entries are gone for good, and staff has to look.
    yield head(9, epoch=3), Verdict.FORKED
    yield head(15, edited(), epoch=3), Verdict.FORKED
    yield head(10, edited()), Verdict.FORKED


@pytest.mark.parametrize(("shown", "verdict"), list(cases()))
def test_what_a_head_is_after_another(shown: SignedHead, verdict: Verdict) -> None:
    seen = head(10, epoch=2, height=30)
    proof = growth(10, shown.head.size).proof
    shown = SignedHead.sign(
        dataclasses.replace(shown.head, epoch=shown.head.epoch or 2), HUB
    )
    assert judge(seen, shown, proof) is verdict
