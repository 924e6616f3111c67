# SPDX-License-Identifier: Apache-2.0
"""What this agent is and holds, at one glance."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from accord.agent.approvals.decisions import questions
from accord.agent.intake.parts import Part, parts_of
from accord.agent.network.identity import IdentityFiles
from accord.agent.policies import (
    AgencyPolicies,
    distrust,
    policies_of,
    trouble_text,
)
from accord.agent.rounds import fence
from accord.agent.rules.rulebook import Kept, rules_of
from accord.agent.settings import Settings
from accord.agent.spending import spent, unit_of
from accord.agent.state import AgentState
from accord.agent.store.editions import Edition, held_editions
from accord.agent.witness.log import accepted, forks
from accord.agent.witness.suspicion import Suspicion, suspicions
from accord.core.errors import AccordError
from accord.core.privacy import Accounting
from accord.ledger import Balance
from accord.ledger.account import shown
from accord.ledger.sqlite import transaction
from accord.merkle.heads import SignedHead
from accord.rpc.pki import expiry_of
from accord.trust.keys import text_of
from accord.trust.metadata import BoardOfRoot, read_board
from accord.trust.trusted import View

_RESTORED = (
    "This state was restored from an older copy, or its file state.sequence is gone. "
    "Run `accord-agent confirm-restore`."
)

_FORKED = (
    "The hub's log is not the one that this agency saw. Run `accord-agent log show`."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What this agent believes of its policies, and what made it doubt."""

    board: BoardOfRoot | None
    """The board that is pinned, as its newest root names it."""
    view: View | None
    """The policies that were accepted last."""
    distrust: AccordError | None
    """Why nothing would be answered now."""
    trouble: tuple[str, datetime.datetime] | None
    """Why the hub's newest offer was not believed, and since when."""
    suspicions: tuple[Suspicion, ...]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what fits on a line, with its name."""
        if self.board is not None:
            yield "board", f"{self.board.name}: {self.board.words}"
        if self.view is not None:
            until = f"{self.view.fresh_until:%Y-%m-%d %H:%M} UTC"
            yield "policies", f"version {self.view.version}, in force until {until}"
        if self.distrust is not None:
            since = ""
            if self.trouble is not None:
                since = f" (since {self.trouble[1]:%Y-%m-%d %H:%M} UTC)"
            why = f"{self.distrust.reason}{since}: {self.distrust.sentence}"
            yield "trust", f"NOTHING IS ANSWERED. {why}"
        for each in self.suspicions[:1]:
            text = f"{each.reason} at {each.at:%Y-%m-%d %H:%M} UTC: "
            yield "last doubt", text + trouble_text(each.reason)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        view, board, trouble = self.view, self.board, self.trouble
        return {
            "version": None if view is None else view.version,
            "targets_version": None if view is None else view.targets_version,
            "root_version": None if view is None else view.root_version,
            "board": None if board is None else board.name,
            "words": None if board is None else board.words,
            "fresh_until": None if view is None else view.fresh_until.isoformat(),
            "trouble": None
            if trouble is None
            else {"reason": trouble[0], "at": trouble[1].isoformat()},
            "distrust": None
            if self.distrust is None
            else {"reason": self.distrust.reason, "text": self.distrust.sentence},
            "suspicions": [each.as_json() for each in self.suspicions],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A moment's view."""

    standing: fence.Standing
    """Whether the state is the newest there ever was."""
    agency: str | None
    agency_key: str
    """Its public key, as the board lists it."""
    hub: str | None
    certificate_until: datetime.datetime | None
    agreements: tuple[tuple[str, int], ...]
    """Name and version."""
    trust: Trust
    log: SignedHead | None
    """The newest head of the hub's log that was accepted."""
    forked: bool
    """Whether a later one did not follow, and staff has not looked yet."""
    rules: tuple[Kept, ...]
    waiting: int
    """Questions that somebody here has to approve."""
    balances: dict[Accounting, Balance]
    unsafe_test_mode: bool
    parts: tuple[Part, ...]
    editions: tuple[Edition, ...]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what fits on a line, with its name."""
        yield "public key", self.agency_key
        if self.standing.restored:
            yield "state", f"NOTHING IS ANSWERED. STATE_RESTORED: {_RESTORED}"
        if self.agency is None or self.certificate_until is None:
            yield "agency", "not enrolled yet: `accord-agent enrol`"
            yield from self._rules()
            return
        yield "agency", f"{self.agency} at {self.hub}"
        yield "certificate", f"until {self.certificate_until:%Y-%m-%d %H:%M} UTC"
        named = [f"{name} version {version}" for name, version in self.agreements]
        yield (
            "agreements",
            ", ".join(named) or "none yet: `accord-agent run` fetches them",
        )
        yield from self.trust.lines()
        if self.forked:
            yield "hub's log", f"NOTHING IS ANSWERED. LOG_FORKED: {_FORKED}"
        elif self.log is not None:
            head = self.log.head
            yield "hub's log", f"{head.size} entries, {head.at:%Y-%m-%d %H:%M} UTC"
        yield from self._rules()
        if self.waiting:
            look = "`accord-agent approvals list`"
            yield "approvals", f"questions that wait for yours: {self.waiting}; {look}"
        for accounting, balance in self.balances.items():
            unit = unit_of(accounting)
            cap = balance.lifetime_cap or 0
            yield "lifetime", f"{shown(balance.used, unit)} spent of {shown(cap, unit)}"

    def _rules(self) -> Iterator[tuple[str, str]]:
        for kept in self.rules:
            yield "rule", f"{kept.rule.id}: {kept.rule.text()}"

    def as_json(self) -> dict[str, Any]:
        """Return the status for machines."""
        until = self.certificate_until
        return {
            "agency": self.agency,
            "agency_key": self.agency_key,
            "state": {
                "sequence": self.standing.sequence,
                "known": self.standing.known,
                "restored": self.standing.restored,
                "confirmed_at": None
                if self.standing.confirmed_at is None
                else self.standing.confirmed_at.isoformat(),
            },
            "hub": self.hub,
            "certificate_until": None if until is None else until.isoformat(),
            "agreements": [
                {"agreement": name, "version": version}
                for name, version in self.agreements
            ],
            "policies": self.trust.as_json(),
            "log": {
                "seen": None if self.log is None else self.log.as_json(),
                "forked": self.forked,
            },
            "rules": [kept.as_json() for kept in self.rules],
            "waiting_approvals": self.waiting,
            "lifetime": {
                unit_of(accounting).value: {
                    "spent": balance.used,
                    "cap": balance.lifetime_cap,
                }
                for accounting, balance in self.balances.items()
            },
            "unsafe_test_mode": self.unsafe_test_mode,
            "parts": [each.as_json() for each in self.parts],
            "editions": [each.as_json() for each in self.editions],
        }


def status_of(state: AgentState, settings: Settings, now: datetime.datetime) -> Status:
    """Return the status of the agent in *state*."""
    files = IdentityFiles(state.keys)
    identity = files.load() if files.enrolled() else None
    agency = None if identity is None else identity.membership.agency
    policies = policies_of(state)
    with state.ledger() as connection:
        standing = fence.standing(state, connection)
        with transaction(connection) as tx:
            log, forked = accepted(tx), bool(forks(tx, unaccepted=True))
    return Status(
        standing=standing,
        agency=agency,
        agency_key=text_of(state.agency_key()),
        hub=None if identity is None else str(identity.membership.hub),
        certificate_until=None if identity is None else expiry_of(identity.certificate),
        agreements=tuple(
            (policy.name, policy.agreement.form.version)
            for policy in policies.policies()
        ),
        trust=_trust_of(state, policies, now),
        log=log,
        forked=forked,
        rules=rules_of(state),
        waiting=len(questions(state, now)),
        balances={
            accounting: spent(state, agency, accounting, settings, now)
            for accounting in (Accounting.ZCDP, Accounting.PURE)
            if agency is not None
        },
        unsafe_test_mode=settings.unsafe_test_mode,
        parts=tuple(parts_of(state.current).values()),
        editions=tuple(held_editions(state)),
    )


def _trust_of(
    state: AgentState, policies: AgencyPolicies, now: datetime.datetime
) -> Trust:
    root = policies.pinned()
    return Trust(
        board=None if root is None else read_board(root),
        view=policies.view(),
        distrust=distrust(state, policies, now),
        trouble=policies.trouble(),
        suspicions=suspicions(state),
    )
