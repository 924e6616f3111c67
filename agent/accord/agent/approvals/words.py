# SPDX-License-Identifier: Apache-2.0
"""A question that waits for people here, as they are shown it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from accord.agent.answer import utc_now
from accord.agent.approvals.foreseen import Foreseen, foresee, read_requisition
from accord.agent.policies import policies_of
from accord.agent.receipts import worded
from accord.agent.rounds.approval import Approval, Standing
from accord.agent.state import AgentState
from accord.core.errors import AccordError, suggestion
from accord.core.messages import sentence
from accord.rpc.codec import payload_of

LONGEST_REASON = 500


def short_reason(text: str) -> str:
    """Return a reason as it is kept."""
    return " ".join(text.split())[:LONGEST_REASON]


def misnamed(state: AgentState) -> Iterator[str]:
    """Yield a sentence for every name in `approval.needed` that is no agreement."""
    wanted = state.settings().approval.needed
    if isinstance(wanted, str):
        return
    known = [policy.name for policy in policies_of(state).policies()]
    for name in wanted:
        if known and name not in known:
            yield (
                f"The setting approval.needed names {name!r}, which is no agreement of"
                f" this agency: nobody is asked.{suggestion(name, known)}"
            )


def question_of(found: Approval, language: str = "en") -> str:
    """Return a question that waits, or waited, as a sentence."""
    return worded(payload_of(found.payload).query, language)


def foreseen_of(state: AgentState, found: Approval) -> Foreseen | None:
    """Return what an answer would take; nothing where it cannot be asked any more."""
    policies = policies_of(state)
    policy = policies.policy(payload_of(found.payload).query.agreement)
    asked = None if policy is None else read_requisition(found.payload, policy)
    if policy is None or asked is None:
        return None
    label = policies.label or None
    try:
        return foresee(state, state.settings(), policy, asked, utc_now(), label)
    except AccordError:
        return None


def lines_of(
    found: Approval, expected: Foreseen | None, language: str = "en"
) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a question, with names."""
    if expected is not None:
        yield from expected.lines(language)
        return

    def say(ending: str, **values: object) -> str:
        return sentence(f"foreseen.{ending}", language, **values)

    asked = payload_of(found.payload)
    analyst, query = asked.analyst, asked.query
    roles = ", ".join(sorted(analyst.roles))
    yield say("question"), question_of(found, language)
    yield (
        say("asked-by"),
        say("asker", analyst=analyst.id, of=analyst.organisation, roles=roles),
    )
    yield say("purpose"), asked.purpose
    yield (
        say("agreement"),
        say("not-now", name=query.agreement, version=asked.agreement_version),
    )


def standing_words(found: Approval) -> str:
    """Return what people have said of it, and until when they can."""
    if found.standing is Standing.WAITING:
        return f"waits since {_at(found.asked_at)}, until {_at(found.decide_by)}"
    words = found.standing.value
    if found.standing is Standing.ENDED:
        return "ended at the hub before anybody decided"
    if found.standing is Standing.EXPIRED:
        return f"declined, since nobody decided until {_at(found.decide_by)}"
    by = f" by {found.decided_by}" if found.decided_by else " as the same one before it"
    at = "" if found.decided_at is None else f", {_at(found.decided_at)}"
    why = f": {found.reason}" if found.reason else ""
    return f"{words}{by}{at}{why}"


def approval_json(found: Approval) -> dict[str, Any]:
    """Return the documented form."""
    decided = found.decided_at
    return {
        "query_id": found.query_id,
        "standing": found.standing.value,
        "question": question_of(found),
        "asked_at": found.asked_at.isoformat(),
        "decide_by": found.decide_by.isoformat(),
        "decided_at": None if decided is None else decided.isoformat(),
        "decided_by": found.decided_by,
        "reason": found.reason,
    }


def _at(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
