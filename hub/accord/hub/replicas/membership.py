# SPDX-License-Identifier: Apache-2.0
"""Which replicas are alive, and who takes over the rounds of those that are not.

Alive is whoever holds the advisory lock of its number: PostgreSQL gives it back when
the session ends, however that comes about, and nobody compares clocks. Every function
works in the caller's transaction.

Invariants, which rest on the writer lock that every such transaction holds:

- a round changes its owner in `claim` only, and only once its owner's row is gone;
- a replica whose row is gone writes nothing more about rounds (`require_here`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from accord.core.errors import Unreachable
from accord.hub.db.tables import ROUNDS
from accord.hub.db.tables_replicas import AGENT_STREAMS, RELAYED, REPLICAS
from accord.hub.replicas.notices import CHANNEL, Notice

LOCKS: Final = 0x4143_4352
"""First half of the advisory locks of replicas; the other half is the number."""

_DEAD: Final = sa.text(
    """
SELECT r.number FROM replicas r WHERE NOT EXISTS (
    SELECT 1 FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = CAST(:locks AS bigint)::oid AND l.objid = r.number::oid
) ORDER BY r.number
"""
)

_NOTIFY: Final = sa.text("SELECT pg_notify(:channel, :text)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What one look for rounds of nobody did."""

    gone: list[int]
    """Replicas that were found dead, and are forgotten."""
    rounds: list[str]
    """Submissions that belong to the caller now."""


def require_here(tx: sa.Connection, own: int) -> None:
    """Refuse to write in the name of a replica that others took for dead.

    Raises:
        Unreachable: REPLICA_REPLACED.
    """
    chosen = sa.select(REPLICAS.c.number).where(REPLICAS.c.number == own)
    if tx.execute(chosen).one_or_none() is None:
        raise Unreachable(
            "REPLICA_REPLACED",
            "This process of the hub was silent for so long that others took over its"
            " work: it begins anew. Nothing is lost; try again with the same id.",
        )


def dead(tx: sa.Connection) -> list[int]:
    """Return the replicas whose session has ended."""
    return list(tx.execute(_DEAD, {"locks": LOCKS}).scalars())


def alive(tx: sa.Connection) -> int:
    """Return how many replicas serve the database now; 0 where it is SQLite."""
    if tx.dialect.name == "sqlite":
        return 0
    known = tx.execute(sa.select(sa.func.count()).select_from(REPLICAS)).scalar_one()
    return int(known) - len(dead(tx))


def is_any_waiting(tx: sa.Connection) -> bool:
    """Tell whether there is anything for `claim` to do."""
    chosen = sa.select(ROUNDS.c.submission).where(_of_nobody()).limit(1)
    return tx.execute(chosen).one_or_none() is not None or bool(dead(tx))


def claim(tx: sa.Connection, own: int, most: int) -> Claimed:
    """Forget dead replicas, and take over some of the rounds that are nobody's.

    Raises:
        Unreachable: REPLICA_REPLACED, it is the caller that others took for dead.
    """
    require_here(tx, own)
    gone = dead(tx)
    _forget(tx, gone)
    require_here(tx, own)
    chosen = (
        sa.select(ROUNDS.c.submission)
        .where(_of_nobody())
        .order_by(ROUNDS.c.submission)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = list(tx.execute(chosen).scalars())
    if taken:
        tx.execute(
            ROUNDS.update().where(ROUNDS.c.submission.in_(taken)).values(owner=own)
        )
    return Claimed(gone=gone, rounds=taken)


def leave(tx: sa.Connection, own: int) -> None:
    """Give everything up, for others to claim."""
    _forget(tx, [own])


def owners(tx: sa.Connection, submissions: Iterable[str]) -> dict[str, int | None]:
    """Return who owns the rounds of submissions; those without a round have ended."""
    chosen = sa.select(ROUNDS.c.submission, ROUNDS.c.owner).where(
        ROUNDS.c.submission.in_(list(submissions))
    )
    return {row.submission: row.owner for row in tx.execute(chosen)}


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """Where an agency's stream is."""

    replica: int
    opened_at: int
    """By the database's clock."""


def streams(tx: sa.Connection, agencies: Iterable[str] | None) -> dict[str, Stream]:
    """Return where agencies have their streams; all that are anywhere for None."""
    chosen = sa.select(AGENT_STREAMS)
    if agencies is not None:
        chosen = chosen.where(AGENT_STREAMS.c.agency.in_(list(agencies)))
    return {
        row.agency: Stream(row.replica, row.opened_at) for row in tx.execute(chosen)
    }


def tell(tx: sa.Connection, notices: Iterable[Notice]) -> None:
    """Let all replicas hear something once this transaction is committed."""
    for each in notices:
        tx.execute(_NOTIFY, {"channel": CHANNEL, "text": each.text()})


def _of_nobody() -> sa.ColumnElement[bool]:
    alive = sa.select(REPLICAS.c.number)
    return sa.or_(ROUNDS.c.owner.is_(None), ROUNDS.c.owner.not_in(alive))


def _forget(tx: sa.Connection, gone: list[int]) -> None:
    if not gone:
        return
    tx.execute(REPLICAS.delete().where(REPLICAS.c.number.in_(gone)))
    tx.execute(AGENT_STREAMS.delete().where(AGENT_STREAMS.c.replica.in_(gone)))
    tx.execute(RELAYED.delete().where(RELAYED.c.receiver.in_(gone)))
