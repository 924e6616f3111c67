# SPDX-License-Identifier: Apache-2.0
"""Releases that wait for a reviewer: rows that are decided on once, for ever.

What is held has its noise already: nobody who looks at it sees more than whoever reads
it later. Every function works in the caller's transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import RELEASES
from accord.hub.db.tables_held import HELD
from accord.hub.policies import Policies
from accord.hub.releases import archive
from accord.hub.releases.archive import Question
from accord.v1 import analyst_pb2

_DESCRIBED: Final = tuple(
    column for column in HELD.c if column.name not in {"message", "noisy"}
)
"""All that is told of a release without its figures."""


class Reason(enum.StrEnum):
    """Why a release is let go or kept back: a closed list, no free words."""

    NO_CONCERN = "no-concern"
    COULD_IDENTIFY = "could-identify"
    COULD_ENDANGER = "could-endanger"
    OUTSIDE_PURPOSE = "outside-purpose"
    MISLEADING = "misleading"
    LEGAL = "legal"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reviewer decided, and why."""

    reviewer: str
    let_go: bool
    reason: Reason


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One row."""

    id: str
    submission: str
    """Who paid for it; others may follow."""
    agreement: str
    reviewers: tuple[str, ...]
    """Whom the agreement named when it was made."""
    held_at: dt.datetime
    verdict: Verdict | None
    summary: analyst_pb2.ReleaseSummary
    content: bytes | None = dataclasses.field(repr=False)
    """None once it is decided, and in lists: it can have many megabytes."""

    @property
    def release(self) -> analyst_pb2.Release:
        """The message, from the very bytes that every reader gets if it is let go.

        Raises:
            RuntimeError: it is not there.
        """
        if self.content is None:
            message = "only what is looked up and not decided has its content"
            raise RuntimeError(message)
        return analyst_pb2.Release.FromString(self.content)


def reviewers_of(policies: Policies, found: Held) -> tuple[str, ...]:
    """Return who may decide: whom the agreement names now, or did if it names nobody.

    A board that takes somebody off the list takes them off what waits as well; one that
    gives up reviewing leaves what waits to those who had it.
    """
    agreement = policies.agreements.get(found.agreement)
    named = agreement.form.review.reviewers if agreement is not None else []
    return tuple(named) or found.reviewers


def keep(
    tx: sa.Connection,
    columns: Mapping[str, object],
    *,
    reviewers: Sequence[str],
    at: dt.datetime,
) -> None:
    """Hold a release; in the transaction that charges for it.

    Args:
        tx: the caller's transaction.
        columns: the release (`accord.hub.releases.archive.columns_of`).
        reviewers: whom the agreement names.
        at: now.
    """
    tx.execute(
        HELD.insert(),
        {
            **columns,
            "reviewers": list(reviewers),
            "held_at": microseconds(at),
        },
    )


def get(tx: sa.Connection, release: str) -> Held | None:
    """Return what is held, or was, under the id of a release."""
    row = tx.execute(
        sa.select(*(*_DESCRIBED, HELD.c.message)).where(HELD.c.id == release)
    ).one_or_none()
    return None if row is None else _held(row, row.message)


def of_submission(tx: sa.Connection, submission: str) -> Held | None:
    """Return what is held, or was, for the submission that paid for it; described."""
    row = tx.execute(
        sa.select(*_DESCRIBED).where(HELD.c.submission == submission)
    ).one_or_none()
    return None if row is None else _held(row, None)


def waiting(tx: sa.Connection) -> list[Held]:
    """Return what nobody has decided on, oldest first; described."""
    chosen = sa.select(*_DESCRIBED).where(HELD.c.decided_at.is_(None))
    return [_held(row, None) for row in tx.execute(chosen.order_by(HELD.c.number))]


def leader(tx: sa.Connection, question: Question) -> str | None:
    """Return the submission whose held release would answer a question, if one does."""
    chosen = sa.select(HELD.c.submission).where(
        archive.answers(HELD, question), HELD.c.decided_at.is_(None)
    )
    return tx.execute(chosen.order_by(HELD.c.number).limit(1)).scalar_one_or_none()


def is_kept_back(tx: sa.Connection, question: Question, agreement_digest: str) -> bool:
    """Tell whether an answer was kept back, however accurate, under this agreement.

    Args:
        tx: the caller's transaction.
        question: what is asked.
        agreement_digest: of the agreement's text: another version is another decision.
    """
    chosen = sa.select(HELD.c.number).where(
        HELD.c.query_key == question.query_key,
        HELD.c.archive_digest == question.archive_digest,
        HELD.c.unsafe == question.unsafe,
        HELD.c.agreement_digest == agreement_digest,
        HELD.c.let_go.is_(False),
    )
    return tx.execute(chosen.limit(1)).one_or_none() is not None


def decide(tx: sa.Connection, release: str, verdict: Verdict, at: dt.datetime) -> None:
    """Publish a held release or forget what is in it, and keep the decision."""
    here = sa.and_(HELD.c.id == release, HELD.c.decided_at.is_(None))
    if verdict.let_go:
        row = tx.execute(sa.select(HELD).where(here)).mappings().one()
        shared = {*HELD.c.keys()} & {*RELEASES.c.keys()} - {"number"}
        columns = {name: row[name] for name in shared}
        archive.store(tx, columns, at)
    changed = tx.execute(
        HELD.update()
        .where(here)
        .values(
            decided_at=microseconds(at),
            reviewer=verdict.reviewer,
            let_go=verdict.let_go,
            reason=verdict.reason.value,
            message=None,
            noisy=None,
        )
    )
    if changed.rowcount != 1:
        message = "a release is decided on once"
        raise RuntimeError(message)


def _held(row: sa.Row[Any], content: bytes | None) -> Held:
    verdict = None
    if row.decided_at is not None:
        verdict = Verdict(
            reviewer=row.reviewer, let_go=row.let_go, reason=Reason(row.reason)
        )
    return Held(
        id=row.id,
        submission=row.submission,
        agreement=row.agreement,
        reviewers=tuple(row.reviewers),
        held_at=moment(row.held_at),
        verdict=verdict,
        summary=analyst_pb2.ReleaseSummary.FromString(row.summary),
        content=content,
    )
