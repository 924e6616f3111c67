# SPDX-License-Identifier: Apache-2.0
"""How long it takes to verify a log of a million entries, and what a proof weighs.

The log is what a hub of some years has: questions with their openings and releases, a
signed head after every hundred entries, each cosigned by three agencies. Its rows are
written in one go; what is measured is what `accord-hub audit verify` does with them,
and one entry as `note` adds it. It runs in memory where there is some (``TMPDIR``), as
the work is hashing and not reading::

    python -m benchmarks.audit_log [ENTRIES]
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.hub.audit import Event, note
from accord.hub.db.engine import Store, microseconds
from accord.hub.db.tables import AUDIT
from accord.hub.db.tables_log import LOG_COSIGNATURES, LOG_HEADS, LOG_NODES
from accord.hub.log import heads, tree
from accord.hub.log.proving import proof_message
from accord.hub.log.verifying import verify_log
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.merkle.tree import Place, completed, leaf_hash, neighbours, root_of

ENTRIES = 1_000_000
HEAD_EVERY = 100
GOAL_SECONDS = 60.0
GOAL_BYTES = 5000
CHUNK = 10_000
NOTES = 500
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
HUB = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
AGENCIES = {
    name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
    for name in ("hotline", "police", "shelter")
}


def facts_of(number: int) -> tuple[str, dict[str, Any]]:
    """Return what one entry of a usual log says."""
    submission = str(uuid.UUID(int=number))
    common: dict[str, Any] = {
        "submission": submission,
        "agreement": "regional-trends",
        "nano_rho": 12_345_678,
        "nano_epsilon": 0,
        "cohort": "all",
    }
    if number % 2:
        return Event.QUERY_ACCEPTED, common | {
            "analyst": "ann",
            "purpose": "quarterly bulletin",
            "query_key": "ab" * 32,
        }
    return Event.OPENING_COMMITTED, common | {"attempt": 1, "entry": submission}


def fill(store: Store, entries: int) -> None:
    """Write a log with its tree, heads and cosignatures."""
    edge: dict[Place, bytes] = {}
    at = microseconds(NOW)
    for begin in range(0, entries, CHUNK):
        rows, nodes, signed, seen = [], [], [], []
        for index in range(begin, min(begin + CHUNK, entries)):
            event, facts = facts_of(index)
            row = {"number": index + 1, "at": at, "event": event, "facts": facts}
            rows.append(row)
            leaf = leaf_hash(tree.entry_bytes(index + 1, at, event, facts))
            known = {place: edge.pop(place) for place in neighbours(index)}
            made = completed(index, leaf, known)
            edge.update(made[-1:])
            nodes += [{"level": p[0], "position": p[1], "hash": v} for p, v in made]
            if (index + 1) % HEAD_EVERY == 0:
                head = TreeHead(
                    size=index + 1,
                    root=root_of(
                        index + 1, lambda places: {p: edge[p] for p in places}
                    ),
                    at=NOW,
                    ledger_height=0,
                    epoch=0,
                )
                signed.append(
                    head.fields()
                    | {
                        "root": head.root,
                        "at": at,
                        "signature": SignedHead.sign(head, HUB).signature,
                    }
                )
                seen += [
                    {
                        "size": head.size,
                        "agency": name,
                        "agency_key": key.public_key().public_bytes_raw().hex(),
                        "signature": Witnessed.sign(head, name, key).signature,
                        "at": at,
                    }
                    for name, key in AGENCIES.items()
                ]
        with store.write() as tx:
            for table, values in (
                (AUDIT, rows),
                (LOG_NODES, nodes),
                (LOG_HEADS, signed),
                (LOG_COSIGNATURES, seen),
            ):
                if values:
                    tx.execute(table.insert(), values)


def main() -> None:
    """Print the figures."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "hub.db")
        store.create()
        fill(store, entries)
        begin = time.perf_counter()
        with store.read() as tx:
            found = verify_log(tx, hub_keys=[HUB.public_key().public_bytes_raw()])
        seconds = time.perf_counter() - begin
        print(
            f"verify {found.size} entries, {found.heads} heads and"
            f" {found.cosignatures} cosignatures: {seconds:.1f} s"
            f" (goal {GOAL_SECONDS:.0f} s), {len(found.findings)} findings"
        )
        with store.read() as tx:
            head = heads.newest(tx)
            proof = head and proof_message(tx, 1, head)
            size = len(proof.SerializeToString()) if proof else 0
        print(f"inclusion proof with 3 cosignatures: {size} bytes (goal {GOAL_BYTES})")
        begin = time.perf_counter()
        with store.write() as tx:
            for number in range(NOTES):
                event, facts = facts_of(number)
                note(tx, Event(event), NOW, **facts)
        each = (time.perf_counter() - begin) / NOTES
        print(f"note one entry: {each * 1e6:.0f} µs")
        store.close()


if __name__ == "__main__":
    main()
