# SPDX-License-Identifier: Apache-2.0
"""An agent that was restored from an old copy answers nothing until staff says so.

Such a copy has forgotten what this agency revealed and spent since. Asked again, it
would open a second cohort of a query, and the difference of two sums is one agency's.
So the database counts every masked and every revealed (its *sequence*), and the file
``state.sequence`` beside it gets the same number after the commit and before anything
is said. A database that is behind the file is an old copy; one that is ahead only means
that the process ended in between. What the hub says to have heard goes to the same
file, which finds a whole directory that was restored.

`confirm` ends it: what was open is charged and erased, the sequence jumps above all
that is known, and whatever the hub asked before that moment is refused for ever.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accord.agent.machine.locking import locked
from accord.agent.rounds import history, rows
from accord.agent.store.durable import created_file, sync_directory
from accord.core.errors import (
    NotFound,
    PreconditionFailed,
    RequisitionRefused,
)
from accord.ledger import charge
from accord.ledger.sqlite import transaction
from accord.ledger.transaction import Transaction

if TYPE_CHECKING:
    from accord.agent.state import AgentState

MOST: Final = 2**62
"""A hub that says to have heard more is not believed beyond it."""

_RESTORED: Final = (
    "This agent's state is an older copy of what it has answered from. Its staff runs"
    " `accord-agent confirm-restore`."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether the state is the newest there ever was."""

    sequence: int
    """Steps that the database knows."""
    known: int | None
    """Steps that were taken; none where the file that says so is gone."""
    confirmed_at: datetime.datetime | None
    """When staff confirmed a restored copy last."""

    @property
    def restored(self) -> bool:
        """Whether the database has forgotten steps, or may have."""
        return self.known is None or self.sequence < self.known


def begin(path: Path) -> None:
    """Write the file of a new state, before its database is made."""
    if not path.exists():
        _write(path, 0)


def standing(state: AgentState, connection: sqlite3.Connection) -> Standing:
    """Return how database and file compare; changes nothing."""
    with transaction(connection) as tx:
        return _standing(state, tx)


def require_newest(state: AgentState, connection: sqlite3.Connection) -> None:
    """Refuse every step on an old copy; brings the file up to the database.

    Raises:
        RequisitionRefused: STATE_RESTORED
        PreconditionFailed: SEQUENCE_NOT_WRITABLE
    """
    found = standing(state, connection)
    if found.restored:
        raise RequisitionRefused("STATE_RESTORED", _RESTORED)
    if found.known != found.sequence:
        publish(state, connection)


def require_after(
    confirmed_at: datetime.datetime | None, issued_at: datetime.datetime
) -> None:
    """Refuse what was asked before a restored copy was confirmed.

    Raises:
        RequisitionRefused: STATE_RESTORED
    """
    if confirmed_at is not None and issued_at <= confirmed_at:
        raise RequisitionRefused(
            "STATE_RESTORED",
            "It was asked before this agency's state was restored from a copy.",
        )


def publish(state: AgentState, connection: sqlite3.Connection) -> None:
    """Write the database's sequence into the file, if it is higher.

    Raises:
        PreconditionFailed: SEQUENCE_NOT_WRITABLE; nothing may be said then.
    """
    with _alone(state):
        found = standing(state, connection)
        if found.known is not None and found.known < found.sequence:
            _write(state.sequence_file, found.sequence)


def heard_of(state: AgentState, connection: sqlite3.Connection, sequence: int) -> bool:
    """Note what the hub has heard; return whether that makes this an old copy."""
    with _alone(state):
        found = standing(state, connection)
        heard = min(sequence, MOST)
        if found.known is None or heard <= max(found.known, found.sequence):
            return found.restored
        _write(state.sequence_file, heard)
    return True


def confirm(
    state: AgentState, connection: sqlite3.Connection, now: datetime.datetime
) -> int:
    """Go on from a restored copy; return how many open queries were ended by it.

    What is open here may have been revealed in the time that the copy does not know,
    so it counts as spent, and nobody is told that it was erased.
    """
    ended = 0
    with _alone(state):
        with transaction(connection) as tx:
            found = _standing(state, tx)
            for row in rows.open_rows(tx):
                if _charge_if_reserved(tx, row.query_id, now):
                    history.charged(tx, row.query_id, now, presumed=True)
                history.ended(tx, row.query_id, now)
                ended += rows.erase(tx, row.query_id)
                rows.disown(tx, row.query_id)
            above = max(found.sequence, found.known or 0) + 1
            tx.execute(
                "UPDATE agent_head SET sequence = :sequence, confirmed_at = :now",
                # A requisition of this very second may have been answered already.
                {"sequence": above, "now": int(now.timestamp()) + 1},
            )
        rows.checkpoint(connection)
        _write(state.sequence_file, above)
    return ended


def _charge_if_reserved(tx: Transaction, query_id: str, now: datetime.datetime) -> bool:
    with suppress(NotFound):  # what was only ready cost nothing yet
        charge(tx, query_id, now)
        return True
    return False


def _standing(state: AgentState, tx: Transaction) -> Standing:
    row = tx.execute("SELECT sequence, confirmed_at FROM agent_head", {}).fetchall()[0]
    confirmed = row[1]
    return Standing(
        sequence=row[0],
        known=_read(state.sequence_file),
        confirmed_at=None
        if confirmed is None
        else datetime.datetime.fromtimestamp(confirmed, datetime.UTC),
    )


def _read(path: Path) -> int | None:
    """Return the number in the file; none where there is none that makes sense."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    number = int(text) if text.isdecimal() and len(text) <= len(str(MOST)) else -1
    return number if 0 <= number < 2 * MOST - 2**32 else None


def _write(path: Path, sequence: int) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with created_file(partial) as file:
            file.write(f"{sequence}\n".encode())
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise PreconditionFailed(
            "SEQUENCE_NOT_WRITABLE",
            f"{path} cannot be written: {error.strerror}. Nothing is answered until it"
            " can; see to the disk and to who owns the state directory.",
        ) from error


@contextmanager
def _alone(state: AgentState) -> Iterator[None]:
    """Keep other processes from writing the file with an older number."""
    with locked(state.root / ".sequence.lock"):
        yield
