# SPDX-License-Identifier: Apache-2.0
"""Every question about an agency's data is kept, in words, for ever."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.answer import StoreAnswerer
from accord.agent.receipts import Receipt, receipt_of, receipts, worded
from accord.agent.rounds.history import Outcome
from accord.agent.settings import Audit
from accord.agent.state import AgentState
from accord.core.decide import Analyst
from accord.core.measure import LEAST_CELL_SCALE
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from accord.v1 import common_pb2
from accord.v1.agent_pb2 import RequisitionPayload
from tests.unit.agent.agencies import NOW
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY, KEY, signed
from tests.unit.agent.command import Command
from tests.unit.agent.test_fence import confirmed, copied, refused, restored
from tests.unit.agent.test_round_commands import Staff
from tests.unit.agent.test_witness import edited, greeted, head

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def staff(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Staff:
    return Staff(world, Command(monkeypatch, capsys))


def kept(world: World) -> list[Receipt]:
    with world.states[AGENCY].ledger() as connection:
        return list(receipts(connection))


def answerer(world: World) -> StoreAnswerer:
    return world.answerers[AGENCY]


@pytest.mark.parametrize(
    ("measure", "words", "exact"),
    [
        ("mean(days)", "The mean of days", False),
        ("share(exploitation_type)", "with each value of exploitation type", True),
        ("values(exploitation_type)", "number of values of exploitation type", True),
        ("quantile(days)", "cases in each range of days", True),
    ],
)
def test_every_measure_is_told_in_words(
    world: World, measure: str, words: str, *, exact: bool
) -> None:
    """What the noise is in counts is told of counts alone."""
    world.whole(world.asked())
    (receipt,) = kept(world)
    assert receipt.requisition is not None
    other = RequisitionPayload.FromString(receipt.requisition.SerializeToString())
    other.query.measure = measure
    told = dataclasses.replace(receipt, requisition=other)
    assert words in told.question()
    assert ("of ±" in told.what_left()) == exact
    assert "with noise" in told.what_left()
    if exact:
        assert told.noise is not None
        assert receipt.noise == told.noise
        older = dataclasses.replace(told, scale=None)
        assert receipt.noise == pytest.approx(16 * (older.noise or 0))


@pytest.mark.parametrize(
    ("months", "words"),
    [
        (("2025-12", "2026-01", "2026-02"), "2025-12 to 2026-02"),
        (("2025-12", "2026-02", "2026-03"), "2025-12, 2026-02 or 2026-03"),
        (("2026-02", "2026-01", "2025-12"), "2026-02, 2026-01 or 2025-12"),
        (("2025-12", "2026-01"), "2025-12 or 2026-01"),
        (("2025-00", "2025-01", "2025-02"), "2025-00, 2025-01 or 2025-02"),
    ],
)
def test_months_in_a_row_are_told_by_their_ends(
    months: tuple[str, ...], words: str
) -> None:
    only = common_pb2.Filter(dimension="registered_month", values=months)
    query = common_pb2.Query(measure="persons", where=[only], edition="2026-03")
    expected = (
        f"How many persons where registered month is {words}, in edition 2026-03?"
    )
    assert worded(query) == expected


def test_filters_follow_each_other_with_an_and() -> None:
    where = [
        common_pb2.Filter(dimension="region", values=["norvale"]),
        common_pb2.Filter(dimension="gender", values=["woman", "man"]),
    ]
    query = common_pb2.Query(measure="cases", where=where, edition="2026-03")
    expected = "where region is norvale and gender is woman or man, in edition 2026-03?"
    assert worded(query).endswith(expected)


def test_how_many_answered_at_most_is_said_in_the_language_of_the_rest(
    world: World,
) -> None:
    world.whole(world.asked())
    (receipt,) = kept(world)
    assert "their sum over at most 5 agencies (cohort fallback)" in receipt.what_left()
    assert "at most" not in receipt.what_left("ar")


def test_a_question_in_arabic_has_the_marks_of_arabic() -> None:
    query = common_pb2.Query(measure="persons", edition="2026-03")
    assert worded(query, "ar").endswith("، في النسخة 2026-03؟")


def test_an_answered_question_says_who_why_and_what_left(world: World) -> None:
    asked = world.asked()
    found = world.whole(asked)
    (receipt,) = kept(world)
    assert receipt.query_id == found.query_id
    assert receipt.outcome is Outcome.OPENED
    assert receipt.asked_at == receipt.charged_at == NOW.replace(microsecond=0)
    assert receipt.question() == "How many persons by region, in edition 2026-01?"
    assert receipt.cohort == "fallback"
    assert receipt.cells == len(found.sum())
    assert receipt.cost == asked.loss
    left = receipt.what_left()
    assert left.startswith(f"{receipt.cells} figures left, under masks and with noise")
    assert "of ±" in left
    assert "over at most 5 agencies (cohort fallback) was opened" in left
    content = receipt.as_json()
    assert content["analyst"] == asked.analyst.id
    assert content["purpose"] == asked.purpose
    assert content["nano_rho"] == asked.loss.nano_rho
    assert content["outcome"] == "opened"


def test_each_step_is_there_as_soon_as_it_is_taken(world: World) -> None:
    found = world.ready(world.asked())
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.cells) == (Outcome.ASKED, None)
    assert receipt.what_left() == "Nothing has left this agency."
    world.hub.mask(found)
    (receipt,) = kept(world)
    assert receipt.outcome is Outcome.MASKED
    assert "have not been opened" in receipt.what_left()
    assert receipt.cost_words() == "–"
    answerer(world).settle([found.query_id])
    (receipt,) = kept(world)
    assert receipt.outcome is Outcome.ENDED
    assert "never opened and cannot be any more" in receipt.what_left()
    answerer(world).settle([found.query_id])
    assert kept(world) == [receipt]


def test_the_newest_are_had_without_the_others_and_one_by_its_id(world: World) -> None:
    for _ in range(3):
        answerer(world).ready(*signed(world.asked()), 1, world.offer.fetch)
    every = kept(world)
    with world.states[AGENCY].ledger() as connection:
        assert list(receipts(connection, 2)) == every[1:]
        assert list(receipts(connection, 0)) == []
        assert receipt_of(connection, every[1].query_id) == every[1]
        assert receipt_of(connection, "none") is None


def test_a_later_attempt_is_the_same_question(world: World) -> None:
    asked = world.asked()
    world.hub.mask(world.ready(asked))
    second = world.ready(asked, attempt=2)
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.cohort) == (Outcome.ASKED, None)
    world.hub.reveal(world.hub.mask(second))
    (receipt,) = kept(world)
    assert receipt.outcome is Outcome.OPENED


def test_what_expires_unopened_has_ended(world: World) -> None:
    world.ready(world.asked())
    world.clock.now += 24 * HOUR
    answerer(world).expire()
    (receipt,) = kept(world)
    assert receipt.outcome is Outcome.ENDED
    assert receipt.what_left() == "Nothing has left this agency."
    assert receipt.ended_at == world.clock.now


def test_a_declined_question_is_kept_with_the_reason(staff: Staff) -> None:
    world = staff.world
    staff.run("rules", "veto", "purpose", world.asked().purpose, "--reason", "x")
    asked = world.asked()
    fetch = world.offer.fetch
    assert refused(answerer(world).ready, *signed(asked), 1, fetch) == "LOCAL_RULE"
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.reason) == (Outcome.REFUSED, "LOCAL_RULE")
    assert receipt.what_left() == (
        "Nothing has left this agency: a rule of this agency forbids it."
    )
    assert receipt.question().startswith("How many persons")
    assert refused(answerer(world).ready, *signed(asked), 1, fetch) == "LOCAL_RULE"
    assert kept(world) == [receipt]


def test_a_question_that_was_declined_first_can_be_answered_later(staff: Staff) -> None:
    world = staff.world
    asked = world.asked()
    staff.run("stop-sharing", "--reason", "x")
    refused(answerer(world).ready, *signed(asked), 1, world.offer.fetch)
    staff.run("resume-sharing", "--reason", "x")
    world.whole(asked)
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.reason) == (Outcome.OPENED, None)


def test_a_question_that_was_declined_between_two_rounds_goes_on(staff: Staff) -> None:
    """A hub that comes back asks anew, perhaps while a rule forbids it."""
    world = staff.world
    asked = world.asked()
    found = world.ready(asked)
    staff.run("stop-sharing", "--reason", "x")
    fetch = world.offer.fetch
    assert refused(answerer(world).ready, *signed(asked), 1, fetch) == "LOCAL_RULE"
    staff.run("resume-sharing", "--reason", "x")
    masked = world.hub.mask(found)
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.reason) == (Outcome.MASKED, None)
    world.hub.reveal(masked)
    (receipt,) = kept(world)
    assert (receipt.outcome, receipt.reason) == (Outcome.OPENED, None)


def test_an_answer_is_not_taken_back_by_a_later_refusal(world: World) -> None:
    asked = world.asked()
    world.whole(asked)
    before = kept(world)
    fetch = world.offer.fetch
    assert refused(answerer(world).ready, *signed(asked), 2, fetch) == "ALREADY_OPENED"
    changed = dataclasses.replace(
        asked, analyst=dataclasses.replace(asked.analyst, id="eve")
    )
    assert refused(answerer(world).ready, *signed(changed), 2, fetch)
    assert kept(world) == before


def test_what_another_hub_signed_is_no_question(world: World) -> None:
    payload, _ = signed(world.asked())
    stranger = Ed25519PrivateKey.generate()
    signature = sign_requisition(stranger, payload)
    fetch = world.offer.fetch
    step = refused(answerer(world).ready, payload, signature, 1, fetch)
    assert step == "SIGNATURE_INVALID"
    assert kept(world) == []


def test_the_words_stay_when_the_record_for_audits_is_gone(world: World) -> None:
    world.whole(world.asked())
    before = kept(world)
    world.clock.now += datetime.timedelta(days=3)
    world.answerer(AGENCY, audit=Audit(keep_days=1)).expire()
    assert kept(world) == before


def test_a_restored_copy_counts_what_was_open_as_answered(
    world: World, tmp_path: Path
) -> None:
    found = world.ready(world.asked())
    world.hub.mask(found)
    copy = copied(world, tmp_path)
    world.hub.reveal(found)
    restored(world, copy)
    confirmed(world)
    (receipt,) = kept(world)
    assert receipt.outcome is Outcome.PRESUMED
    assert receipt.charged_at == world.clock.now
    assert receipt.cost.nano_rho > 0
    assert "count as opened" in receipt.what_left()


def test_staff_reads_them_as_text_table_and_json(staff: Staff, tmp_path: Path) -> None:
    world = staff.world
    asked = world.asked()
    world.whole(asked)
    text = staff.run("receipts").stdout
    for words in (
        asked.query_id,
        f"who       {asked.analyst.id}, {asked.analyst.organisation}",
        f"why       {asked.purpose}",
        "under     small-trends version",
        "question  How many persons by region, in edition 2026-01?",
        "answered on",
        "; cost 0.",
    ):
        assert words in text
    (shown,) = staff.json("receipts")["receipts"]
    assert shown["query_id"] == asked.query_id
    file = tmp_path / "receipts.csv"
    said = staff.run("receipts", "--csv", file).stdout
    assert said == f"1 questions are in {file}.\n"
    assert file.stat().st_mode & 0o077 == 0
    (row,) = csv.DictReader(io.StringIO(file.read_text()))
    assert row["question"] == shown["question"]
    assert row["nano_rho"] == str(asked.loss.nano_rho)
    assert row["members"] == ", ".join(asked.members)
    assert set(row) == set(shown)


def test_nothing_asked_is_said_so(staff: Staff) -> None:
    assert staff.run("receipts").stdout == "Nothing has been asked yet.\n"
    assert staff.json("receipts") == {"receipts": []}


def test_words_of_strangers_are_no_formula_and_no_command_of_a_terminal(
    staff: Staff, tmp_path: Path
) -> None:
    world = staff.world
    analyst = Analyst(
        id='=HYPERLINK("x")', organisation="a\x1b[2Jb", roles=frozenset({"analyst"})
    )
    asked = world.asked(analyst=analyst, purpose="@SUM(1)")
    payload, signature = signed(asked)
    assert refused(answerer(world).ready, payload, signature, 1, world.offer.fetch)
    file = tmp_path / "receipts.csv"
    staff.run("receipts", "--csv", file)
    (row,) = csv.DictReader(io.StringIO(file.read_text()))
    assert row["analyst"] == '\'=HYPERLINK("x")'
    assert row["purpose"] == "'@SUM(1)"
    assert row["organisation"] == "a?[2Jb"
    assert "\x1b" not in staff.run("receipts").stdout


def test_a_table_that_cannot_be_written_is_told(staff: Staff, tmp_path: Path) -> None:
    said = staff.run("receipts", "--csv", tmp_path / "none" / "x.csv", status=3)
    assert "x.csv cannot be written" in said.stderr


def test_a_database_of_before_the_receipts_is_carried_over(world: World) -> None:
    """Every question that it knew becomes one, with what proves a charge."""
    opened_ = world.whole(world.asked())
    masked = world.hub.mask(world.ready(world.asked()))
    erased = world.ready(world.asked())
    answerer(world).settle([erased.query_id])
    open_ = world.ready(world.asked())
    before = {each.query_id: each for each in kept(world)}
    state = world.states[AGENCY]
    with state.ledger() as connection:
        spent = world.balance(AGENCY)
        later = "receipt log_seen log_fork forgetting suspicion approval"
        for table in later.split():
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE agent_head SET format = 2")
    again = AgentState.open(state.root)
    assert world.answerer(AGENCY).log_seen() is None
    with again.ledger() as connection:
        after = {each.query_id: each for each in receipts(connection)}
        columns = "payload, signature, cohort, transcript, charged_at"
        row = connection.execute(
            f"SELECT {columns} FROM receipt WHERE query_id = ?", (opened_.query_id,)
        ).fetchone()
    assert all(value is not None for value in row)
    known = before[opened_.query_id]
    assert known.scale == LEAST_CELL_SCALE
    assert after[opened_.query_id] == dataclasses.replace(known, scale=None)
    assert after[opened_.query_id].noise == known.noise
    assert {key: each.outcome for key, each in after.items()} == {
        opened_.query_id: Outcome.OPENED,
        masked.query_id: Outcome.MASKED,
        erased.query_id: Outcome.ENDED,
        open_.query_id: Outcome.ASKED,
    }
    assert "not kept here any more" in after[erased.query_id].question()
    assert world.balance(AGENCY) == spent
    AgentState.create(state.root)
    world.whole(world.asked())
    assert len(kept(world)) == 5


def test_a_new_state_has_what_an_old_one_was_brought_to(
    world: World, tmp_path: Path
) -> None:
    def tables(state: AgentState) -> list[Any]:
        with state.ledger() as connection:
            return connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE name <> 'suspicion'"
                " AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall()

    assert tables(AgentState.create(tmp_path / "new")) == tables(world.states[AGENCY])


def test_staff_sees_a_fork_and_decides(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not seen the hub's log yet" in staff.run("log", "show").stdout
    staff.run("log", "accept", "--yes", status=2)
    greeted(answerer(staff.world), 10)
    said = staff.run("log", "show").stdout
    assert "accepted: 10 entries" in said
    assert "NOTHING IS ANSWERED" not in said
    greeted(answerer(staff.world), 12, edited())
    said = staff.run("log", "show").stdout
    assert "NOTHING IS ANSWERED" in said
    assert staff.json("status")["log"] == {"seen": head(10).as_json(), "forked": True}
    found = staff.json("log", "show")
    assert found["seen"] == head(10).as_json()
    assert found["forks"][0]["shown"] == head(12, edited()).as_json()
    refusal = staff.run("log", "accept", status=4).stderr
    assert "shown then:  12 entries" in refusal
    assert "nothing is answered" in refusal
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def another_head_meanwhile() -> str:
        greeted(answerer(staff.world), 11, edited())
        return "yes"

    monkeypatch.setattr("builtins.input", another_head_meanwhile)
    assert "has shown another head" in staff.run("log", "accept", status=4).stderr
    assert staff.json("status")["log"]["forked"] is True
    greeted(answerer(staff.world), 12, edited())
    monkeypatch.setattr("builtins.input", lambda: "yes")
    assert "goes on from 12 entries" in staff.run("log", "accept").stdout
    assert ", accepted 20" in staff.run("log", "show").stdout
    asked = signed(staff.world.asked())
    answerer(staff.world).ready(*asked, 1, staff.world.offer.fetch)


def test_a_payload_that_is_too_long_is_not_kept_whole(world: World) -> None:
    """The hub could otherwise fill this agency's disk with questions it may not ask."""
    asked = world.asked(purpose="x" * 200)
    payload = requisition_to_bytes(asked)
    long = payload + b"\xfa\x7f\xff\xff\x03" + bytes(65535)  # an unknown field
    signature = sign_requisition(KEY, long)
    assert refused(answerer(world).ready, long, signature, 1, world.offer.fetch)
    (receipt,) = kept(world)
    assert receipt.requisition is None
    assert receipt.outcome is Outcome.REFUSED
