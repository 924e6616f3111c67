# SPDX-License-Identifier: Apache-2.0
"""A release is charged, stored and noted in one transaction.

Where the agreement wants people to look at it first it is held instead, which costs the
same: the figures exist.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from accord.hub.audit import Event, Fact, note
from accord.hub.contact.standing import stop_if_doubted
from accord.hub.db.engine import LedgerTransaction
from accord.hub.policies import Policies
from accord.hub.releases import archive, held
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.round import Round
from accord.hub.rounds.submissions import Submission
from accord.hub.settling.opening import PoliciesReplaced, require_valid
from accord.ledger import charge
from accord.v1 import analyst_pb2


def publish(  # everything that one transaction holds
    tx: sa.Connection,
    policies: Policies,
    round_: Round,
    release: analyst_pb2.Release,
    noisy: Sequence[int],
    *,
    at: dt.datetime,
    reviewers: Sequence[str] | None = None,
) -> list[str]:
    """Charge, store and note a release; return the submissions that it settles.

    What pays was reserved when the opening was committed.

    Returns:
        Nothing where the submission has ended before. What is held is settled for the
        agencies, though not for those who asked.

    Args:
        tx: the caller's transaction.
        policies: the policies in force.
        round_: what is answered, and whose signatures stand behind it.
        release: what is published.
        noisy: the stored integers behind it.
        at: now.
        reviewers: one of whom has to let it go first; nothing where nobody looks at it.

    Raises:
        AnswersRevoked: the operator has thrown out an agency that had handed in.
        PoliciesReplaced: the board has changed what the question was admitted under.
        LedgerDoubted: the ledger may have forgotten that this was published before.
    """
    stop_if_doubted(tx)
    submission, cohort = round_.call.submission, round_.current.cohort or ""
    known = submissions.find(tx, submission)
    standing = rows.standing(tx, submission)
    if known is None or not known.is_collecting or standing is None:
        return []
    if policies.still(known.agreement, known.policy_digest) is None:
        raise PoliciesReplaced
    require_valid(tx, submission, round_.current.number)
    ledger, entry = LedgerTransaction(tx), standing.ledger_entry
    charge(ledger, entry, at)
    columns = archive.columns_of(
        release,
        noisy,
        submission=known.id,
        ledger_entry=entry,
        agreement_digest=known.agreement_digest,
        cohort=cohort,
        question=known.question,
    )
    rows.keep_transcript(tx, release.id, round_)
    rows.delete(tx, known.id)
    facts = facts_of(release, known, policies) | {"attempt": round_.current.number}
    if reviewers is not None:
        held.keep(tx, columns, reviewers=reviewers, at=at)
        waiting = submissions.followers(tx, known.id)
        for each in (known, *waiting):
            submissions.hold(tx, each.id)
        note(tx, Event.RELEASE_HELD, at, **facts)
        return [known.id, *(each.id for each in waiting)]
    archive.store(tx, columns, at)
    served = submissions.followers(tx, known.id)
    serve(tx, known, served, release.id, at)
    note(tx, Event.RELEASE_PUBLISHED, at, **facts)
    return [known.id, *(follower.id for follower in served)]


def serve(
    tx: sa.Connection,
    leader: Submission,
    served: Sequence[Submission],
    release: str,
    at: dt.datetime,
) -> None:
    """Answer a submission, and those that follow it, with a release that was stored."""
    submissions.settle_released(tx, leader.id, release, from_archive=False, at=at)
    for follower in served:
        submissions.settle_released(tx, follower.id, release, from_archive=True, at=at)
        note(
            tx,
            Event.QUERY_SERVED_FROM_ARCHIVE,
            at,
            submission=follower.id,
            analyst=follower.analyst,
            agreement=follower.agreement,
            release=release,
        )


def facts_of(
    release: analyst_pb2.Release, submission: Submission, policies: Policies
) -> dict[str, Fact]:
    """Return what the log says of a release, held or published; no figure of it."""
    return {
        "release": release.id,
        "release_digest": archive.digest_of(release),
        "submission": submission.id,
        "agreement": submission.agreement,
        "agreement_version": release.agreement_version,
        "policies_version": policies.version,
        "policy_digest": submission.policy_digest,
        "edition": release.edition,
        "query_key": submission.query_key,
        "cohort": release.coverage.cohort,
        "answered": list(release.coverage.answered),
        "missing": list(release.coverage.missing),
        "nano_rho": submission.loss.nano_rho,
        "nano_epsilon": submission.loss.nano_epsilon,
        "unsafe": submission.unsafe,
    }
