# SPDX-License-Identifier: Apache-2.0
"""Migrations carry everything over, or change nothing; on a file and on PostgreSQL."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from accord.core.errors import ConfigurationError, IntegrityError, Unreachable
from accord.hub.db import migrating
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.migrating import SCRIPTS, migrate, upgrade
from accord.hub.db.revisions import HEAD, REVISIONS, revision
from accord.hub.db.tables import METADATA
from accord.hub.rounds import rows, submissions
from accord.ledger import Line, Unit, charge, reserve, verify
from tests.contract.hub_databases import KINDS, Database, make_database
from tests.contract.hub_layout import content, layout
from tests.contract.postgres import postgres

__all__ = ["postgres"]

NOW = dt.datetime.now(dt.UTC)

FORMAT_3 = Path(__file__).parent.parent / "golden" / "hub-format-3.sql"

OPEN = "8bd38b9f-132d-41fd-90f8-865ff127f73e"
"""The question that is open in it, before any agency was ready."""

VICTIM = """
import os, signal, sys
from tests.contract.hub_databases import Database
from accord.hub.db import migrating

def die(connection, target=migrating.HEAD, go_on=migrating.upgrade):
    go_on(connection, target)
    os.kill(os.getpid(), signal.SIGKILL)

migrating.upgrade = die
migrating.migrate(Database(sys.argv[1], sys.argv[2]).opened(migrating=True))
"""


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database of each kind."""
    made = make_database(request.param, request, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["format 3", "sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the oldest layout of each kind, with spent budget."""
    kind = "sqlite" if request.param == "format 3" else request.param
    made = make_database(kind, request, tmp_path)
    if request.param == "format 3":
        write_format_3(Path(made.named))
    else:
        spend_at(made, REVISIONS[0])
    yield made
    made.close()


def write_format_3(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(FORMAT_3.read_text(encoding="utf-8"))
    connection.close()


def spend_at(database: Database, target: str) -> None:
    """Make a database of an older layout, with a charge and a reservation."""
    store = database.opened(migrating=True)
    store.place.prepare()
    with store.write() as tx:
        upgrade(tx, target)
        ledger = LedgerTransaction(tx)
        for number in (1, 2):
            name = f"00000000-0000-4000-8000-{number:012}"
            line = Line(account="agency/a", unit=Unit.NANO_RHO, amount=number)
            reserve(ledger, name, [line], NOW)
        charge(ledger, "00000000-0000-4000-8000-000000000001", NOW)
    store.close()


def state_of(database: Database) -> object:
    """Return all that is in a database, and what it looks like."""
    store = database.opened(migrating=True)
    with store.read() as tx:
        found = (layout(tx), content(tx))
    store.close()
    return found


def test_the_list_of_layouts_is_that_of_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    walked = [each.revision for each in scripts.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS
    assert {path.stem for path in SCRIPTS.glob("versions/*.py")} == set(REVISIONS)


def test_a_new_database_is_what_migrations_make_of_an_empty_one(
    database: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    created = database.opened()
    created.create()
    (tmp_path / "migrated").mkdir()
    other = make_database(database.kind, request, tmp_path / "migrated")
    request.addfinalizer(other.close)
    migrated = other.opened(migrating=True)
    migrated.place.prepare()
    with migrated.write() as tx:
        upgrade(tx)
    with created.read() as one, migrated.read() as two:
        assert layout(one) == layout(two)
        assert content(one) == content(two)
        assert revision(two) == HEAD
        context = MigrationContext.configure(two, opts={"include_object": _ours})
        assert compare_metadata(context, METADATA) == []
    assert migrated.check() == 0


def _ours(_object: object, name: str | None, *_: object) -> bool:
    return not (name or "").startswith("ledger_")


def test_everything_of_an_older_database_is_carried_over(older: Database) -> None:
    store = older.opened(migrating=True)
    with store.read() as tx:
        before, ledger_before = content(tx), verify(LedgerTransaction(tx))
    done = migrate(store)
    assert (done.height, done.after) == (ledger_before, HEAD)
    assert done.accounts == len(before["ledger_account"]) > 0
    with store.read() as tx:
        after = content(tx)
    for name in before.keys() - {"hub_meta", "alembic_version"}:
        kept = [
            {column: row[column] for column in was}
            for was, row in zip(before[name], after[name], strict=True)
        ]
        assert kept == before[name], name
    assert migrate(store).before == HEAD  # again: nothing more
    assert older.opened().check() == ledger_before


def test_a_format_3_database_looks_like_a_new_one_afterwards(tmp_path: Path) -> None:
    write_format_3(tmp_path / "taken.db")
    taken, new = Store(tmp_path / "taken.db"), Store(tmp_path / "new.db")
    migrate(taken)
    new.create()
    with taken.read() as one, new.read() as two:
        assert layout(one) == layout(two)
    taken.close()
    new.close()


def test_open_questions_of_format_3_go_on(tmp_path: Path) -> None:
    write_format_3(tmp_path / "hub.db")
    store = Store(tmp_path / "hub.db")
    migrate(store)
    with store.read() as tx:
        standing = rows.standing(tx, OPEN)
        assert standing is not None
        assert len(standing.asked) == 5
        waiting = [each.id for each in submissions.collecting(tx)]
        assert OPEN in waiting
    store.close()


def test_nothing_of_a_migration_that_is_killed_remains(older: Database) -> None:
    before = state_of(older)
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, older.kind, older.named],
        check=False,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert state_of(older) == before
    assert migrate(older.opened(migrating=True)).after == HEAD


@pytest.mark.parametrize("step", REVISIONS[::3])
def test_nothing_of_a_step_that_fails_remains(
    older: Database, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(older)

    def fail_after(connection: sa.Connection) -> None:
        upgrade(connection, step)
        raise KeyError

    monkeypatch.setattr(migrating, "upgrade", fail_after)
    with pytest.raises(KeyError):
        migrate(older.opened(migrating=True))
    assert state_of(older) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE ledger_account SET used = used - 1", "LEDGER_INCONSISTENT"),
        ("UPDATE ledger_head SET height = height + 1", "LEDGER_INCONSISTENT"),
        ("", "BALANCE_CHANGED"),
    ],
)
def test_a_step_that_changes_what_was_spent_does_not_happen(
    older: Database, change: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(older)

    def harmful(connection: sa.Connection) -> None:
        upgrade(connection)
        if change:
            connection.execute(sa.text(change))
            return
        line = Line(account="agency/b", unit=Unit.NANO_RHO, amount=1)
        name = "00000000-0000-4000-8000-000000000009"
        reserve(LedgerTransaction(connection), name, [line], NOW)

    monkeypatch.setattr(migrating, "upgrade", harmful)
    with pytest.raises(IntegrityError) as caught:
        migrate(older.opened(migrating=True))
    assert caught.value.reason == reason
    assert state_of(older) == before


def test_two_that_migrate_at_once_do_it_once(older: Database) -> None:
    stores = [older.opened(migrating=True, busy_seconds=60) for _ in range(2)]
    together = threading.Barrier(2)

    def run(store: Store) -> str:
        together.wait(30)
        return migrate(store).before

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        found = list(threads.map(run, stores))
    assert HEAD in found
    assert len(set(found)) == 2
    older.opened().check()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE hub_meta SET format = 2", "layout format 2, which this version"),
        ("UPDATE hub_meta SET format = 4", "layout format 4, which this version"),
        ("DROP TABLE hub_meta", "no database of a hub"),
    ],
)
def test_what_is_not_understood_is_left_alone(
    tmp_path: Path, change: str, words: str
) -> None:
    write_format_3(tmp_path / "hub.db")
    connection = sqlite3.connect(tmp_path / "hub.db")
    connection.execute(change)
    connection.commit()
    connection.close()
    store = Store(tmp_path / "hub.db")
    for refuse in (store.check, lambda: migrate(store)):
        with pytest.raises(ConfigurationError, match=words) as caught:
            refuse()
        assert caught.value.reason == "DATABASE_FORMAT"
    store.close()


def test_a_newer_database_is_not_migrated(database: Database) -> None:
    store = database.opened()
    store.create()
    with store.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0099_later'"))
    store.close()
    before = state_of(database)
    with pytest.raises(ConfigurationError, match="install the version that wrote it"):
        migrate(database.opened(migrating=True))
    assert state_of(database) == before


def test_hubs_that_use_a_server_keep_migrations_out(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = make_database("postgresql", request, tmp_path)
    request.addfinalizer(database.close)
    serving = database.opened()
    serving.create()
    with pytest.raises(ConfigurationError, match="stop every hub") as caught:
        migrate(database.opened(migrating=True))
    assert caught.value.reason == "DATABASE_IN_USE"
    serving.close()
    migrator = database.opened(migrating=True)
    with migrator.write(), pytest.raises(Unreachable, match="being migrated now"):
        database.opened().check()


def test_a_hub_that_was_cut_off_does_not_go_on_with_tables_it_does_not_know(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = make_database("postgresql", request, tmp_path)
    request.addfinalizer(database.close)
    serving = database.opened()
    serving.create()
    assert serving.check() == 0
    migrator = database.opened(migrating=True)
    with migrator.read() as tx:
        tx.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with migrator.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0099_later'"))
    with pytest.raises(ConfigurationError, match="does not know"), serving.write():
        pass
