# SPDX-License-Identifier: Apache-2.0
"""What DuckDB must not be able to do in an agency."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from accord.agent.intake.sandbox import reading, sandbox
from accord.agent.settings import Ingest
from accord.core.errors import PreconditionFailed
from accord.rpc.command import INTERRUPTED
from tests.unit.agent.agencies import LIMITS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    source = folder.parent / "source.csv"
    source.write_text("a,b\n1,2\n")
    (folder.parent / "other.csv").write_text("a,b\n1,2\n")
    with sandbox(folder, [source], LIMITS) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_text('~/.ssh/id_ed25519')",
        "SELECT * FROM read_csv('/dev/stdin')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
        "CREATE MACRO leak() AS TABLE FROM read_text('/etc/passwd')",
        "SELECT getenv('HOME')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM glob('{outside}/*')",
        "SELECT * FROM '{outside}/other.csv'",
        "SELECT * FROM read_csv('{outside}/own/../other.csv')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')",
        "COPY (SELECT 1) TO '{outside}/leak.csv'",
        "COPY (SELECT 1) TO '{outside}/source.parquet' (FORMAT parquet)",
        "EXPORT DATABASE '{outside}/leak'",
        "ATTACH '{outside}/leak.db'",
        "INSTALL httpfs",
        "INSTALL spatial FROM community",
        "LOAD httpfs",
        "LOAD '{outside}/other.csv'",
        "SET memory_limit = '100GB'",
        "SET threads = 64",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '/tmp'",
        "SET autoinstall_known_extensions = true",
        "SET SESSION allowed_paths = ['/etc/passwd']",
        "SET GLOBAL allow_community_extensions = true",
        "SET file_search_path = '/etc'",
        "SET home_directory = '/'",
        "SET secret_directory = '{outside}'",
        "SET profiling_output = '{outside}/profile.json'",
        "SET python_enable_replacements = true",
        "RESET memory_limit",
        "RESET enable_external_access",
        "FORCE INSTALL json",
        "IMPORT DATABASE '{outside}'",
        "PRAGMA enable_profiling = 'json'",
        "CALL enable_logging(storage = 'file', storage_path = '{outside}/log')",
        "PRAGMA enable_logging",
        "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    ],
)
def test_it_cannot(
    connection: duckdb.DuckDBPyConnection, folder: Path, statement: str
) -> None:
    before = {path.name for path in folder.parent.iterdir()}
    with pytest.raises(duckdb.Error):
        connection.execute(statement.format(outside=folder.parent))
    assert {path.name for path in folder.parent.iterdir()} == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{own}/file')",
        "SELECT * FROM read_csv('{own}/folder/other.csv')",
        "SELECT * FROM read_text('{own}/passwd')",
        "SELECT * FROM glob('{own}/folder/*')",
        "COPY (SELECT 1) TO '{own}/new.csv'",
        "COPY (SELECT 1) TO '{own}/folder/leak.csv'",
        "ATTACH '{own}/folder/leak.db'",
        "EXPORT DATABASE '{own}/folder/leak'",
    ],
)
def test_it_follows_no_link_out_of_its_folder(
    connection: duckdb.DuckDBPyConnection, folder: Path, statement: str
) -> None:
    outside = folder.parent
    (folder / "file").symlink_to(outside / "other.csv")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to(outside)
    (folder / "new.csv").symlink_to(outside / "leak.csv")
    before = {path.name for path in outside.iterdir()}
    with pytest.raises(duckdb.Error):
        connection.execute(statement.format(own=folder))
    assert {path.name for path in outside.iterdir()} == before


def test_it_sees_no_python_variable(connection: duckdb.DuckDBPyConnection) -> None:
    secrets = {"key": [1, 2, 3]}
    with pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM secrets")
    assert secrets


def test_it_reads_the_source_and_writes_its_folder(
    connection: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    source = str(folder.parent / "source.csv")
    found = connection.execute("FROM read_csv(?)", [source]).fetchall()
    assert found == [(1, 2)]
    connection.execute(f"COPY (SELECT 1) TO '{folder}/part.parquet' (FORMAT parquet)")
    assert (folder / "part.parquet").exists()


def test_its_limits_are_set(
    connection: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    rows = connection.execute("SELECT name, value FROM duckdb_settings()").fetchall()
    settings = dict(rows)
    assert settings["memory_limit"] == "256.0 MiB"
    assert settings["max_temp_directory_size"] == "1.0 GiB"
    assert settings["temp_directory"] == str(folder / "spill")
    assert settings["threads"] == "1"
    assert settings["lock_configuration"] == "true"


def test_a_quote_in_a_path_stays_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "it's"
    folder.mkdir()
    source = tmp_path / "o'brien.csv"
    source.write_text("a\n1\n")
    with sandbox(folder, [source], LIMITS) as connection:
        found = connection.execute("FROM read_csv(?)", [str(source)]).fetchall()
    assert found == [(1,)]


def test_a_disk_that_is_full_is_not_the_fault_of_a_source(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def read() -> None:
        limits = Ingest(memory="48MiB", spill="10GiB")
        with sandbox(folder, [], limits) as connection, reading("a.csv"):
            # A file that may not grow fails as one does on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
            connection.execute(
                "CREATE TABLE raw AS SELECT sha256(i::VARCHAR) AS text "
                "FROM range(2_000_000) AS t(i)"
            )

    try:
        with pytest.raises(PreconditionFailed) as caught:
            read()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.reason == "STORE_NOT_WRITABLE"


LONG = """\
import os, pathlib, signal, sys, threading
from accord.agent.intake.sandbox import sandbox
from accord.agent.settings import Ingest
from accord.rpc.command import run_command

def count():
    with sandbox(pathlib.Path(sys.argv[1]), [], Ingest()) as connection:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        many = "range(1000000000)"
        connection.execute(f"SELECT count(*) FROM {many} a, {many} b "
                           "WHERE a.range % 7 = b.range % 11")

sys.exit(run_command(count, unharmed="All is well."))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are other ones")
def test_who_ends_a_long_query_has_made_no_mistake(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LONG, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (INTERRUPTED, "")
