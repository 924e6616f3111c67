# SPDX-License-Identifier: Apache-2.0
"""Held releases as rows, and the migration that brought them, on every database."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from accord.core.privacy import Loss
from accord.hub.db.engine import Store
from accord.hub.db.migrating import upgrade
from accord.hub.db.tables import RELEASES, SUBMISSIONS
from accord.hub.db.tables_held import HELD
from accord.hub.releases import archive, held
from accord.hub.releases.archive import Question
from accord.hub.releases.held import Reason, Verdict
from accord.hub.rounds import submissions
from accord.hub.rounds.submissions import Submission, SubmissionState
from accord.v1 import analyst_pb2, common_pb2
from tests.contract.hub_databases import Database, database
from tests.contract.postgres import postgres

__all__ = ["database", "postgres"]

NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
LOSS = Loss(nano_rho=1000)
RELEASE = analyst_pb2.Release(
    id="release",
    agreement="trends",
    rows=[analyst_pb2.Row(values=["a"], estimate=analyst_pb2.Estimate(estimate=7))],
    cost=analyst_pb2.Cost(loss=common_pb2.Loss(nano_rho=1000)),
)


@pytest.fixture
def store(database: Database) -> Store:
    made = database.opened()
    made.create()
    return made


def question(loss: Loss = LOSS, cohort: str | None = None) -> Question:
    return Question(
        query_key="key",
        archive_digest="digest",
        at_least=loss,
        unsafe=False,
        cohort=cohort,
    )


def submission(identifier: str = "first") -> Submission:
    return Submission(
        id=identifier,
        analyst="ana",
        request_digest="",
        state=SubmissionState.COLLECTING,
        agreement="trends",
        agreement_digest="text",
        policy_digest="",
        purpose="planning",
        query_key="key",
        archive_digest="digest",
        loss=LOSS,
        cohort="all",
        payload=b"",
        signature=b"",
        unsafe=False,
        complete_only=False,
        created_at=NOW,
        expires_at=NOW,
    )


def keep(tx: sa.Connection) -> None:
    submissions.insert(tx, submission())
    columns = archive.columns_of(
        RELEASE,
        [7, -7],
        submission="first",
        ledger_entry="first",
        agreement_digest="text",
        cohort="all",
        question=question(),
    )
    held.keep(tx, columns, reviewers=["rita"], at=NOW)
    submissions.hold(tx, "first")


def test_what_is_let_go_is_published_byte_for_byte(store: Store) -> None:
    verdict = Verdict(reviewer="rita", let_go=True, reason=Reason.NO_CONCERN)
    with store.write() as tx:
        keep(tx)
    with store.write() as tx:
        (listed,) = held.waiting(tx)
        assert listed.content is None
        waiting = held.get(tx, "release")
        assert waiting is not None
        assert waiting.release == RELEASE
        assert archive.find(tx, question()) is None
        held.decide(tx, "release", verdict, NOW)
    with store.read() as tx:
        found = archive.find(tx, question())
        assert found is not None
        assert found.content == waiting.content
        row = tx.execute(sa.select(RELEASES)).mappings().one()
        assert row["noisy"] == b"".join(
            each.to_bytes(8, "little", signed=True) for each in (7, -7)
        )
        assert (row["submission"], row["ledger_entry"]) == ("first", "first")
        after = held.get(tx, "release")
        assert after is not None
        assert (after.verdict, after.content) == (verdict, None)
        assert held.waiting(tx) == []
        assert not held.is_kept_back(tx, question(), "text")


def test_what_is_kept_back_is_forgotten_and_its_question_is_not(store: Store) -> None:
    verdict = Verdict(reviewer="rita", let_go=False, reason=Reason.LEGAL)
    with store.write() as tx:
        keep(tx)
        held.decide(tx, "release", verdict, NOW)
    with store.read() as tx:
        row = tx.execute(sa.select(HELD)).mappings().one()
        assert (row["message"], row["noisy"]) == (None, None)
        assert tx.execute(sa.select(RELEASES)).all() == []
        for loss in (Loss(nano_rho=1), Loss(nano_rho=10**9)):
            assert held.is_kept_back(tx, question(loss), "text")
        assert not held.is_kept_back(tx, question(), "another text")
        assert held.leader(tx, question()) is None


def test_a_release_is_decided_on_once(store: Store) -> None:
    first = Verdict(reviewer="rita", let_go=True, reason=Reason.NO_CONCERN)
    second = Verdict(reviewer="ravi", let_go=False, reason=Reason.LEGAL)
    with store.write() as tx:
        keep(tx)
        held.decide(tx, "release", first, NOW)
    with pytest.raises(RuntimeError), store.write() as tx:
        held.decide(tx, "release", second, NOW)
    with store.read() as tx:
        found = held.get(tx, "release")
        assert found is not None
        assert found.verdict == first


def test_a_question_follows_what_is_held_and_accurate_enough(store: Store) -> None:
    with store.write() as tx:
        keep(tx)
    with store.read() as tx:
        assert held.leader(tx, question()) == "first"
        assert held.leader(tx, question(cohort="all")) == "first"
        assert held.leader(tx, question(cohort="fallback")) is None
        assert held.leader(tx, question(Loss(nano_rho=1001))) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"decided_at": 1},
        {"message": None},
        {"noisy": None},
        {"reviewer": "rita", "let_go": True, "reason": "legal"},
    ],
    ids=",".join,
)
def test_half_a_decision_is_none(store: Store, wrong: dict[str, object]) -> None:
    with store.write() as tx:
        keep(tx)
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.execute(HELD.update().values(**wrong))


def test_submissions_of_before_are_kept_and_can_be_held(database: Database) -> None:
    store = database.opened(migrating=True)
    store.place.prepare()
    with store.write() as tx:
        upgrade(tx, "0003_contact")
        submissions.insert(tx, submission())
        before = sa.inspect(tx).get_indexes(SUBMISSIONS.name)
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        submissions.hold(tx, "first")
    with store.write() as tx:
        upgrade(tx, "0004_held")
    with store.write() as tx:
        assert submissions.find(tx, "first") == submission()
        assert sa.inspect(tx).get_indexes(SUBMISSIONS.name) == before
        submissions.hold(tx, "first")
        found = submissions.find(tx, "first")
        assert found is not None
        assert found.state is SubmissionState.HELD
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.execute(SUBMISSIONS.update().values(state="forgotten"))
