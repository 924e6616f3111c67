# SPDX-License-Identifier: Apache-2.0
"""That a release stands in the log, for readers who have roots and keys only."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.core.errors import NotFound
from accord.hub.db.tables import AUDIT, RELEASES
from accord.hub.db.tables_log import LOG_RELEASES
from accord.hub.log import heads, tree
from accord.merkle.heads import SignedHead
from accord.rpc.contact import cosignature_to_message, head_to_message
from accord.v1 import analyst_pb2, log_pb2

MOST_WITNESSES: Final = 200
"""Whose cosignatures go out with a proof."""


def prove_release(
    tx: sa.Connection, release: str
) -> analyst_pb2.ProveReleaseResponse | None:
    """Return the proof of a release under the head that most agencies have seen.

    Nothing where no head has been signed since.

    Args:
        tx: one moment of the database.
        release: its id; whoever asks may read it.

    Raises:
        NotFound: RELEASE_ERASED, retention has left only its hash.
        IntegrityError: LOG_BROKEN.
    """
    chosen = (
        sa.select(LOG_RELEASES.c.number, RELEASES.c.message)
        .join(RELEASES, RELEASES.c.id == LOG_RELEASES.c.release)
        .where(LOG_RELEASES.c.release == release)
    )
    row = tx.execute(chosen).one_or_none()
    if row is None or row.message is None:
        raise _erased(release)
    head = heads.best_seen(tx, row.number)
    if head is None:
        return None
    return analyst_pb2.ProveReleaseResponse(
        proof=proof_message(tx, row.number, head), release=bytes(row.message)
    )


def proof_message(
    tx: sa.Connection, number: int, signed: SignedHead
) -> log_pb2.LogProof:
    """Return the proof of one entry under a head, with who has cosigned it.

    Raises:
        NotFound: RELEASE_ERASED, retention has left only the entry's hash.
    """
    entry = tx.execute(sa.select(AUDIT).where(AUDIT.c.number == number)).one()
    if entry.facts is None:
        raise _erased(str(number))
    return log_pb2.LogProof(
        entry=tree.entry_bytes(entry.number, entry.at, entry.event, entry.facts),
        index=number - 1,
        path=tree.inclusion(tx, number, signed.head.size),
        head=head_to_message(signed),
        witnesses=[
            log_pb2.WitnessCosignature(
                agency=each.witnessed.agency,
                cosignature=cosignature_to_message(each.witnessed),
            )
            for each in heads.seen_by(tx, signed.head)[:MOST_WITNESSES]
        ],
    )


def _erased(release: str) -> NotFound:
    return NotFound(
        "RELEASE_ERASED",
        "The agreement's days are over: of this release only its hash is left in the"
        " log, which proves a copy that somebody has kept.",
        release=release,
    )
