# SPDX-License-Identifier: Apache-2.0
"""What other parts of the program may know of the connection to the hub."""

from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(slots=True)
class Link:
    """Written by the connection alone; read from any thread."""

    connected: bool = False
    last_contact: datetime.datetime | None = None
    """When the hub was last heard to welcome this agent, or a stream to it ended."""

    def opened(self, now: datetime.datetime) -> None:
        """Note that the hub has welcomed this agent."""
        self.last_contact = now
        self.connected = True

    def ended(self, now: datetime.datetime) -> None:
        """Note that there is no stream any more, if there was one."""
        if self.connected:
            self.last_contact = now
            self.connected = False
