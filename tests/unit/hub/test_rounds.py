# SPDX-License-Identifier: Apache-2.0
"""The state machine of a round: whatever comes in, in whatever order."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from accord.core.errors import IntegrityError
from accord.hub.rounds.attempt import Attempt
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import (
    ERASING,
    Call,
    Stage,
    Turn,
    Wanted,
    half_of_what_is_left,
    publishable,
)
from accord.secagg.messages import Erased, Ready, Receipt, seed_commitment

ALL = ("a", "b", "c", "d", "e")
COHORTS = {"all": ALL, "most": ("a", "b", "c"), "rest": ("a", "d", "e")}
SIZE = 3
BEGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
EXPIRES = BEGIN + 2 * HOUR


def a_call(cohorts: Mapping[str, tuple[str, ...]] | None = None) -> Call:
    chosen = COHORTS if cohorts is None else cohorts
    return Call(
        submission="s",
        payload_digest="p",
        spec_digest=bytes(32),
        size=SIZE,
        members=ALL,
        cohorts=chosen,
        noise=dict.fromkeys(chosen, "0" * 64),
        expires_at=EXPIRES,
    )


def a_round(cohorts: Mapping[str, tuple[str, ...]] | None = None) -> Round:
    """Return a round that asks everybody and waits for an hour."""
    return Round.begin(a_call(cohorts), half_of_what_is_left(BEGIN, EXPIRES))


def ready_of(agency: str, attempt: int) -> Ready:
    return Ready(
        agency=agency,
        spec_digest=bytes(32),
        attempt=attempt,
        ephemeral_key=hashlib.sha256(f"{agency}/{attempt}".encode()).digest(),
        signature=bytes(64),
    )


def vector_of(agency: str) -> bytes:
    return hashlib.sha256(agency.encode()).digest()[: SIZE * 8]


def seed_of(agency: str, attempt: int) -> bytes:
    return hashlib.sha256(f"seed/{agency}/{attempt}".encode()).digest()


def receipt_of(agency: str, current: Attempt) -> Receipt:
    shown = current.transcript
    return Receipt(
        agency=agency,
        transcript=shown,
        vector_digest=hashlib.sha256(vector_of(agency)).digest(),
        seed_commitment=seed_commitment(seed_of(agency, current.number), shown, agency),
        input_commitment=bytes(32),
        signature=bytes(64),
    )


def erased_of(agency: str, attempt: int) -> Erased:
    return Erased(
        agency=agency, spec_digest=bytes(32), attempt=attempt, signature=bytes(64)
    )


def say_ready(round_: Round, *agencies: str) -> None:
    for agency in agencies:
        assert round_.take_ready(ready_of(agency, round_.current.number))


def say_masked(round_: Round, *agencies: str) -> None:
    for agency in agencies:
        receipt = receipt_of(agency, round_.current)
        number = round_.current.number
        assert round_.take_masked(receipt, number, SIZE, vector_of(agency))


def reveal(round_: Round, *agencies: str) -> None:
    for agency in agencies:
        number = round_.current.number
        assert round_.take_seed(agency, number, seed_of(agency, number))


class Rounds(RuleBasedStateMachine):
    """Agencies, the clock and the database do whatever they like."""

    def __init__(self) -> None:
        super().__init__()
        self.round = a_round()
        self.now = BEGIN
        self.shown: dict[int, str] = {}
        self.openings: set[int] = set()
        self.ends: list[Turn] = []
        self.opening_at: int | None = None

    @initialize()
    def begin(self) -> None:
        self.move()

    def move(self) -> None:
        for turn in self.round.advance(self.now):
            match turn:
                case Turn.CHOSEN:
                    current = self.round.current
                    assert current.number not in self.shown
                    assert current.cohort is not None
                    self.shown[current.number] = current.cohort
                    assert set(COHORTS[current.cohort]) <= set(current.readies)
                case Turn.OPENING:
                    assert self.opening_at is None
                    self.opening_at = self.round.current.number
                case Turn.OPENED | Turn.LOST:
                    self.ends.append(turn)
                case _:
                    pass

    @rule(agency=st.sampled_from(ALL), back=st.integers(0, 1))
    def ready(self, agency: str, back: int) -> None:
        self.round.take_ready(ready_of(agency, self.round.current.number - back))
        self.move()

    @rule(agency=st.sampled_from(ALL), back=st.integers(0, 1))
    @precondition(lambda self: self.round.current.cohort is not None)
    def masked(self, agency: str, back: int) -> None:
        receipt = receipt_of(agency, self.round.current)
        number = self.round.current.number - back
        self.round.take_masked(receipt, number, SIZE, vector_of(agency))
        self.move()

    @rule(agency=st.sampled_from(ALL), back=st.integers(0, 1))
    def seed(self, agency: str, back: int) -> None:
        number = self.round.current.number - back
        self.round.take_seed(agency, number, seed_of(agency, number))
        self.move()

    @rule(agency=st.sampled_from(ALL), back=st.integers(0, 1))
    def erased(self, agency: str, back: int) -> None:
        self.round.take_erased(erased_of(agency, self.round.current.number - back))
        self.move()

    @rule(
        agency=st.sampled_from(ALL),
        back=st.integers(0, 1),
        reason=st.sampled_from(["LOCAL_RULE", "OUT_OF_ORDER", "EQUIVOCATION"]),
    )
    def refuse(self, agency: str, back: int, reason: str) -> None:
        self.round.refuse(agency, self.round.current.number - back, reason)
        self.move()

    @rule(agency=st.sampled_from(ALL), back=st.integers(0, 1))
    def approving(self, agency: str, back: int) -> None:
        self.round.await_approval(agency, self.round.current.number - back)
        self.move()

    @rule(agency=st.sampled_from(ALL))
    def thrown_out(self, agency: str) -> None:
        self.round.forget(agency)
        self.move()

    @rule()
    def committed(self) -> None:
        current = self.round.current
        opening = current.stage is Stage.REVEAL
        if opening:
            self.openings.add(current.number)
        self.round.confirm(current.number, opening=opening)
        self.move()

    @rule()
    def policies_replaced(self) -> None:
        self.round.abandon(self.now)
        self.move()

    @rule(minutes=st.integers(1, 50))
    def wait(self, minutes: int) -> None:
        self.now += dt.timedelta(minutes=minutes)
        self.move()

    @rule()
    def restart(self) -> None:
        """The hub is killed: of what it knew, the database has all but seeds."""
        if self.round.ended is not None or not self.round.is_confirmed:
            return
        stored = dataclasses.replace(self.round.current, seeds={}, _growing={})
        self.round = Round.resume(
            self.round.call,
            stored,
            refused=dict(self.round.refused),
            missing=dict(self.round.missing),
            asking_people=self.round.asking_people,
            now=self.now,
        )
        self.move()

    @invariant()
    def nothing_is_sent_too_early(self) -> None:
        current = self.round.current
        for agency in (*ALL, "stranger"):
            match self.round.wanted(agency):
                case Wanted.RECEIPTS | Wanted.SETTLED:
                    assert current.number in self.openings
                    assert current.stage is Stage.REVEAL
                    assert agency in COHORTS[self.shown[current.number]]
                case Wanted.COHORT:
                    assert agency in COHORTS[self.shown[current.number]]
                case Wanted.REQUISITION:
                    assert agency not in self.round.refused
                    assert agency not in self.round.missing
                case None:
                    pass

    @invariant()
    def nothing_follows_an_opening(self) -> None:
        if self.openings:
            assert self.openings == {self.round.current.number}
            assert self.round.current.stage is Stage.REVEAL

    @invariant()
    def it_ends_once(self) -> None:
        assert len(self.ends) <= 1
        assert (self.round.ended is not None) == bool(self.ends)
        if self.ends == [Turn.OPENED]:
            current = self.round.current
            assert set(current.seeds) >= set(current.members)
            assert current.number in self.openings

    def teardown(self) -> None:
        """When it has expired, nobody waits any longer."""
        for _ in range(3):
            self.now = max(self.now, EXPIRES) + ERASING
            self.move()
        assert len(self.ends) == 1


TestRounds = Rounds.TestCase
TestRounds.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_in_time_the_largest_possible_cohort_is_waited_for() -> None:
    round_ = a_round()
    say_ready(round_, "a", "b", "c")
    assert round_.advance(BEGIN + 0.9 * HOUR) == []
    assert round_.awaited == ["d", "e"]
    say_ready(round_, "d", "e")
    assert round_.advance(BEGIN + 0.9 * HOUR) == [Turn.CHOSEN]
    assert round_.current.cohort == "all"


def test_when_the_wait_is_over_the_largest_ready_cohort_is_chosen() -> None:
    round_ = a_round()
    say_ready(round_, "a", "b", "c")
    assert round_.advance(BEGIN + HOUR) == [Turn.CHOSEN]
    assert round_.current.cohort == "most"
    # and it has half of what is left to hand in
    assert round_.current.until == BEGIN + 1.5 * HOUR
    assert round_.advance(BEGIN + 1.4 * HOUR) == []


def test_without_a_ready_cohort_it_is_lost_and_says_who_was_missing() -> None:
    round_ = a_round()
    say_ready(round_, "a", "b", "d")
    assert round_.advance(BEGIN + HOUR) == [Turn.LOST]
    assert round_.missing == {"c": Stage.READY, "e": Stage.READY}


ONE_COHORT = {"all": ALL}


def test_where_nobody_can_answer_without_them_people_are_waited_for() -> None:
    round_ = a_round(ONE_COHORT)
    assert round_.await_approval("e", 1)
    assert not round_.await_approval("e", 1)
    say_ready(round_, "a", "b", "c", "d")
    assert round_.advance(BEGIN + HOUR) == []
    assert round_.current.until == BEGIN + 1.5 * HOUR
    assert round_.approving == ["e"]
    say_ready(round_, "e")
    assert round_.advance(BEGIN + 1.2 * HOUR) == [Turn.CHOSEN]
    assert round_.approving == []


def test_people_are_not_waited_for_where_others_can_answer() -> None:
    round_ = a_round()
    assert round_.await_approval("d", 1)
    say_ready(round_, "a", "b", "c", "e")
    assert round_.advance(BEGIN + HOUR) == [Turn.CHOSEN]
    assert round_.current.cohort == "most"


def test_people_are_not_waited_for_where_a_machine_is_away_too() -> None:
    round_ = a_round(ONE_COHORT)
    assert round_.await_approval("e", 1)
    say_ready(round_, "a", "b", "c")
    assert round_.advance(BEGIN + HOUR) == [Turn.LOST]


def test_people_who_never_decide_are_waited_for_until_a_minute_is_left() -> None:
    round_ = a_round(ONE_COHORT)
    assert round_.await_approval("e", 1)
    say_ready(round_, "a", "b", "c", "d")
    now, waits = BEGIN, 0
    while round_.advance(now) == []:
        now, waits = round_.current.until, waits + 1
    assert round_.ended is Turn.LOST
    assert round_.missing == {"e": Stage.READY}
    assert waits < 10
    assert dt.timedelta() < EXPIRES - now <= dt.timedelta(minutes=1)


def test_who_said_no_is_not_waited_for_any_more() -> None:
    round_ = a_round(ONE_COHORT)
    assert round_.await_approval("e", 1)
    assert round_.refuse("e", 1, "APPROVAL_REFUSED")
    assert round_.approving == []
    assert round_.advance(BEGIN) == [Turn.LOST]


def test_a_refusal_makes_the_next_cohort_the_largest_one() -> None:
    round_ = a_round()
    assert round_.refuse("d", 1, "LOCAL_RULE")
    say_ready(round_, "a", "b", "c")
    assert round_.advance(BEGIN) == [Turn.CHOSEN]
    assert round_.current.cohort == "most"


def test_who_vanishes_before_handing_in_costs_an_attempt() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    assert round_.advance(BEGIN) == [Turn.CHOSEN]
    say_masked(round_, "a", "b", "c", "d")
    assert round_.advance(BEGIN + 0.9 * HOUR) == []
    assert round_.advance(BEGIN + HOUR) == [Turn.AGAIN]
    assert (round_.current.number, round_.current.asked) == (2, ("a", "b", "c"))
    assert round_.missing == {"e": Stage.MASKED}
    assert round_.wanted("a") is None  # not committed yet
    round_.confirm(2, opening=False)
    assert round_.wanted("a") is Wanted.REQUISITION
    assert round_.wanted("d") is None
    assert not round_.take_ready(ready_of("a", 1))
    say_ready(round_, "a", "b", "c")
    assert round_.advance(BEGIN + HOUR) == [Turn.CHOSEN]
    say_masked(round_, "a", "b", "c")
    assert round_.advance(BEGIN + HOUR) == [Turn.OPENING]


def test_the_next_attempt_may_ask_others() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    round_.refuse("b", 1, "LOCAL_RULE")
    assert round_.advance(BEGIN) == [Turn.AGAIN]
    assert round_.current.asked == ("a", "d", "e")
    round_.refuse("d", 2, "LOCAL_RULE")
    assert round_.advance(BEGIN) == [Turn.LOST]


def test_what_hub_and_agency_remember_differently_gets_one_more_attempt() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    assert round_.refuse("b", 1, "COHORT_CHANGED")
    assert round_.advance(BEGIN) == [Turn.AGAIN]
    assert round_.current.asked == ALL
    assert round_.refuse("b", 2, "OUT_OF_ORDER")
    assert round_.advance(BEGIN) == []
    say_ready(round_, "a", "d", "e")
    assert round_.advance(BEGIN) == [Turn.CHOSEN]
    assert round_.current.cohort == "rest"


def until_revealing() -> Round:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    say_masked(round_, *ALL)
    assert round_.advance(BEGIN) == [Turn.OPENING]
    assert not round_.take_seed("a", 1, seed_of("a", 1))
    round_.confirm(1, opening=True)
    return round_


def test_all_seeds_open_it() -> None:
    round_ = until_revealing()
    assert {round_.wanted(agency) for agency in ALL} == {Wanted.RECEIPTS}
    reveal(round_, "a", "b", "c", "d")
    assert round_.advance(EXPIRES - dt.timedelta(seconds=1)) == []
    assert round_.wanted("a") is None
    reveal(round_, "e")
    assert round_.advance(BEGIN) == [Turn.OPENED]


def test_one_seed_that_is_out_ends_the_waiting_when_it_has_expired() -> None:
    round_ = until_revealing()
    reveal(round_, "a")
    assert round_.advance(EXPIRES) == [Turn.CLOSING, Turn.LOST]
    assert not round_.current.all_erased


def test_after_a_wrong_seed_nothing_is_waited_for() -> None:
    """Who sent it cannot say any more that the right one is gone."""
    round_ = until_revealing()
    assert round_.refuse("c", 1, "SEED_WRONG")
    assert round_.advance(BEGIN) == [Turn.CLOSING, Turn.LOST]
    assert not round_.current.all_erased


def test_a_seed_that_comes_after_a_refusal_ends_the_waiting() -> None:
    round_ = until_revealing()
    assert round_.refuse("c", 1, "EXPIRED")
    assert round_.advance(BEGIN) == [Turn.CLOSING]
    reveal(round_, "a")
    assert round_.advance(BEGIN) == [Turn.LOST]


def test_everybody_can_still_erase() -> None:
    round_ = until_revealing()
    assert round_.refuse("c", 1, "EQUIVOCATION")
    assert round_.advance(BEGIN) == [Turn.CLOSING]
    assert {round_.wanted(agency) for agency in ALL} == {Wanted.SETTLED}
    for agency in ALL:
        assert round_.advance(BEGIN) == []
        assert round_.take_erased(erased_of(agency, 1))
        assert round_.wanted(agency) is None
    assert round_.advance(BEGIN) == [Turn.LOST]
    assert round_.current.all_erased


def test_erasures_are_waited_for_a_minute_after_it_has_expired() -> None:
    round_ = until_revealing()
    assert round_.advance(EXPIRES) == [Turn.CLOSING]
    assert round_.advance(EXPIRES + 0.9 * ERASING) == []
    assert round_.advance(EXPIRES + ERASING) == [Turn.LOST]


def test_an_opening_that_could_not_be_committed_is_another_attempt() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    say_masked(round_, *ALL)
    round_.advance(BEGIN)
    round_.set_aside(["e"])
    assert round_.advance(BEGIN) == [Turn.AGAIN]
    assert round_.current.asked == ("a", "b", "c")


def test_nothing_is_opened_that_has_expired() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    say_masked(round_, *ALL)
    assert round_.advance(EXPIRES) == [Turn.LOST]


def test_a_copied_key_is_no_ready() -> None:
    round_ = a_round()
    say_ready(round_, "a")
    copied = dataclasses.replace(ready_of("a", 1), agency="b")
    with pytest.raises(IntegrityError) as caught:
        round_.take_ready(copied)
    assert caught.value.reason == "READY_COPIED"


def test_a_seed_that_was_not_promised_is_none() -> None:
    round_ = until_revealing()
    with pytest.raises(IntegrityError) as caught:
        round_.take_seed("a", 1, seed_of("b", 1))
    assert caught.value.reason == "SEED_WRONG"
    assert not round_.current.seeds


def test_a_vector_that_was_not_promised_is_none() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    receipt = receipt_of("a", round_.current)
    with pytest.raises(IntegrityError) as caught:
        round_.take_masked(receipt, 1, SIZE, vector_of("b"))
    assert caught.value.reason == "VECTOR_WRONG"
    with pytest.raises(IntegrityError):
        round_.take_masked(receipt_of("b", round_.current), 1, SIZE + 1, bytes(8))
    assert "a" not in round_.current.whole


def test_a_vector_in_parts_is_taken_once_it_is_whole() -> None:
    round_ = a_round()
    say_ready(round_, *ALL)
    round_.advance(BEGIN)
    vector, receipt = vector_of("a"), receipt_of("a", round_.current)
    assert round_.take_part("a", 1, 1, vector[8:16]) is None  # before its receipt
    assert round_.take_masked(receipt, 1, SIZE, vector[:8]) is None
    assert round_.take_part("a", 1, 2, vector[16:]) is None
    assert round_.take_masked(receipt, 1, SIZE, vector[:8]) is None
    assert round_.take_part("b", 1, 1, vector[8:16]) is None
    assert round_.take_part("a", 1, 1, vector[8:16]) == vector
    assert round_.take_part("a", 1, 1, vector[8:16]) is None


def test_a_wait_that_was_over_while_the_hub_was_away_begins_again() -> None:
    now = BEGIN + 1.5 * HOUR
    round_ = resumed(a_round(), now)
    assert round_.advance(now) == []
    assert round_.current.until == BEGIN + 1.75 * HOUR


def test_people_who_were_asked_before_the_hub_went_away_are_still_waited_for() -> None:
    round_ = a_round(ONE_COHORT)
    assert round_.await_approval("e", 1)
    say_ready(round_, "a", "b", "c", "d")
    round_ = resumed(round_, BEGIN + HOUR / 2)
    assert round_.approving == ["e"]
    assert not round_.await_approval("e", 1)
    assert round_.advance(BEGIN + HOUR) == []
    assert round_.current.until == BEGIN + 1.5 * HOUR


def resumed(round_: Round, now: dt.datetime) -> Round:
    """Return a round as a hub takes it up from its rows."""
    return Round.resume(
        round_.call,
        round_.current,
        refused=round_.refused,
        missing=round_.missing,
        asking_people=round_.asking_people,
        now=now,
    )


def test_only_cohorts_of_those_who_were_asked() -> None:
    assert publishable(COHORTS, ("a", "b", "c")) == {"most": ("a", "b", "c")}
    assert list(publishable(COHORTS, ALL)) == ["all", "most", "rest"]
