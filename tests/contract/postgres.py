# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the test run's own, or a clear word why there is none.

Use the fixture by importing it (``from tests.contract.postgres import postgres``) and
take a fresh, empty database per test from ``postgres.database()``. The server listens
on loopback only, with a password made for this run, under a user that is not root,
in a directory that is gone afterwards. It does not wait for the disk unless it is told
to: what is tested is what the database does, not how long it lasts.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 60.0
ATTEMPTS = 5


class PostgresUnavailableError(Exception):
    """There is no server here, for the reason in the text."""


class Cluster:
    """A running server."""

    def __init__(self, programs: Path, port: int, password: str) -> None:
        self._programs = programs
        self._password = password
        self._made = 0
        self.port = port

    def database(self, *, driver: str = "postgresql+psycopg") -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        self._made += 1
        name = f"test_{self._made}"
        subprocess.run(
            [self._programs / "createdb", *self.client_options, name],
            check=True,
            capture_output=True,
            env=self.client_environment,
            timeout=START_SECONDS,
        )
        place = f"127.0.0.1:{self.port}/{name}"
        return f"{driver}://accord:{self._password}@{place}"

    def drop(self, url: str) -> None:
        """Remove a database that a test is through with."""
        name = url.rpartition("/")[2]
        subprocess.run(
            [self._programs / "dropdb", "--force", *self.client_options, name],
            check=False,
            capture_output=True,
            env=self.client_environment,
            timeout=START_SECONDS,
        )

    @property
    def client_options(self) -> list[str]:
        return ["--host=127.0.0.1", f"--port={self.port}", "--username=accord"]

    @property
    def client_environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self._password, "PATH": os.defpath}

    def ready(self) -> bool:
        """Whether it lets its own user in."""
        answer = subprocess.run(
            [
                self._programs / "psql",
                *self.client_options,
                "--dbname=postgres",
                "--command=SELECT 1",
            ],
            check=False,
            capture_output=True,
            env=self.client_environment,
            timeout=START_SECONDS,
        )
        return answer.returncode == 0


@contextlib.contextmanager
def cluster(
    *,
    durable: bool = False,
    folder: Path | None = None,
    tls: Mapping[str, bytes] | None = None,
) -> Iterator[Cluster]:
    """Start a server and stop it again.

    Args:
        durable: a commit is on the disk, as where somebody's data are at stake.
        folder: where its files are; else with temporary ones.
        tls: its `certificate` and `key`, for a server that speaks TLS.

    Raises:
        PostgresUnavailableError: no programs, no user to run as, or no start.
    """
    programs = _programs()
    identity = _identity()
    home = Path(tempfile.mkdtemp(prefix="accord-postgres-", dir=folder))
    try:
        if identity:
            shutil.chown(home, identity["user"], identity["group"])
        password = secrets.token_urlsafe(16)
        store = _initialise(programs, home, password, identity)
        for name, content in (tls or {}).items():
            (store / name).touch(0o600)
            (store / name).write_bytes(content)
            if identity:
                shutil.chown(store / name, identity["user"], identity["group"])
        server, running = _start(programs, store, password, identity, durable=durable)
        try:
            yield running
        finally:
            server.send_signal(signal.SIGINT)  # "fast": ends sessions, then itself
            try:
                server.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The server of this test run; tests that need it are skipped without one."""
    with contextlib.ExitStack() as stack:
        try:
            in_memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
            folder = None if in_memory is None else Path(in_memory)
            running = stack.enter_context(cluster(folder=folder))
        except PostgresUnavailableError as problem:
            pytest.skip(f"no PostgreSQL server for this test: {problem}")
        yield running


def _programs() -> Path:
    """Return the newest installed server's folder."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not found and (postgres := shutil.which("postgres")):
        found = [Path(postgres).parent]
    if not found:
        raise PostgresUnavailableError("the server's programs are not installed")
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name))


def _identity() -> dict[str, Any]:
    """Return how to start programs as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise PostgresUnavailableError("it does not run as root, and no other user exists")


def _initialise(
    programs: Path, home: Path, password: str, identity: dict[str, Any]
) -> Path:
    store = home / "store"
    secret = home / "password"
    secret.write_text(password, encoding="ascii")
    if identity:
        shutil.chown(secret, identity["user"], identity["group"])
    made = subprocess.run(
        [
            programs / "initdb",
            f"--pgdata={store}",
            "--username=accord",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        env={"PATH": os.defpath},
        timeout=START_SECONDS,
        **identity,
    )
    if made.returncode != 0:
        raise PostgresUnavailableError(f"initdb failed: {made.stderr.strip()}")
    return store


def _start(
    programs: Path,
    store: Path,
    password: str,
    identity: dict[str, Any],
    *,
    durable: bool,
) -> tuple[subprocess.Popen[bytes], Cluster]:
    """Start the server on a port that was free a moment ago; if taken, on another."""
    for _ in range(ATTEMPTS):
        port = _free_port()
        server = subprocess.Popen(
            _command(programs, store, port, durable=durable),
            cwd=store,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,
        )
        running = Cluster(programs, port, password)
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            if running.ready():
                return server, running
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.05)
        server.kill()
        server.wait()
    raise PostgresUnavailableError("it did not start")


def _command(
    programs: Path, store: Path, port: int, *, durable: bool
) -> Sequence[str | Path]:
    tls = (store / "certificate").exists()
    settings = {
        "ssl": "on" if tls else "off",
        **({"ssl_cert_file": "certificate", "ssl_key_file": "key"} if tls else {}),
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "on" if durable else "off",
        "max_connections": 60,
        "shared_buffers": "16MB",
        "max_wal_size": "1GB" if durable else "128MB",
        "deadlock_timeout": "200ms",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [programs / "postgres", "-D", store, *options]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
