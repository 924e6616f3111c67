# SPDX-License-Identifier: Apache-2.0
"""People at this agency approve questions, or refuse them, before anything is counted.

They decide on the words of a question, on who asks it and on what it costs: nothing
that they are shown depends on a record, so that no answer hides in a refusal. A
decision is taken from the database by an agent that runs, within seconds, and by one
that does not when it calls the hub again.
"""

from __future__ import annotations

import datetime

from accord.agent.approvals.reminding import Notifier, remind
from accord.agent.machine.account import account_name
from accord.agent.rounds import approval, rows
from accord.agent.rounds.approval import Approval, Standing
from accord.agent.rounds.checks import Clock
from accord.agent.rounds.rows import Stage
from accord.agent.rounds.steps import Request
from accord.agent.settings import Approval as Rule
from accord.agent.state import AgentState
from accord.core.errors import NotFound, PreconditionFailed
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction


class Approvals:
    """What a running agent does about them; belongs to one thread at a time."""

    def __init__(self, state: AgentState, rule: Rule, clock: Clock) -> None:
        self._state = state
        self._rule = rule
        self._clock = clock
        self._notifier = Notifier(rule.notify)
        self._answered: set[str] = set()
        """Of what people decided on: what was answered since the program began."""

    def decided(self) -> tuple[Request, ...]:
        """Return what people have decided on since, each once.

        Who starts anew is asked anew by the hub, and finds the decision then.
        """
        now = self._clock()
        with self._state.ledger() as connection, transaction(connection) as tx:
            approval.expire(tx, now)
            found = approval.decided(tx, now)
        new = [each for each in found if each.query_id not in self._answered]
        self._answered = {each.query_id for each in found}
        return tuple(
            Request(
                payload=each.payload, signature=each.signature, attempt=each.attempt
            )
            for each in new
        )

    def remind(self) -> None:
        """Tell people what waits for them, as often as the agency wants it."""
        with self._state.ledger() as connection, transaction(connection) as tx:
            due = remind(tx, self._rule, self._clock())
        self._notifier.notify(due)


def questions(
    state: AgentState, now: datetime.datetime, *, decided: bool = False
) -> list[Approval]:
    """Return the questions that wait for people, oldest first.

    Args:
        state: of the agency.
        now: the time in UTC.
        decided: also those that do not wait any more.
    """
    with state.ledger() as connection, transaction(connection) as tx:
        return approval.all_of(tx) if decided else approval.waiting(tx, now)


def question(state: AgentState, query_id: str) -> Approval:
    """Return one of them.

    Raises:
        NotFound: APPROVAL_UNKNOWN
    """
    with state.ledger() as connection, transaction(connection) as tx:
        return _find(tx, query_id)


def approve(state: AgentState, query_id: str, now: datetime.datetime) -> Approval:
    """Let this agency answer a question; that it was approved before is no error.

    Raises:
        NotFound: APPROVAL_UNKNOWN
        PreconditionFailed: APPROVAL_OVER, it does not wait any more.
    """
    with state.ledger() as connection, transaction(connection) as tx:
        found = _find(tx, query_id)
        if found.standing is Standing.APPROVED:
            return found
        _require_waiting(found, now)
        approval.decide(
            tx,
            found.query_id,
            Standing.APPROVED,
            by=account_name(),
            reason="",
            now=now,
        )
        return _find(tx, found.query_id)


def refuse(
    state: AgentState, query_id: str, reason: str, now: datetime.datetime
) -> Approval:
    """Decline a question; also one that was approved, until it is being opened.

    Args:
        state: of the agency.
        query_id: of the question, or how it begins.
        reason: stays with this agency.
        now: the time in UTC.

    Raises:
        NotFound: APPROVAL_UNKNOWN
        PreconditionFailed: APPROVAL_OVER
    """
    with state.ledger() as connection, transaction(connection) as tx:
        found = _find(tx, query_id)
        if found.standing is Standing.REFUSED:
            return found
        if found.standing is Standing.APPROVED:
            _require_unopened(tx, found, now)
        else:
            _require_waiting(found, now)
        approval.decide(
            tx,
            found.query_id,
            Standing.REFUSED,
            by=account_name(),
            reason=reason,
            now=now,
        )
        return _find(tx, found.query_id)


def _find(tx: Transaction, query_id: str) -> Approval:
    found = approval.find(tx, query_id)
    if found is not None:
        return found
    # Ids are long; what begins like one, and only one, is meant.
    alike = [each for each in approval.all_of(tx) if each.query_id.startswith(query_id)]
    if len(query_id) < _SHORTEST or len(alike) != 1:
        raise NotFound(
            "APPROVAL_UNKNOWN",
            f"No question {query_id} has ever waited for approval here: see"
            " `accord-agent approvals list --all`.",
        )
    return alike[0]


_SHORTEST = 4


def _require_waiting(found: Approval, now: datetime.datetime) -> None:
    if found.standing is Standing.WAITING and now < found.decide_by:
        return
    raise PreconditionFailed(
        "APPROVAL_OVER",
        f"Question {found.query_id} does not wait for approval any more: it was"
        " refused, or it was not approved in time. Its analyst can ask it again.",
    )


def _require_unopened(tx: Transaction, found: Approval, now: datetime.datetime) -> None:
    row = rows.find(tx, found.query_id)
    if now < found.expires_at and (
        row is None or row.stage not in (Stage.REVEALED, Stage.ERASED)
    ):
        return
    raise PreconditionFailed(
        "APPROVAL_OVER",
        f"Question {found.query_id} was approved, and has been answered or has ended"
        " since: it is too late to refuse it.",
    )
