# SPDX-License-Identifier: Apache-2.0
"""The charges of this agency's own ledger that it can prove, under its signature.

Proof is what the hub signed and what this agency remembers of the opening; both are in
`receipt` for ever. What was charged without an opening, since a copy was restored and
nobody knows better, is the agency's own caution and claims nothing of the hub.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from typing import Final

from accord.agent.spending import account_of
from accord.core.privacy import Loss
from accord.ledger import Unit
from accord.rpc.contact import MOST_RECORDS, ChargeRecord
from accord.secagg.keys import SecretKeys

_CHARGED: Final = """
SELECT l.unit, SUM(l.amount) FROM ledger_line l
JOIN ledger_entry e ON e.id = l.entry AND e.state = 'charged'
JOIN receipt r ON r.query_id = l.entry AND r.state = 'opened' AND r.payload IS NOT NULL
WHERE l.account = :account GROUP BY l.unit
"""

_PROVEN: Final = """
SELECT number, payload, signature, cohort, transcript, charged_at FROM receipt
WHERE state = 'opened' AND payload IS NOT NULL AND charged_at >= :since
AND number > :beyond
ORDER BY number LIMIT :most
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the charges that can be proven."""

    records: tuple[ChargeRecord, ...]
    last: int
    """What the next page is beyond."""
    complete: bool
    """Whether there is no next one."""


def charged(connection: sqlite3.Connection, agency: str) -> Loss:
    """Return what this agency can prove that it has charged, ever."""
    rows = connection.execute(_CHARGED, {"account": account_of(agency)}).fetchall()
    sums = {row[0]: int(row[1]) for row in rows}
    return Loss(
        nano_rho=sums.get(Unit.NANO_RHO.value, 0),
        nano_epsilon=sums.get(Unit.NANO_EPSILON.value, 0),
    )


def proven(
    connection: sqlite3.Connection, keys: SecretKeys, *, since: int, beyond: int
) -> Page:
    """Return charges with this agency's signature, in the order of the questions.

    Args:
        connection: to the agent's database.
        keys: sign for this agency.
        since: only what was charged then or later; seconds since 1970.
        beyond: `Page.last` of the page before; 0 for the first.
    """
    rows = connection.execute(
        _PROVEN, {"since": since, "beyond": beyond, "most": MOST_RECORDS}
    ).fetchall()
    return Page(
        records=tuple(_signed(keys, *row[1:]) for row in rows),
        last=rows[-1][0] if rows else beyond,
        complete=len(rows) < MOST_RECORDS,
    )


def _signed(
    keys: SecretKeys,
    payload: bytes,
    signature: bytes,
    cohort: str,
    transcript: bytes,
    charged_at: int,
) -> ChargeRecord:
    record = ChargeRecord(
        payload=payload,
        signature=signature,
        cohort=cohort,
        transcript=transcript,
        charged_at=datetime.datetime.fromtimestamp(charged_at, datetime.UTC),
    )
    countersignature = keys.sign(record.signed_bytes(keys.label))
    return dataclasses.replace(record, countersignature=countersignature)
