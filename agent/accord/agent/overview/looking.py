# SPDX-License-Identifier: Apache-2.0
"""Pages that only show something."""

from __future__ import annotations

import datetime
from typing import TypeAlias

from starlette.responses import Response

from accord.agent.answer import utc_now
from accord.agent.approvals.words import question_of
from accord.agent.overview.home import (
    MOST_SHOWN,
    OverviewHome,
    glance,
    last_questions,
)
from accord.agent.policies import trouble_text
from accord.rpc.loopback.visit import Visit as AnyVisit

Visit: TypeAlias = AnyVisit[OverviewHome]


def overview(found: Visit) -> Response:
    """Show how the agent is, what waits, and what was asked last."""
    seen = glance(found.home.state, utc_now())
    distrust = seen.status.trust.distrust
    return found.page(
        "overview.html",
        seen=seen,
        agent=seen.status,
        moment=moment,
        why="" if distrust is None else trouble_text(distrust.reason, found.language),
        waiting=[(each, question_of(each, found.language)) for each in seen.waiting],
    )


def asked(found: Visit) -> Response:
    """Show the questions that were asked."""
    return found.page(
        "questions.html",
        receipts=last_questions(found.home.state),
        most=MOST_SHOWN,
        moment=moment,
    )


def moment(at: datetime.datetime) -> str:
    """Return a moment as all pages write it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
