# SPDX-License-Identifier: Apache-2.0
"""A question ends without a release and gives back what it held."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from accord.core.errors import BudgetExhausted
from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction
from accord.hub.policies import Policies
from accord.hub.rounds import submissions
from accord.hub.rounds.submissions import Ending, Submission
from accord.hub.settling.reservation import hold
from accord.ledger import State, give_back
from accord.ledger import entry as known_entry


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What the failure of one submission did."""

    ended: list[str]
    promoted: list[Submission]
    """Followers that now pay for themselves, and agencies must be asked for."""


def fail(
    tx: sa.Connection,
    policies: Policies | None,
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
        policies: the policies in force; nothing where none can be used.
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
        policy = policies and policies.still(follower.agreement, follower.policy_digest)
        if promote and follower.expires_at > at and policies and policy:
            try:
                members = policy.agreement.cohorts[follower.cohort]
                hold(tx, policies, follower, members, at)
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
