# SPDX-License-Identifier: Apache-2.0
"""Signed heads of the log, and agencies' words that they have seen them.

A head is signed at most once for every size, with the key that ``members.yaml`` lists
for this hub. Signing says nothing new: whoever holds the key and the database could
sign another one, and is found out by any agency that kept the first.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.hub.db.engine import LedgerTransaction, microseconds, moment
from accord.hub.db.tables_log import LOG_COSIGNATURES, LOG_HEADS
from accord.hub.log import tree
from accord.ledger import height
from accord.merkle.heads import SignedHead, TreeHead, Witnessed

_RECENT = 100
"""Heads among which the one is chosen that most agencies have seen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An agency's word, with the key that it was checked against when it came."""

    witnessed: Witnessed
    agency_key: str
    at: dt.datetime


def sign(
    tx: sa.Connection, key: Ed25519PrivateKey, at: dt.datetime, epoch: int
) -> SignedHead:
    """Return the head of the log as it is; signs and keeps it if it has grown.

    Args:
        tx: a transaction that writes.
        key: the hub's, that signs requisitions.
        at: now.
        epoch: how often the ledger was rebuilt.
    """
    entries = tree.size(tx)
    known = head_of(tx, entries)
    if known is not None:
        return known
    head = TreeHead(
        size=entries,
        root=tree.root(tx, entries),
        at=at.replace(microsecond=0),
        ledger_height=height(LedgerTransaction(tx)),
        epoch=epoch,
    )
    signed = SignedHead.sign(head, key)
    tx.execute(
        LOG_HEADS.insert(),
        {
            "size": head.size,
            "root": head.root,
            "at": microseconds(head.at),
            "ledger_height": head.ledger_height,
            "epoch": head.epoch,
            "signature": signed.signature,
        },
    )
    return signed


def newest(tx: sa.Connection) -> SignedHead | None:
    """Return the head that was signed last."""
    chosen = sa.select(LOG_HEADS).order_by(LOG_HEADS.c.size.desc()).limit(1)
    row = tx.execute(chosen).one_or_none()
    return None if row is None else head_from_row(row)


def head_of(tx: sa.Connection, entries: int) -> SignedHead | None:
    """Return the head that was signed when the log had so many entries."""
    chosen = sa.select(LOG_HEADS).where(LOG_HEADS.c.size == entries)
    row = tx.execute(chosen).one_or_none()
    return None if row is None else head_from_row(row)


def best_seen(tx: sa.Connection, number: int) -> SignedHead | None:
    """Return a head with the entry of that number: the one that most agencies saw.

    Among those that equally many saw it is the newest.
    """
    recent = (
        sa.select(LOG_HEADS.c.size)
        .where(LOG_HEADS.c.size >= number)
        .order_by(LOG_HEADS.c.size.desc())
        .limit(_RECENT)
        .subquery()
    )
    chosen = (
        sa.select(recent.c.size)
        .outerjoin(LOG_COSIGNATURES, LOG_COSIGNATURES.c.size == recent.c.size)
        .group_by(recent.c.size)
        .order_by(sa.func.count(LOG_COSIGNATURES.c.agency).desc(), recent.c.size.desc())
        .limit(1)
    )
    size = tx.execute(chosen).scalar_one_or_none()
    return None if size is None else head_of(tx, size)


def keep_seen(tx: sa.Connection, seen: Seen) -> None:
    """Keep an agency's word, which was checked, of a head that is kept; once."""
    size, agency = seen.witnessed.head.size, seen.witnessed.agency
    known = sa.select(LOG_COSIGNATURES.c.size).where(
        LOG_COSIGNATURES.c.size == size, LOG_COSIGNATURES.c.agency == agency
    )
    if tx.execute(known).one_or_none() is not None:
        return
    tx.execute(
        LOG_COSIGNATURES.insert(),
        {
            "size": size,
            "agency": agency,
            "agency_key": seen.agency_key,
            "signature": seen.witnessed.signature,
            "at": microseconds(seen.at),
        },
    )


def seen_by(tx: sa.Connection, head: TreeHead) -> list[Seen]:
    """Return the agencies' words of a head, by label."""
    chosen = (
        sa.select(LOG_COSIGNATURES)
        .where(LOG_COSIGNATURES.c.size == head.size)
        .order_by(LOG_COSIGNATURES.c.agency)
    )
    return [seen_from_row(head, row) for row in tx.execute(chosen)]


def head_from_row(row: sa.Row[Any]) -> SignedHead:
    """Return a row of ``log_heads``.

    Raises:
        ValueError: it is no head.
    """
    head = TreeHead(
        size=row.size,
        root=bytes(row.root),
        at=moment(row.at),
        ledger_height=row.ledger_height,
        epoch=row.epoch,
    )
    return SignedHead(head=head, signature=bytes(row.signature))


def seen_from_row(head: TreeHead, row: sa.Row[Any]) -> Seen:
    """Return a row of ``log_cosignatures`` of a head."""
    witnessed = Witnessed(head=head, agency=row.agency, signature=bytes(row.signature))
    return Seen(witnessed=witnessed, agency_key=row.agency_key, at=moment(row.at))
