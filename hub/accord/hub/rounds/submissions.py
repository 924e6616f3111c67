# SPDX-License-Identifier: Apache-2.0
"""Questions that wait, as rows: what was asked, who pays, how it ended.

States: ``collecting`` until it is ``released`` or ``failed``, both final; in between it
can be ``held``, when the answer is there and paid for, and a reviewer has to let it go.
A collecting submission either holds a reservation in the ledger under its own id, or
*follows* another one that asks the same and holds it. Every function works in the
caller's transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from accord.core.errors import AccordError
from accord.core.privacy import Loss
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import SUBMISSIONS
from accord.hub.releases.archive import Question


class SubmissionState(enum.StrEnum):
    """Where a submission stands."""

    COLLECTING = "collecting"
    HELD = "held"
    RELEASED = "released"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why there is no release."""

    reason: str
    sentence: str
    facts: dict[str, str]

    @classmethod
    def of(cls, error: AccordError) -> Ending:
        """Return an error as the end of a submission."""
        return cls(
            reason=error.reason, sentence=error.sentence, facts=dict(error.metadata)
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One row."""

    id: str
    analyst: str
    request_digest: str
    state: SubmissionState
    agreement: str
    agreement_digest: str
    policy_digest: str
    purpose: str
    query_key: str
    archive_digest: str
    loss: Loss
    cohort: str
    payload: bytes = dataclasses.field(repr=False)
    signature: bytes = dataclasses.field(repr=False)
    unsafe: bool
    complete_only: bool
    """Only an answer of `cohort` will do, no fallback and no stored one of it."""
    created_at: dt.datetime
    expires_at: dt.datetime
    follows: str | None = None
    release: str | None = None
    from_archive: bool = False
    ending: Ending | None = None

    @property
    def question(self) -> Question:
        """What releases would answer it."""
        return Question(
            query_key=self.query_key,
            archive_digest=self.archive_digest,
            at_least=self.loss,
            unsafe=self.unsafe,
            cohort=self.cohort if self.complete_only else None,
        )

    @property
    def is_settled(self) -> bool:
        """Whether it has ended."""
        return self.state in (SubmissionState.RELEASED, SubmissionState.FAILED)

    @property
    def is_collecting(self) -> bool:
        """Whether agencies are asked for it."""
        return self.state is SubmissionState.COLLECTING


def insert(tx: sa.Connection, submission: Submission) -> None:
    """Keep a new submission."""
    tx.execute(
        SUBMISSIONS.insert(),
        {
            "id": submission.id,
            "analyst": submission.analyst,
            "request_digest": submission.request_digest,
            "state": submission.state.value,
            "agreement": submission.agreement,
            "agreement_digest": submission.agreement_digest,
            "policy_digest": submission.policy_digest,
            "purpose": submission.purpose,
            "query_key": submission.query_key,
            "archive_digest": submission.archive_digest,
            "nano_rho": submission.loss.nano_rho,
            "nano_epsilon": submission.loss.nano_epsilon,
            "cohort": submission.cohort,
            "payload": submission.payload,
            "signature": submission.signature,
            "unsafe": submission.unsafe,
            "complete_only": submission.complete_only,
            "created_at": microseconds(submission.created_at),
            "expires_at": microseconds(submission.expires_at),
            "follows": submission.follows,
            "settled_at": (
                microseconds(submission.created_at) if submission.is_settled else None
            ),
            "release": submission.release,
            "from_archive": submission.from_archive,
        },
    )


def find(tx: sa.Connection, submission: str) -> Submission | None:
    """Return the submission with an id, if there is one."""
    row = tx.execute(
        sa.select(SUBMISSIONS).where(SUBMISSIONS.c.id == submission)
    ).one_or_none()
    return None if row is None else _submission(row)


def collecting(tx: sa.Connection) -> list[Submission]:
    """Return what waits for agencies, oldest first, followers included."""
    rows = tx.execute(
        sa.select(SUBMISSIONS)
        .where(SUBMISSIONS.c.state == SubmissionState.COLLECTING.value)
        .order_by(SUBMISSIONS.c.created_at, SUBMISSIONS.c.id)
    ).all()
    return [_submission(row) for row in rows]


def count_collecting(tx: sa.Connection, analyst: str | None = None) -> int:
    """Return how many submissions wait, of everybody or of one analyst."""
    waiting = SUBMISSIONS.c.state == SubmissionState.COLLECTING.value
    counted = sa.select(sa.func.count()).where(waiting)
    if analyst is not None:
        counted = counted.where(SUBMISSIONS.c.analyst == analyst)
    return tx.execute(counted).scalar_one()


def leader(tx: sa.Connection, question: Question, now: dt.datetime) -> str | None:
    """Return a submission whose release will answer a question too, if one waits.

    Behind one that may end with a fallback, nobody waits who wants a whole cohort.
    """
    chosen = sa.select(SUBMISSIONS.c.id)
    if question.cohort is not None:
        chosen = chosen.where(
            SUBMISSIONS.c.complete_only, SUBMISSIONS.c.cohort == question.cohort
        )
    return tx.execute(
        chosen.where(
            SUBMISSIONS.c.query_key == question.query_key,
            SUBMISSIONS.c.archive_digest == question.archive_digest,
            SUBMISSIONS.c.state == SubmissionState.COLLECTING.value,
            SUBMISSIONS.c.follows.is_(None),
            SUBMISSIONS.c.unsafe == question.unsafe,
            SUBMISSIONS.c.nano_rho >= question.at_least.nano_rho,
            SUBMISSIONS.c.nano_epsilon >= question.at_least.nano_epsilon,
            SUBMISSIONS.c.expires_at > microseconds(now),
        )
        .order_by(SUBMISSIONS.c.created_at, SUBMISSIONS.c.id)
        .limit(1)
    ).scalar_one_or_none()


def followers(
    tx: sa.Connection,
    submission: str,
    state: SubmissionState = SubmissionState.COLLECTING,
) -> list[Submission]:
    """Return who waits for the release of another submission, oldest first."""
    rows = tx.execute(
        sa.select(SUBMISSIONS)
        .where(SUBMISSIONS.c.follows == submission, SUBMISSIONS.c.state == state.value)
        .order_by(SUBMISSIONS.c.created_at, SUBMISSIONS.c.id)
    ).all()
    return [_submission(row) for row in rows]


def is_asked_by(tx: sa.Connection, submission: str, analyst: str) -> bool:
    """Tell whether an analyst asked a held submission, or one that follows it."""
    chosen = sa.select(SUBMISSIONS.c.id).where(
        SUBMISSIONS.c.state == SubmissionState.HELD.value,
        sa.or_(SUBMISSIONS.c.id == submission, SUBMISSIONS.c.follows == submission),
        SUBMISSIONS.c.analyst == analyst,
    )
    return tx.execute(chosen.limit(1)).one_or_none() is not None


def follow(tx: sa.Connection, submission: str, other: str | None) -> None:
    """Let a collecting submission follow another one, or nobody."""
    _change(tx, submission, {"follows": other})


def hold(tx: sa.Connection, submission: str) -> None:
    """Let a collecting submission wait until a reviewer has decided."""
    _change(tx, submission, {"state": SubmissionState.HELD.value})


def settle_released(
    tx: sa.Connection,
    submission: str,
    release: str,
    *,
    from_archive: bool,
    at: dt.datetime,
) -> None:
    """End a submission that waits with a release."""
    _change(
        tx,
        submission,
        {
            "state": SubmissionState.RELEASED.value,
            "release": release,
            "from_archive": from_archive,
            "settled_at": microseconds(at),
        },
        was=_WAITING,
    )


def settle_failed(
    tx: sa.Connection, submission: str, ending: Ending, *, at: dt.datetime
) -> None:
    """End a submission that waits without a release."""
    _change(
        tx,
        submission,
        {
            "state": SubmissionState.FAILED.value,
            "reason": ending.reason,
            "sentence": ending.sentence,
            "facts": ending.facts,
            "settled_at": microseconds(at),
        },
        was=_WAITING,
    )


_COLLECTING: Final = (SubmissionState.COLLECTING,)
_WAITING: Final = (SubmissionState.COLLECTING, SubmissionState.HELD)


def _change(
    tx: sa.Connection,
    submission: str,
    values: dict[str, object],
    *,
    was: Sequence[SubmissionState] = _COLLECTING,
) -> None:
    changed = tx.execute(
        SUBMISSIONS.update()
        .where(
            SUBMISSIONS.c.id == submission,
            SUBMISSIONS.c.state.in_([state.value for state in was]),
        )
        .values(**values)
    )
    if changed.rowcount != 1:
        message = "only a submission that waits can change"
        raise RuntimeError(message)


def counts(tx: sa.Connection) -> dict[str, int]:
    """Return how many submissions are in each state."""
    rows = tx.execute(
        sa.select(SUBMISSIONS.c.state, sa.func.count()).group_by(SUBMISSIONS.c.state)
    )
    found = {state.value: 0 for state in SubmissionState}
    return found | {row[0]: row[1] for row in rows}


def _submission(row: sa.Row[tuple[object, ...]]) -> Submission:
    ending = None
    if row.reason is not None:
        ending = Ending(reason=row.reason, sentence=row.sentence, facts=row.facts)
    return Submission(
        id=row.id,
        analyst=row.analyst,
        request_digest=row.request_digest,
        state=SubmissionState(row.state),
        agreement=row.agreement,
        agreement_digest=row.agreement_digest,
        policy_digest=row.policy_digest,
        purpose=row.purpose,
        query_key=row.query_key,
        archive_digest=row.archive_digest,
        loss=Loss(nano_rho=row.nano_rho, nano_epsilon=row.nano_epsilon),
        cohort=row.cohort,
        payload=row.payload,
        signature=row.signature,
        unsafe=row.unsafe,
        complete_only=row.complete_only,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        follows=row.follows,
        release=row.release,
        from_archive=row.from_archive,
        ending=ending,
    )
