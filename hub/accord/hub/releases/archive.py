# SPDX-License-Identifier: Apache-2.0
"""What was published: found by question, served again at no cost, never changed."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from accord.core.canonical import bytes_digest
from accord.core.errors import NotFound
from accord.core.privacy import Loss
from accord.hub.db.engine import microseconds
from accord.hub.db.tables import RELEASES
from accord.v1 import analyst_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What identifies the releases that answer an ask."""

    query_key: str
    archive_digest: str
    at_least: Loss
    """What was asked to be spent: a stored release must be no less accurate."""
    unsafe: bool
    """Releases of the unsafe test mode answer only asks in that mode."""
    cohort: str | None = None
    """The only cohort whose answer will do; nothing where any will."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One release as the archive holds it."""

    id: str
    agreement: str
    loss: Loss
    content: bytes | None = dataclasses.field(repr=False)
    """Nothing once retention has erased it."""

    @property
    def release(self) -> analyst_pb2.Release:
        """The message, from the very bytes that were stored.

        Raises:
            NotFound: RELEASE_ERASED.
        """
        if self.content is None:
            raise NotFound(
                "RELEASE_ERASED",
                "The hub kept this release for as long as its agreement says, and has"
                " erased it since. Ask its question again for a new one.",
                release=self.id,
            )
        return analyst_pb2.Release.FromString(self.content)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One release in a list."""

    number: int
    """Goes up with every release."""
    summary: analyst_pb2.ReleaseSummary


def columns_of(  # a row has these parts
    release: analyst_pb2.Release,
    noisy: Sequence[int],
    *,
    submission: str,
    ledger_entry: str,
    agreement_digest: str,
    cohort: str,
    question: Question,
) -> dict[str, object]:
    """Return a release as rows have it, whether it is published or held."""
    return {
        "id": release.id,
        "submission": submission,
        "ledger_entry": ledger_entry,
        "agreement": release.agreement,
        "agreement_digest": agreement_digest,
        "query_key": question.query_key,
        "archive_digest": question.archive_digest,
        "nano_rho": release.cost.loss.nano_rho,
        "nano_epsilon": release.cost.loss.nano_epsilon,
        "cohort": cohort,
        "unsafe": question.unsafe,
        "summary": summary_of(release).SerializeToString(deterministic=True),
        "message": message_of(release),
        "noisy": b"".join(entry.to_bytes(8, "little", signed=True) for entry in noisy),
    }


def message_of(release: analyst_pb2.Release) -> bytes:
    """Return a release as it is stored and sent to every reader."""
    return release.SerializeToString(deterministic=True)


def digest_of(release: analyst_pb2.Release) -> str:
    """Return the SHA-256 of a release's message, hex, by which the log names it."""
    return bytes_digest(message_of(release))


def store(tx: sa.Connection, columns: Mapping[str, object], at: dt.datetime) -> None:
    """Publish a release (`columns_of`); in the transaction that pays or lets it go."""
    tx.execute(RELEASES.insert(), {**columns, "released_at": microseconds(at)})


def answers(table: sa.Table, question: Question) -> sa.ColumnElement[bool]:
    """Return which rows answer a question, accurately enough and for the right cohort.

    Args:
        table: of releases, published or held.
        question: what was asked.
    """
    found = sa.and_(
        table.c.query_key == question.query_key,
        table.c.archive_digest == question.archive_digest,
        table.c.unsafe == question.unsafe,
        table.c.nano_rho >= question.at_least.nano_rho,
        table.c.nano_epsilon >= question.at_least.nano_epsilon,
    )
    if question.cohort is None:
        return found
    return sa.and_(found, table.c.cohort == question.cohort)


def find(tx: sa.Connection, question: Question) -> Stored | None:
    """Return the most accurate stored answer that is accurate enough, if any.

    Among equally accurate ones it is always the first, so that repeats agree.
    """
    row = tx.execute(
        sa.select(RELEASES)
        .where(answers(RELEASES, question), RELEASES.c.message.is_not(None))
        .order_by(
            RELEASES.c.nano_rho.desc(),
            RELEASES.c.nano_epsilon.desc(),
            RELEASES.c.number,
        )
        .limit(1)
    ).one_or_none()
    return None if row is None else _stored(row)


def get(tx: sa.Connection, release: str) -> Stored | None:
    """Return the release with an id, if it exists."""
    row = tx.execute(sa.select(RELEASES).where(RELEASES.c.id == release)).one_or_none()
    return None if row is None else _stored(row)


def under(
    tx: sa.Connection, agreement: str, archive_digest: str, *, unsafe: bool
) -> list[tuple[str, analyst_pb2.ReleaseSummary]]:
    """Return the cohorts and questions of all that is stored under the same terms.

    Args:
        tx: the caller's transaction.
        agreement: its name.
        archive_digest: of data model and protect-clauses.
        unsafe: whether releases of the unsafe test mode are meant, or the others.
    """
    chosen = (
        sa.select(RELEASES.c.cohort, RELEASES.c.summary)
        .where(
            RELEASES.c.agreement == agreement,
            RELEASES.c.archive_digest == archive_digest,
            RELEASES.c.unsafe == unsafe,
            RELEASES.c.message.is_not(None),
        )
        .order_by(RELEASES.c.number)
    )
    return [
        (row.cohort, analyst_pb2.ReleaseSummary.FromString(row.summary))
        for row in tx.execute(chosen)
    ]


def newest(
    tx: sa.Connection, agreement: str, archive_digest: str, most: int, *, unsafe: bool
) -> list[analyst_pb2.ReleaseSummary]:
    """Return the newest releases under the same terms, newest first, as `under`."""
    chosen = (
        sa.select(RELEASES.c.summary)
        .where(
            RELEASES.c.agreement == agreement,
            RELEASES.c.archive_digest == archive_digest,
            RELEASES.c.unsafe == unsafe,
            RELEASES.c.message.is_not(None),
        )
        .order_by(RELEASES.c.number.desc())
        .limit(most)
    )
    return [
        analyst_pb2.ReleaseSummary.FromString(row.summary) for row in tx.execute(chosen)
    ]


def content(
    tx: sa.Connection, release: str
) -> tuple[analyst_pb2.Release, list[int]] | None:
    """Return a release with the stored integers behind it, if they are still there."""
    row = tx.execute(
        sa.select(RELEASES.c.message, RELEASES.c.noisy).where(RELEASES.c.id == release)
    ).one_or_none()
    if row is None or row.message is None:
        return None
    numbers = memoryview(row.noisy).cast("B")
    noisy = [
        int.from_bytes(numbers[place : place + 8], "little", signed=True)
        for place in range(0, len(numbers), 8)
    ]
    return analyst_pb2.Release.FromString(row.message), noisy


def before(
    tx: sa.Connection, agreements: Iterable[str], number: int | None, most: int
) -> list[Listed]:
    """Return releases of some agreements with lower numbers, newest first."""
    chosen = (
        sa.select(RELEASES.c.number, RELEASES.c.summary)
        .where(
            RELEASES.c.agreement.in_(sorted(agreements)),
            RELEASES.c.message.is_not(None),
        )
        .order_by(RELEASES.c.number.desc())
        .limit(most)
    )
    if number is not None:
        chosen = chosen.where(RELEASES.c.number < number)
    return [
        Listed(
            number=row.number,
            summary=analyst_pb2.ReleaseSummary.FromString(row.summary),
        )
        for row in tx.execute(chosen).all()
    ]


def summary_of(release: analyst_pb2.Release) -> analyst_pb2.ReleaseSummary:
    """Return what lists show of a release: its question and price, no figure."""
    return analyst_pb2.ReleaseSummary(
        id=release.id,
        agreement=release.agreement,
        edition=release.edition,
        measure=release.measure,
        by=release.by,
        where=release.where,
        cost=release.cost,
        released_at=release.released_at,
    )


def _stored(row: sa.Row[tuple[object, ...]]) -> Stored:
    return Stored(
        id=row.id,
        agreement=row.agreement,
        loss=Loss(nano_rho=row.nano_rho, nano_epsilon=row.nano_epsilon),
        content=row.message,
    )
