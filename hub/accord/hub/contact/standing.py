# SPDX-License-Identifier: Apache-2.0
"""Whether the hub's ledger can be trusted, as the database says.

Whoever admits, opens or publishes asks here in the transaction in which it does so,
whichever process it is: writers queue, so nothing is let through once a doubt is
committed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid

import sqlalchemy as sa

from accord.core.errors import PreconditionFailed
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables_contact import HUB_STANDING


class LedgerDoubted(Exception):
    """The ledger may have forgotten something: what is under way waits."""


class Cause(enum.StrEnum):
    """What began a doubt."""

    RESTORED = "restored"
    """The hub was restored from a copy."""
    AGENCY = "agency"
    """An agency has seen more than this hub has."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The hub's ledger may lack charges."""

    id: str
    """What agencies report for; another doubt has another one."""
    since: dt.datetime
    cause: Cause
    agency: str | None
    """Who knew more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStanding:
    """Where the hub's ledger stands."""

    epoch: int = 0
    """How often it was rebuilt."""
    doubt: Doubt | None = None
    restored_at: dt.datetime | None = None
    """When the hub was restored last."""
    copied_at: dt.datetime | None = None
    """When the copy was made that it was restored from."""
    reconciled_at: dt.datetime | None = None


def standing(tx: sa.Connection) -> LedgerStanding:
    """Return where the ledger stands."""
    row = tx.execute(sa.select(HUB_STANDING)).one_or_none()
    if row is None:
        return LedgerStanding()
    return LedgerStanding(
        epoch=row.epoch,
        doubt=None
        if row.doubt is None
        else Doubt(
            id=row.doubt,
            since=moment(row.behind_since),
            cause=Cause(row.cause),
            agency=row.agency,
        ),
        restored_at=_moment(row.restored_at),
        copied_at=_moment(row.copied_at),
        reconciled_at=_moment(row.reconciled_at),
    )


def require_trusted(tx: sa.Connection) -> None:
    """Refuse to spend or to publish on a ledger that may have forgotten something.

    Raises:
        PreconditionFailed: LEDGER_BEHIND.
    """
    if standing(tx).doubt is not None:
        raise PreconditionFailed(
            "LEDGER_BEHIND",
            "This hub runs on an older copy of its ledger and may have forgotten"
            " charges, so it takes no question and releases nothing: its operator"
            " completes the ledger with `accord-hub ledger reconcile`.",
        )


def stop_if_doubted(tx: sa.Connection) -> None:
    """Let a question that is under way stand where it is, while the doubt lasts.

    Raises:
        LedgerDoubted: nothing was changed; it is taken up anew afterwards.
    """
    if standing(tx).doubt is not None:
        raise LedgerDoubted


def begin_doubt(
    tx: sa.Connection, cause: Cause, at: dt.datetime, *, agency: str | None = None
) -> Doubt:
    """Begin a doubt; whatever was reported for an earlier one does not count."""
    doubt = Doubt(id=str(uuid.uuid4()), since=at, cause=cause, agency=agency)
    _put(
        tx,
        {
            "doubt": doubt.id,
            "behind_since": microseconds(at),
            "cause": cause.value,
            "agency": agency,
        },
    )
    return doubt


def note_restored(
    tx: sa.Connection, *, copied_at: dt.datetime, at: dt.datetime
) -> None:
    """Begin as a hub that was restored from a copy."""
    begin_doubt(tx, Cause.RESTORED, at)
    _put(tx, {"restored_at": microseconds(at), "copied_at": microseconds(copied_at)})


def end_doubt(tx: sa.Connection, *, epoch: int, at: dt.datetime) -> None:
    """Trust the ledger again, as that of a new epoch."""
    _put(
        tx,
        {
            "epoch": epoch,
            "doubt": None,
            "behind_since": None,
            "cause": None,
            "agency": None,
            "reconciled_at": microseconds(at),
        },
    )


def _put(tx: sa.Connection, values: dict[str, object]) -> None:
    if tx.execute(HUB_STANDING.update().values(**values)).rowcount == 0:
        tx.execute(HUB_STANDING.insert(), {"one": 1, "epoch": 0, **values})


def _moment(count: int | None) -> dt.datetime | None:
    return None if count is None else moment(count)
