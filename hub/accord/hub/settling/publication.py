# SPDX-License-Identifier: Apache-2.0
"""A release is charged, stored and noted in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction
from accord.hub.identity.registry import valid_among
from accord.hub.policies import Policies
from accord.hub.releases import archive
from accord.hub.rounds import submissions
from accord.hub.settling.reservation import hold
from accord.ledger import charge, give_back
from accord.v1 import analyst_pb2


class AnswersRevoked(Exception):
    """Answers that must not be published; nothing was changed."""

    def __init__(self, agencies: frozenset[str]) -> None:
        """Name whose they are."""
        super().__init__()
        self.agencies = agencies


class PoliciesReplaced(Exception):
    """The question was admitted under policies that are no longer in force."""


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
        PoliciesReplaced: the board has changed what the question was admitted under.
    """
    known = submissions.find(tx, submission)
    if known is None or known.is_settled:
        return []
    policy = policies.still(known.agreement, known.policy_digest)
    if policy is None:
        raise PoliciesReplaced
    revoked = {agency for agency, _ in set(held) - valid_among(tx, held)}
    if revoked:
        raise AnswersRevoked(frozenset(revoked))
    ledger = LedgerTransaction(tx)
    if cohort == known.cohort:
        entry = known.id
    else:
        entry = release.id
        members = policy.agreement.cohorts[cohort]
        give_back(ledger, known.id, at)
        hold(tx, policies, known, members, at, entry=entry)
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
        policies_version=policies.version,
        policy_digest=known.policy_digest,
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
