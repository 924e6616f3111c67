# SPDX-License-Identifier: Apache-2.0
"""Budget that is put aside before any agency hears of a question."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from accord.hub.db.engine import LedgerTransaction
from accord.hub.policies import Policies
from accord.hub.questions import accounts
from accord.hub.rounds.submissions import Submission
from accord.ledger import reserve


def hold(
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
        purpose=submission.purpose,
        cohort=members,
        loss=submission.loss,
        unsafe=submission.unsafe,
    )
    reserve(LedgerTransaction(tx), entry or submission.id, lines, now)
