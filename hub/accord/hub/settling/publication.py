# SPDX-License-Identifier: Apache-2.0
"""A release is charged, stored and noted in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction
from accord.hub.policies import Policies
from accord.hub.releases import archive
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.round import Round
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
) -> list[str]:
    """Charge, store and note a release; return the submissions that it settles.

    What pays was reserved when the opening was committed.

    Returns:
        Nothing where the submission has ended before.

    Args:
        tx: the caller's transaction.
        policies: the policies in force.
        round_: what is answered, and whose signatures stand behind it.
        release: what is published.
        noisy: the stored integers behind it.
        at: now.

    Raises:
        AnswersRevoked: the operator has thrown out an agency that had handed in.
        PoliciesReplaced: the board has changed what the question was admitted under.
    """
    submission, cohort = round_.call.submission, round_.current.cohort or ""
    known = submissions.find(tx, submission)
    standing = rows.standing(tx, submission)
    if known is None or known.is_settled or standing is None:
        return []
    if policies.still(known.agreement, known.policy_digest) is None:
        raise PoliciesReplaced
    require_valid(tx, submission, round_.current.number)
    ledger, entry = LedgerTransaction(tx), standing.ledger_entry
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
    rows.keep_transcript(tx, release.id, round_)
    rows.delete(tx, known.id)
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
        policies_version=policies.version,
        policy_digest=known.policy_digest,
        edition=release.edition,
        query_key=known.query_key,
        attempt=round_.current.number,
        cohort=cohort,
        answered=list(release.coverage.answered),
        missing=list(release.coverage.missing),
        nano_rho=known.loss.nano_rho,
        nano_epsilon=known.loss.nano_epsilon,
        unsafe=known.unsafe,
    )
    return [known.id, *(follower.id for follower in served)]
