# SPDX-License-Identifier: Apache-2.0
"""The hub's store means the same on a file and on PostgreSQL."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime as dt
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.core.errors import ConfigurationError, InternalError, Unreachable
from accord.hub.audit import Event, newest, note
from accord.hub.db.engine import LedgerTransaction, Store, named_place
from accord.hub.db.growing import growing_only, refusal
from accord.hub.db.place import Mark
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.db.revisions import HEAD
from accord.hub.db.tables import METADATA, TOKENS
from accord.hub.rounds.journal import Journal
from accord.ledger import Line, Unit, height, reserve
from tests.contract.hub_databases import Database, database, postgres_url
from tests.contract.postgres import Cluster, postgres

__all__ = ["database", "postgres"]

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def store(database: Database) -> Store:
    """Return a hub's new database of each kind."""
    made = database.opened()
    made.create()
    return made


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Return a hub's new database on PostgreSQL."""
    made = Database("postgresql", postgres_url(request))
    made.opened().create()
    yield made
    made.close()


def a_token(name: str) -> dict[str, object]:
    return {
        "id": name,
        "agency": "city-police",
        "secret_digest": name,
        "created_at": 1,
        "expires_at": 2,
    }


def add(store: Store, *names: str) -> None:
    with store.write() as tx:
        for name in names:
            tx.execute(TOKENS.insert(), a_token(name))


def tokens(store: Store) -> list[str]:
    with store.read() as tx:
        return sorted(tx.execute(sa.select(TOKENS.c.id)).scalars())


def test_a_new_database_is_trusted_and_empty(store: Store) -> None:
    assert store.check() == 0
    assert tokens(store) == []


def test_what_raises_is_rolled_back(store: Store) -> None:
    def write_and_fail() -> None:
        with store.write() as tx:
            tx.execute(TOKENS.insert(), a_token("a"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert tokens(store) == []


def test_a_reader_sees_one_moment_and_changes_nothing(database: Database) -> None:
    writer, reader = database.opened(), database.opened()
    writer.create()
    with reader.read() as tx:
        assert list(tx.execute(sa.select(TOKENS.c.id))) == []
        with writer.write() as other:
            other.execute(TOKENS.insert(), a_token("a"))
        assert list(tx.execute(sa.select(TOKENS.c.id))) == []
    assert tokens(reader) == ["a"]


def test_writers_of_several_programs_queue_and_lose_nothing(
    database: Database,
) -> None:
    """Each reads what it then replaces: with two at a time one would be lost."""
    first = database.opened()
    first.create()
    with first.write() as tx:
        tx.execute(TOKENS.insert(), a_token("a") | {"created_at": 0})
    programs = [database.opened(busy_seconds=60) for _ in range(4)]
    together = threading.Barrier(len(programs))

    def count(store: Store) -> None:
        together.wait(30)
        for _ in range(10):
            with store.write() as tx:
                seen = tx.execute(sa.select(TOKENS.c.created_at)).scalar_one()
                tx.execute(TOKENS.update().values(created_at=seen + 1))

    with concurrent.futures.ThreadPoolExecutor(len(programs)) as threads:
        list(threads.map(count, programs))
    with first.read() as tx:
        assert tx.execute(sa.select(TOKENS.c.created_at)).scalar_one() == 40


def test_a_writer_that_waits_too_long_says_so(database: Database) -> None:
    first, second = database.opened(), database.opened(busy_seconds=0.1)
    first.create()
    with first.write():
        with pytest.raises(Unreachable, match="keeps it locked") as caught:
            second.write().__enter__()
        assert tokens(second) == []  # readers never wait
    assert caught.value.reason == "STORE_UNAVAILABLE"
    with second.write():
        pass


def test_the_ledger_works_in_a_transaction_of_the_store(store: Store) -> None:
    name = "00000000-0000-4000-8000-000000000001"
    with store.write() as tx:
        line = Line(account="agency/a", unit=Unit.NANO_RHO, amount=5, lifetime_cap=7)
        reserve(LedgerTransaction(tx), name, [line], NOW)
    with store.read() as tx:
        assert height(LedgerTransaction(tx)) == 1
    assert store.check() == 1


async def test_a_change_that_the_database_does_not_take_harms_no_other(
    store: Store,
) -> None:
    """U+0000 is a text for SQLite and none for PostgreSQL."""
    journal = Journal(store)
    done = [
        journal.put(lambda tx, name=name: tx.execute(TOKENS.insert(), a_token(name)))  # type: ignore[misc]
        for name in ("a", "b\0", "a", "c")
    ]
    ended = await asyncio.gather(*done, return_exceptions=True)
    await journal.stop()
    refused = [isinstance(each, sa.exc.DBAPIError) for each in ended]
    assert refused == [False, store.dialect == "postgresql", True, False]
    assert {"a", "c"} <= set(tokens(store))


@pytest.mark.parametrize("verb", ["UPDATE audit SET event = 'x'", "DELETE FROM audit"])
def test_what_was_noted_cannot_be_changed(store: Store, verb: str) -> None:
    with store.write() as tx:
        note(tx, Event.TOKEN_CREATED, NOW, agency="city-police")
    with pytest.raises(sa.exc.IntegrityError, match="audit only grows"):
        _do(store, verb)
    with store.read() as tx:
        assert [each.event for each in newest(tx, 5)] == ["token.created"]


def test_what_migrations_say_about_growing_tables_never_changes() -> None:
    """Steps that were run call these functions, and their text is not in the list."""
    said = [
        text
        for dialect in ("sqlite", "postgresql")
        for text in (*refusal(dialect), *growing_only(dialect, "some_table"))
    ]
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    assert len(said) == 6
    assert digest == GROWING_TEXT


GROWING_TEXT = "86705ed7b427a50f44930ca017b14733dbc93a4436963a090ac80711d7ddaea8"


def test_tables_that_only_grow_have_a_trigger_for_each_verb(store: Store) -> None:
    names = {
        table.name
        for table in METADATA.sorted_tables
        if table.info.get("accord_only_grows")
    }
    assert {"audit", "asked", "releases", "transcripts", "equivocations"} <= names
    verbs = {"update", "delete"} | (
        {"truncate"} if store.dialect == "postgresql" else set()
    )
    with store.read() as tx:
        found = set(tx.execute(sa.text(TRIGGERS[store.dialect])).scalars())
    assert {f"{name}_no_{verb}" for name in names for verb in verbs} <= found


TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
}


def test_a_database_that_is_no_hub_s_is_refused(database: Database) -> None:
    store = database.opened()
    if database.kind == "sqlite":
        with pytest.raises(ConfigurationError, match="no database") as caught:
            store.check()
        assert caught.value.reason == "DATABASE_MISSING"
        store.place.prepare()
    with pytest.raises(ConfigurationError, match="no database of a hub") as caught:
        store.check()
    assert caught.value.reason == "DATABASE_FORMAT"


def test_a_database_with_tables_is_not_overwritten(store: Store) -> None:
    with store.write() as tx:
        tx.execute(TOKENS.insert(), a_token("a"))
    with pytest.raises(ConfigurationError, match="has tables already") as caught:
        store.create()
    assert caught.value.reason == "DATABASE_EXISTS"
    assert tokens(store) == ["a"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("0099_later", "does not know: install the version that wrote it"),
        ("0001_baseline", "older than this version"),
    ],
)
def test_another_layout_is_refused(database: Database, named: str, words: str) -> None:
    first = database.opened()
    first.create()
    _do(first, f"UPDATE alembic_version SET version_num = '{named}'")
    with pytest.raises(ConfigurationError, match=words) as caught:
        first.check()
    assert caught.value.reason == "DATABASE_FORMAT"
    with pytest.raises(ConfigurationError, match=words):
        database.opened().check()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM alembic_version",
        f"INSERT INTO alembic_version VALUES ('x{HEAD}')",
    ],
)
def test_a_database_that_names_no_layout_or_two_is_refused(
    store: Store, change: str
) -> None:
    _do(store, change)
    with pytest.raises(ConfigurationError, match="which layout it has"):
        store.check()


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        (
            "ALTER TABLE submissions DROP COLUMN purpose",
            "column purpose of submissions",
        ),
        ("DROP TABLE editions", "column agency of editions"),
        ("DROP TRIGGER audit_no_update{on}", "trigger audit_no_update"),
    ],
)
def test_a_database_that_lacks_a_part_of_its_layout_is_refused(
    store: Store, change: str, lacking: str
) -> None:
    on = " ON audit" if store.dialect == "postgresql" else ""
    _do(store, change.format(on=on))
    with pytest.raises(ConfigurationError, match=f"lacks the {lacking}") as caught:
        store.check()
    assert caught.value.reason == "DATABASE_FORMAT"


def test_a_trigger_that_was_switched_off_is_missed(server: Database) -> None:
    store = server.opened()
    _do(store, "ALTER TABLE releases DISABLE TRIGGER releases_no_delete")
    with pytest.raises(ConfigurationError, match="lacks the trigger releases_no_del"):
        store.check()


def test_no_value_of_a_statement_is_in_an_error(store: Store) -> None:
    with store.write() as tx:
        tx.execute(TOKENS.insert(), a_token("hidden-value"))
    with pytest.raises(sa.exc.IntegrityError) as caught, store.write() as tx:
        tx.execute(TOKENS.insert(), a_token("hidden-value") | {"agency": "hidden-too"})
    assert "hidden-too" not in str(caught.value)


def test_a_connection_that_ends_between_statements_changes_nothing(
    server: Database,
) -> None:
    first, other = server.opened(), server.opened()

    def interrupted() -> None:
        with first.write() as tx:
            tx.execute(TOKENS.insert(), a_token("a"))
            _end(other, _process(tx))
            tx.execute(TOKENS.insert(), a_token("b"))

    with pytest.raises(Unreachable) as caught:
        interrupted()
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert tokens(first) == []
    with first.write() as tx:  # and the next one goes through by itself
        tx.execute(TOKENS.insert(), a_token("c"))
    assert tokens(other) == ["c"]


def test_connections_that_idled_out_are_not_noticed(server: Database) -> None:
    first, other = server.opened(), server.opened()
    with first.write() as tx:
        process = _process(tx)
    _end(other, process)
    with first.write() as tx:
        tx.execute(TOKENS.insert(), a_token("a"))
    assert tokens(other) == ["a"]


@pytest.mark.parametrize("kept", [True, False])
def test_an_answer_to_a_commit_that_is_lost_is_found_out(
    server: Database, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """The connection breaks when the server has committed, or right before."""
    first, other = server.opened(), server.opened()
    _lose_answers(first, other, monkeypatch, kept=kept)
    if kept:
        add(first, "a")
        assert tokens(other) == ["a"]
    else:
        with pytest.raises(Unreachable, match="Nothing was changed"):
            add(first, "a")
        assert tokens(other) == []


def test_an_answer_that_stays_lost_is_not_guessed(
    server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = server.opened(), server.opened()
    _lose_answers(first, other, monkeypatch, kept=True)
    monkeypatch.setattr("accord.hub.db.postgresql._RESTART_SECONDS", 0.3)
    monkeypatch.setattr("accord.hub.db.postgresql._NEWEST", sa.text("SELECT 1 / 0"))
    with pytest.raises(InternalError, match="is not known") as caught:
        add(first, "a")
    assert caught.value.reason == "STORE_OUTCOME_UNKNOWN"


def test_what_a_server_is_still_committing_is_waited_for(server: Database) -> None:
    """The connection is gone, and the server does not know yet."""
    first, other = server.opened(), server.opened()
    add(first, "a")
    mark = Mark(first._writer, 2)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with first.write() as tx:
            tx.execute(TOKENS.insert(), a_token("b"))
            found = threads.submit(other.place.was_committed, other._engine, mark)
            with pytest.raises(concurrent.futures.TimeoutError):
                found.result(0.3)
        assert found.result(30) is True
    assert other.place.was_committed(other._engine, Mark(first._writer, 3)) is False
    assert other.place.was_committed(other._engine, Mark("nobody", 1)) is False


def test_writers_of_long_ago_are_forgotten(server: Database) -> None:
    store = server.opened()
    add(store, "a")
    _do(store, "INSERT INTO writers VALUES ('old', 7, 1)")
    add(server.opened(), "b")
    with store.read() as tx:
        names = set(tx.execute(sa.text("SELECT writer FROM writers")).scalars())
    assert len(names) == 2
    assert "old" not in names


def test_a_database_that_can_only_be_read_is_told(server: Database) -> None:
    store = server.opened()
    _do(store, f"ALTER DATABASE {_name(store)} SET default_transaction_read_only = on")
    other = server.opened()
    with pytest.raises(Unreachable, match="can only be read"):
        add(other, "a")


def test_a_wrong_password_is_told_without_it(
    server: Database, postgres: Cluster
) -> None:
    wrong = server.named.replace(f":{postgres._password}@", ":not-this-one@")
    assert wrong != server.named
    store = Store(PostgresDatabase(wrong))
    with pytest.raises(Unreachable, match="does not take this user") as told:
        store.check()
    store.close()
    chain: list[BaseException | None] = [told.value]
    while chain[-1] is not None:
        assert "not-this-one" not in str(chain[-1])
        assert "not-this-one" not in repr(chain[-1])
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    assert len(chain) > 2
    assert "not-this-one" not in repr(store.place)


def test_a_server_that_is_away_is_told() -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    store = Store(named_place("postgresql://accord:secret@127.0.0.1:1/hub"))
    with pytest.raises(Unreachable, match=r"hub on 127\.0\.0\.1 now: it cannot"):
        store.check()
    store.close()


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql://a:secret@[b", "hub.db"])
def test_what_names_no_database_is_refused_and_not_repeated(url: str) -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    with pytest.raises(ConfigurationError, match="no URL of PostgreSQL") as caught:
        Store(named_place(url)).close()
    assert caught.value.reason == "DATABASE_URL"
    assert "secret" not in str(caught.value)


def test_a_commit_waits_for_the_disk_whatever_the_server_s_default(
    server: Database,
) -> None:
    store = server.opened()
    _do(store, f"ALTER DATABASE {_name(store)} SET synchronous_commit = off")
    with server.opened().read() as tx:
        assert tx.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
        assert tx.exec_driver_sql("SHOW transaction_isolation").scalar_one() == (
            "repeatable read"
        )
    with server.opened().write() as tx:
        assert tx.exec_driver_sql("SHOW transaction_isolation").scalar_one() == (
            "read committed"
        )


def test_an_operator_is_told_what_endangers_the_database(server: Database) -> None:
    """The tests' own server does not wait for its disk, and its user is a superuser."""
    store = server.opened()
    found = " ".join(store.dangers())
    assert "fsync" in found
    assert "superuser" in found
    assert "sslmode" not in found  # it is on this machine
    elsewhere = server.named.replace("@127.0.0.1", "@db.example.org")
    other = Store(PostgresDatabase(f"{elsewhere}?hostaddr=127.0.0.1"))
    assert "sslmode=verify-full" in " ".join(other.dangers())
    assert other.place.name.endswith(" on db.example.org")
    other.close()


RIGHTS = "SELECT, INSERT, UPDATE, DELETE"


def test_the_least_rights_of_the_manual_are_enough_to_serve(
    server: Database, postgres: Cluster
) -> None:
    owner = server.opened()
    for statement in (
        "CREATE ROLE hub_serving LOGIN PASSWORD 'serving'",
        "GRANT USAGE ON SCHEMA public TO hub_serving",
        f"GRANT {RIGHTS} ON ALL TABLES IN SCHEMA public TO hub_serving",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hub_serving",
    ):
        _do(owner, statement)
    url = server.named.replace(f"accord:{postgres._password}@", "hub_serving:serving@")
    serving = Store(PostgresDatabase(url))
    try:
        assert serving.check() == 0
        assert "superuser" not in " ".join(serving.dangers())
        with serving.write() as tx:
            note(tx, Event.TOKEN_CREATED, NOW, agency="city-police")
        for statement in (
            "DROP TRIGGER audit_no_delete ON audit",
            "TRUNCATE audit",
            "ALTER TABLE audit DISABLE TRIGGER ALL",
        ):
            with pytest.raises(Unreachable, match="may not do this"):
                _do(serving, statement)
    finally:
        serving.close()
        _do(owner, "DROP OWNED BY hub_serving")
        _do(owner, "DROP ROLE hub_serving")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """SQLite's limit on pages stands for a full disk."""
    store = Store(tmp_path / "hub.db")
    store.create()
    with store.read() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(Unreachable, match="disk is full"):
        add(store, *(str(number) for number in range(10_000)))
    assert store.check() == 0
    store.close()


def _do(store: Store, statement: str) -> None:
    with store.write() as tx:
        tx.execute(sa.text(statement))


def _name(store: Store) -> str:
    with store.read() as tx:
        return str(tx.exec_driver_sql("SELECT current_database()").scalar_one())


def _process(tx: sa.Connection) -> int:
    return int(tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def _end(store: Store, process: int) -> None:
    with store.read() as tx:
        tx.execute(sa.text("SELECT pg_terminate_backend(:it, 5000)"), {"it": process})


def _lose_answers(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """Break the connection at every commit of a store, after it or before."""
    commit = store._engine.dialect.do_commit

    def lost(connection: Any) -> None:  # noqa: ANN401  # the driver's
        process = connection.dbapi_connection.info.backend_pid
        if kept:
            commit(connection)
        _end(other, process)
        commit(connection)
        connection.execute("SELECT 1")

    monkeypatch.setattr(store._engine.dialect, "do_commit", lost)
