# SPDX-License-Identifier: Apache-2.0
"""What a hub's operator can do to the database of a hub that is not served."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.hub.db.engine import microseconds
from accord.hub.log import tree
from accord.merkle.heads import SignedHead, TreeHead
from accord.merkle.tree import Place, completed, leaf_hash, neighbours, root_of


@contextlib.contextmanager
def below(path: Path) -> Iterator[sqlite3.Connection]:
    """Give the file to somebody who drops the triggers, and puts them back."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, statement in triggers:
            connection.execute(statement)
        connection.commit()


def grow_anew(path: Path, *, key: Ed25519PrivateKey | None = None) -> None:
    """Compute every hash of the log again over the entries as they are now.

    With the hub's key a head is signed anew, too, and nobody has cosigned any.
    """
    with below(path) as connection:
        rows = connection.execute(
            "SELECT number, at, event, facts FROM audit ORDER BY number"
        ).fetchall()
        kept: dict[Place, bytes] = {}
        for index, (number, at, event, facts) in enumerate(rows):
            entry = tree.entry_bytes(number, at, event, json.loads(facts))
            known = {place: kept[place] for place in neighbours(index)}
            kept.update(completed(index, leaf_hash(entry), known))
        connection.execute("DELETE FROM log_nodes")
        connection.executemany(
            "INSERT INTO log_nodes VALUES (?, ?, ?)",
            [(*place, value) for place, value in kept.items()],
        )
        if key is not None:
            _sign_anew(connection, key, kept, len(rows))


def _sign_anew(
    connection: sqlite3.Connection,
    key: Ed25519PrivateKey,
    kept: Mapping[Place, bytes],
    size: int,
) -> None:
    (height,) = connection.execute("SELECT height FROM ledger_head").fetchone()
    connection.execute("DELETE FROM log_heads")
    connection.execute("DELETE FROM log_cosignatures")
    head = TreeHead(
        size=size,
        root=root_of(size, lambda places: {each: kept[each] for each in places}),
        at=dt.datetime.now(dt.UTC).replace(microsecond=0),
        ledger_height=height,
        epoch=0,
    )
    connection.execute(
        "INSERT INTO log_heads VALUES (?, ?, ?, ?, 0, ?)",
        (
            size,
            head.root,
            microseconds(head.at),
            height,
            SignedHead.sign(head, key).signature,
        ),
    )
