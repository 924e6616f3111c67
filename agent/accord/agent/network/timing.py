# SPDX-License-Identifier: Apache-2.0
"""How often, and after how long, an agent does something by itself."""

from __future__ import annotations

import dataclasses

from accord.agent.network.renewal import Backoff
from accord.rpc.limits import HEARTBEAT_SECONDS, WELCOME_SECONDS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All in seconds."""

    heartbeat: float = HEARTBEAT_SECONDS
    welcome: float = WELCOME_SECONDS
    editions: float = 300.0
    """How often the calendar is looked at."""
    policies: float = 300.0
    """How often newer policies are looked for."""
    expiry: float = 300.0
    """How often what has expired is erased."""
    approvals: float = 2.0
    """How often it is looked at what people have approved or refused."""
    slot: float = 0.1
    """Masked vectors leave at this time, or twice, four times … it; 0 is at once."""
    idle: float = 30.0
    """Silence after which an agent that came for one contact leaves."""
    steady: float = 1.0
    """A stream that lasted so long, or over which something was asked, is no failure:
    the next wait is short again."""
    farewell: float = 5.0
    """For the hub to hang up when the agent leaves."""
    backoff: Backoff = dataclasses.field(default_factory=Backoff)
