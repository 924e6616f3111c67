# SPDX-License-Identifier: Apache-2.0
"""Whether the log is what it was when it was signed and witnessed.

Everything is computed again from the entries: leaves, all complete nodes, the root of
every signed head; then releases and charges are held against what the entries say. It
finds what somebody changed in the database, triggers or not, as long as they do not
have the hub's key. Who has it can write another log with other heads; that one does not
lead to a head that an agency kept, which can be given here from outside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from accord.hub.contact.standing import standing
from accord.hub.db.engine import LedgerTransaction
from accord.hub.db.tables import AUDIT
from accord.hub.db.tables_log import LOG_COSIGNATURES, LOG_HEADS, LOG_NODES
from accord.hub.log import heads, tree
from accord.hub.log.findings import Finding, Findings
from accord.hub.log.reckoning import Named, reckon
from accord.ledger import height
from accord.merkle.heads import SignedHead
from accord.merkle.tree import Place, leaf_hash, node_hash, root_of

_LEVEL: Final = 12
_CHUNK: Final = 1 << _LEVEL
"""Entries that are looked at together: one complete subtree."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is wrong."""

    size: int
    root: bytes
    """Computed from the entries."""
    heads: int
    cosignatures: int
    witnesses: tuple[str, ...]
    """Agencies that have cosigned the newest head that anybody has."""
    releases: int
    erased: int
    """Entries of which retention has left the hash only."""
    findings: tuple[Finding, ...]


def verify_log(
    tx: sa.Connection,
    *,
    hub_keys: Collection[bytes],
    outside: Sequence[SignedHead] = (),
) -> Verified:
    """Look at everything; the database is not changed.

    Args:
        tx: one moment of the database.
        hub_keys: raw public keys with which this hub may have signed.
        outside: heads that somebody else has kept, such as an agency.
    """
    checked = _Checked(tx, hub_keys, outside)
    checked.look()
    releases = reckon(tx, checked.named, checked.findings)
    return Verified(
        size=checked.size,
        root=checked.root,
        heads=checked.heads,
        cosignatures=checked.cosignatures,
        witnesses=checked.witnesses,
        releases=releases,
        erased=checked.named.erased,
        findings=checked.findings.all(),
    )


class _Checked:
    def __init__(
        self,
        tx: sa.Connection,
        hub_keys: Collection[bytes],
        outside: Sequence[SignedHead],
    ) -> None:
        self._tx = tx
        self._keys = hub_keys
        rows = tx.execute(sa.select(LOG_HEADS))
        self._kept = {row.size: heads.head_from_row(row) for row in rows}
        self._heads = sorted(
            [
                *(_Head(signed=each, outside=False) for each in self._kept.values()),
                *(_Head(signed=each, outside=True) for each in outside),
            ],
            key=lambda each: each.signed.head.size,
            reverse=True,
        )
        self._high: dict[Place, bytes] = {}
        self._chunk: dict[Place, bytes] = {}
        self.findings = Findings()
        self.named = Named()
        self.size = tree.size(tx)
        self.root = b""
        self.heads = self.cosignatures = 0
        self.witnesses: tuple[str, ...] = ()

    def look(self) -> None:
        self._compare_sizes()
        self._compare_heads(0)
        for begin in range(0, self.size, _CHUNK):
            end = min(begin + _CHUNK, self.size)
            if not self._look_at(begin, end):
                break
            self._compare_heads(end)
        else:
            self.root = root_of(self.size, self._computed)
        while self._heads:  # beyond the last entry, or after a gap
            self._note_head_beyond(self._heads.pop())
        self._compare_cosignatures()

    # Entries and nodes

    def _look_at(self, begin: int, end: int) -> bool:
        """Compute a chunk anew and compare it; tell whether it could be computed."""
        stored = self._stored(begin, end)
        leaves = self._leaves(begin, end, stored)
        if len(leaves) != end - begin:
            return False
        self._chunk = {}
        level, values, first = 0, leaves, begin
        while values:
            for offset, value in enumerate(values):
                self._compare_node((level, first + offset), value, stored)
            if level == 0:  # an entry that was changed is named once, not all above it
                places = [(0, first + offset) for offset in range(len(values))]
                values = [
                    stored.get(place, value)
                    for place, value in zip(places, values, strict=True)
                ]
                self._chunk.update(zip(places, values, strict=True))
            level, first = level + 1, first >> 1
            values = [
                node_hash(values[at], values[at + 1])
                for at in range(0, len(values) - 1, 2)
            ]
        if end - begin == _CHUNK:
            self._grow_high(begin >> _LEVEL, stored)
        return True

    def _leaves(
        self, begin: int, end: int, stored: Mapping[Place, bytes]
    ) -> list[bytes]:
        """Return the leaves of a chunk; where an entry is missing, those before it."""
        leaves: list[bytes] = []
        for row in self._rows(begin, end):
            index = begin + len(leaves)
            if row.number != index + 1:
                break
            if row.facts is None:
                self.named.erased += 1
                self.named.erased_at = max(self.named.erased_at, row.at)
                leaves.append(stored.get((0, index), b""))
                continue
            self.named.take(row.event, row.facts)
            entry = tree.entry_bytes(row.number, row.at, row.event, row.facts)
            leaves.append(leaf_hash(entry))
        if len(leaves) != end - begin:
            self.findings.add(
                "ENTRY_MISSING", f"Entry {begin + len(leaves) + 1} is not in the log."
            )
        return leaves

    def _compare_node(
        self, place: Place, value: bytes, stored: Mapping[Place, bytes]
    ) -> None:
        self._chunk[place] = value
        if stored.get(place) == value:
            return
        level, position = place
        if level == 0:
            self.findings.add(
                "ENTRY_CHANGED",
                f"Entry {position + 1} is not what it was when it was noted.",
            )
        else:
            self.findings.add(
                "NODE_CHANGED",
                f"The hash over entries {(position << level) + 1} to"
                f" {(position + 1) << level} is not what these entries give.",
            )

    def _grow_high(self, position: int, stored: Mapping[Place, bytes]) -> None:
        """Add a complete chunk to the upper tree, and what it makes complete."""
        place: Place = (_LEVEL, position)
        value = self._chunk[place]
        self._high[place] = value
        while place[1] & 1:
            level, at = place
            value = node_hash(self._high[level, at - 1], value)
            place = (level + 1, at >> 1)
            self._high[place] = value
            found = self._tx.execute(
                sa.select(LOG_NODES.c.hash).where(
                    LOG_NODES.c.level == place[0], LOG_NODES.c.position == place[1]
                )
            ).scalar_one_or_none()
            known = {} if found is None else {place: bytes(found)}
            self._compare_node(place, value, known)

    def _rows(self, begin: int, end: int) -> Iterable[sa.Row[Any]]:
        chosen = (
            sa.select(AUDIT.c.number, AUDIT.c.at, AUDIT.c.event, AUDIT.c.facts)
            .where(AUDIT.c.number > begin, AUDIT.c.number <= end)
            .order_by(AUDIT.c.number)
        )
        return self._tx.execute(chosen)

    def _stored(self, begin: int, end: int) -> dict[Place, bytes]:
        found: dict[Place, bytes] = {}
        for level in range(_LEVEL + 1):
            chosen = sa.select(LOG_NODES.c.position, LOG_NODES.c.hash).where(
                LOG_NODES.c.level == level,
                LOG_NODES.c.position >= begin >> level,
                LOG_NODES.c.position < max(end >> level, (begin >> level) + 1),
            )
            for row in self._tx.execute(chosen):
                found[level, row.position] = bytes(row.hash)
        return found

    def _computed(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        return {
            place: self._high[place] if place in self._high else self._chunk[place]
            for place in places
        }

    def _compare_sizes(self) -> None:
        count = sa.select(sa.func.count()).select_from(LOG_NODES)
        found = self._tx.execute(count).scalar_one()
        leaves = self._tx.execute(count.where(LOG_NODES.c.level == 0)).scalar_one()
        if leaves > self.size:
            self.findings.add(
                "ENTRY_MISSING",
                f"The log has {self.size} entries, and hashes of {leaves}: the last"
                " ones were dropped.",
            )
        elif found > 2 * self.size - self.size.bit_count():
            self.findings.add(
                "NODE_CHANGED", "There are hashes over entries that there are not."
            )

    # Heads and cosignatures

    def _compare_heads(self, end: int) -> None:
        """Compare the heads over at most so many entries; the last chunk has them."""
        while self._heads and self._heads[-1].signed.head.size <= end:
            self._compare_head(self._heads.pop())

    def _compare_head(self, each: _Head) -> None:
        head = each.signed.head
        self._check_signature(each)
        if root_of(head.size, self._computed) != head.root:
            self.findings.add(
                "HEAD_DIFFERS",
                f"{each.name} over {head.size} entries was signed for other entries:"
                " something before it was changed.",
            )

    def _note_head_beyond(self, each: _Head) -> None:
        self._check_signature(each)
        self.findings.add(
            "HEAD_BEYOND",
            f"{each.name} was signed over {each.signed.head.size} entries, which the"
            " log does not have.",
        )

    def _check_signature(self, each: _Head) -> None:
        self.heads += not each.outside
        if not any(each.signed.is_signed_by(key) for key in self._keys):
            self.findings.add(
                "HEAD_UNSIGNED",
                f"{each.name} over {each.signed.head.size} entries is not signed with a"
                " key that a board has listed for this hub.",
            )

    def _compare_cosignatures(self) -> None:
        chosen = sa.select(LOG_COSIGNATURES).order_by(
            LOG_COSIGNATURES.c.size, LOG_COSIGNATURES.c.agency
        )
        newest: dict[int, list[str]] = {}
        for row in self._tx.execute(chosen):
            self.cosignatures += 1
            signed = self._kept.get(row.size)
            if signed is None or not _is_cosigned(signed, row):
                self.findings.add(
                    "COSIGNATURE_INVALID",
                    f"What {row.agency!r} cosigned at {row.size} entries is not the"
                    " head that the log has there.",
                )
            newest = {row.size: [*newest.get(row.size, []), row.agency]}
        for found in newest.values():
            self.witnesses = tuple(found)
        last = heads.newest(self._tx)
        if last is not None:
            self._compare_ledger(last)

    def _compare_ledger(self, last: SignedHead) -> None:
        if standing(self._tx).epoch > last.head.epoch:
            return  # rebuilt since, and what was rebuilt may be lower
        found = height(LedgerTransaction(self._tx))
        if last.head.ledger_height > found:
            self.findings.add(
                "LEDGER_BEHIND",
                f"The newest head was signed at height {last.head.ledger_height} of the"
                f" ledger, which is at {found} now: charges are lost.",
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    signed: SignedHead
    outside: bool

    @property
    def name(self) -> str:
        return "A head from outside" if self.outside else "The head"


def _is_cosigned(signed: SignedHead, row: sa.Row[Any]) -> bool:
    seen = heads.seen_from_row(signed.head, row)
    return seen.witnessed.is_signed_by(bytes.fromhex(seen.agency_key))
