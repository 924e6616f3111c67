# SPDX-License-Identifier: Apache-2.0
"""A permitted question is kept: from the archive, behind another one, or paid for."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Final

import sqlalchemy as sa

from accord.core.errors import Conflict, PreconditionFailed
from accord.core.terms import Requisition
from accord.hub.audit import Event, Fact, note
from accord.hub.contact.standing import require_trusted
from accord.hub.db.engine import LedgerTransaction
from accord.hub.identity.authority import Authority
from accord.hub.policies import Policies
from accord.hub.questions.asked import Asked, note_permitted
from accord.hub.questions.planning import Plan
from accord.hub.releases import archive, held
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.endings import kept_back
from accord.hub.rounds.stages import half_of_what_is_left
from accord.hub.rounds.submissions import Submission, SubmissionState
from accord.hub.settling.reservation import hold
from accord.ledger import entry as known_entry
from accord.rpc.codec import payload_digest, requisition_to_bytes, sign_requisition

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
    """Until when agencies may answer; half of it for the largest cohort."""
    unsafe: bool
    complete_only: bool
    """Only an answer of the whole cohort that is asked will do."""
    owner: int | None = None
    """The process that asks agencies, where several serve the hub."""


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
    asked: Asked,
) -> Submission:
    """Keep a permitted question: served from the archive, following, or paid for.

    Raises:
        BudgetExhausted: some account cannot pay.
        Conflict: the id stands for something else.
        PreconditionFailed: TOO_MANY_QUESTIONS, RELEASE_KEPT_BACK or LEDGER_BEHIND.
    """
    known = submissions.find(tx, request.id)
    if known is not None:
        return same_request(known, request.digest)
    require_trusted(tx)
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
        "policies_version": plan.policies_version,
        "policy_digest": plan.policy.digest,
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
        note_permitted(tx, asked, plan, from_archive=True)
        event = Event.QUERY_SERVED_FROM_ARCHIVE
        note(tx, event, request.now, **facts, release=stored.id)
        return submission
    require_not_kept_back(tx, submission.question, submission.agreement_digest)
    holding = held.leader(tx, submission.question)
    if holding is not None:
        submission = dataclasses.replace(
            submission, state=SubmissionState.HELD, follows=holding
        )
        submissions.insert(tx, submission)
        note_permitted(tx, asked, plan, from_archive=False)
        note(tx, Event.QUERY_FOLLOWED, request.now, **facts, follows=holding)
        return submission
    _require_room(tx, submission.analyst)
    other = submissions.leader(tx, submission.question, request.now)
    if other is not None:
        submission = dataclasses.replace(submission, follows=other)
        submissions.insert(tx, submission)
        note_permitted(tx, asked, plan, from_archive=False)
        note(tx, Event.QUERY_FOLLOWED, request.now, **facts, follows=other)
        return submission
    hold(tx, policies, submission, plan.members, request.now)
    submissions.insert(tx, submission)
    until = half_of_what_is_left(request.now, request.expires_at)
    rows.begin(tx, submission.id, plan.members, until, request.owner)
    note_permitted(tx, asked, plan, from_archive=False)
    note(
        tx,
        Event.QUERY_ACCEPTED,
        request.now,
        **facts,
        requisition=payload_digest(submission.payload),
        cohort=plan.cohort,
        nano_rho=plan.loss.nano_rho,
        nano_epsilon=plan.loss.nano_epsilon,
        unsafe=request.unsafe,
    )
    return submission


def require_not_kept_back(
    tx: sa.Connection, question: archive.Question, agreement_digest: str
) -> None:
    """Refuse a question whose answer reviewers keep back; noise is not drawn again.

    Args:
        tx: the caller's transaction.
        question: what is asked.
        agreement_digest: of the agreement that it is asked under.

    Raises:
        PreconditionFailed: RELEASE_KEPT_BACK.
    """
    if held.is_kept_back(tx, question, agreement_digest):
        ending = kept_back(False)  # noqa: FBT003  # it pays for nothing
        raise PreconditionFailed(ending.reason, ending.sentence)


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
            policy_digest=plan.policy.digest,
            cohort=plan.cohort,
            members=plan.members,
            mechanism=plan.mechanism,
            loss=plan.loss,
            layout_digest=plan.terms.layout.digest(),
            bounding=plan.terms.bounding,
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
        policy_digest=plan.policy.digest,
        purpose=plan.purpose,
        query_key=plan.query.key(),
        archive_digest=plan.archive_digest,
        loss=plan.loss,
        cohort=plan.cohort,
        payload=payload,
        signature=sign_requisition(authority.requisition_key, payload),
        unsafe=request.unsafe,
        complete_only=request.complete_only,
        created_at=request.now,
        expires_at=request.expires_at,
    )
