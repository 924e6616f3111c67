# SPDX-License-Identifier: Apache-2.0
"""A reviewer lets a held release go, or keeps it back for ever.

It was charged when it was held, and neither changes that. Let go, it is published as it
was looked at, byte for byte. Who asked hears that it was kept back, and never why: a
reason could tell what the figures are like.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from accord.core.errors import (
    AccordError,
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.hub.audit import Event, note
from accord.hub.contact.standing import require_trusted
from accord.hub.policies import Policies
from accord.hub.questions.planning import Question, decide_question
from accord.hub.releases import held
from accord.hub.releases.held import Held, Reason, Verdict
from accord.hub.rounds import submissions
from accord.hub.rounds.endings import kept_back
from accord.hub.rounds.submissions import Submission, SubmissionState
from accord.hub.settling.failure import end
from accord.hub.settling.publication import facts_of, serve
from accord.rpc.codec import requisition_from_bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision did."""

    held: Held
    """As it is afterwards."""
    ended: list[str]
    """The submissions that it answers or ends; none where it was decided before."""


def waiting_for(tx: sa.Connection, policies: Policies, reviewer: str) -> list[Held]:
    """Return what a reviewer may decide on, oldest first."""
    return [
        each
        for each in held.waiting(tx)
        if reviewer in held.reviewers_of(policies, each)
        and not submissions.is_asked_by(tx, each.submission, reviewer)
    ]


def for_reviewer(
    tx: sa.Connection, policies: Policies, release: str, reviewer: str
) -> Held:
    """Return a release that waits, or waited, for a reviewer.

    Raises:
        NotFound: HELD_UNKNOWN, also where it is for others.
        PolicyDenied: REVIEW_OWN_QUESTION, while it waits.
    """
    found = held.get(tx, release)
    if found is None or reviewer not in held.reviewers_of(policies, found):
        raise NotFound(
            "HELD_UNKNOWN",
            "No release with this id waits, or waited, for you:"
            " `accord review list` shows those that do.",
            release=release,
        )
    if found.verdict is None and submissions.is_asked_by(
        tx, found.submission, reviewer
    ):
        raise PolicyDenied(
            "REVIEW_OWN_QUESTION",
            "You asked for this release yourself, so another reviewer has to look at"
            " it.",
            release=release,
        )
    return found


def require_waiting(found: Held) -> None:
    """Raise where there is nothing left to look at.

    Raises:
        Conflict: REVIEW_DECIDED.
    """
    if found.verdict is not None:
        raise decided_before(found, found.verdict)


def decided_before(found: Held, verdict: Verdict) -> Conflict:
    done = "let go: it is published" if verdict.let_go else "kept back for ever"
    return Conflict(
        "REVIEW_DECIDED",
        f"This release was {done}. A decision is final.",
        release=found.id,
        let_go=str(verdict.let_go).lower(),
    )


def decide(
    tx: sa.Connection,
    policies: Policies,
    release: str,
    verdict: Verdict,
    at: dt.datetime,
) -> Decided:
    """Publish a held release or forget it, end what waits for it, and note it.

    The same decision again changes nothing.

    Args:
        tx: the caller's transaction.
        policies: the policies in force.
        release: its id.
        verdict: who decides, and how.
        at: now.

    Raises:
        NotFound: HELD_UNKNOWN.
        PolicyDenied: REVIEW_OWN_QUESTION.
        InvalidQuery: REVIEW_REASON_WRONG.
        Conflict: REVIEW_DECIDED, otherwise and before.
        PreconditionFailed: HELD_NOT_PERMITTED, it may not be let go any more; or
            LEDGER_BEHIND, nothing is published now.
    """
    require_trusted(tx)
    _require_reason(verdict)
    found = for_reviewer(tx, policies, release, verdict.reviewer)
    if found.verdict is not None:
        if found.verdict.let_go != verdict.let_go:
            raise decided_before(found, found.verdict)
        return Decided(held=found, ended=[])
    leader = submissions.find(tx, found.submission)
    if leader is None:
        message = "a held release has a submission"
        raise RuntimeError(message)
    waiting = submissions.followers(tx, leader.id, SubmissionState.HELD)
    if verdict.let_go:
        _require_permitted(policies, leader, found.id, at)
    held.decide(tx, found.id, verdict, at)
    note(
        tx,
        Event.REVIEW_DECIDED,
        at,
        release=found.id,
        submission=leader.id,
        agreement=leader.agreement,
        reviewer=verdict.reviewer,
        let_go=verdict.let_go,
        reason=verdict.reason.value,
    )
    if verdict.let_go:
        _publish(tx, policies, found, leader, waiting, verdict, at)
    else:
        for each in (leader, *waiting):
            paid = each is leader
            end(tx, each, kept_back(paid), at, charged=paid)
    return Decided(
        held=dataclasses.replace(found, verdict=verdict, content=None),
        ended=[leader.id, *(each.id for each in waiting)],
    )


def _publish(  # what one event tells
    tx: sa.Connection,
    policies: Policies,
    found: Held,
    leader: Submission,
    waiting: list[Submission],
    verdict: Verdict,
    at: dt.datetime,
) -> None:
    serve(tx, leader, waiting, found.id, at)
    facts = facts_of(found.release, leader, policies)
    note(tx, Event.RELEASE_PUBLISHED, at, **facts, reviewer=verdict.reviewer)


def _require_reason(verdict: Verdict) -> None:
    if verdict.let_go == (verdict.reason is Reason.NO_CONCERN):
        return
    sentence = "A release is let go for the one reason that nothing in it stands out."
    if not verdict.let_go:
        others = ", ".join(each for each in Reason if each is not Reason.NO_CONCERN)
        sentence = f"A release is kept back for one of these reasons: {others}."
    raise InvalidQuery("REVIEW_REASON_WRONG", sentence, given=verdict.reason.value)


def _require_permitted(
    policies: Policies, leader: Submission, release: str, at: dt.datetime
) -> None:
    """Raise where the question would not be permitted today to who asked it.

    Raises:
        PreconditionFailed: HELD_NOT_PERMITTED.
    """
    try:
        policy = policies.policy(leader.agreement)
        asked = requisition_from_bytes(leader.payload, lambda *_: policy.model)
        question = Question(
            query=asked.query,
            edition=asked.query.edition,
            epsilon=leader.loss.epsilon,
            purpose=policy.agreement.form.purpose[0],
            analyst=asked.analyst,
        )
        decide_question(policy, question, at.date()).require()
    except AccordError as error:
        raise PreconditionFailed(
            "HELD_NOT_PERMITTED",
            "The policies in force do not allow this question any more, so its answer"
            f" cannot be let go. {error.sentence} Keep it back, or leave it until the"
            " board has decided.",
            release=release,
        ) from error
