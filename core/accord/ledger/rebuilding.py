# SPDX-License-Identifier: Apache-2.0
"""Charges that happened, and that the ledger has forgotten.

A database that was restored from an old copy lacks what was charged since, and others
hold the proof of it. What they prove was spent whatever the caps say, so no limit
refuses it; the accounts may stand above their caps afterwards and pay for nothing new.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from accord.ledger.account import Entry, Line, Posting, State
from accord.ledger.head import lock_head
from accord.ledger.history import entry
from accord.ledger.reserving import reserve
from accord.ledger.settling import charge
from accord.ledger.transaction import Transaction


def rebuild(
    tx: Transaction, entry_id: str, postings: Sequence[Posting], at: dt.datetime
) -> Entry:
    """Write down a charge that happened; a second call changes nothing.

    In sliding windows it counts from now on: the ledger's time only goes forward, and
    later is never to the disadvantage of the people in the data.

    An entry that is reserved still becomes charged. One that was given back stays so,
    since that is what happened here: its charge gets an id of its own, made from it.

    Args:
        tx: the caller's open transaction.
        entry_id: UUID of the release that was charged.
        postings: what it took; each account and unit at most once.
        at: the caller's clock.

    Returns:
        The entry, ``charged``.

    Raises:
        BudgetExhausted: an account would hold more than `LARGEST_TOTAL`.
        Conflict: the id stands for other amounts.
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range.
    """
    lines = [
        Line(account=each.account, unit=each.unit, amount=each.amount)
        for each in postings
    ]
    lock_head(tx)
    known = entry(tx, entry_id)
    if (
        known is not None
        and known.state is State.RETURNED
        and set(known.postings) == {each.posting for each in lines}
    ):
        entry_id = str(uuid.uuid5(uuid.UUID(entry_id), "charged after all"))
    reserve(tx, entry_id, lines, at)
    return charge(tx, entry_id, at)
