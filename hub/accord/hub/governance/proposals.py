# SPDX-License-Identifier: Apache-2.0
"""Changes that boards bring: who signed them so far, and which are in force.

Every function works in the caller's transaction. What was published is kept as it was
signed; the audit log has every publication in the same transaction, and every offer.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from accord.core.errors import NotFound, PreconditionFailed
from accord.hub.audit import Event, note
from accord.hub.db.engine import microseconds, moment
from accord.hub.db.tables import PROPOSALS
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file

MOST_WAITING: Final = 64
"""Proposals that may wait for signatures at once."""

MOST_BYTES: Final = 3_000_000
"""Of one proposal with all its signatures."""

KEPT: Final = dt.timedelta(days=180)
"""Time after which a proposal that nobody completed makes room for others."""

MOST_LISTED: Final = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A proposal as the hub has it."""

    id: str
    content: bytes = dataclasses.field(repr=False)
    comment: str
    paths: list[str]
    signed: list[str]
    missing: list[str]
    complete: bool
    offered_at: dt.datetime
    version: int | None
    """Of the policies that it put in force; nothing while it waits."""


def find(tx: sa.Connection, proposal: str) -> Known:
    """Return the proposal with an id.

    Raises:
        NotFound: PROPOSAL_UNKNOWN.
    """
    found = look_up(tx, proposal)
    if found is None:
        raise NotFound(
            "PROPOSAL_UNKNOWN",
            "The hub has no proposal with this id; those that were overtaken by"
            " another change are gone.",
            proposal=proposal,
        )
    return found


def listed(tx: sa.Connection) -> list[Known]:
    """Return what waits, then what was published, newest first."""
    rows = tx.execute(
        sa.select(PROPOSALS)
        .order_by(
            PROPOSALS.c.published_at.is_not(None),
            PROPOSALS.c.version.desc(),
            PROPOSALS.c.offered_at.desc(),
            PROPOSALS.c.id,
        )
        .limit(MOST_LISTED)
    ).all()
    return [_known(row) for row in rows]


def with_signatures(tx: sa.Connection, proposal: Proposal) -> Proposal:
    """Return a proposal with the signatures that the hub has of it as well."""
    known = look_up(tx, proposal.id)
    if known is None:
        return proposal
    return from_file(known.content, "the proposal").merge(proposal)


def offer(
    tx: sa.Connection, proposal: Proposal, *, by: str | None, now: dt.datetime
) -> Known:
    """Keep a proposal, or the signatures that it brings to one that is known.

    Args:
        tx: the caller's transaction.
        proposal: verified, and onto what is in force.
        by: who brings it; nobody where the operator does at the hub itself.
        now: the time.

    Raises:
        PreconditionFailed: TOO_MANY_PROPOSALS, PROPOSAL_TOO_LARGE.
    """
    known = look_up(tx, proposal.id)
    if known is not None and known.version is not None:
        return known
    if known is None:
        _make_room(tx, now)
        merged = proposal
    else:
        merged = with_signatures(tx, proposal)
    content = to_file(merged)
    if len(content) > MOST_BYTES:
        raise PreconditionFailed(
            "PROPOSAL_TOO_LARGE",
            f"The proposal has more than {MOST_BYTES} bytes: split the change.",
        )
    standing = merged.standing()
    values = {
        "content": content,
        "signed": list(standing.signed),
        "missing": list(standing.missing),
        "complete": standing.complete,
    }
    if known is None:
        tx.execute(
            PROPOSALS.insert(),
            {
                "id": merged.id,
                "comment": merged.comment,
                "paths": list(merged.changed()),
                "offered_at": microseconds(now),
                **values,
            },
        )
    elif content != known.content:
        this = PROPOSALS.update().where(PROPOSALS.c.id == merged.id)
        tx.execute(this.values(**values))
    if known is None or content != known.content:
        note(
            tx,
            Event.PROPOSAL_OFFERED,
            now,
            **_by(by),
            proposal=merged.id,
            paths=list(merged.changed()),
            signed=list(standing.signed),
        )
    return find(tx, merged.id)


def publish(
    tx: sa.Connection,
    proposal: Proposal,
    *,
    version: int,
    by: str | None,
    now: dt.datetime,
) -> Known:
    """Note that a complete proposal is in force; those beside it are overtaken.

    Args:
        tx: the caller's transaction.
        proposal: verified, complete, and onto what is in force.
        version: of the policies that it makes.
        by: who has it published.
        now: the time.
    """
    offer(tx, proposal, by=by, now=now)
    tx.execute(
        PROPOSALS.update()
        .where(PROPOSALS.c.id == proposal.id)
        .values(version=version, published_at=microseconds(now))
    )
    tx.execute(PROPOSALS.delete().where(PROPOSALS.c.version.is_(None)))
    known = find(tx, proposal.id)
    note(
        tx,
        Event.POLICIES_PUBLISHED,
        now,
        **_by(by),
        proposal=known.id,
        policies_version=version,
        paths=known.paths,
        signed=known.signed,
    )
    return known


def newest_version(tx: sa.Connection) -> int:
    """Return the version of the policies that were published last; 0 for none."""
    newest = tx.execute(sa.select(sa.func.max(PROPOSALS.c.version))).scalar_one()
    return int(newest or 0)


def published_after(tx: sa.Connection, version: int) -> Sequence[bytes]:
    """Return the proposals that made newer policies than *version*, oldest first."""
    chosen = (
        sa.select(PROPOSALS.c.content)
        .where(PROPOSALS.c.version > version)
        .order_by(PROPOSALS.c.version)
    )
    return [row.content for row in tx.execute(chosen)]


def _by(caller: str | None) -> dict[str, str]:
    return {} if caller is None else {"analyst": caller}


def _make_room(tx: sa.Connection, now: dt.datetime) -> None:
    waiting = PROPOSALS.c.version.is_(None)
    old = PROPOSALS.c.offered_at < microseconds(now - KEPT)
    tx.execute(PROPOSALS.delete().where(waiting, old))
    counted = sa.select(sa.func.count()).where(waiting)
    if tx.execute(counted).scalar_one() >= MOST_WAITING:
        raise PreconditionFailed(
            "TOO_MANY_PROPOSALS",
            f"{MOST_WAITING} proposals wait for signatures already: complete one of"
            " them first; a publication clears the others away.",
            limit=str(MOST_WAITING),
        )


def look_up(tx: sa.Connection, proposal: str) -> Known | None:
    """Return the proposal with an id, if there is one."""
    chosen = sa.select(PROPOSALS).where(PROPOSALS.c.id == proposal)
    row = tx.execute(chosen).one_or_none()
    return None if row is None else _known(row)


def _known(row: sa.Row[tuple[object, ...]]) -> Known:
    return Known(
        id=row.id,
        content=row.content,
        comment=row.comment,
        paths=row.paths,
        signed=row.signed,
        missing=row.missing,
        complete=row.complete,
        offered_at=moment(row.offered_at),
        version=row.version,
    )
