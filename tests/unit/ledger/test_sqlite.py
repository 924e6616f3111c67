# SPDX-License-Identifier: Apache-2.0
"""The standard library's SQLite as a durable ledger file."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from accord import ledger
from accord.core.errors import PreconditionFailed, Unreachable
from accord.ledger import sqlite


def test_a_new_file_is_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with closing(sqlite.open_database(path)) as connection:
        found = {
            pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
        with sqlite.transaction(connection) as tx:
            tx.execute("CREATE TABLE t (x INTEGER)", {})
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_transaction_commits_or_rolls_back(tmp_path: Path) -> None:
    class StoppedError(Exception):
        """The block was left."""

    def stopped(connection: sqlite3.Connection) -> None:
        with sqlite.transaction(connection) as tx:
            tx.execute("INSERT INTO t (x) VALUES (2)", {})
            raise StoppedError

    with closing(sqlite.open_database(tmp_path / "agent.db")) as connection:
        with sqlite.transaction(connection) as tx:
            assert tx.in_transaction
            tx.execute("CREATE TABLE t (x INTEGER)", {})
            tx.execute("INSERT INTO t (x) VALUES (1)", {})
        with pytest.raises(StoppedError):
            stopped(connection)
        assert not connection.in_transaction
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_a_locked_database_is_named_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with (
        closing(sqlite.open_database(path)) as other,
        closing(sqlite.open_database(path, busy_seconds=0.01)) as connection,
    ):
        with (
            sqlite.transaction(other),
            pytest.raises(Unreachable, match=r"agent\.db") as refused,
            sqlite.transaction(connection),
        ):
            pass
        assert refused.value.reason == "DATABASE_LOCKED"
        with sqlite.transaction(connection) as tx:
            tx.execute("CREATE TABLE t (x INTEGER)", {})


def test_verify_reads_beside_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with (
        closing(sqlite.open_database(path)) as writer,
        closing(sqlite.open_database(path, busy_seconds=0.01)) as reader,
    ):
        with sqlite.transaction(writer) as tx:
            ledger.create_schema(tx)
        with sqlite.transaction(writer):
            reader.execute("BEGIN")
            assert ledger.verify(reader) == 0
            reader.execute("COMMIT")


def test_a_full_disk_is_said_and_rolled_back(tmp_path: Path) -> None:
    with closing(sqlite.open_database(tmp_path / "agent.db")) as connection:
        with sqlite.transaction(connection) as tx:
            tx.execute("CREATE TABLE t (x BLOB)", {})
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with (
            pytest.raises(PreconditionFailed, match="disk is full") as refused,
            sqlite.transaction(connection) as tx,
        ):
            tx.execute("INSERT INTO t (x) VALUES (zeroblob(1000000))", {})
        assert refused.value.reason == "DATABASE_UNUSABLE"
        assert not connection.in_transaction
        assert connection.execute("SELECT COUNT(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "agent.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(PreconditionFailed, match=r"agent\.db") as refused:
        sqlite.open_database(path)
    assert refused.value.reason == "DATABASE_UNUSABLE"
    if content is not None:
        assert path.read_bytes() == content


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreconditionFailed, match="folder"):
        sqlite.open_database(tmp_path / "none" / "agent.db")


def test_a_file_that_is_locked_from_the_start_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x INTEGER)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unreachable, match=r"agent\.db"):
            sqlite.open_database(path, busy_seconds=0.01)


def test_our_own_mistakes_are_not_dressed_up(tmp_path: Path) -> None:
    with closing(sqlite.open_database(tmp_path / "agent.db")) as connection:
        with (
            pytest.raises(sqlite3.OperationalError, match="no such table"),
            sqlite.transaction(connection) as tx,
        ):
            tx.execute("SELECT * FROM missing", {})
        assert not connection.in_transaction
