# SPDX-License-Identifier: Apache-2.0
"""A question ends without a release: its reservation is given back, or charged.

It is given back only if nobody can have seen, or can still see, what was asked: the
opening was never committed, or every member of the cohort has signed that its seed is
erased.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from accord.core.errors import BudgetExhausted
from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction
from accord.hub.policies import Policies
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.endings import Why
from accord.hub.rounds.stages import Stage, half_of_what_is_left
from accord.hub.rounds.submissions import Ending, Submission
from accord.hub.settling.reservation import hold
from accord.ledger import State, charge, give_back
from accord.ledger import entry as known_entry
from accord.rpc.codec import payload_digest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What the failure of one submission did."""

    reason: str
    """Nothing where it had ended before."""
    ended: list[str]
    promoted: list[Submission]
    """Followers that now pay for themselves, and agencies must be asked for."""


def fail(  # everything that an ending depends on
    tx: sa.Connection,
    policies: Policies | None,
    submission: str,
    why: Why,
    *,
    at: dt.datetime,
    promote: bool,
    others: Why | None = None,
    mover: int | None = None,
) -> Failed:
    """Give the reservation back or charge it, and note why.

    Args:
        tx: the caller's transaction.
        policies: the policies in force; nothing where none can be used.
        submission: what failed.
        why: its sentence, once it is known whether it cost anything.
        at: now.
        promote: let the first follower that can pay ask by itself, others follow it;
            else they fail for the same reason.
        others: the same for followers, where it is another one.
        mover: the process that asks for followers then; without it, the one that moved
            the round.
    """
    known = submissions.find(tx, submission)
    if known is None or not known.is_collecting:
        return Failed(reason="", ended=[], promoted=[])
    standing = rows.standing(tx, known.id)
    owner = mover if mover or standing is None else standing.owner
    charged = _settle(tx, known.id, at)
    ending = why(charged)
    end(tx, known, ending, at, charged=charged)
    ended, promoted = [known.id], list[Submission]()
    for follower in submissions.followers(tx, known.id):
        other = next((p for p in promoted if _covers(p, follower)), None)
        if other is not None:
            submissions.follow(tx, follower.id, other.id)
            continue
        reason = (others or why)(False)  # noqa: FBT003  # it pays for nothing
        policy = policies and policies.still(follower.agreement, follower.policy_digest)
        if promote and follower.expires_at > at and policies and policy:
            try:
                members = policy.agreement.cohorts[follower.cohort]
                hold(tx, policies, follower, members, at)
            except BudgetExhausted as error:
                reason = Ending.of(error)
            else:
                submissions.follow(tx, follower.id, None)
                until = half_of_what_is_left(at, follower.expires_at)
                rows.begin(tx, follower.id, members, until, owner)
                promoted.append(dataclasses.replace(follower, follows=None))
                note(
                    tx,
                    Event.QUERY_PROMOTED,
                    at,
                    submission=follower.id,
                    requisition=payload_digest(follower.payload),
                    analyst=follower.analyst,
                    agreement=follower.agreement,
                    cohort=follower.cohort,
                    nano_rho=follower.loss.nano_rho,
                    nano_epsilon=follower.loss.nano_epsilon,
                )
                continue
        end(tx, follower, reason, at, charged=False)
        ended.append(follower.id)
    return Failed(reason=ending.reason, ended=ended, promoted=promoted)


def _settle(tx: sa.Connection, submission: str, at: dt.datetime) -> bool:
    """End a reservation if there is one; tell whether it was charged.

    The ledger cannot keep a question open: what it does not hold is left alone.
    """
    ledger = LedgerTransaction(tx)
    standing = rows.standing(tx, submission)
    charged = (
        standing is not None
        and standing.stage is Stage.REVEAL
        and not rows.all_erased(tx, submission, standing.attempt)
    )
    entry = submission if standing is None else standing.ledger_entry
    found = known_entry(ledger, entry)
    rows.delete(tx, submission)
    if found is None or found.state is not State.RESERVED:
        return False
    (charge if charged else give_back)(ledger, entry, at)
    return charged


def _covers(leader: Submission, follower: Submission) -> bool:
    return (
        leader.complete_only >= follower.complete_only
        and leader.loss.nano_rho >= follower.loss.nano_rho
        and leader.loss.nano_epsilon >= follower.loss.nano_epsilon
    )


def end(
    tx: sa.Connection,
    submission: Submission,
    ending: Ending,
    at: dt.datetime,
    *,
    charged: bool,
) -> None:
    """End a submission that waits without a release, and note it."""
    submissions.settle_failed(tx, submission.id, ending, at=at)
    note(
        tx,
        Event.QUERY_FAILED,
        at,
        submission=submission.id,
        analyst=submission.analyst,
        agreement=submission.agreement,
        reason=ending.reason,
        charged=charged,
    )
