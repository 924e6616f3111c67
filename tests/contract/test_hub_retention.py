# SPDX-License-Identifier: Apache-2.0
"""What retention erases, and that nothing else can be, on every database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid

import pytest
import sqlalchemy as sa

from accord.core.privacy import Loss
from accord.hub import audit
from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction, Store, microseconds
from accord.hub.db.tables import ASKED, AUDIT, RELEASES
from accord.hub.db.tables_log import LOG_NODES
from accord.hub.db.tables_retention import RETENTION_ORDERS
from accord.hub.log import tree
from accord.hub.log.verifying import verify_log
from accord.hub.releases import archive
from accord.hub.retention import orders
from accord.hub.retention.nightly import apply
from accord.hub.retention.orders import Kind, Order, Terms
from accord.hub.rounds import submissions
from accord.hub.rounds.submissions import Ending, Submission, SubmissionState
from accord.ledger import Line, Unit, charge, reserve, verify
from accord.v1 import analyst_pb2, common_pb2
from tests.contract.hub_databases import Database, database
from tests.contract.postgres import postgres

__all__ = ["database", "postgres"]

TODAY = dt.datetime(2026, 11, 29, 3, tzinfo=dt.UTC)
SAID: Terms = {
    "trends": {Kind.RELEASES: 30, Kind.QUESTIONS: 60},
    "figures": {Kind.RELEASES: None, Kind.QUESTIONS: None},
}
AGES = (100, 61, 59, 31, 29, 0)
"""Days before today at which something was asked and published."""


def day(age: int) -> dt.datetime:
    return TODAY - dt.timedelta(days=age)


def id_of(agreement: str, age: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{agreement}-{age}"))


def ask(tx: sa.Connection, agreement: str, age: int) -> None:
    """Let a question be asked, charged and answered, with all that is kept of it."""
    at, name, title = day(age), id_of(agreement, age), f"{agreement}-{age}"
    loss = common_pb2.Loss(nano_rho=5)
    release = analyst_pb2.Release(
        id=f"release-{title}", agreement=agreement, cost=analyst_pb2.Cost(loss=loss)
    )
    known = Submission(
        id=name,
        analyst="ana",
        request_digest="digest",
        state=SubmissionState.COLLECTING,
        agreement=agreement,
        agreement_digest="",
        policy_digest="",
        purpose="planning",
        query_key=name,
        archive_digest="",
        loss=Loss(nano_rho=5),
        cohort="all",
        payload=b"who asks what",
        signature=b"signature",
        unsafe=False,
        complete_only=False,
        created_at=at,
        expires_at=at,
    )
    submissions.insert(tx, known)
    tx.execute(
        ASKED.insert(),
        {
            "at": microseconds(at),
            "submission": name,
            "analyst": "ana",
            "organisation": "observatory",
            "roles": ["analyst"],
            "agreement": agreement,
            "agreement_version": 1,
            "policies_version": 1,
            "policy_digest": "",
            "query": b"query",
            "purpose": title,
            "epsilon": 1.0,
            "permitted": True,
            "denied_by": [],
            "nano_rho": 5,
            "nano_epsilon": 0,
            "from_archive": False,
        },
    )
    note(tx, Event.QUERY_ACCEPTED, at, submission=name, agreement=agreement)
    ledger = LedgerTransaction(tx)
    reserve(ledger, name, [Line(account="a", unit=Unit.NANO_RHO, amount=5)], at)
    charge(ledger, name, at)
    content = release.SerializeToString(deterministic=True)
    tx.execute(
        RELEASES.insert(),
        {
            "id": release.id,
            "submission": name,
            "ledger_entry": name,
            "agreement": agreement,
            "agreement_digest": "",
            "query_key": name,
            "archive_digest": "",
            "nano_rho": 5,
            "nano_epsilon": 0,
            "cohort": "all",
            "unsafe": False,
            "released_at": microseconds(at),
            "summary": archive.summary_of(release).SerializeToString(),
            "message": content,
            "noisy": b"\1" * 8,
        },
    )
    submissions.settle_released(tx, name, release.id, from_archive=False, at=at)
    note(
        tx,
        Event.RELEASE_PUBLISHED,
        at,
        release=release.id,
        submission=name,
        agreement=agreement,
        release_digest=archive.digest_of(release),
    )


@pytest.fixture
def store(database: Database) -> Store:
    """Return what two agreements left in a hundred days."""
    made = database.opened()
    made.create()
    with made.write() as tx:
        note(tx, Event.ANALYST_ADDED, day(200), analyst="ana")
        for age in AGES:
            for agreement in SAID:
                ask(tx, agreement, age)
        orders.remember(tx, SAID)
    return made


def applied(store: Store) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for step in apply(store, None, lambda: TODAY):
        place = found.setdefault((step.order.agreement, step.order.kind.value), {})
        for what, rows in step.erased.items():
            place[what] = place.get(what, 0) + rows
    return found


def test_what_is_older_goes_and_all_else_stays(store: Store) -> None:
    with store.read() as tx:
        size = tree.size(tx)
        root = tree.root(tx, size)
        nodes = tx.execute(sa.select(LOG_NODES)).all()
        height = verify(LedgerTransaction(tx))
        entries = tx.execute(sa.select(AUDIT).order_by(AUDIT.c.number)).all()
    assert applied(store) == {
        ("trends", "releases"): {"releases": 4},
        ("trends", "questions"): {"questions": 2, "entries": 4, "submissions": 2},
    }
    with store.read() as tx:
        for age in AGES:
            for agreement in SAID:
                kept = archive.get(tx, f"release-{agreement}-{age}")
                assert kept is not None
                gone = agreement == "trends" and age > 30
                assert (kept.content is None) == gone
                known = submissions.find(tx, id_of(agreement, age))
                assert known is not None
                assert known.release == kept.id
                blank = agreement == "trends" and age > 60
                assert (known.analyst, known.payload) == (
                    ("", b"") if blank else ("ana", b"who asks what")
                )
        asked = tx.execute(sa.select(ASKED.c.purpose)).scalars().all()
        assert sorted(asked) == sorted(
            f"{agreement}-{age}"
            for agreement in SAID
            for age in AGES
            if agreement == "figures" or age <= 60
        )
        after = tx.execute(sa.select(AUDIT).order_by(AUDIT.c.number)).all()
        for before, now in zip(entries, after, strict=False):
            assert before[:3] == now[:3]
            erased = (before.facts or {}).get(
                "agreement"
            ) == "trends" and before.at < microseconds(day(60).replace(hour=0))
            assert now.facts == (None if erased else before.facts)
        assert tree.root(tx, size) == root
        kept_nodes = tx.execute(sa.select(LOG_NODES)).all()
        assert set(nodes) <= set(kept_nodes)
        assert verify(LedgerTransaction(tx)) == height
        found = verify_log(tx, hub_keys=[])
        assert found.findings == ()
        assert found.erased == 4
        assert found.releases == 2 * len(AGES)


def test_each_order_stands_in_the_log_and_none_is_given_twice(store: Store) -> None:
    applied(store)
    assert applied(store) == {}
    with store.write() as tx:
        before = dt.datetime(2026, 9, 30, tzinfo=dt.UTC)
        order = Order(agreement="trends", kind=Kind.QUESTIONS, before=before)
        orders.give(tx, order, TODAY)
    with store.read() as tx:
        noted = audit.newest(tx, 10, event=Event.RETENTION_APPLIED.value)
        given = tx.execute(sa.select(RETENTION_ORDERS)).all()
    assert [each.facts for each in noted] == [
        {
            "agreement": "trends",
            "kind": "releases",
            "before": microseconds(dt.datetime(2026, 10, 30, tzinfo=dt.UTC)),
        },
        {
            "agreement": "trends",
            "kind": "questions",
            "before": microseconds(dt.datetime(2026, 9, 30, tzinfo=dt.UTC)),
        },
    ]
    assert sorted(row.number for row in given) == [each.number for each in noted]


def test_what_was_interrupted_is_finished_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MOST_AT_ONCE", 1)
    steps = apply(store, None, lambda: TODAY)
    next(steps)
    del steps  # the process ends here
    rest = applied(store)
    assert rest["trends", "releases"] == {"releases": 3}
    assert rest["trends", "questions"]["entries"] == 4
    with store.read() as tx:
        counted = sa.select(sa.func.count()).select_from(RETENTION_ORDERS)
        assert tx.execute(counted).scalar_one() == 2
        assert verify_log(tx, hub_keys=[]).findings == ()


def test_a_question_that_is_open_is_not_forgotten(store: Store) -> None:
    with store.write() as tx:
        for name in ("open", "failed"):
            known = submissions.find(tx, id_of("trends", 100))
            assert known is not None
            submissions.insert(
                tx,
                dataclasses.replace(
                    known, id=name, state=SubmissionState.COLLECTING, release=None
                ),
            )
        ending = Ending(reason="R", sentence="Why.", facts={"a": "b"})
        submissions.settle_failed(tx, "failed", ending, at=day(99))
    applied(store)
    with store.read() as tx:
        waiting = submissions.find(tx, "open")
        ended = submissions.find(tx, "failed")
    assert waiting is not None
    assert (waiting.analyst, waiting.purpose) == ("ana", "planning")
    assert ended is not None
    assert ended.analyst == ""
    assert ended.ending == Ending(reason="R", sentence="", facts={})


ORDERED_ENTRY = (
    "number = (SELECT min(number) FROM audit WHERE event = 'query.accepted')"
)
OF_TRENDS_100 = "id = 'release-trends-100'"
ERASE = "UPDATE releases SET message = NULL, noisy = NULL"
FORBIDDEN = (
    # Not without an order, not by another's, and nothing that is newer.
    f"{ERASE} WHERE id = 'release-trends-29'",
    f"{ERASE} WHERE id = 'release-figures-100'",
    ERASE,
    "UPDATE audit SET facts = NULL WHERE event = 'analyst.added'",
    "UPDATE audit SET facts = NULL WHERE event = 'retention.applied'",
    "UPDATE audit SET facts = NULL",
    "DELETE FROM asked WHERE purpose = 'trends-59'",
    "DELETE FROM asked WHERE purpose = 'figures-100'",
    "DELETE FROM asked",
    # Nothing but erasing, and only whole.
    f"UPDATE releases SET message = NULL WHERE {OF_TRENDS_100}",
    f"UPDATE releases SET noisy = NULL WHERE {OF_TRENDS_100}",
    f"UPDATE releases SET noisy = message WHERE {OF_TRENDS_100}",
    f"{ERASE}, id = 'x' WHERE {OF_TRENDS_100}",
    f"{ERASE}, nano_rho = 0 WHERE {OF_TRENDS_100}",
    f"{ERASE}, summary = noisy WHERE {OF_TRENDS_100}",
    f"DELETE FROM releases WHERE {OF_TRENDS_100}",
    f"UPDATE audit SET facts = NULL, event = 'x' WHERE {ORDERED_ENTRY}",
    f"UPDATE audit SET facts = NULL, at = 0 WHERE {ORDERED_ENTRY}",
    f"UPDATE audit SET facts = NULL, number = 9999 WHERE {ORDERED_ENTRY}",
    f"UPDATE audit SET facts = '{{}}' WHERE {ORDERED_ENTRY}",
    f"DELETE FROM audit WHERE {ORDERED_ENTRY}",
    "UPDATE asked SET analyst = '' WHERE purpose = 'trends-100'",
    # Orders only grow.
    "UPDATE retention_orders SET before = before + 1",
    "DELETE FROM retention_orders",
    "DELETE FROM log_nodes",
)


def refused(store: Store, statement: str) -> bool:
    """Tell whether the database refuses a statement; what it does not is undone."""
    try:
        with store.write() as tx:
            changed = tx.execute(sa.text(statement)).rowcount
            raise LookupError(changed)
    except sa.exc.DBAPIError as error:
        return "only grows" in str(error) or "releases_content" in str(error)
    except LookupError as done:
        assert done.args[0] > 0, statement  # noqa: PT017  # it changed something
        return False


def ordered(store: Store) -> None:
    """Give the orders of today, and erase nothing yet."""
    with store.write() as tx:
        for order in orders.orders(tx, SAID, TODAY.date()):
            orders.give(tx, order, TODAY)


def test_with_orders_the_database_lets_go_of_that_and_nothing_else(
    store: Store,
) -> None:
    allowed = (
        f"{ERASE} WHERE {OF_TRENDS_100}",
        f"UPDATE audit SET facts = NULL WHERE {ORDERED_ENTRY}",
        "DELETE FROM asked WHERE purpose = 'trends-100'",
    )
    assert all(refused(store, statement) for statement in allowed)
    ordered(store)
    for statement in FORBIDDEN:
        assert refused(store, statement), statement
    for statement in allowed:
        assert not refused(store, statement), statement


def test_what_was_erased_cannot_be_written_again(store: Store) -> None:
    applied(store)
    for statement in (
        f"UPDATE releases SET message = summary, noisy = summary WHERE {OF_TRENDS_100}",
        f"{ERASE}, cohort = 'x' WHERE {OF_TRENDS_100}",
        "UPDATE audit SET facts = '{}' WHERE facts IS NULL",
    ):
        assert refused(store, statement), statement


def test_the_last_word_of_an_agreement_that_is_gone_holds(store: Store) -> None:
    with store.write() as tx:
        assert orders.terms(tx, None) == SAID
        orders.remember(tx, {**SAID, "figures": {Kind.RELEASES: 1, Kind.QUESTIONS: 99}})
    assert set(applied(store)) == {
        ("trends", "releases"),
        ("trends", "questions"),
        ("figures", "releases"),
        ("figures", "questions"),
    }
