# SPDX-License-Identifier: Apache-2.0
"""How far an ingest has come, told to whoever looks on."""

from __future__ import annotations

import enum
from typing import Protocol


class Phase(enum.StrEnum):
    """What an ingest does, one after the other."""

    READ = "read"
    HASH = "hash"
    ORDER = "order"
    CODE = "code"
    WRITE = "write"


class Progress(Protocol):
    """Looks on; says nothing of what the rows hold."""

    def begin(self, phase: Phase, total: int | None = None) -> None:
        """Go on to a phase; *total* rows are to come, where that is known."""

    def advance(self, rows: int) -> None:
        """So many rows of the phase are done."""


class _Quiet:
    """Nobody looks on."""

    def begin(self, phase: Phase, total: int | None = None) -> None:
        """Nothing to show."""

    def advance(self, rows: int) -> None:
        """Nothing to show."""


QUIET: Progress = _Quiet()
