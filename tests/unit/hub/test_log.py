# SPDX-License-Identifier: Apache-2.0
"""The log grows as a tree, whichever database it is in and whoever writes."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from accord.core.canonical import canonical_bytes
from accord.core.errors import IntegrityError
from accord.hub.audit import Event, newest, note
from accord.hub.db.engine import Store, microseconds, named_place
from accord.hub.db.migrating import upgrade
from accord.hub.db.tables_log import LOG_NODES
from accord.hub.log import heads, tree
from accord.hub.log.verifying import verify_log
from accord.hub.serve import utc_now
from accord.merkle.heads import Witnessed
from accord.merkle.proofs import has_grown, is_included
from accord.merkle.tree import leaf_hash
from tests.contract.postgres import Cluster, postgres
from tests.unit.merkle import reference

__all__ = ["postgres"]

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty database of either kind."""
    if request.param == "sqlite":
        made = Store(tmp_path / "hub.db")
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        made = Store(named_place(cluster.database(driver="postgresql")))
    made.create()
    yield made
    made.close()


def fill(store: Store, entries: int) -> None:
    with store.write() as tx:
        for number in range(entries):
            note(tx, Event.TOKEN_CREATED, NOW, agency="north", token=f"ü{number}")


def entries_of(tx: sa.Connection) -> list[bytes]:
    """Return all entries as whoever reads the table would write them."""
    rows = newest(tx, 1000)
    return [
        canonical_bytes(
            {
                "number": row.number,
                "at": microseconds(row.at),
                "event": row.event,
                "facts": row.facts,
            }
        )
        for row in rows
    ]


def test_every_note_is_a_leaf_of_the_tree(store: Store) -> None:
    fill(store, 21)
    with store.read() as tx:
        entries = entries_of(tx)
        assert tree.size(tx) == len(entries) == 21
        for size in range(22):
            assert tree.root(tx, size) == reference.mth(entries[:size])
        nodes = tx.execute(sa.select(sa.func.count()).select_from(LOG_NODES))
        assert nodes.scalar_one() == 21 * 2 - (21).bit_count()


def test_what_is_rolled_back_leaves_no_leaf(store: Store) -> None:
    """A change that is refused in the middle of a group of changes is undone alone."""
    fill(store, 3)
    with store.write() as tx:
        note(tx, Event.TOKEN_CREATED, NOW, token="kept")
        inner = tx.begin_nested()
        note(tx, Event.TOKEN_CREATED, NOW, token="gone")
        inner.rollback()
        note(tx, Event.TOKEN_CREATED, NOW, token="after")
    with store.read() as tx:
        entries = entries_of(tx)
        assert [row.number for row in newest(tx, 9)] == [1, 2, 3, 4, 5]
        assert tree.root(tx, 5) == reference.mth(entries)


def test_many_writers_leave_no_gap(store: Store) -> None:
    def write(number: int) -> None:
        with store.write() as tx:
            note(tx, Event.TOKEN_CREATED, NOW, token=str(number))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(24)))
    with store.read() as tx:
        assert [row.number for row in newest(tx, 99)] == list(range(1, 25))
        assert tree.root(tx, 24) == reference.mth(entries_of(tx))


def test_heads_are_signed_once_for_each_size_and_prove_growth(store: Store) -> None:
    fill(store, 5)
    with store.write() as tx:
        old = heads.sign(tx, KEY, NOW, epoch=0)
        again = heads.sign(tx, KEY, NOW + dt.timedelta(hours=1), epoch=0)
    assert again == old
    assert old.head.at == NOW.replace(microsecond=0)
    assert old.is_signed_by(KEY.public_key().public_bytes_raw())
    fill(store, 6)
    with store.write() as tx:
        new = heads.sign(tx, KEY, NOW, epoch=0)
        assert heads.newest(tx) == new
        proof = tree.growth(tx, 5, 11)
        path = tree.inclusion(tx, 3, 11)
        third = entries_of(tx)[2]
    assert has_grown(5, old.head.root, 11, new.head.root, proof)
    assert is_included(leaf_hash(third), 2, 11, path, new.head.root)


def test_a_proof_stands_under_the_head_that_most_have_seen(store: Store) -> None:
    signed = []
    for _ in range(3):
        fill(store, 2)
        with store.write() as tx:
            signed.append(heads.sign(tx, KEY, NOW, epoch=0))
    with store.write() as tx:
        assert heads.best_seen(tx, 1) == signed[2]
        for agency in ("north", "south", "north"):
            word = Witnessed.sign(signed[1].head, agency, KEY)
            heads.keep_seen(tx, heads.Seen(witnessed=word, agency_key="k", at=NOW))
        assert heads.best_seen(tx, 1) == signed[1]
        assert heads.best_seen(tx, 5) == signed[2]
        assert heads.best_seen(tx, 7) is None
        seen = heads.seen_by(tx, signed[1].head)
    assert [each.witnessed.agency for each in seen] == ["north", "south"]
    assert all(
        each.witnessed.is_signed_by(KEY.public_key().public_bytes_raw())
        for each in seen
    )


def test_a_log_is_verified_on_either_database(store: Store) -> None:
    fill(store, 70)
    keys = [KEY.public_key().public_bytes_raw()]
    with store.write() as tx:
        head = heads.sign(tx, KEY, NOW, epoch=0)
    with store.read() as tx:
        found = verify_log(tx, hub_keys=keys, outside=[head])
        assert (found.findings, found.size, found.root) == ((), 70, head.head.root)
        other = verify_log(tx, hub_keys=[bytes(32)])
    assert {each.code for each in other.findings} == {"HEAD_UNSIGNED"}


def test_a_tree_with_a_hole_proves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.db")
    store.create()
    fill(store, 8)
    store.close()
    below = sqlite3.connect(tmp_path / "hub.db")
    below.execute("DROP TRIGGER log_nodes_no_delete")
    below.execute("DELETE FROM log_nodes WHERE level = 2 AND position = 1")
    below.commit()
    below.close()
    store = Store(tmp_path / "hub.db")
    with store.read() as tx, pytest.raises(IntegrityError, match="audit verify"):
        tree.inclusion(tx, 1, 8)
    store.close()


FACTS = st.dictionaries(
    st.sampled_from(["agency", "reason", "nano_rho", "unsafe", "clauses"]),
    st.one_of(
        st.text(),
        st.booleans(),
        st.integers(0, 2**53 - 1),
        st.lists(st.text(), max_size=3),
    ),
)


@given(st.integers(1, 2**40), st.text(), FACTS)
def test_an_entry_is_hashed_as_rfc_8785_text(
    number: int, event: str, facts: dict[str, object]
) -> None:
    """With the module that everything else that is signed goes through."""
    at = microseconds(utc_now())
    content = {"number": number, "at": at, "event": event, "facts": facts}
    assert tree.entry_bytes(number, at, event, facts) == canonical_bytes(content)


def test_a_number_beyond_every_reader_is_hashed_as_text() -> None:
    entry = json.loads(tree.entry_bytes(1, 1, "x", {"nano_rho": 2**62}))
    assert entry["facts"] == {"nano_rho": str(2**62)}


def test_a_log_from_before_becomes_a_tree(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.db")
    with store.write() as tx:
        upgrade(tx, "0001_baseline")
        for number in range(1, 2051):
            values = {"number": number, "facts": json.dumps({"token": f"ü{number}"})}
            tx.execute(
                sa.text("INSERT INTO audit VALUES (:number, 7, 'x', :facts)"), values
            )
        upgrade(tx, "0002_log")
        entries = [
            tree.entry_bytes(number, 7, "x", {"token": f"ü{number}"})
            for number in range(1, 2051)
        ]
        assert tree.root(tx, 2050) == reference.mth(entries)
        assert tree.root(tx, 1027) == reference.mth(entries[:1027])
    store.close()


def test_a_log_from_before_with_a_gap_is_not_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.db")

    def migrate() -> None:
        with store.write() as tx:
            upgrade(tx, "0001_baseline")
            for number in (1, 2, 4):
                values = {"number": number}
                tx.execute(
                    sa.text("INSERT INTO audit VALUES (:number, 7, 'x', '{}')"), values
                )
            upgrade(tx, "0002_log")

    with pytest.raises(IntegrityError, match="lacks entry 3") as caught:
        migrate()
    assert caught.value.reason == "LOG_BROKEN"
    store.close()
