# SPDX-License-Identifier: Apache-2.0
"""Charges that agencies prove and this hub has forgotten, kept as evidence.

What the ledger has already is left out, so that what is kept is what is missing. A
record that proves nothing is dropped and noted; it is no part of the report.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from accord.core.errors import IntegrityError
from accord.hub.db.engine import LedgerTransaction, microseconds, moment
from accord.hub.db.tables import RELEASES
from accord.hub.db.tables_contact import CHARGE_RECORDS
from accord.hub.rounds import rows
from accord.hub.rounds.stages import Stage
from accord.ledger import State, entry
from accord.rpc.contact import Charge, ChargeRecord, verify_charge

_AFTER_ALL: Final = "charged after all"
"""As `accord.ledger.rebuild` names the charge of an entry that was given back."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One record whose signatures are right."""

    agency: str
    record: ChargeRecord
    charge: Charge


def opened_entry(query_id: str, asked: str, cohort: str) -> str:
    """Return the ledger's id of a question that was opened in a cohort.

    The cohort that was asked pays under the question's own id, a fallback under one
    that follows from it: who knows question and cohort finds the charge again.

    Args:
        query_id: id of the submission.
        asked: the largest cohort, which holds the first reservation.
        cohort: the one that is opened.
    """
    if cohort == asked:
        return query_id
    return str(uuid.uuid5(uuid.UUID(query_id), f"fallback {cohort}"))


def charged_after_all(entry_id: str) -> str:
    """Return the id of the charge of an entry that was given back here."""
    return str(uuid.uuid5(uuid.UUID(entry_id), _AFTER_ALL))


def verified(
    agency: str, key: bytes, hub_keys: Sequence[bytes], given: Iterable[ChargeRecord]
) -> tuple[list[Proven], int]:
    """Return the records that prove something, and how many do not."""
    proven: list[Proven] = []
    refused = 0
    for record in given:
        try:
            charge = verify_charge(
                record, agency=agency, agency_key=key, hub_keys=hub_keys
            )
        except IntegrityError:
            refused += 1
        else:
            proven.append(Proven(agency=agency, record=record, charge=charge))
    return proven, refused


def is_known(tx: sa.Connection, charge: Charge, cohort: str) -> bool:
    """Tell whether the ledger has a charge, or holds it for an opening that goes on."""
    ledger = LedgerTransaction(tx)
    own = opened_entry(charge.query_id, charge.cohort, cohort)
    places = [own, charged_after_all(own)]
    released = sa.select(RELEASES.c.ledger_entry, RELEASES.c.cohort).where(
        RELEASES.c.submission == charge.query_id
    )
    places += [row.ledger_entry for row in tx.execute(released) if row.cohort == cohort]
    for place in places:
        found = entry(ledger, place)
        if found is not None and found.state is State.CHARGED:
            return True
    standing = rows.standing(tx, charge.query_id)
    return (
        standing is not None
        and standing.stage is Stage.REVEAL
        and standing.cohort == cohort
    )


def keep(
    tx: sa.Connection, key: bytes, proven: Iterable[Proven], at: dt.datetime
) -> int:
    """Keep what the ledger lacks; return how much of it was new."""
    kept = 0
    for each in proven:
        if is_known(tx, each.charge, each.record.cohort):
            continue
        place = (CHARGE_RECORDS.c.agency, CHARGE_RECORDS.c.query_id)
        own = (each.agency, each.charge.query_id)
        if tx.execute(
            sa.select(sa.literal(1)).where(place[0] == own[0], place[1] == own[1])
        ).first():
            continue
        tx.execute(
            CHARGE_RECORDS.insert(),
            {
                "agency": each.agency,
                "query_id": each.charge.query_id,
                "payload": each.record.payload,
                "signature": each.record.signature,
                "cohort": each.record.cohort,
                "transcript": each.record.transcript,
                "charged_at": microseconds(each.record.charged_at),
                "countersignature": each.record.countersignature,
                "agency_key": key.hex(),
                "received_at": microseconds(at),
            },
        )
        kept += 1
    return kept


def kept(tx: sa.Connection, hub_keys: Sequence[bytes]) -> list[Proven]:
    """Return all that agencies ever proved, verified anew, oldest charge first.

    Raises:
        IntegrityError: CHARGE_UNPROVEN, somebody edited the database.
    """
    found = []
    chosen = sa.select(CHARGE_RECORDS).order_by(
        CHARGE_RECORDS.c.charged_at, CHARGE_RECORDS.c.query_id, CHARGE_RECORDS.c.agency
    )
    for row in tx.execute(chosen):
        record = ChargeRecord(
            payload=row.payload,
            signature=row.signature,
            cohort=row.cohort,
            transcript=row.transcript,
            charged_at=moment(row.charged_at),
            countersignature=row.countersignature,
        )
        charge = verify_charge(
            record,
            agency=row.agency,
            agency_key=bytes.fromhex(row.agency_key),
            hub_keys=hub_keys,
        )
        found.append(Proven(agency=row.agency, record=record, charge=charge))
    return found
