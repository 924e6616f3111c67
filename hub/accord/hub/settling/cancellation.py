# SPDX-License-Identifier: Apache-2.0
"""A question ends because its analyst does not want the answer any more.

Only before an opening is committed: until then nothing that agencies have sent can be
opened, so the reservation is given back. From then on the question is paid for; what
is paid for goes on to its release, which everybody else may read as well.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from accord.hub.contact.standing import require_trusted
from accord.hub.policies import Policies
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.endings import cancelled, left_alone
from accord.hub.rounds.stages import Stage
from accord.hub.settling.failure import Failed, end, fail


def cancel(
    tx: sa.Connection,
    policies: Policies | None,
    submission: str,
    *,
    at: dt.datetime,
    mover: int | None,
) -> Failed | None:
    """End a submission that waits for agencies, if it costs nothing yet.

    Whoever follows it goes on: the first that can pay asks by itself.

    Args:
        tx: the caller's transaction.
        policies: the policies in force; nothing where none can be used.
        submission: whose analyst ends it.
        at: now.
        mover: the process that asks for followers then, where there are several.

    Returns:
        Nothing where it was too late: it has ended, is held, or is being opened.

    Raises:
        PreconditionFailed: LEDGER_BEHIND.
    """
    known = submissions.find(tx, submission)
    if known is None or not known.is_collecting:
        return None
    require_trusted(tx)
    if known.follows is not None:
        ending = cancelled(False)  # noqa: FBT003  # it pays for nothing
        end(tx, known, ending, at, charged=False)
        return Failed(reason=ending.reason, ended=[known.id], promoted=[])
    standing = rows.standing(tx, known.id)
    if standing is not None and standing.stage is Stage.REVEAL:
        return None
    return fail(
        tx,
        policies,
        known.id,
        cancelled,
        at=at,
        promote=True,
        others=left_alone,
        mover=mover,
    )
