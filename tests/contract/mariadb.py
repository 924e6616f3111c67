# SPDX-License-Identifier: Apache-2.0
"""A MariaDB server of the test run's own, or a clear word why there is none.

Use the fixture by importing it (``from tests.contract.mariadb import mariadb``) and
take a fresh, empty database per test from ``mariadb.database()``. The server listens
on loopback only, with passwords made for this run, under a user that is not root, in
a directory that is gone afterwards. It does not wait for the disk.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pymysql

START_SECONDS = 60.0
ATTEMPTS = 5


class MariadbUnavailableError(Exception):
    """There is no server here, for the reason in the text."""


class MariadbServer:
    """A running server."""

    def __init__(self, port: int, socket_file: Path, password: str) -> None:
        self._made = 0
        self.port = port
        self.socket = socket_file
        self.password = password

    def connect(
        self, database: str | None = None
    ) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """Connect as the owner of everything."""
        import pymysql

        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="accord",
            password=self.password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
        )

    def database(self) -> str:
        """Make an empty database and return its name."""
        self._made += 1
        name = f"test_{self._made}"
        with contextlib.closing(self.connect()) as connection:
            connection.cursor().execute(
                f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )
        return name

    def ready(self) -> bool:
        """Whether it lets its own user in."""
        import pymysql

        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True


@contextlib.contextmanager
def server(
    folder: Path | None = None, tls: Mapping[str, bytes] | None = None
) -> Iterator[MariadbServer]:
    """Start a server and stop it again.

    Args:
        folder: where its files are; else with temporary ones.
        tls: its `certificate` and `key`, for a server that speaks TLS.

    Raises:
        MariadbUnavailableError: no programs, no user to run as, or no start.
    """
    programs = _programs()
    identity = _identity()
    home = Path(tempfile.mkdtemp(prefix="accord-mariadb-", dir=folder))
    try:
        if identity:
            shutil.chown(home, identity["user"], identity["group"])
        password = secrets.token_urlsafe(16)
        _initialise(programs["mariadb-install-db"], home, password, identity)
        for name, content in (tls or {}).items():
            (home / name).touch(0o600)
            (home / name).write_bytes(content)
            if identity:
                shutil.chown(home / name, identity["user"], identity["group"])
        process, running = _start(programs["mariadbd"], home, password, identity)
        try:
            yield running
        finally:
            process.terminate()
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """The server of this test run; tests that need it are skipped without one."""
    pytest.importorskip("pymysql", reason="no driver for MariaDB (extra `mysql`)")
    with contextlib.ExitStack() as stack:
        try:
            in_memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
            folder = None if in_memory is None else Path(in_memory)
            running = stack.enter_context(server(folder))
        except MariadbUnavailableError as problem:
            pytest.skip(f"no MariaDB server for this test: {problem}")
        yield running


def _programs() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("mariadbd", "mariadb-install-db"):
        path = shutil.which(name, path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
        if path is None:
            raise MariadbUnavailableError(f"the program {name} is not installed")
        found[name] = path
    return found


def _identity() -> dict[str, Any]:
    """Return how to start programs as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    for name in ("mysql", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise MariadbUnavailableError("it does not run as root, and no other user exists")


def _initialise(
    program: str, home: Path, password: str, identity: dict[str, Any]
) -> None:
    made = subprocess.run(
        [
            program,
            "--no-defaults",
            f"--datadir={home / 'store'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        env={"PATH": f"{os.defpath}:/usr/sbin"},
        timeout=START_SECONDS,
        **identity,
    )
    if made.returncode != 0:
        raise MariadbUnavailableError(f"mariadb-install-db failed: {made.stderr}")
    first = home / "first.sql"
    first.write_text(
        "DROP USER IF EXISTS root@localhost;\n"
        f"CREATE USER accord@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO accord@'127.0.0.1' WITH GRANT OPTION;\n",
        encoding="ascii",
    )
    if identity:
        shutil.chown(first, identity["user"], identity["group"])


def _start(
    program: str, home: Path, password: str, identity: dict[str, Any]
) -> tuple[subprocess.Popen[bytes], MariadbServer]:
    """Start the server on a port that was free a moment ago; if taken, on another."""
    for _ in range(ATTEMPTS):
        port = _free_port()
        socket_file = home / "server.sock"
        tls = [f"--ssl-cert={home}/certificate", f"--ssl-key={home}/key"]
        process = subprocess.Popen(
            [
                program,
                "--no-defaults",
                f"--datadir={home / 'store'}",
                f"--port={port}",
                f"--socket={socket_file}",
                f"--init-file={home / 'first.sql'}",
                f"--log-error={home / 'error.log'}",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
                "--max-allowed-packet=64M",
                "--sql-mode=",
                *(tls if (home / "certificate").exists() else ["--skip-ssl"]),
            ],
            cwd=home,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,
        )
        running = MariadbServer(port, socket_file, password)
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if running.ready():
                return process, running
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.kill()
        process.wait()
    raise MariadbUnavailableError("it did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
