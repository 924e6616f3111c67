# SPDX-License-Identifier: Apache-2.0
"""Databases as sources: settings, secrets, statements and commands, without a server.

What needs a server is in ``tests/contract``. SQL Server is not run by any test: the
golden files are what it would be sent, or an administrator would be shown.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import ipaddress
import json
import os
import socket
import sqlite3
import ssl
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.agent.settings import CREDENTIALS, Database, load_settings
from accord.agent.sources.access import Access, access_to
from accord.agent.sources.complaints import sorted_out
from accord.agent.sources.database import Column, DatabaseTable
from accord.agent.sources.drivers import is_loopback, mysql_tls, postgresql_tls
from accord.agent.sources.grants import grants
from accord.agent.sources.values import columns_of
from accord.core.errors import AccordError, ConfigurationError, SourceError
from tests.unit.agent.agencies import MODEL_TEXT, row
from tests.unit.agent.case_database import FOLLOWING_TEXT, CaseDatabase, office_state
from tests.unit.agent.command import Command

GOLDEN = Path(__file__).parents[2] / "golden" / "databases"

URLS = {
    "sqlite": "sqlite:////srv/office/cases.db",
    "postgresql": "postgresql://reader@db.example.org/office",
    "mariadb": "mariadb://o'brien@db.example.org:3307/office",
    "mssql": "mssql://reader@db.example.org/office",
}

HOSTILE = [
    "number",
    "First Name",
    'a"b',
    "a`b",
    "a]b",
    "x; DROP TABLE y --",
    "%s (d) :e",
]


def must_equal_golden(name: str, text: str) -> None:
    """Compare with a file; ``ACCORD_GOLDEN=write`` writes it anew."""
    golden = GOLDEN / name
    if os.environ.get("ACCORD_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def access(
    url: str, folder: Path = Path("/state"), name: str = "office", **entries: str
) -> Access:
    database = Database.model_validate({"url": url} | entries)
    return Access(name=name, database=database, folder=folder)


@pytest.mark.parametrize("kind", URLS)
def test_grants_are_as_they_were_read(kind: str) -> None:
    lines = grants(access(URLS[kind]), "intake.case files", HOSTILE)
    must_equal_golden(f"grants.{kind}.sql", "\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", URLS)
def test_what_is_asked_of_a_database_is_as_it_was_read(kind: str) -> None:
    from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite

    dialects: dict[str, Any] = {
        "sqlite": sqlite.dialect,
        "postgresql": postgresql.dialect,
        "mariadb": mysql.dialect,
        "mssql": mssql.dialect,
    }
    connection: Any = None
    table = DatabaseTable(
        access=access(URLS[kind]),
        connection=connection,
        name="office:case files",
        schema="intake",
        table="case files",
        columns=(
            Column(name="number", kind=sa.Integer()),
            Column(name="a`b %s", kind=sa.String()),
        ),
    )
    whole = table._select(HOSTILE)
    one = table._select(["number"]).where(table._among(["number"], [[1], [None]]))
    pairs = table._among(["number", "a`b %s"], [[1, "x"], [None, ""]])
    several = table._select(["number"]).where(pairs)
    texts = [
        str(statement.compile(dialect=dialects[kind]()))
        for statement in (whole, one, several)
    ]
    must_equal_golden(f"read.{kind}.sql", ";\n\n".join(texts) + ";\n")


def test_urls_hold_no_password_and_no_options(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    for url, words in (
        ("postgresql://reader:hunter2@db/office", "a password stands in the URL"),
        ("postgresql://reader@db/office?sslmode=disable", "options behind a ?"),
        ("oracle://reader@db/office", "begins with none of"),
        ("postgresql://reader@db", "names no database"),
        ("postgresql://reader@db:x/office", "this is no URL"),
    ):
        config.write_text(f'[databases.office]\nurl = "{url}"\n')
        with pytest.raises(ConfigurationError) as refused:
            load_settings(config)
        assert refused.value.reason == "SETTINGS_INVALID"
        assert words in refused.value.sentence
        assert "hunter2" not in refused.value.sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[databases.'Big One']\nurl = 'sqlite:////x.db'", "lower-case letters"),
        ("[databases.a]\nurl = 'sqlite:////x.db'\npasword_file = 'x'", "password_file"),
        ("[databases.a]\npassword_file = 'x'", "databases.a.url"),
        ("[databases.a]\nurl = 'sqlite:////x.db'\ntls = 'no'", "databases.a.tls"),
    ],
)
def test_tables_of_databases_are_strict(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(config)
    assert words in refused.value.sentence


def test_databases_stand_in_the_file_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a setting"):
        load_settings(tmp_path / "config.toml", {"ACCORD_AGENT_DATABASES": "{}"})


def test_a_database_that_is_not_named_is_said_so() -> None:
    known = {"office": Database(url=URLS["sqlite"])}
    with pytest.raises(ConfigurationError) as refused:
        access_to("offices", known, Path("/state"))
    assert refused.value.reason == "DATABASE_UNKNOWN"
    assert "Did you mean 'office'" in refused.value.sentence


def test_passwords_come_from_a_file_or_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    local = "postgresql://reader@127.0.0.1/office"

    def password(**entries: str) -> object:
        return access(local, tmp_path, **entries).engine().url.password

    secret = tmp_path / "office.password"
    secret.touch(0o600)
    secret.write_text("hunter2\n")
    assert password(password_file="office.password") == "hunter2"
    assert password(password_file=str(secret)) == "hunter2"
    assert password() is None
    monkeypatch.setenv(CREDENTIALS, str(tmp_path))
    assert password() is None
    (tmp_path / "office").write_text("from systemd")
    (tmp_path / "office").chmod(0o440)
    assert password() == "from systemd"
    assert password(password_file="office.password") == "hunter2"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("hunter2", 0o640, "SECRET_EXPOSED"),
        ("", 0o600, "DATABASE_SECRET"),
        ("two\nlines", 0o600, "DATABASE_SECRET"),
        (None, 0o600, "DATABASE_SECRET"),
    ],
)
def test_a_password_file_is_private_and_one_line(
    tmp_path: Path, content: str | None, mode: int, reason: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_text(content)
        (tmp_path / "secret").chmod(mode)
    with pytest.raises(AccordError) as refused:
        access(
            "postgresql://reader@127.0.0.1/office", tmp_path, password_file="secret"
        ).engine()
    assert refused.value.reason == reason
    assert "hunter2" not in refused.value.sentence


def test_a_password_never_stands_in_an_engine_s_name(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    made = access(
        "postgresql://reader@127.0.0.1/office", tmp_path, password_file="secret"
    )
    assert "hunter2" not in repr(made)
    assert "hunter2" not in repr(made.engine())
    assert "hunter2" not in str(made.engine().url)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (None, True),
        ("localhost", True),
        ("127.0.0.5", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104 - nobody listens
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("db", False),
    ],
)
def test_what_stays_on_this_machine(host: str | None, *, found: bool) -> None:
    assert is_loopback(host) is found


def test_servers_elsewhere_must_prove_themselves(tmp_path: Path) -> None:
    trusted = ssl.get_default_verify_paths().cafile
    if trusted is None:
        pytest.skip("this machine has no list of certificate authorities")

    def authorities() -> str:
        return trusted

    found = postgresql_tls("verify", authorities, remote=True)
    assert found == {"sslmode": "verify-full", "sslrootcert": trusted}
    context = mysql_tls("verify", authorities, remote=True)["ssl"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    made = access(URLS["postgresql"], tmp_path)
    assert made._arguments(sa.make_url(made.database.url))["sslmode"] == "verify-full"
    through = access(URLS["postgresql"], tmp_path, socket="/run/postgresql")
    arguments = through._arguments(sa.make_url(through.database.url))
    assert (arguments["host"], arguments["sslmode"]) == ("/run/postgresql", "prefer")


def test_the_environment_names_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg", reason="no driver for PostgreSQL")
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        monkeypatch.setenv("PGHOST", "127.0.0.1")
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(elsewhere.getsockname()[1]))
        port = elsewhere.getsockname()[1]
        made = access(f"postgresql://u@/accord_no_such:{port}", tmp_path)
        arguments = made._arguments(sa.make_url(made.database.url))
        assert (arguments["host"], arguments["hostaddr"]) == ("", "")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**arguments)
        with pytest.raises(BlockingIOError):  # nobody has called
            elsewhere.accept()


def test_sql_server_cannot_be_checked_and_that_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pymssql", reason="no driver for SQL Server")
    with pytest.raises(ConfigurationError) as refused:
        access(URLS["mssql"], tmp_path).engine()
    assert refused.value.reason == "DATABASE_TLS"
    assert "tunnel" in refused.value.sentence
    engine = access(URLS["mssql"], tmp_path, tls="encrypt").engine()
    assert engine.dialect.driver == "pymssql"


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("psycopg", "postgresql://r@127.0.0.1/office", "accord-agent[postgresql]"),
        ("pymysql", "mysql://r@127.0.0.1/office", "accord-agent[mysql]"),
        ("pymssql", "mssql://r@127.0.0.1/office", "accord-agent[sqlserver]"),
    ],
)
def test_a_driver_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError) as refused:
        access(url).engine()
    assert refused.value.reason == "DATABASE_DRIVER"
    assert extra in refused.value.sentence


def test_cells_of_a_sqlite_page_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "cases.db"
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE cases (a TEXT)")
    with access(f"sqlite:///{file}").connected() as connection:
        checked = connection.exec_driver_sql("PRAGMA cell_size_check").scalar()
    assert checked == 1


def test_the_file_of_sqlite_must_be_there_and_named_wholly(tmp_path: Path) -> None:
    for url in ("sqlite:///cases.db", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(ConfigurationError) as refused:
            access(url).engine()
        assert refused.value.reason == "DATABASE_PATH"


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "cases.db"
    file.write_text("no database, but hunter2 " * 100)
    with (
        pytest.raises(ConfigurationError, match="is no SQLite database") as refused,
        access(f"sqlite:///{file}").connected(),
    ):
        pytest.fail("it was taken for one")
    assert refused.value.reason == "DATABASE_PATH"
    assert "hunter2" not in refused.value.sentence


def test_a_damaged_database_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "cases.db"
    with contextlib.closing(sqlite3.connect(file)) as made, made:
        made.execute("CREATE TABLE cases (a TEXT)")
        made.executemany("INSERT INTO cases VALUES (?)", [("hunter2" * 99,)] * 99)
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(content)
    with (
        pytest.raises(SourceError, match="is damaged") as refused,
        access(f"sqlite:///{file}").connected() as connection,
        access(f"sqlite:///{file}").explained(),
    ):
        connection.exec_driver_sql("SELECT a FROM cases").all()
    assert refused.value.reason == "DATABASE_FAILED"


def test_a_locked_database_is_said_so() -> None:
    error = sqlite3.OperationalError("database is locked")
    for connecting in (True, False):
        found = sorted_out(error, "office", connecting=connecting)
        assert found.reason == "DATABASE_FAILED"
        assert "run the command again" in found.sentence


def test_what_a_statement_quotes_does_not_count_as_a_complaint() -> None:
    error = sa.exc.DBAPIError(
        'SELECT "certificate", "access denied for user" FROM t',
        {},
        sqlite3.OperationalError("disk I/O error"),
    )
    found = sorted_out(error, "office", connecting=False)
    assert found.reason == "DATABASE_FAILED"
    assert "certificate" not in found.sentence


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("permission denied for table certificates", "DATABASE_RIGHTS"),
        ("SELECT command denied to user 'a'@'b' for table 'tls'", "DATABASE_RIGHTS"),
        ("SSL error: unexpected eof while reading", "DATABASE_FAILED"),
    ],
)
def test_what_a_table_is_called_is_no_complaint_about_the_server(
    said: str, reason: str
) -> None:
    error = sqlite3.OperationalError(said)
    assert sorted_out(error, "office", connecting=False).reason == reason
    assert sorted_out(error, "office", connecting=True).reason == "DATABASE_TLS"


def test_grants_are_for_the_table_that_is_read() -> None:
    (line,) = (
        line
        for line in grants(access(URLS["postgresql"]), "intake.cases.2024", ["a"])
        if line.startswith("GRANT SELECT")
    )
    assert ' "intake"."cases.2024" ' in line


def test_a_file_that_cannot_be_opened_is_said_so() -> None:
    error = sqlite3.OperationalError("unable to open database file")
    found = sorted_out(error, "office", connecting=True)
    assert found.reason == "DATABASE_PATH"
    assert "-shm" in found.sentence


def test_values_become_the_texts_that_mappings_read() -> None:
    moment = datetime.datetime(2024, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    values = [
        None,
        "text",
        True,
        False,
        -7,
        2.0,
        2.5,
        1e300,
        decimal.Decimal("10.50"),
        decimal.Decimal("1E+3"),
        decimal.Decimal("NaN"),
        datetime.date(1, 1, 1),
        moment,
        uuid.UUID(int=5),
        ipaddress.ip_address("::1"),
    ]
    (column,) = columns_of([[value] for value in values], ["a"], [], "t")
    assert column == [
        "",
        "text",
        "true",
        "false",
        "-7",
        "2",
        "2.5",
        "1e+300",
        "10.50",
        "1000",
        "NaN",
        "0001-01-01",
        "2024-02-03 04:05:06+00:00",
        "00000000-0000-0000-0000-000000000005",
        "::1",
    ]
    assert columns_of([[b"\x01"], [None]], ["a"], [0], "t") == [["1", ""]]


@pytest.mark.parametrize("value", [b"hunter2", ["hunter2"], {"hunter2": 1}, object()])
def test_values_without_a_text_are_refused_unseen(value: object) -> None:
    with pytest.raises(SourceError) as refused:
        columns_of([[value]], ["photo"], [], "office:cases")
    assert refused.value.reason == "SOURCE_TYPE"
    assert "'photo'" in refused.value.sentence
    assert "hunter2" not in refused.value.sentence


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """A command beside an office's database, a mapping and a state directory."""
    database = CaseDatabase(tmp_path / "office.db")
    database.put([row(number=str(number)) for number in range(3)])
    monkeypatch.setenv("ACCORD_AGENT_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    office_state(tmp_path / "state", database.file)
    (tmp_path / "m.yaml").write_text(FOLLOWING_TEXT)
    (tmp_path / "small.yaml").write_text(MODEL_TEXT)
    return Command(monkeypatch, capsys)


MAPPED = ("--mapping", "m.yaml", "--model", "small.yaml")


def test_the_command_reads_a_table_every_night(office: Command) -> None:
    first = office("ingest", *MAPPED, "--json")
    assert first.status == 0, first.stderr
    told = json.loads(first.stdout)["report"]
    assert told["changes"] == {"in_source": 3, "read_anew": 3, "gone": 0}
    with contextlib.closing(sqlite3.connect("office.db")) as connection, connection:
        connection.execute("DELETE FROM cases WHERE number = '1'")
    again = office("ingest", *MAPPED)
    assert again.status == 0, again.stderr
    assert "cases gone" in again.stdout
    whole = office("ingest", *MAPPED, "--all", "--json")
    assert json.loads(whole.stdout)["report"]["rows"]["read"] == 2


def test_the_command_says_what_a_user_may_do(office: Command) -> None:
    done = office("databases", "check", "office")
    assert done.status == 0, done.stderr
    assert "cases" in done.stdout
    told = json.loads(office("databases", "check", "office", "--json").stdout)
    assert told["readable"] == [{"table": "cases", "columns": 10}]
    may_write = os.access("office.db", os.W_OK)
    assert told["beyond"] == (["write to the file"] if may_write else [])
    assert ("may do more than read" in done.stderr) is may_write


def test_the_name_of_a_table_steers_no_terminal(office: Command) -> None:
    with contextlib.closing(sqlite3.connect("office.db")) as connection, connection:
        connection.execute('CREATE TABLE "a\033[2Jb" (c TEXT)')
    done = office("databases", "check", "office")
    assert "[2Jb" in done.stdout
    assert "\033" not in done.stdout + done.stderr


def test_the_command_prints_grants(office: Command) -> None:
    config = Path(os.environ["ACCORD_AGENT_STATE"]) / "config.toml"
    config.write_text(f'[databases.office]\nurl = "{URLS["postgresql"]}"\n')
    done = office("databases", "grants", "office", *MAPPED)
    assert done.status == 0, done.stderr
    assert 'GRANT SELECT ("first", "last", "born", "number", "updated_at"' in (
        done.stdout
    )
    told = json.loads(office("databases", "grants", "office", *MAPPED, "--json").stdout)
    assert len(told["statements"]) == 5


def test_grants_need_a_mapping_of_that_database(office: Command) -> None:
    config = Path(os.environ["ACCORD_AGENT_STATE"]) / "config.toml"
    config.write_text('[databases.other]\nurl = "sqlite:////x.db"\n')
    done = office("databases", "grants", "other", *MAPPED)
    assert done.status == 2
    assert "reads no table of the database 'other'" in done.stderr.replace("\n", " ")


def test_sqlalchemy_is_loaded_for_databases_only() -> None:
    import subprocess

    code = (
        "import sys; import accord.agent.cli, accord.agent.intake.ingest; "
        "print([name for name in ('sqlalchemy', 'psycopg', 'pymysql', 'pymssql') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
