# SPDX-License-Identifier: Apache-2.0
"""Where a database is, and what differs between one and another."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import sqlalchemy as sa

BUSY_SECONDS = 10.0
"""How long a writer waits for another process."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """Tells one transaction from every other."""

    writer: str
    """Of one store in one process."""
    number: int
    """Counts that writer's transactions."""


class Place(Protocol):
    """One database, named without any secret."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""

    @property
    def name(self) -> str:
        """What people call it in a sentence; never with a password."""

    def has_secret(self) -> bool:
        """Tell whether what names it holds a password."""

    def engine(self, busy_seconds: float) -> sa.Engine:
        """Prepare connections; nothing is touched before the first one."""

    def reader(self, engine: sa.Engine) -> sa.Engine:
        """Return the engine whose transactions look at one moment and write nothing."""

    def begin_writing(self, connection: sa.Connection, mark: Mark | None) -> None:
        """Become the only writer, in the transaction that has just begun.

        Args:
            connection: of the transaction.
            mark: what tells it from every other; none where there are no tables yet.
        """

    def was_committed(self, engine: sa.Engine, mark: Mark) -> bool | None:
        """Find out what became of a transaction whose commit got no answer.

        Args:
            engine: connects anew.
            mark: of the transaction, after which its writer began no other.

        Returns:
            Nothing where it cannot be known.
        """

    def dangers(self, connection: sa.Connection) -> list[str]:
        """Return what an operator should change about it, a sentence each."""

    def prepare(self) -> None:
        """Make room for a new database, where that is ours to do.

        Raises:
            OSError: it cannot be made.
        """

    def is_there(self) -> bool:
        """Tell whether it makes sense to connect at all."""

    def cause(self, error: BaseException | None) -> str | None:
        """Say in words why the database cannot be used; nothing if it is our mistake.

        Args:
            error: of its driver.
        """
