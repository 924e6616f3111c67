# SPDX-License-Identifier: Apache-2.0
"""Certificates that a restored hub gave out in the time that its copy does not know.

It has its own signature on them, and no row: whoever renewed since the copy was made
would be a stranger, and the hub could ask nobody what it has forgotten. So what was
issued between the copy and the restore counts again, for an agency that the board still
lists. What the operator revoked in that time has to be revoked once more.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import sqlalchemy as sa

from accord.core.members import MembersForm
from accord.hub.audit import Event, note
from accord.hub.contact.standing import standing
from accord.hub.db.engine import microseconds
from accord.hub.db.tables import CERTIFICATES
from accord.rpc.peer import PeerAgency

_SKEW: Final = dt.timedelta(minutes=10)
"""A certificate begins a little before it is issued."""


def take_back(
    tx: sa.Connection, peer: PeerAgency, members: MembersForm, at: dt.datetime
) -> bool:
    """Let a certificate count again if it was lost with the hub's records.

    Args:
        tx: the caller's transaction.
        peer: whose certificate TLS has verified.
        members: as the board lists them now.
        at: now.

    Returns:
        Whether it was lost and counts from here on.
    """
    found = standing(tx)
    member = members.members.get(peer.label)
    if (
        found.restored_at is None
        or found.copied_at is None
        or peer.begins_at is None
        or not found.copied_at - _SKEW <= peer.begins_at <= found.restored_at
        or member is None
        or member.key is None
    ):
        return False
    known = sa.select(sa.literal(1)).where(CERTIFICATES.c.serial == peer.serial)
    if tx.execute(known).first() is not None:
        return False
    tx.execute(
        CERTIFICATES.insert(),
        {
            "serial": peer.serial,
            "agency": peer.label,
            "agency_key": member.key,
            "issued_at": microseconds(peer.begins_at),
            "expires_at": microseconds(peer.expires_at),
        },
    )
    note(tx, Event.CERTIFICATE_TAKEN_BACK, at, agency=peer.label, serial=peer.serial)
    return True
