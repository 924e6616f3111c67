# SPDX-License-Identifier: Apache-2.0
"""One suite for all sources: the same rows are the same store, however they come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import ingest
from accord.core.errors import SourceError
from tests.contract.case_tables import (
    COLUMNS,
    Place,
    Rows,
    Run,
    in_csv,
    in_mariadb,
    in_parquet,
    in_postgresql,
    in_sqlite,
    settings,
)
from tests.contract.mariadb import MariadbServer, mariadb
from tests.contract.postgres import Cluster, postgres
from tests.unit.agent.agencies import LIMITS, NOW, mapping, row, store_bytes
from tests.unit.agent.case_database import stored

__all__ = ["mariadb", "postgres"]

KINDS = ("csv", "parquet", "sqlite", "postgresql", "mariadb")
DATABASES = ("sqlite", "postgresql", "mariadb")

Open = Callable[[Rows], AbstractContextManager[Place]]


def opener(kind: str, folder: Path, request: pytest.FixtureRequest) -> Open:
    """Return what puts rows into a source of a kind."""
    if kind == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        return lambda rows: in_postgresql(cluster, folder, rows)
    if kind == "mariadb":
        server: MariadbServer = request.getfixturevalue("mariadb")
        return lambda rows: in_mariadb(server, folder, rows)
    makers = {"csv": in_csv, "parquet": in_parquet, "sqlite": in_sqlite}
    return lambda rows: makers[kind](folder, rows)


@pytest.fixture(params=KINDS)
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request.param, tmp_path, request)


@pytest.fixture(params=DATABASES)
def put_in_database(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request.param, tmp_path, request)


def case(number: int, **fields: str | None) -> dict[str, str | None]:
    usual: dict[str, str | None] = dict(row(number=str(number)))
    return usual | {"changed": "2024-05-06 07:08:09"} | fields


PLAIN = [case(n, first=f"P{n % 5}", days=str(n)) for n in range(40)]

HOSTILE = [
    case(1, first="' OR 1=1 --", last='"; DROP TABLE "case files"; --'),
    case(2, first="=cmd|' /C calc'!A0", last="@SUM(1+1)*cmd|' /C calc'!A0"),
    case(3, first="محمد", last="עברית \u202e gnirts \u202c"),
    case(4, first="👨‍👩‍👧‍👦", last="\U0001f600\U00020000"),
    case(5, first="x" * 1_000_000, last="é" * 100_000),
    case(6, born="0001-01-01"),
    case(7, date="0001-01-01"),
    case(8, date="2024-02-31"),
    case(9, first="", last="", born=""),
    case(10, first=None, last=None, born=None),
    case(11, first="  Ana ", last="\u00a0Novak\t"),
    case(12, first="a\\'b", last="%s %(x)s {0} :name ?"),
    case(13, first="line\nbreak", last="comma, semicolon;"),
    case(14, region="' OR 1=1"),
    case(15, region=None, type="labour; begging", days="10.5"),
    case(16, days="1e400", type=None),
    case(17, first="ﬁ", last="\u0130stanbul"),
    case(18, notes="never read" * 1000),
]


@pytest.fixture
def as_csv(tmp_path: Path) -> Callable[[Rows], dict[str, bytes]]:
    """Returns the store that rows make when they come from a CSV file."""

    def store(rows: Rows) -> dict[str, bytes]:
        folder = tmp_path / "reference"
        folder.mkdir()
        with in_csv(folder, rows) as place:
            place.read()
            return store_bytes(place.state)

    return store


def test_rows_are_rows(put: Open, as_csv: Callable[[Rows], dict[str, bytes]]) -> None:
    with put(PLAIN) as place:
        done = place.read()
        assert (done.report.read, done.report.kept) == (40, 40)
        assert store_bytes(place.state) == as_csv(PLAIN)


def test_hostile_rows_are_rows(
    put: Open, as_csv: Callable[[Rows], dict[str, bytes]]
) -> None:
    with put(HOSTILE) as place:
        report = place.read().report
        refused = {key: one.rows for key, one in report.refusals.items()}
        assert refused == {
            ("registered_month", Reason.NOT_A_DATE): 1,
            ("registered_month", Reason.OUT_OF_DOMAIN): 1,
            ("region", Reason.OUT_OF_DOMAIN): 1,
            ("age_band", Reason.OUT_OF_DOMAIN): 2,
            ("age_band", Reason.NOT_A_DATE): 1,
            ("days", Reason.NOT_A_NUMBER): 1,
            ("", Reason.NO_PERSON): 2,
        }
        assert report.read == len(HOSTILE)
        assert store_bytes(place.state) == as_csv(HOSTILE)


def test_what_changes_is_followed(put_in_database: Open) -> None:
    with put_in_database(PLAIN) as place:
        run = place.run
        assert run is not None
        place.read(follow=True)
        quote = "`" if "mariadb" in place.state.root.name else '"'
        table = f"{quote}case files{quote}"
        run(
            f"UPDATE {table} SET days = ?, first = ?, changed = ? WHERE number = ?",
            ["300", "Moved", "2025-01-01 00:00:00", 7],
        )
        run(f"DELETE FROM {table} WHERE number IN (8, 9)")
        run(f"UPDATE {table} SET number = 1000 WHERE number = 10")
        done = place.read(follow=True)
        assert done.report.changes is not None
        found = done.report.changes
        assert (found.cases, found.anew, found.gone) == (38, 2, 3)
        assert done.report.read == 2
        followed = stored(place.state)
        text = mapping(place.text(follow=True))
        ingest(place.state, text, [], LIMITS, NOW, everything=True)
        assert stored(place.state) == followed


def test_nothing_is_written_and_only_named_columns_are_read(
    put_in_database: Open,
) -> None:
    """The column that is not named cannot be read as text; nobody finds out."""
    with put_in_database(PLAIN) as place:
        run = place.run
        assert run is not None
        quote = "`" if "mariadb" in place.state.root.name else '"'
        kind = "bytea" if place.state.root.name == "postgresql" else "blob"
        run(f"ALTER TABLE {quote}case files{quote} ADD COLUMN scan {kind}")
        value = b"\xff\xd8\x00"
        run(f"UPDATE {quote}case files{quote} SET scan = ?", [value])
        assert place.read().report.kept == 40
        of = place.text().replace("{column: region}", "{column: scan}")
        with pytest.raises(SourceError) as refused:
            ingest(place.state, mapping(of), [], LIMITS, NOW)
        assert refused.value.reason == "SOURCE_TYPE"
        assert "'scan'" in refused.value.sentence


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_nul_in_a_database_strikes_its_row(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rows = [case(1), case(2, first="a\0b"), case(3)]
    with opener(kind, tmp_path, request)(rows) as place:
        report = place.read().report
        assert (report.kept, report.refused) == (2, 1)
        assert report.refusals["", Reason.UNREADABLE].rows == 1


def test_a_table_that_is_not_there_is_named(put_in_database: Open) -> None:
    with put_in_database(PLAIN) as place:
        text = place.text().replace("case files", "case_files")
        with pytest.raises(SourceError) as refused:
            ingest(place.state, mapping(text), [], LIMITS, NOW)
        assert refused.value.reason == "DATABASE_TABLE"
        assert "Did you mean 'case files'" in refused.value.sentence


def test_a_hostile_name_of_a_column_is_a_name(put_in_database: Open) -> None:
    with put_in_database(PLAIN) as place:
        run = place.run
        assert run is not None
        quote = "`" if "mariadb" in place.state.root.name else '"'
        name = "x\"; DROP TABLE y; --`' :a"
        told = name.replace(quote, quote * 2)
        rename = f"RENAME COLUMN region TO {quote}{told}{quote}"
        run(f"ALTER TABLE {quote}case files{quote} {rename}")
        written = place.text().replace(
            "{column: region}", '{column: "' + name.replace('"', '\\"') + '"}'
        )
        assert ingest(place.state, mapping(written), [], LIMITS, NOW).report.kept == 40


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_no_utf8_is_said_so(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SQLite takes any bytes as a text, so does PostgreSQL if it knows no letters."""
    with opener(kind, tmp_path, request)([case(1), case(2)]) as place:
        run = place.run
        assert run is not None
        if kind == "sqlite":
            change = 'UPDATE "case files" SET first = CAST(? AS TEXT) WHERE number = ?'
            run(change, [b"\xffsecret", "2"])
        else:
            cluster: Cluster = request.getfixturevalue("postgres")
            settings(place.state, *without_letters(cluster, run))
        with pytest.raises(SourceError) as refused:
            place.read()
        assert refused.value.reason == "SOURCE_ENCODING"
        assert "secret" not in refused.value.sentence


def without_letters(cluster: Cluster, run: Run) -> tuple[str, str]:
    """Make the table again in a database of bytes; return its URL and password."""
    import psycopg

    run("DROP DATABASE IF EXISTS letterless")
    run("CREATE DATABASE letterless ENCODING 'SQL_ASCII' TEMPLATE template0")
    url = cluster.database(driver="postgresql").rpartition("/")[0] + "/letterless"
    with psycopg.connect(url, autocommit=True) as connection:
        fields = ", ".join(f'"{name}" text' for name in COLUMNS)
        connection.execute(f'CREATE TABLE "case files" ({fields})')
        connection.execute(
            "INSERT INTO \"case files\" (number, first) VALUES ('1', E'\\xffsecret')"
        )
    user, _, rest = url.removeprefix("postgresql://").partition(":")
    password, _, place = rest.partition("@")
    return f"postgresql://{user}@{place}", password


def test_dates_that_no_calendar_has_are_not_dates(
    postgres: Cluster, tmp_path: Path
) -> None:
    with in_postgresql(postgres, tmp_path, [case(1), case(2), case(3)]) as place:
        assert place.run is not None
        place.run('ALTER TABLE "case files" ALTER date TYPE date USING date::date')
        for number, date in ((1, "infinity"), (2, "0044-03-15 BC")):
            place.run(
                'UPDATE "case files" SET date = ? WHERE number = ?', [date, number]
            )
        report = place.read().report
        assert report.kept == 1
        refused = report.refusals["registered_month", Reason.NOT_A_DATE]
        assert refused.rows == 2
