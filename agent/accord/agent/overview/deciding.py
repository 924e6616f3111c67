# SPDX-License-Identifier: Apache-2.0
"""Pages on which staff decides something; each asks once more before it is done.

They change nothing but by what the commands call too.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from accord.agent.answer import utc_now
from accord.agent.approvals.decisions import approve, question, refuse
from accord.agent.approvals.words import (
    foreseen_of,
    lines_of,
    question_of,
    short_reason,
)
from accord.agent.overview.looking import Visit, moment
from accord.agent.rounds.approval import Standing
from accord.agent.rules import rulebook
from accord.agent.rules.rules import Kind, Rule

SURE: Final = "sure"
_DECISIONS: Final = ("approve", "refuse")


def approval(found: Visit) -> Response:
    """Show one question that waits; take a decision, once it was confirmed."""
    state = found.home.state
    asked = question(state, found.where["query"])
    decision, reason = found.text("decision"), short_reason(found.text("reason"))
    if decision not in _DECISIONS:
        decision = ""
    if decision and found.text(SURE):
        if decision == "approve":
            approve(state, asked.query_id, utc_now())
            return found.go("", "approved")
        refuse(state, asked.query_id, reason, utc_now())
        return found.go("", "refused")
    expected = foreseen_of(state, asked)
    return found.page(
        "approval.html",
        asked=asked,
        waits=asked.standing is Standing.WAITING and utc_now() < asked.decide_by,
        question=question_of(asked, found.language),
        lines=list(lines_of(asked, expected, found.language))[1:],
        decision=decision,
        reason=reason,
        moment=moment,
    )


def stop(found: Visit) -> Response:
    """Stop sharing, once that was confirmed by a tick."""
    if not found.posted:
        return found.page("stop.html", unsure=False)
    if not found.text(SURE):
        return found.page("stop.html", unsure=True, status=HTTPStatus.BAD_REQUEST)
    rule = Rule(kind=Kind.STOP_SHARING, reason=short_reason(found.text("reason")))
    rulebook.add_rule(found.home.state, rule, utc_now())
    return found.go("", "stopped")


def resume(found: Visit) -> Response:
    """Share again, once that was confirmed by a tick."""
    if not found.posted:
        return found.page("resume.html", unsure=False)
    if not found.text(SURE):
        return found.page("resume.html", unsure=True, status=HTTPStatus.BAD_REQUEST)
    reason = short_reason(found.text("reason"))
    rulebook.resume(found.home.state, reason, utc_now())
    return found.go("", "resumed")
