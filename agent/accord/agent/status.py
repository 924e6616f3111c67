# SPDX-License-Identifier: Apache-2.0
"""What this agent is and holds, at one glance."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from accord.agent.intake.build import Part, parts_of
from accord.agent.network.identity import IdentityFiles
from accord.agent.policies import PolicyCache
from accord.agent.screens import editions_json, parts_json
from accord.agent.settings import Settings
from accord.agent.spending import spent, unit_of
from accord.agent.state import AgentState
from accord.agent.store.editions import Edition, held_editions
from accord.core.privacy import Accounting
from accord.ledger import Balance
from accord.ledger.account import shown
from accord.rpc.pki import expiry_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A moment's view."""

    agency: str | None
    hub: str | None
    certificate_until: datetime.datetime | None
    agreements: tuple[tuple[str, int], ...]
    """Name and version."""
    balances: dict[Accounting, Balance]
    unsafe_test_mode: bool
    parts: tuple[Part, ...]
    editions: tuple[Edition, ...]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what fits on a line, with its name."""
        if self.agency is None or self.certificate_until is None:
            yield "agency", "not enrolled yet: `accord-agent enrol`"
            return
        yield "agency", f"{self.agency} at {self.hub}"
        yield "certificate", f"until {self.certificate_until:%Y-%m-%d %H:%M} UTC"
        named = [f"{name} version {version}" for name, version in self.agreements]
        yield (
            "agreements",
            ", ".join(named) or "none yet: `accord-agent run` fetches them",
        )
        for accounting, balance in self.balances.items():
            unit = unit_of(accounting)
            cap = balance.lifetime_cap or 0
            yield "lifetime", f"{shown(balance.used, unit)} spent of {shown(cap, unit)}"

    def as_json(self) -> dict[str, Any]:
        """Return the status for machines."""
        until = self.certificate_until
        return {
            "agency": self.agency,
            "hub": self.hub,
            "certificate_until": None if until is None else until.isoformat(),
            "agreements": [
                {"agreement": name, "version": version}
                for name, version in self.agreements
            ],
            "lifetime": {
                unit_of(accounting).value: {
                    "spent": balance.used,
                    "cap": balance.lifetime_cap,
                }
                for accounting, balance in self.balances.items()
            },
            "unsafe_test_mode": self.unsafe_test_mode,
            "parts": parts_json(self.parts),
            "editions": editions_json(self.editions),
        }


def status_of(state: AgentState, settings: Settings, now: datetime.datetime) -> Status:
    """Return the status of the agent in *state*."""
    files = IdentityFiles(state.keys)
    identity = files.load() if files.enrolled() else None
    agency = None if identity is None else identity.membership.agency
    agreements = PolicyCache(state, agency or "").agreements()
    return Status(
        agency=agency,
        hub=None if identity is None else str(identity.membership.hub),
        certificate_until=None if identity is None else expiry_of(identity.certificate),
        agreements=tuple((found.name, found.form.version) for found, _ in agreements),
        balances={
            accounting: spent(state, agency, accounting, settings, now)
            for accounting in (Accounting.ZCDP, Accounting.PURE)
            if agency is not None
        },
        unsafe_test_mode=settings.unsafe_test_mode,
        parts=tuple(parts_of(state.current).values()),
        editions=tuple(held_editions(state)),
    )
