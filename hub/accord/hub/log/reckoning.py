# SPDX-License-Identifier: Apache-2.0
"""Releases and charges, held against what the log says of them.

Every release stands in the log with the digest of its message and is paid for; every
charge goes back to an entry that decided it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from accord.core.canonical import bytes_digest
from accord.hub.audit import Event
from accord.hub.db.engine import LedgerTransaction
from accord.hub.db.tables import AUDIT, RELEASES
from accord.hub.db.tables_log import LOG_RELEASES
from accord.hub.log.findings import Findings

_CHARGED: Final = "SELECT id FROM ledger_entry WHERE state = 'charged' ORDER BY id"

_UNPAID: Final = """
SELECT r.id FROM releases r
WHERE NOT EXISTS (
    SELECT 1 FROM ledger_entry e WHERE e.id = r.ledger_entry AND e.state = 'charged'
) OR r.nano_rho > (
    SELECT COALESCE(MIN(l.amount), 0) FROM ledger_line l
    WHERE l.entry = r.ledger_entry AND l.unit = 'nano-rho'
) OR r.nano_epsilon > (
    SELECT COALESCE(MIN(l.amount), 0) FROM ledger_line l
    WHERE l.entry = r.ledger_entry AND l.unit = 'nano-epsilon'
)
ORDER BY r.number
"""


@dataclasses.dataclass(slots=True)
class Named:
    """What the entries of the log name."""

    released: set[str] = dataclasses.field(default_factory=set)
    """Releases that were published."""
    payable: set[str] = dataclasses.field(default_factory=set)
    """Entries of the ledger that may be charged."""
    held: dict[str, str] = dataclasses.field(default_factory=dict)
    """Digests of releases that a reviewer had to look at first."""
    altered: list[str] = dataclasses.field(default_factory=list)
    """Those of them that were published otherwise than they were held."""
    erased: int = 0
    """Entries that name nothing any more."""
    erased_at: int = 0
    """The newest of them; microseconds since 1970."""
    ordered: dict[str, int] = dataclasses.field(default_factory=dict)
    """By kind, before when retention may have erased; microseconds since 1970."""

    def take(self, event: str, facts: Mapping[str, Any]) -> None:
        """Read one entry."""
        release, digest = facts.get("release", ""), facts.get("release_digest")
        if event == Event.RELEASE_HELD and digest is not None:
            self.held[release] = digest
        if event == Event.RETENTION_APPLIED:
            kind, before = str(facts.get("kind")), int(facts.get("before", 0))
            self.ordered[kind] = max(self.ordered.get(kind, 0), before)
        if event == Event.RELEASE_PUBLISHED:
            self.released.add(release)
            if self.held.get(release, digest) != digest:
                self.altered.append(release)
        for fact in ("entry", "submission"):
            if fact in facts:
                self.payable.add(facts[fact])


def reckon(tx: sa.Connection, named: Named, findings: Findings) -> int:
    """Compare releases and charges with the log; return how many releases there are."""
    if named.erased and named.erased_at >= named.ordered.get("questions", 0):
        findings.add(
            "ENTRY_ERASED", "Entries have no facts, and no retention was ordered."
        )
    known = _compare_releases(tx, named, findings)
    lost = sorted(named.released - known)
    for release in lost:
        findings.add(
            "RELEASE_MISSING", f"The log has release {release}, and the archive not."
        )
    for release in named.altered:
        findings.add(
            "RELEASE_CHANGED",
            f"Release {release} was published otherwise than its reviewers saw it.",
        )
    for row in tx.execute(sa.text(_UNPAID)):
        findings.add(
            "RELEASE_UNPAID", f"Release {row.id} is not charged for in the ledger."
        )
    _compare_charges(tx, named, findings)
    return len(known)


def _compare_releases(tx: sa.Connection, named: Named, findings: Findings) -> set[str]:
    chosen = (
        sa.select(
            RELEASES.c.id,
            RELEASES.c.message,
            RELEASES.c.released_at,
            AUDIT.c.number,
            AUDIT.c.event,
            AUDIT.c.facts,
        )
        .outerjoin(LOG_RELEASES, LOG_RELEASES.c.release == RELEASES.c.id)
        .outerjoin(AUDIT, AUDIT.c.number == LOG_RELEASES.c.number)
        .order_by(RELEASES.c.number)
        .execution_options(yield_per=1000)
    )
    before = named.ordered.get("releases", 0)
    known: set[str] = set()
    for row in tx.execute(chosen):
        known.add(row.id)
        facts = row.facts
        if row.message is None and row.released_at >= before:
            findings.add(
                "RELEASE_MISSING",
                f"Release {row.id} has no content, and no retention was ordered.",
            )
        if row.number is None or row.event != Event.RELEASE_PUBLISHED:
            findings.add(
                "RELEASE_UNLOGGED", f"Release {row.id} does not stand in the log."
            )
        elif facts is None:
            continue  # retention has left the hash only
        elif facts.get("release") != row.id:
            findings.add(
                "RELEASE_UNLOGGED", f"Entry {row.number} is of another release."
            )
        elif row.message is not None and not _is_named(facts, bytes(row.message)):
            findings.add(
                "RELEASE_CHANGED",
                f"Release {row.id} is not what it was when it was published.",
            )
    return known


def _is_named(facts: Mapping[str, Any], message: bytes) -> bool:
    """Tell whether an entry is of this message; the first ones had no digest."""
    return facts.get("release_digest") in {None, bytes_digest(message)}


def _compare_charges(tx: sa.Connection, named: Named, findings: Findings) -> None:
    charged = LedgerTransaction(tx).execute(_CHARGED, {}).fetchall()
    unknown = [row[0] for row in charged if row[0] not in named.payable]
    # What retention has erased may have named as many.
    if len(unknown) <= named.erased:
        return
    for entry in unknown:
        findings.add(
            "CHARGE_UNLOGGED", f"Nothing in the log decided the charge {entry}."
        )
