# SPDX-License-Identifier: Apache-2.0
"""An opening is decided: from here on the question costs what it was priced at.

It is committed before any agency is asked for its seed. What is paid, and by whom, is
settled here, so that nothing stands in the way of the charge later.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa

from accord.hub.audit import Event, note
from accord.hub.contact.standing import stop_if_doubted
from accord.hub.db.engine import LedgerTransaction
from accord.hub.identity.registry import valid_among
from accord.hub.policies import Policies
from accord.hub.rounds import rows, submissions
from accord.hub.settling.reservation import hold
from accord.ledger import give_back


class AnswersRevoked(Exception):
    """Figures that must not be used; nothing was changed."""

    def __init__(self, agencies: frozenset[str]) -> None:
        """Name whose they are."""
        super().__init__()
        self.agencies = agencies


class PoliciesReplaced(Exception):
    """The question was admitted under policies that are no longer in force."""


class AlreadyEnded(Exception):
    """The question has ended before."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is going to be opened."""

    submission: str
    attempt: int
    cohort: str
    entry: str
    """Id of the reservation if it is not the cohort that was asked."""
    snapshot: Mapping[str, object]
    """Where the round stands then (`accord.hub.rounds.rows.snapshot`)."""


def commit_opening(
    tx: sa.Connection, policies: Policies, opening: Opening, at: dt.datetime
) -> None:
    """Decide that agencies may be asked for their seeds.

    Where a fallback cohort is opened, its members pay under an entry of their own and
    everybody else's reservation is given back, in this same transaction.

    Raises:
        AlreadyEnded: the submission is settled.
        PoliciesReplaced: the board has changed what the question was admitted under.
        AnswersRevoked: the operator has thrown out an agency that had handed in.
        BudgetExhausted: limits were lowered since, below what the fallback needs.
        LedgerDoubted: the ledger may have forgotten that this was opened before.
    """
    stop_if_doubted(tx)
    known = submissions.find(tx, opening.submission)
    if known is None or not known.is_collecting:
        raise AlreadyEnded
    policy = policies.still(known.agreement, known.policy_digest)
    if policy is None:
        raise PoliciesReplaced
    require_valid(tx, opening.submission, opening.attempt)
    if opening.cohort != known.cohort:
        members = policy.agreement.cohorts[opening.cohort]
        give_back(LedgerTransaction(tx), known.id, at)
        hold(tx, policies, known, members, at, entry=opening.entry)
        rows.pay_with(tx, known.id, opening.entry)
    rows.update(tx, opening.snapshot, known.id)
    note(
        tx,
        Event.OPENING_COMMITTED,
        at,
        submission=known.id,
        entry=known.id if opening.cohort == known.cohort else opening.entry,
        agreement=known.agreement,
        attempt=opening.attempt,
        cohort=opening.cohort,
        nano_rho=known.loss.nano_rho,
        nano_epsilon=known.loss.nano_epsilon,
    )


def require_valid(tx: sa.Connection, submission: str, attempt: int) -> None:
    """Refuse figures that came under a certificate that was revoked since.

    Raises:
        AnswersRevoked: naming whose.
    """
    held = rows.held(tx, submission, attempt)
    gone = {agency for agency, _ in set(held) - valid_among(tx, held)}
    if gone:
        raise AnswersRevoked(frozenset(gone))
