# SPDX-License-Identifier: Apache-2.0
"""Audits on the agency's premises: every outcome, and what they never show."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from accord.agent.keys.files import read_key
from accord.agent.receipts import receipts
from accord.agent.rounds import masking, rows
from accord.agent.rounds.auditing import audit
from accord.agent.rounds.record import Record, find_record
from accord.agent.rounds.sealing import (
    AUDIT_KEY,
    AuditPublic,
    public_of,
    read_public,
    seal,
    unseal,
)
from accord.agent.rounds.vectors import StoredEdition, Vector, counts, share
from accord.agent.settings import Audit
from accord.agent.state import AgentState
from accord.core.errors import AccordError, ConfigurationError
from accord.core.terms import terms
from accord.trust.repository import Repository
from tests.policies import edited, republish
from tests.unit.agent.agencies import MODEL, NOW
from tests.unit.agent.agency_world import THREE, World
from tests.unit.agent.agreements import (
    AGENCY,
    PATH,
    agreement,
    question,
    repository,
    requisition,
    signed,
)
from tests.unit.agent.hub_rounds import Round
from tests.unit.agent.test_rounds_noise import TEXTS, WIDE


def audited(world: World, found: Round, label: str = AGENCY) -> dict[str, object]:
    state = world.states[label]
    seed = read_key(state.keys / AUDIT_KEY)
    done = audit(state, found.query_id, seed, world.clock.now)
    return done.as_json()


def outcome(world: World, found: Round, seed: bytes | None = None) -> AccordError:
    """Return how an audit fails."""
    state = world.states[AGENCY]
    key = seed or read_key(state.keys / AUDIT_KEY)
    with pytest.raises(AccordError) as caught:
        audit(state, found.query_id, key, world.clock.now)
    return caught.value


def remembered(world: World) -> list[tuple[str, str]]:
    with world.states[AGENCY].ledger() as connection:
        found = connection.execute("SELECT query_id, result, at, made_by FROM audit")
        rows_found = found.fetchall()
    assert all(at and by for _, _, at, by in rows_found)
    return [(query_id, result) for query_id, result, _, _ in rows_found]


@pytest.mark.parametrize("name", list(TEXTS))
def test_an_honest_round_agrees_with_every_noise(
    new_world: Callable[..., World], name: str
) -> None:
    world = new_world(THREE, TEXTS[name])
    found = world.whole(requisition(question(*WIDE), TEXTS[name]))
    for label in THREE:
        done = audited(world, found, label)
        assert (done["result"], done["opened"]) == ("agrees", True)
        assert (done["cohort"], done["members"]) == ("fallback", list(THREE))
    assert remembered(world) == [(found.query_id, "agrees")]


def test_it_agrees_however_long_ago_and_whatever_was_settled_or_agreed_since(
    world: World,
) -> None:
    """The vector is gone, the query has expired, and another agreement is in force."""
    found = world.whole(world.asked())
    answerer = world.answerers[AGENCY]
    answerer.settle([found.query_id])
    world.offer.publish(_newer())
    assert answerer.refresh(world.offer.fetch)
    world.clock.now = NOW + datetime.timedelta(days=399)
    answerer.expire()
    assert audited(world, found)["result"] == "agrees"


def _newer() -> Repository:
    changes = (
        ("version: 2", "version: 3"),
        ("groups_per_person: 2", "groups_per_person: 1"),
    )
    text = edited(repository(), PATH, *changes)
    return republish(repository(), {PATH: text}, now=NOW)


def test_what_is_masked_and_not_opened_can_be_audited_too(world: World) -> None:
    found = world.hub.mask(world.ready(world.asked()))
    assert audited(world, found)["opened"] is False


def test_a_later_attempt_is_the_one_that_is_audited(world: World) -> None:
    asked = world.asked()
    world.hub.mask(world.ready(asked))
    found = world.hub.reveal(world.hub.mask(world.ready(asked, attempt=2)))
    assert audited(world, found)["attempt"] == 2


def test_an_unknown_query_is_said_so(world: World) -> None:
    found = dataclasses.replace(world.ready(world.asked()), query_id="nothing")
    error = outcome(world, found)
    assert (error.reason, error.exit_code) == ("AUDIT_QUERY_UNKNOWN", 2)
    assert remembered(world) == []


def test_a_record_that_is_gone_is_said_so(world: World) -> None:
    ready = world.ready(world.asked())
    settled = world.hub.mask(world.ready(world.asked()))
    world.answerers[AGENCY].settle([settled.query_id])
    old = world.whole(world.asked())
    keep = world.answerer(AGENCY, audit=Audit(keep_days=1))
    world.clock.now = NOW + datetime.timedelta(days=1)
    keep.expire()
    assert audited(world, old)
    world.clock.now += datetime.timedelta(seconds=1)
    keep.expire()
    for found in (ready, settled, old):
        error = outcome(world, found)
        assert (error.reason, error.exit_code) == ("AUDIT_RECORD_GONE", 4)
    with world.states[AGENCY].ledger() as connection:
        for table in ("audit_record", "audit_document", "document"):
            assert connection.execute(f"SELECT * FROM {table}").fetchall() == []
    assert [result for _, result in remembered(world)] == [
        "agrees",
        *["AUDIT_RECORD_GONE"] * 3,
    ]


def test_documents_are_kept_once_and_as_long_as_a_record_names_them(
    world: World,
) -> None:
    first, second = world.whole(world.asked()), world.whole(world.asked())

    def count(connection: sqlite3.Connection) -> int:
        found = connection.execute("SELECT COUNT(*) FROM document").fetchone()
        return int(found[0])

    with world.states[AGENCY].ledger() as connection:
        assert count(connection) == 3  # members, model, agreement
        connection.execute("BEGIN IMMEDIATE")
        rows.forget_record(connection, first.query_id)
        assert count(connection) == 3
        connection.execute("COMMIT")
    assert audited(world, second)


def test_a_step_does_not_look_through_all_records_that_are_kept(world: World) -> None:
    """Every step forgets what an earlier attempt left, mostly nothing."""
    found = world.whole(world.asked())
    said: list[str] = []
    with world.states[AGENCY].ledger() as connection:
        connection.set_trace_callback(said.append)
        rows.forget_record(connection, "nothing")
        assert len(said) == 2
        rows.forget_record(connection, found.query_id)
        connection.set_trace_callback(None)
        (unnamed,) = (each for each in said if "FROM document" in each)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {unnamed}").fetchall()
    assert any("audit_document_digest" in each[-1] for each in plan)


def test_another_key_opens_nothing(world: World) -> None:
    found = world.whole(world.asked())
    error = outcome(world, found, seed=os.urandom(32))
    assert (error.reason, error.exit_code) == ("AUDIT_KEY_WRONG", 3)
    assert remembered(world) == [(found.query_id, "AUDIT_KEY_WRONG")]


def test_an_edition_that_is_gone_or_damaged_is_said_so(world: World) -> None:
    found = world.whole(world.asked())
    edition = world.states[AGENCY].editions / "month-30" / "2026-01"
    edition.chmod(0o700)
    (edition / "region.npy").unlink()
    error = outcome(world, found)
    assert (error.reason, error.exit_code) == ("AUDIT_EDITION_GONE", 4)
    shutil.rmtree(edition)
    assert outcome(world, found).reason == "AUDIT_EDITION_GONE"


def test_an_agency_that_sent_other_numbers_than_it_counted_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_more(*arguments: object) -> Vector:
        vector = counts(*arguments)  # type: ignore[arg-type]
        vector[0] += 4
        return vector

    with monkeypatch.context() as patch:
        patch.setattr(masking, "counts", one_more)
        found = world.whole(world.asked())
    error = outcome(world, found)
    assert (error.reason, error.exit_code) == ("AUDIT_COMMITMENT_DIFFERS", 70)


def test_an_agency_that_left_its_noise_out_is_found(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(THREE, TEXTS["shared"])

    def none(*arguments: object) -> Vector:
        return share(*arguments) * 0  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(masking, "share", none)
        found = world.whole(requisition(text=TEXTS["shared"]))
    error = outcome(world, found)
    assert (error.reason, error.exit_code) == ("AUDIT_MASKS_DIFFER", 70)


def test_other_counts_in_the_edition_since_are_found(
    world: World, tmp_path: Path
) -> None:
    """The agency exchanged its edition after it had answered from it."""
    found = world.whole(world.asked())
    mine = world.states[AGENCY].editions / "month-30" / "2026-01"
    other = world.states["police"].editions / "month-30" / "2026-01"
    mine.chmod(0o700)
    mine.rename(tmp_path / "before")
    shutil.copytree(other, mine)
    assert outcome(world, found).reason == "AUDIT_COMMITMENT_DIFFERS"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE round SET vector_digest = zeroblob(32)", "AUDIT_RECEIPT_INVALID"),
        ("UPDATE round SET receipt_signature = zeroblob(64)", "AUDIT_RECEIPT_INVALID"),
        ("UPDATE round SET transcript = zeroblob(32)", "AUDIT_KEY_WRONG"),
        ("UPDATE round SET signature = zeroblob(64)", "AUDIT_RECORD_BROKEN"),
        ("UPDATE round SET payload = zeroblob(9)", "AUDIT_RECORD_BROKEN"),
        ("UPDATE document SET content = zeroblob(9)", "AUDIT_RECORD_BROKEN"),
        ("DELETE FROM audit_document", "AUDIT_RECORD_BROKEN"),
    ],
)
def test_a_database_that_was_changed_by_hand_is_found(
    world: World, change: str, reason: str
) -> None:
    found = world.whole(world.asked())
    with world.states[AGENCY].ledger() as connection:
        connection.execute(change)
    assert outcome(world, found).reason == reason


def test_the_answer_to_another_question_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an agency sends what it likes, and audits a question of which that is true.

    It commits to the counts of a narrower question, and afterwards puts that question's
    bytes, which the hub signed, in the place of those that it was asked.
    """
    minors = question(where={"age_band": ["0-17"]})

    def of_the_other(cases: StoredEdition, *_asked: object) -> Vector:
        return counts(cases, terms(agreement(), MODEL, minors), minors, MODEL)

    with monkeypatch.context() as patch:
        patch.setattr(masking, "counts", of_the_other)
        found = world.whole(world.asked())
    assert outcome(world, found).reason == "AUDIT_COMMITMENT_DIFFERS"
    with world.states[AGENCY].ledger() as connection:
        connection.execute(
            "UPDATE round SET payload = ?, signature = ?", signed(requisition(minors))
        )
    assert outcome(world, found).reason == "AUDIT_RECORD_BROKEN"


@pytest.mark.parametrize("change", ["attempt = 2", "cohort = 'all'"])
def test_attempt_and_cohort_are_those_of_the_receipt(world: World, change: str) -> None:
    found = world.whole(world.asked())
    with world.states[AGENCY].ledger() as connection:
        connection.execute(f"UPDATE round SET {change}")
    assert outcome(world, found).reason == "AUDIT_RECORD_BROKEN"


def test_a_round_that_the_others_never_signed_is_found(world: World) -> None:
    """Whoever holds only this agency's key cannot make up a round with others in it."""
    found = world.ready(world.asked())
    strangers = dataclasses.replace(found.steps["police"].ready, signature=bytes(64))
    state = world.states[AGENCY]
    world.hub.reveal(world.hub.mask(found))
    with state.ledger() as connection:
        sealed, _ = find_record(connection, found.query_id) or (b"", {})
        row = rows.find(connection, found.query_id)
    assert row is not None
    assert row.masked is not None
    seed, seen = read_key(state.keys / AUDIT_KEY), row.masked.transcript
    record = Record.from_bytes(unseal(seed, sealed, found.query_id, seen))
    changed = dataclasses.replace(
        record,
        readies=[
            strangers if each.agency == "police" else each for each in record.readies
        ],
    )
    again = seal(read_public(state), changed.to_bytes(), found.query_id, seen)
    with state.ledger() as connection:
        connection.execute("UPDATE audit_record SET sealed = ?", (again,))
    assert outcome(world, found).reason == "AUDIT_RECORD_BROKEN"


def test_what_the_hub_has_too_is_shown(world: World) -> None:
    """An auditor compares it: what lies on one machine can be made up as a whole."""
    found = world.whole(world.asked())
    receipt = found.masked[AGENCY].receipt
    for label in THREE:
        assert audited(world, found, label)["transcript"] == receipt.transcript.hex()
    assert audited(world, found)["vector_digest"] == receipt.vector_digest.hex()


def test_a_record_of_another_round_does_not_fit(world: World) -> None:
    first, second = world.whole(world.asked()), world.whole(world.asked())
    with world.states[AGENCY].ledger() as connection:
        connection.execute(
            "UPDATE audit_record SET sealed = (SELECT sealed FROM audit_record"
            " WHERE query_id = ?) WHERE query_id = ?",
            (first.query_id, second.query_id),
        )
    assert outcome(world, second).reason == "AUDIT_KEY_WRONG"


# Sealing


def test_nothing_that_opens_a_vector_is_in_the_clear(world: World) -> None:
    """After the third round the hub has the seed; pair keys and noise stay sealed."""
    found = world.whole(world.asked())
    state = world.states[AGENCY]
    with state.ledger() as connection:
        row = rows.find(connection, found.query_id)
        ((sealed,),) = connection.execute("SELECT sealed FROM audit_record").fetchall()
    assert row is not None
    assert row.masked is not None
    content = unseal(
        read_key(state.keys / AUDIT_KEY),
        sealed,
        row.query_id,
        row.masked.transcript,
    )
    record = json.loads(content)
    secrets = [record["noise_seed"], record["salt"], *record["pair_keys"].values()]
    assert sorted(record["pair_keys"]) == ["hotline", "police"]
    assert record["self_seed"] == found.seeds[AGENCY].hex()
    for file in state.root.glob("agent.db*"):
        stored = file.read_bytes()
        for secret in secrets:
            assert bytes.fromhex(secret) not in stored
            assert secret.encode() not in stored


def test_the_running_agent_needs_no_private_half(world: World) -> None:
    state = world.states[AGENCY]
    moved = state.root.parent / "safe"
    (state.keys / AUDIT_KEY).rename(moved)
    found = world.whole(world.asked())
    AgentState.create(state.root)  # does not make another
    assert not (state.keys / AUDIT_KEY).exists()
    seed = moved.read_bytes()
    assert audit(state, found.query_id, seed, NOW).opened


def test_without_a_public_half_nothing_is_masked(world: World) -> None:
    state = world.states[AGENCY]
    found = world.ready(world.asked())
    content = state.audit_public.read_bytes()
    for broken in (None, b"", b"x25519:zz\n", b"\xff"):
        state.audit_public.unlink()
        if broken is not None:
            state.audit_public.write_bytes(broken)
        with pytest.raises(ConfigurationError) as caught:
            world.hub.mask_one(found, AGENCY)
        wanted = "AUDIT_KEY_ABSENT" if broken is None else "AUDIT_KEY_BROKEN"
        assert caught.value.reason == wanted
        assert world.spent(AGENCY) == (0, 0)
        state.audit_public.touch()
    state.audit_public.unlink()
    AgentState.create(state.root)
    assert state.audit_public.read_bytes() == content
    world.hub.mask_one(found, AGENCY)


def test_nobody_is_said_to_be_ready_who_could_not_be_audited(world: World) -> None:
    """The others would mask in vain; staff finds the question among the declined."""
    state, asked = world.states[AGENCY], world.asked()
    content = state.audit_public.read_bytes()
    state.audit_public.unlink()
    with pytest.raises(ConfigurationError) as caught:
        world.answerers[AGENCY].ready(*signed(asked), 1, world.offer.fetch)
    assert caught.value.reason == "AUDIT_KEY_ABSENT"
    with state.ledger() as connection:
        [kept] = receipts(connection)
    assert (kept.query_id, kept.reason) == (asked.query_id, "STORE_UNAVAILABLE")
    state.audit_public.write_bytes(content)
    world.whole(asked)


@pytest.mark.parametrize("hybrid", [True, False])
def test_what_is_sealed_opens_with_its_key_for_its_round_only(hybrid: bool) -> None:
    seed = os.urandom(32)
    public = public_of(seed)
    if not hybrid:
        public = AuditPublic(exchange=public.exchange, kem=None)
    sealed = seal(public, b"content", "query", b"t" * 32)
    assert unseal(seed, sealed, "query", b"t" * 32) == b"content"
    wrong: Sequence[tuple[bytes, bytes, str, bytes]] = (
        (os.urandom(32), sealed, "query", b"t" * 32),
        (seed, sealed, "other", b"t" * 32),
        (seed, sealed, "query", b"u" * 32),
        (seed, sealed[:-1], "query", b"t" * 32),
        (seed, sealed[:20], "query", b"t" * 32),
        (seed, b"", "query", b"t" * 32),
        (seed, b"\x07" + sealed[1:], "query", b"t" * 32),
    )
    for arguments in wrong:
        with pytest.raises(ConfigurationError) as caught:
            unseal(*arguments)
        assert caught.value.reason == "AUDIT_KEY_WRONG"


def test_the_public_half_is_read_as_it_was_written(world: World) -> None:
    state = world.states[AGENCY]
    seed = read_key(state.keys / AUDIT_KEY)
    assert read_public(state) == public_of(seed)
