# SPDX-License-Identifier: Apache-2.0
"""Three rounds among real agencies: the sum, what it costs, replays, and the end."""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from accord.agent.answer import StoreAnswerer
from accord.agent.rounds import rows
from accord.agent.rounds.checks import Checks
from accord.agent.rounds.rows import Row, Stage
from accord.agent.settings import Settings
from accord.agent.spending import agreement_account
from accord.core.errors import RequisitionRefused
from accord.core.terms import Requisition
from accord.ledger import Unit, balance
from accord.secagg.directory import directory_of
from accord.secagg.messages import check_erased
from tests.unit.agent.agencies import NOW
from tests.unit.agent.agency_world import EVERYONE, THREE, World, expected
from tests.unit.agent.agreements import AGENCY, policy, signed
from tests.unit.agent.hub_rounds import Round

HOUR = datetime.timedelta(hours=1)


def refused(step: Callable[..., object], *arguments: Any) -> str:  # noqa: ANN401
    """Return the reason for which a step is refused."""
    with pytest.raises(RequisitionRefused) as caught:
        step(*arguments)
    return caught.value.reason


def row_of(world: World, found: Round | Requisition, label: str = AGENCY) -> Row:
    with world.states[label].ledger() as connection:
        row = rows.find(connection, found.query_id)
    assert row is not None
    return row


def test_the_hub_opens_the_exact_sum_of_a_cohort(world: World) -> None:
    """With `noise: hub` nothing is added, so every bit of the masks has to cancel."""
    asked = world.asked()
    assert (world.whole(asked).sum() == expected(THREE)).all()
    for label in THREE:
        assert world.spent(label) == (asked.loss.nano_rho, 0)


def test_all_five_agencies_answer_together(new_world: Callable[..., World]) -> None:
    world = new_world(EVERYONE)
    found = world.whole(world.asked(), "all")
    assert (found.sum() == expected(EVERYONE)).all()


def test_money_is_reserved_at_the_second_round_and_charged_at_the_third(
    world: World,
) -> None:
    asked = world.asked()
    loss = asked.loss.nano_rho
    found = world.ready(asked)
    assert world.spent(AGENCY) == (0, 0)
    world.hub.mask(found)
    assert world.spent(AGENCY) == (0, loss)
    account = agreement_account(AGENCY, "small-trends")
    with world.states[AGENCY].ledger() as connection:
        held = balance(connection, account, Unit.NANO_RHO, NOW)
    assert (held.spent, held.reserved) == (0, loss)
    world.hub.reveal(found)
    assert world.spent(AGENCY) == (loss, 0)


def test_what_two_queries_could_pay_and_not_both_is_refused_in_time(
    world: World,
) -> None:
    """Both are affordable when they are asked; the second finds nothing left."""
    first, second = world.asked(), world.asked()
    tight = Settings.model_validate({"lifetime": {"zcdp": {"epsilon": "1.2"}}})
    world.answerers[AGENCY] = StoreAnswerer(
        world.states[AGENCY], agency=AGENCY, settings=tight, clock=world.clock
    )
    world.hub.members[AGENCY] = world.answerers[AGENCY]
    rounds = [world.ready(asked) for asked in (first, second)]
    world.hub.mask(rounds[0])
    assert refused(world.hub.mask_one, rounds[1], AGENCY) == "BUDGET_EXHAUSTED"
    assert row_of(world, second).stage is Stage.READY
    third = signed(world.asked())
    fetch = world.offer.fetch
    reason = refused(world.answerers[AGENCY].ready, *third, 1, fetch)
    assert reason == "BUDGET_EXHAUSTED"
    world.answerers[AGENCY].settle([first.query_id])
    world.hub.mask(rounds[1])
    assert (world.hub.reveal(rounds[1]).sum() == expected(THREE)).all()
    assert world.spent(AGENCY) == (second.loss.nano_rho, 0)


# Replays


def test_every_message_gets_the_same_answer_again_from_another_program(
    world: World,
) -> None:
    asked = world.asked()
    found = world.ready(asked)
    first = found.steps[AGENCY]
    for _ in range(2):
        other = world.answerer(AGENCY)
        again = other.ready(*signed(asked), 1, world.offer.fetch)
        assert again == first
    world.hub.mask(found)
    masked = found.masked[AGENCY]
    for stage in (Stage.MASKED, Stage.REVEALED):
        assert row_of(world, found).stage is stage
        world.hub.members[AGENCY] = world.answerer(AGENCY)
        repeated = world.hub.mask_one(found, AGENCY)
        assert repeated.receipt == masked.receipt
        assert (repeated.vector == masked.vector).all()
        seed = world.hub.reveal_one(found, AGENCY)
    world.hub.members[AGENCY] = world.answerer(AGENCY)
    assert world.hub.reveal_one(found, AGENCY) == seed
    world.hub.reveal(found)
    assert (found.sum() == expected(THREE)).all()
    assert world.spent(AGENCY) == (asked.loss.nano_rho, 0)
    assert world.answerer(AGENCY).ledger_height() == 2
    assert world.answerer(AGENCY).state_sequence() == 2


def test_a_ready_is_repeated_after_the_vector_went_out(world: World) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    again = world.hub.members[AGENCY].ready(*signed(asked), 1, world.offer.fetch)
    assert again.ready == found.steps[AGENCY].ready
    assert row_of(world, found).stage is Stage.MASKED


# Second cohorts, second attempts


def cohort_of_three(found: Round) -> Round:
    """Return the same attempt as the hub would show it to the smaller cohort."""
    steps = {label: found.steps[label] for label in THREE}
    return dataclasses.replace(
        found, cohort="fallback", steps=steps, masked={}, seeds={}
    )


def test_a_second_cohort_of_one_attempt_is_refused(
    new_world: Callable[..., World],
) -> None:
    world = new_world(EVERYONE)
    asked = world.asked()
    found = world.hub.mask(world.ready(asked, "all"))
    for label in THREE:
        assert (
            refused(world.hub.mask_one, cohort_of_three(found), label)
            == "COHORT_CHANGED"
        )
    world.hub.reveal(found)
    assert (found.sum() == expected(EVERYONE)).all()
    for label in THREE:
        assert (
            refused(world.hub.mask_one, cohort_of_three(found), label)
            == "ALREADY_OPENED"
        )
        assert world.spent(label) == (asked.loss.nano_rho, 0)


def test_a_claimed_drop_out_cannot_open_two_attempts(
    new_world: Callable[..., World],
) -> None:
    """The hub has all vectors of the first attempt and says that two are missing."""
    world = new_world(EVERYONE)
    asked = world.asked()
    first = world.hub.mask(world.ready(asked, "all"))
    kept = {label: row_of(world, first, label).masked for label in THREE}
    second = world.ready(asked, "fallback", attempt=2)
    for label in THREE:
        assert refused(world.hub.reveal_one, first, label) == "OUT_OF_ORDER"
        assert refused(world.hub.mask_one, first, label) == "OUT_OF_ORDER"
        assert world.spent(label) == (0, asked.loss.nano_rho)
    world.hub.reveal(world.hub.mask(second))
    assert (second.sum() == expected(THREE)).all()
    for label in THREE:
        masked = kept[label]
        assert masked is not None
        assert refused(world.hub.reveal_one, first, label) == "ALREADY_OPENED"
        for file in world.states[label].root.glob("agent.db*"):
            assert (masked.seed or b"") not in file.read_bytes()
        # One reservation, however many attempts.
        assert world.spent(label) == (asked.loss.nano_rho, 0)


def test_an_attempt_that_was_opened_here_is_the_last(world: World) -> None:
    """One agency opened; the hub says that the others did not, and begins anew."""
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    world.hub.reveal_one(found, AGENCY)
    answerer = world.hub.members[AGENCY]
    reason = refused(answerer.ready, *signed(asked), 2, world.offer.fetch)
    assert reason == "ALREADY_OPENED"
    assert world.hub.reveal_one(found, AGENCY) == found.seeds[AGENCY]


def test_attempts_only_go_forward(world: World) -> None:
    asked = world.asked()
    answerer, fetch = world.answerers[AGENCY], world.offer.fetch
    first = answerer.ready(*signed(asked), 2, fetch)
    assert refused(answerer.ready, *signed(asked), 1, fetch) == "OUT_OF_ORDER"
    later = {"expires_at": asked.expires_at + HOUR}
    other = signed(asked, **later)
    assert refused(answerer.ready, *other, 2, fetch) == "OUT_OF_ORDER"
    second = answerer.ready(*other, 3, fetch)
    assert second.ready.ephemeral_key != first.ready.ephemeral_key
    assert second.ready.spec_digest != first.ready.spec_digest
    assert row_of(world, asked).expires_at == asked.expires_at + HOUR


def test_steps_out_of_order_are_refused(world: World) -> None:
    asked = world.asked()
    found = world.ready(asked)
    early = dataclasses.replace(found, query_id=world.asked().query_id)
    assert refused(world.hub.mask_one, early, AGENCY) == "OUT_OF_ORDER"
    answerer = world.answerers[AGENCY]
    assert refused(answerer.reveal, found.query_id, 1, []) == "OUT_OF_ORDER"
    assert refused(answerer.reveal, found.query_id, 2, []) == "OUT_OF_ORDER"
    assert world.spent(AGENCY) == (0, 0)
    world.hub.mask(found)
    assert refused(answerer.reveal, found.query_id, 2, []) == "OUT_OF_ORDER"


def test_what_a_step_erases_is_nowhere_in_the_files(world: World) -> None:
    """Fresh keys after the second round, everything after the end."""
    found = world.ready(world.asked())
    other = world.ready(world.asked())
    ephemeral = row_of(world, found).ephemeral
    unused = row_of(world, other).ephemeral
    assert ephemeral is not None
    assert unused is not None

    def content() -> bytes:
        files = world.states[AGENCY].root.glob("agent.db*")
        return b"".join(file.read_bytes() for file in files)

    assert ephemeral in content()
    world.hub.mask(found)
    assert ephemeral not in content()
    masked = row_of(world, found).masked
    assert masked is not None
    assert masked.seed is not None
    vector = found.masked[AGENCY].vector.tobytes()
    assert masked.seed in content()
    assert vector in content()
    world.answerers[AGENCY].settle([found.query_id, other.query_id])
    for secret in (masked.seed, vector, unused):
        assert secret not in content()


# The end


def test_what_was_settled_unopened_is_erased_given_back_and_signed_for(
    world: World,
) -> None:
    asked = world.asked()
    masked = world.hub.mask(world.ready(asked))
    ready = world.ready(world.asked())
    unknown = world.asked().query_id
    for label in THREE:
        answerer = world.answerers[label]
        ids = [ready.query_id, unknown, masked.query_id]
        done = answerer.settle(ids)
        assert [each.query_id for each in done] == [masked.query_id]
        erased = done[0].erased
        spec = masked.steps[label].ready.spec_digest
        check_erased(erased, spec, masked.attempt, directory_of(policy()))
        # The hub may have lost it.
        assert world.answerer(label).settle(ids) == done
        assert world.spent(label) == (0, 0)
        assert row_of(world, masked, label).stage is Stage.ERASED
        for found in (masked, ready):
            assert refused(world.hub.mask_one, found, label) == "OUT_OF_ORDER"
        assert refused(world.hub.reveal_one, masked, label) == "OUT_OF_ORDER"
        again = refused(answerer.ready, *signed(asked), 2, world.offer.fetch)
        assert again == "OUT_OF_ORDER"


def test_what_was_opened_stays_charged_and_keeps_its_seed(world: World) -> None:
    asked = world.asked()
    found = world.whole(asked)
    for label in THREE:
        assert world.answerers[label].settle([found.query_id]) == ()
        assert world.spent(label) == (asked.loss.nano_rho, 0)
        assert world.hub.reveal_one(found, label) == found.seeds[label]
        assert refused(world.hub.mask_one, found, label) == "ALREADY_OPENED"


def test_after_its_time_nothing_is_answered_and_what_is_closed_is_given_back(
    world: World,
) -> None:
    masked = world.hub.mask(world.ready(world.asked()))
    ready = world.ready(world.asked())
    asked = world.asked()
    opened = world.whole(asked)
    world.clock.now = asked.expires_at
    answerer = world.answerers[AGENCY]
    assert refused(world.hub.mask_one, ready, AGENCY) == "EXPIRED"
    # The refusal has ended what had expired, without waiting for anybody.
    assert world.spent(AGENCY) == (asked.loss.nano_rho, 0)
    for found in (ready, masked):
        assert row_of(world, found).stage is Stage.ERASED
        assert refused(world.hub.mask_one, found, AGENCY) == "EXPIRED"
    assert refused(world.hub.reveal_one, masked, AGENCY) == "EXPIRED"
    assert refused(world.hub.reveal_one, opened, AGENCY) == "EXPIRED"
    assert refused(answerer.ready, *signed(asked), 1, world.offer.fetch) == "EXPIRED"
    row = row_of(world, opened)
    assert row.stage is Stage.REVEALED
    assert row.masked is not None
    assert row.masked.seed is None
    # The hub can still be told.
    done = answerer.settle([masked.query_id, ready.query_id, opened.query_id])
    assert [each.query_id for each in done] == [masked.query_id]


def test_nothing_is_reserved_for_what_another_program_has_ended_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would give it back: what has ended ends once."""
    found, other = world.ready(world.asked()), world.answerer(AGENCY)
    edition = Checks.edition

    def meanwhile(self: Checks, *arguments: Any) -> Any:  # noqa: ANN401
        other.settle([found.query_id])
        return edition(self, *arguments)

    monkeypatch.setattr(Checks, "edition", meanwhile)
    assert refused(world.hub.mask_one, found, AGENCY) == "OUT_OF_ORDER"
    assert world.spent(AGENCY) == (0, 0)


def test_what_is_masked_is_asked_for_again_until_it_has_ended(world: World) -> None:
    """A hub that ended it while this agency was away says so then."""
    answerer = world.answerers[AGENCY]
    world.ready(world.asked())
    world.whole(world.asked())
    asked = world.asked()
    first = world.hub.mask(world.ready(asked))
    second = world.ready(asked, attempt=2)
    assert answerer.unopened() == ()
    world.hub.mask(second)
    said = ((second.query_id, second.steps[AGENCY].ready),)
    assert answerer.unopened() == world.answerer(AGENCY).unopened() == said
    assert second.steps[AGENCY].ready != first.steps[AGENCY].ready
    answerer.settle([second.query_id])
    assert answerer.unopened() == ()


def test_expiry_needs_no_question(world: World) -> None:
    asked = world.asked()
    world.hub.mask(world.ready(asked))
    world.answerers[AGENCY].expire()
    assert world.spent(AGENCY) == (0, asked.loss.nano_rho)
    world.clock.now = asked.expires_at
    world.answerers[AGENCY].expire()
    assert world.spent(AGENCY) == (0, 0)


def test_a_clock_that_is_ahead_refuses_and_one_that_is_behind_answers(
    world: World,
) -> None:
    """Neither spends anything that it should not, nor says two things."""
    asked = world.asked()
    world.clock.now = NOW + 2 * HOUR
    fetch = world.offer.fetch
    ahead = world.answerers[AGENCY]
    assert refused(ahead.ready, *signed(asked), 1, fetch) == "EXPIRED"
    world.clock.now = NOW - 2 * HOUR
    found = world.hub.mask(world.ready(asked))
    world.clock.now = NOW + 2 * HOUR
    world.answerers[AGENCY].expire()
    world.clock.now = NOW - 2 * HOUR
    # Set back again: what was erased stays erased.
    assert refused(world.hub.reveal_one, found, AGENCY) == "OUT_OF_ORDER"
    assert world.spent(AGENCY) == (0, 0)


def test_a_query_that_expires_between_two_steps_cannot_be_opened(world: World) -> None:
    asked = world.asked()
    found = world.hub.mask(world.ready(asked))
    world.clock.now = asked.expires_at - datetime.timedelta(seconds=1)
    world.hub.reveal_one(found, "police")
    world.clock.now = asked.expires_at
    assert refused(world.hub.reveal_one, found, AGENCY) == "EXPIRED"
    assert world.spent("police") == (asked.loss.nano_rho, 0)
    assert world.spent(AGENCY) == (0, 0)


# The database


def test_the_database_itself_keeps_a_row_from_going_back(world: World) -> None:
    found = world.whole(world.asked())
    with world.states[AGENCY].ledger() as connection:
        for change in ("state = 'ready'", "receipt_signature = NULL"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(f"UPDATE round SET {change}")
        row = rows.find(connection, found.query_id)
        assert row is not None
        assert not rows.erase(connection, found.query_id)
        assert not rows.put_ready(
            connection, dataclasses.replace(row, attempt=2, ephemeral=bytes(32))
        )


def test_the_database_itself_keeps_an_id_for_one_question(world: World) -> None:
    found = world.ready(world.asked())
    with world.states[AGENCY].ledger() as connection:
        row = rows.find(connection, found.query_id)
        assert row is not None
        later = dataclasses.replace(row, attempt=2)
        another = dataclasses.replace(later, substance="b" * 64)
        assert not rows.put_ready(connection, another)
        assert rows.find(connection, found.query_id) == row
        assert rows.put_ready(connection, later)
