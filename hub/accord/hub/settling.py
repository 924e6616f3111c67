# SPDX-License-Identifier: Apache-2.0
"""The transactions in which budget moves: admit, publish, fail.

What if the process dies here?

==========================  ===========================================================
place                       afterwards
==========================  ===========================================================
before `admit` commits      nothing happened; the client sends the same id again
after it                    the submission waits in the database; agencies are asked
                            at the next start, with the same signed bytes
between answers and         the answers are gone; agencies are asked again and answer
`publish`                   the same; nobody has seen the noise that was drawn
inside `publish`            as before it, or as after it
after it                    charged, stored and noted; the client asks for its
                            submission and reads the release
inside `fail`               as before it, or as after it
==========================  ===========================================================
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from accord.core.errors import BudgetExhausted, Conflict, PreconditionFailed
from accord.core.terms import Requisition
from accord.hub import accounts, archive, submissions
from accord.hub.audit import Event, Fact, note
from accord.hub.authority import Authority
from accord.hub.db.engine import LedgerTransaction
from accord.hub.planning import Plan
from accord.hub.policies import Policies
from accord.hub.registry import valid_among
from accord.hub.submissions import Ending, Submission, SubmissionState
from accord.ledger import State, charge, give_back, reserve
from accord.ledger import entry as known_entry
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from accord.v1 import analyst_pb2

MOST_COLLECTING: Final = 256
"""Questions that may wait for agencies at once."""

MOST_COLLECTING_OF_ONE: Final = 32
"""The same for one analyst, so that nobody takes all the room."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of SubmitQuery."""

    id: str
    digest: str
    """SHA-256 of analyst and content: what a repeat must have as well."""
    now: dt.datetime
    expires_at: dt.datetime
    """Until when agencies may answer."""
    unsafe: bool


def same_request(known: Submission, digest: str) -> Submission:
    """Return a known submission if the request is the same.

    Raises:
        Conflict: SUBMISSION_ID_USED.
    """
    if known.request_digest != digest:
        raise Conflict(
            "SUBMISSION_ID_USED",
            "This id was used before for another question: take a new one.",
            submission=known.id,
        )
    return known


def admit(
    tx: sa.Connection,
    policies: Policies,
    authority: Authority,
    request: Request,
    plan: Plan,
) -> Submission:
    """Keep a permitted question: served from the archive, following, or paid for.

    Raises:
        BudgetExhausted: some account cannot pay.
        Conflict: the id stands for something else.
        PreconditionFailed: TOO_MANY_QUESTIONS.
    """
    known = submissions.find(tx, request.id)
    if known is not None:
        return same_request(known, request.digest)
    if known_entry(LedgerTransaction(tx), request.id) is not None:
        raise Conflict(
            "SUBMISSION_ID_USED",
            "This id was used before for something else: take a new one.",
            submission=request.id,
        )
    submission = _new(authority, request, plan)
    facts: dict[str, Fact] = {
        "submission": submission.id,
        "analyst": submission.analyst,
        "agreement": submission.agreement,
        "agreement_version": plan.agreement.form.version,
        "purpose": submission.purpose,
        "query_key": submission.query_key,
        "edition": plan.query.edition,
    }
    stored = archive.find(tx, submission.question)
    if stored is not None:
        submission = dataclasses.replace(
            submission,
            state=SubmissionState.RELEASED,
            release=stored.id,
            from_archive=True,
            payload=b"",
            signature=b"",
        )
        submissions.insert(tx, submission)
        event = Event.QUERY_SERVED_FROM_ARCHIVE
        note(tx, event, request.now, **facts, release=stored.id)
        return submission
    _require_room(tx, submission.analyst)
    other = submissions.leader(tx, submission.question, request.now)
    if other is not None:
        submission = dataclasses.replace(submission, follows=other)
        submissions.insert(tx, submission)
        note(tx, Event.QUERY_FOLLOWED, request.now, **facts, follows=other)
        return submission
    _reserve(tx, policies, submission, plan.members, request.now)
    submissions.insert(tx, submission)
    note(
        tx,
        Event.QUERY_ACCEPTED,
        request.now,
        **facts,
        cohort=plan.cohort,
        nano_rho=plan.loss.nano_rho,
        nano_epsilon=plan.loss.nano_epsilon,
        unsafe=request.unsafe,
    )
    return submission


def _require_room(tx: sa.Connection, analyst: str) -> None:
    waiting = submissions.count_collecting(tx)
    own = submissions.count_collecting(tx, analyst)
    if waiting < MOST_COLLECTING and own < MOST_COLLECTING_OF_ONE:
        return
    raise PreconditionFailed(
        "TOO_MANY_QUESTIONS",
        f"{own} of your questions wait for agencies, and {waiting} in all; at most "
        f"{MOST_COLLECTING_OF_ONE} and {MOST_COLLECTING} can. Ask again when some are"
        " answered.",
        limit=str(MOST_COLLECTING_OF_ONE),
    )


def _new(authority: Authority, request: Request, plan: Plan) -> Submission:
    payload = requisition_to_bytes(
        Requisition(
            query_id=request.id,
            query=plan.query,
            agreement_version=plan.agreement.form.version,
            agreement_digest=plan.agreement.digest,
            model_digest=plan.model.digest,
            cohort=plan.cohort,
            members=plan.members,
            mechanism=plan.mechanism,
            loss=plan.loss,
            layout_digest=plan.terms.layout.digest(),
            purpose=plan.purpose,
            analyst=plan.analyst,
            issued_at=request.now.replace(microsecond=0),
            expires_at=request.expires_at.replace(microsecond=0),
        )
    )
    return Submission(
        id=request.id,
        analyst=plan.analyst.id,
        request_digest=request.digest,
        state=SubmissionState.COLLECTING,
        agreement=plan.agreement.name,
        agreement_digest=plan.agreement.digest,
        purpose=plan.purpose,
        query_key=plan.query.key(),
        archive_digest=plan.archive_digest,
        loss=plan.loss,
        cohort=plan.cohort,
        payload=payload,
        signature=sign_requisition(authority.requisition_key, payload),
        unsafe=request.unsafe,
        created_at=request.now,
        expires_at=request.expires_at,
    )


def _reserve(
    tx: sa.Connection,
    policies: Policies,
    submission: Submission,
    members: Sequence[str],
    now: dt.datetime,
    *,
    entry: str | None = None,
) -> None:
    lines = accounts.lines(
        policies.agreement(submission.agreement),
        policies.members,
        analyst=submission.analyst,
        cohort=members,
        loss=submission.loss,
        unsafe=submission.unsafe,
    )
    reserve(LedgerTransaction(tx), entry or submission.id, lines, now)


class AnswersRevoked(Exception):
    """Answers that must not be published; nothing was changed."""

    def __init__(self, agencies: frozenset[str]) -> None:
        """Name whose they are."""
        super().__init__()
        self.agencies = agencies


def publish(  # everything that one transaction holds
    tx: sa.Connection,
    policies: Policies,
    submission: str,
    release: analyst_pb2.Release,
    noisy: Sequence[int],
    *,
    cohort: str,
    held: Sequence[tuple[str, str]],
    at: dt.datetime,
) -> list[str]:
    """Charge, store and note a release; return the submissions that it settles.

    Where a fallback cohort is published, its members pay under the release's own id
    and everybody else's reservation is given back, in this same transaction.

    Returns:
        Nothing where the submission has ended before.

    Args:
        tx: the caller's transaction.
        policies: the policies in force.
        submission: what is answered.
        release: what is published.
        noisy: the stored integers behind it.
        cohort: whose answers it has.
        held: agency and serial of the certificate of each of those answers.
        at: now.

    Raises:
        BudgetExhausted: limits were lowered since, below what the fallback needs.
        AnswersRevoked: the operator has thrown out an agency that had answered.
    """
    known = submissions.find(tx, submission)
    if known is None or known.is_settled:
        return []
    revoked = {agency for agency, _ in set(held) - valid_among(tx, held)}
    if revoked:
        raise AnswersRevoked(frozenset(revoked))
    ledger = LedgerTransaction(tx)
    if cohort == known.cohort:
        entry = known.id
    else:
        entry = release.id
        members = policies.agreement(known.agreement).cohorts[cohort]
        give_back(ledger, known.id, at)
        _reserve(tx, policies, known, members, at, entry=entry)
    charge(ledger, entry, at)
    archive.store(
        tx,
        release,
        noisy,
        submission=known.id,
        ledger_entry=entry,
        agreement_digest=known.agreement_digest,
        cohort=cohort,
        question=known.question,
        at=at,
    )
    submissions.settle_released(tx, known.id, release.id, from_archive=False, at=at)
    served = submissions.followers(tx, known.id)
    for follower in served:
        submissions.settle_released(
            tx, follower.id, release.id, from_archive=True, at=at
        )
        note(
            tx,
            Event.QUERY_SERVED_FROM_ARCHIVE,
            at,
            submission=follower.id,
            analyst=follower.analyst,
            agreement=follower.agreement,
            release=release.id,
        )
    note(
        tx,
        Event.RELEASE_PUBLISHED,
        at,
        release=release.id,
        submission=known.id,
        agreement=known.agreement,
        agreement_version=release.agreement_version,
        edition=release.edition,
        query_key=known.query_key,
        cohort=cohort,
        answered=list(release.coverage.answered),
        missing=list(release.coverage.missing),
        nano_rho=known.loss.nano_rho,
        nano_epsilon=known.loss.nano_epsilon,
        unsafe=known.unsafe,
    )
    return [known.id, *(follower.id for follower in served)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What the failure of one submission did."""

    ended: list[str]
    promoted: list[Submission]
    """Followers that now pay for themselves, and agencies must be asked for."""


def fail(
    tx: sa.Connection,
    policies: Policies,
    submission: str,
    ending: Ending,
    *,
    at: dt.datetime,
    promote: bool,
) -> Failed:
    """Give the reservation back and note why.

    Nobody has seen or can still see a result: answers are in this process's memory
    only, which the caller forgets.

    Args:
        tx: the caller's transaction.
        policies: the policies in force.
        submission: what failed.
        ending: why.
        at: now.
        promote: let the first follower that can pay ask by itself, others follow it;
            else they fail for the same reason.
    """
    known = submissions.find(tx, submission)
    if known is None or known.is_settled:
        return Failed(ended=[], promoted=[])
    _give_back(tx, known.id, at)
    _end(tx, known, ending, at)
    ended, promoted = [known.id], list[Submission]()
    for follower in submissions.followers(tx, known.id):
        other = next((p for p in promoted if _covers(p, follower)), None)
        if other is not None:
            submissions.follow(tx, follower.id, other.id)
            continue
        reason = ending
        if promote and follower.expires_at > at:
            try:
                agreement = policies.agreement(follower.agreement)
                members = agreement.cohorts[follower.cohort]
                _reserve(tx, policies, follower, members, at)
            except BudgetExhausted as error:
                reason = Ending.of(error)
            else:
                submissions.follow(tx, follower.id, None)
                promoted.append(dataclasses.replace(follower, follows=None))
                continue
        _end(tx, follower, reason, at)
        ended.append(follower.id)
    return Failed(ended=ended, promoted=promoted)


def _give_back(tx: sa.Connection, submission: str, at: dt.datetime) -> None:
    """End a reservation if there is one; the ledger cannot keep a question open."""
    ledger = LedgerTransaction(tx)
    found = known_entry(ledger, submission)
    if found is not None and found.state is State.RESERVED:
        give_back(ledger, submission, at)


def _covers(leader: Submission, follower: Submission) -> bool:
    return (
        leader.loss.nano_rho >= follower.loss.nano_rho
        and leader.loss.nano_epsilon >= follower.loss.nano_epsilon
    )


def _end(
    tx: sa.Connection, submission: Submission, ending: Ending, at: dt.datetime
) -> None:
    submissions.settle_failed(tx, submission.id, ending, at=at)
    note(
        tx,
        Event.QUERY_FAILED,
        at,
        submission=submission.id,
        analyst=submission.analyst,
        agreement=submission.agreement,
        reason=ending.reason,
    )
