# SPDX-License-Identifier: Apache-2.0
"""Everything that was asked and released under one agreement, for the public.

Nobody is named but organisations, and days are all that is said of time: an analyst
cannot be told from when a question came. Words that an analyst typed are shown only
where the data model or the agreement has them too; a refused question could hold
anything. All figures are those that the releases published.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from accord.core.agreement import Agreement
from accord.core.calendar import is_edition
from accord.core.canonical import bytes_digest
from accord.core.errors import InvalidQuery
from accord.core.model import DataModel
from accord.core.privacy import Loss
from accord.core.query import parse_measure
from accord.hub.audit import Event
from accord.hub.db.engine import LedgerTransaction, moment
from accord.hub.db.tables import ASKED, AUDIT, RELEASES, SUBMISSIONS
from accord.hub.log import heads
from accord.hub.policies import Policies
from accord.hub.questions.accounts import Limits, of_agreement, of_emergency
from accord.hub.questions.describing import budget
from accord.hub.questions.pricing import epsilon_for
from accord.ledger import balance
from accord.v1 import analyst_pb2, common_pb2


class Outcome(enum.StrEnum):
    """How a question ended."""

    REFUSED = "refused"
    RELEASED = "released"
    FROM_ARCHIVE = "from-archive"
    """Answered by what had been released before, at no cost."""
    FAILED = "failed"
    HELD = "held"
    """A reviewer has to look at the noisy figures first."""
    WAITING = "waiting"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a question names; nothing stands for what is no public word."""

    measure: str | None
    by: tuple[tuple[str | None, str | None], ...]
    """Dimension and level; an empty level is the finest one."""
    where: tuple[tuple[str | None, tuple[str | None, ...]], ...]
    """Dimension and values."""
    edition: str
    """Empty: the newest one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """One question with what became of it."""

    number: int
    """Within this export, oldest first."""
    day: dt.date
    organisation: str
    purpose: str | None
    """One of the agreement's, or nothing."""
    words: Words
    outcome: Outcome
    reason: str | None
    """Why it was refused or failed."""
    clauses: tuple[str, ...]
    """Codes of the clauses that denied it."""
    loss: Loss
    """What it cost."""
    epsilon: float
    """The same at the agreement's delta."""
    release: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRelease:
    """One release, from the bytes that every reader got."""

    summary: analyst_pb2.ReleaseSummary
    """Its question and price, which stay."""
    content: bytes | None = dataclasses.field(repr=False)
    """Nothing once retention has erased it."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.summary.id

    @property
    def message(self) -> analyst_pb2.Release | None:
        """The release itself, as long as the hub keeps it."""
        if self.content is None:
            return None
        return analyst_pb2.Release.FromString(self.content)

    @property
    def digest(self) -> str | None:
        """SHA-256 of the bytes, in hex."""
        return None if self.content is None else bytes_digest(self.content)

    @property
    def words(self) -> Words:
        """Its question, whose words are all public."""
        found = self.summary
        return Words(
            measure=found.measure,
            by=tuple((each.dimension, each.level) for each in found.by),
            where=tuple((each.dimension, tuple(each.values)) for each in found.where),
            edition=found.edition,
        )

    @property
    def day(self) -> dt.date:
        """When it was published, in UTC."""
        return dt.datetime.fromtimestamp(self.summary.released_at, dt.UTC).date()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedLog:
    """The hub's log under its newest signed head.

    Its signature is over a moment too, at which somebody may just have asked, so that
    it is not for the public.
    """

    size: int
    root: bytes
    witnesses: tuple[str, ...]
    """Agencies that have cosigned the head."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What an export shows."""

    agreement: Agreement
    parties: tuple[str, ...]
    """Names of the agencies, as members.yaml has them."""
    at: dt.datetime
    policies_version: int
    unsafe: bool
    """Whether releases of the unsafe test mode are among these."""
    accounts: tuple[analyst_pb2.Account, ...]
    spent: float
    """Of the whole agreement, ever, as epsilon at its delta."""
    questions: tuple[AskedQuestion, ...]
    releases: tuple[PublishedRelease, ...]
    log: WitnessedLog | None
    """Nothing while no head was signed."""

    def count(self, outcome: Outcome) -> int:
        """Return how many questions ended so."""
        return sum(question.outcome is outcome for question in self.questions)


def publication(
    tx: sa.Connection, policies: Policies, name: str, at: dt.datetime
) -> Publication:
    """Gather what happened under an agreement.

    Args:
        tx: a view of the database.
        policies: those in force; their data model tells public words from others.
        name: of the agreement.
        at: now.

    Raises:
        NotFound: AGREEMENT_UNKNOWN.
    """
    agreement = policies.agreement(name)
    model = policies.model_of(agreement)
    rows = tx.execute(
        sa.select(RELEASES.c.message, RELEASES.c.summary, RELEASES.c.unsafe)
        .where(RELEASES.c.agreement == name)
        .order_by(RELEASES.c.number)
    ).all()
    return Publication(
        agreement=agreement,
        parties=tuple(
            policies.members.members[label].name
            if label in policies.members.members
            else label
            for label in agreement.parties
        ),
        at=at,
        policies_version=policies.version,
        unsafe=any(row.unsafe for row in rows),
        accounts=tuple(_accounts(tx, agreement, at)),
        spent=_spent(tx, agreement, at),
        log=_log(tx),
        questions=tuple(_questions(tx, agreement, model)),
        releases=tuple(
            PublishedRelease(
                summary=analyst_pb2.ReleaseSummary.FromString(row.summary),
                content=row.message,
            )
            for row in rows
        ),
    )


def _log(tx: sa.Connection) -> WitnessedLog | None:
    found = heads.newest(tx)
    if found is None:
        return None
    seen = heads.seen_by(tx, found.head)
    return WitnessedLog(
        size=found.head.size,
        root=found.head.root,
        witnesses=tuple(each.witnessed.agency for each in seen),
    )


def _limits(agreement: Agreement) -> list[Limits]:
    clause = agreement.form.emergency
    found = [of_agreement(agreement)]
    return found if clause is None else [*found, of_emergency(agreement, clause)]


def _accounts(
    tx: sa.Connection, agreement: Agreement, at: dt.datetime
) -> Sequence[analyst_pb2.Account]:
    ledger = LedgerTransaction(tx)
    found = [
        (
            limits,
            balance(
                ledger,
                limits.account,
                limits.unit,
                at,
                limits.windows,
                lifetime_cap=limits.lifetime_cap,
            ),
        )
        for limits in _limits(agreement)
    ]
    return budget(agreement, found).accounts


def _spent(tx: sa.Connection, agreement: Agreement, at: dt.datetime) -> float:
    ledger = LedgerTransaction(tx)
    total = sum(
        balance(ledger, limits.account, limits.unit, at, ()).spent
        for limits in _limits(agreement)
    )
    return float(epsilon_for(agreement, _loss(agreement, total)))


def _loss(agreement: Agreement, nano: int) -> Loss:
    if agreement.accounting.value == "zcdp":
        return Loss(nano_rho=nano)
    return Loss(nano_epsilon=nano)


def _questions(
    tx: sa.Connection, agreement: Agreement, model: DataModel
) -> Iterable[AskedQuestion]:
    rows = tx.execute(
        sa.select(
            ASKED,
            SUBMISSIONS.c.state,
            SUBMISSIONS.c.follows,
            SUBMISSIONS.c.release,
            SUBMISSIONS.c.reason.label("ended"),
            SUBMISSIONS.c.from_archive.label("served"),
        )
        .join_from(
            ASKED,
            SUBMISSIONS,
            sa.and_(ASKED.c.submission == SUBMISSIONS.c.id, ASKED.c.permitted),
            isouter=True,
        )
        .where(ASKED.c.agreement == agreement.name)
        .order_by(ASKED.c.number)
    ).all()
    charged = _charged_failures(tx, agreement.name)
    for number, row in enumerate(rows, start=1):
        outcome = _outcome(row)
        # Who follows what is held pays nothing.
        leads = outcome is Outcome.HELD and row.follows is None
        paid = outcome is Outcome.RELEASED or leads or row.submission in charged
        loss = Loss(
            nano_rho=row.nano_rho if paid else 0,
            nano_epsilon=row.nano_epsilon if paid else 0,
        )
        yield AskedQuestion(
            number=number,
            day=moment(row.at).date(),
            organisation=row.organisation,
            purpose=_purpose(agreement, row.purpose),
            words=words_of(common_pb2.Query.FromString(row.query), model),
            outcome=outcome,
            reason=row.reason if outcome is Outcome.REFUSED else row.ended,
            clauses=tuple(row.denied_by),
            loss=loss,
            epsilon=float(epsilon_for(agreement, loss)) if paid else 0.0,
            release=row.release,
        )


def _outcome(row: sa.Row[Any]) -> Outcome:
    if not row.permitted:
        return Outcome.REFUSED
    if row.from_archive or row.served:
        return Outcome.FROM_ARCHIVE
    known = {
        "released": Outcome.RELEASED,
        "failed": Outcome.FAILED,
        "held": Outcome.HELD,
    }
    return known.get(row.state, Outcome.WAITING)


def _charged_failures(tx: sa.Connection, agreement: str) -> frozenset[str]:
    """Return the questions that failed and were charged all the same."""
    rows = tx.execute(
        sa.select(AUDIT.c.facts).where(
            AUDIT.c.event == Event.QUERY_FAILED.value, AUDIT.c.facts.is_not(sa.null())
        )
    )
    return frozenset(
        row.facts["submission"]
        for row in rows
        if row.facts.get("agreement") == agreement and row.facts.get("charged")
    )


def _purpose(agreement: Agreement, asked: str) -> str | None:
    form = agreement.form
    known = [*form.purpose, form.emergency.purpose if form.emergency else ""]
    return asked if asked and asked in known else None


def words_of(query: common_pb2.Query, model: DataModel) -> Words:
    """Return a question with only those words that are public."""
    return Words(
        measure=_measure(query.measure, model),
        by=tuple(_grouped(each, model) for each in query.group_by),
        where=tuple(_kept(each, model) for each in query.where),
        edition=query.edition if is_edition(query.edition) else "",
    )


def _measure(name: str, model: DataModel) -> str | None:
    try:
        return parse_measure(name, model).name
    except InvalidQuery:
        return None


def _grouped(
    by: common_pb2.Grouping, model: DataModel
) -> tuple[str | None, str | None]:
    dimension = model.dimensions.get(by.dimension)
    if dimension is None:
        return None, None
    return dimension.name, by.level if by.level in ("", *dimension.levels) else None


def _kept(
    where: common_pb2.Filter, model: DataModel
) -> tuple[str | None, tuple[str | None, ...]]:
    dimension = model.dimensions.get(where.dimension)
    if dimension is None:
        return None, (None,)

    def public(value: str) -> str | None:
        try:
            dimension.leaves_under(value)
        except InvalidQuery:
            return None
        return value

    return dimension.name, tuple(public(value) for value in where.values)
