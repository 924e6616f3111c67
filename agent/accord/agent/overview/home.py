# SPDX-License-Identifier: Apache-2.0
"""What the page shows of the agent, read anew for every visit.

The agent may run in another process, or not at all: all of it comes from the state
directory, as the commands read it.
"""

from __future__ import annotations

import dataclasses
import datetime
import os

from accord.agent.approvals.decisions import questions
from accord.agent.machine.locking import lock_file
from accord.agent.page.frame import AgentHome, agent_frame
from accord.agent.receipts import Receipt, receipts
from accord.agent.rounds.approval import Approval
from accord.agent.rules.rules import Kind
from accord.agent.spending import unit_of
from accord.agent.state import AgentState
from accord.agent.status import Status, status_of
from accord.ledger.account import shown

SUBJECT = "overview"
DONE = ("approved", "refused", "resumed", "stopped")

SHOWN = 10
"""Questions on the first page."""

MOST_SHOWN = 200

SOON = datetime.timedelta(hours=2)
"""A certificate that ends earlier is worth a word: it lasts a day, and is renewed at
two thirds of that while the agent runs."""


class OverviewHome(AgentHome):
    """One run of the page."""

    def __init__(self, state: AgentState) -> None:
        """Read nothing yet."""
        super().__init__(agent_frame(SUBJECT, "accord.agent.overview", done=DONE))
        self.state = state


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What this agency's records have lost under one accounting, for ever."""

    accounting: str
    used: str
    cap: str
    share: float
    """From 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Everything on the first page."""

    status: Status
    running: bool
    now: datetime.datetime
    waiting: list[Approval]
    last: list[Receipt]
    """Newest first."""

    @property
    def stopped(self) -> bool:
        """Whether staff has stopped sharing."""
        return any(
            kept.rule.kind is Kind.STOP_SHARING and kept.removed_at is None
            for kept in self.status.rules
        )

    @property
    def concerns(self) -> list[str]:
        """Why nothing would be answered, or soon would not: names of sentences."""
        status, until = self.status, self.status.certificate_until
        if status.agency is None or until is None:
            return ["not-enrolled"]
        found = {
            "stopped": self.stopped,
            "restored": status.standing.restored,
            "forked": status.forked,
            "distrust": status.trust.distrust is not None,
            "certificate-over": until <= self.now,
            "certificate-soon": self.now < until < self.now + SOON,
            "no-store": not status.parts,
            "not-running": not self.running,
            "unsafe": status.unsafe_test_mode,
        }
        return [name for name, holds in found.items() if holds]

    @property
    def bars(self) -> list[Bar]:
        """What was spent of what may ever be."""
        return [
            Bar(
                accounting=accounting.value,
                used=shown(balance.used, unit_of(accounting)),
                cap=shown(balance.lifetime_cap or 0, unit_of(accounting)),
                share=balance.used / balance.lifetime_cap
                if balance.lifetime_cap
                else 0.0,
            )
            for accounting, balance in self.status.balances.items()
        ]


def glance(state: AgentState, now: datetime.datetime) -> Glance:
    """Return what there is to see at this moment."""
    return Glance(
        status=status_of(state, state.settings(), now),
        running=is_running(state),
        now=now,
        waiting=questions(state, now),
        last=last_questions(state, SHOWN),
    )


def last_questions(state: AgentState, most: int = MOST_SHOWN) -> list[Receipt]:
    """Return the newest questions, newest first."""
    with state.ledger() as connection:
        return list(receipts(connection, most))[::-1]


def is_running(state: AgentState) -> bool:
    """Tell whether `accord-agent run` answers from this state now."""
    file = state.root / ".running"
    if not file.exists():
        return False
    try:
        os.close(lock_file(file, wait=False))
    except BlockingIOError:
        return True
    return False
