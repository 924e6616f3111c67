# SPDX-License-Identifier: Apache-2.0
"""A Spark cluster of the test run's own: one process with Spark Connect on loopback.

Use the fixture by importing it (``from tests.contract.spark import spark``). The
server takes whoever has the token that was made for this run; tables are files in a
directory that is gone afterwards. It needs Java, and the whole of pyspark, which is
not in the lock.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.agent.settings import Database
from accord.agent.sources.access import Access
from accord.agent.sources.spark import spark_in
from accord.core.errors import AccordError

START_SECONDS = 300.0


class SparkUnavailableError(Exception):
    """There is no server here, for the reason in the text."""


class SparkServer:
    """A running server."""

    def __init__(self, port: int, token: str, folder: Path) -> None:
        self.port = port
        self.token = token
        self.folder = folder
        self._made = 0

    @property
    def url(self) -> str:
        return f"sc://127.0.0.1:{self.port}"

    def access(self) -> Access:
        """Return the access of an agent whose token lies in the server's folder."""
        database = Database(url=self.url, password_file="token")
        return Access(name="own", database=database, folder=self.folder)

    def schema(self) -> str:
        """Make an empty schema and return its name."""
        self._made += 1
        name = f"test_{self._made}"
        with spark_in(self.access()) as connection:
            connection.rows(f"CREATE SCHEMA {name}")
        return name


def home() -> Path:
    """Return where Spark is installed."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise SparkUnavailableError("pyspark is not installed")
    folder = Path(found.origin).parent
    if not (folder / "jars").is_dir():
        raise SparkUnavailableError("only the client of Spark is installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise SparkUnavailableError("Java is not installed")
    return folder


@contextlib.contextmanager
def server(folder: Path, *, port: int | None = None) -> Iterator[SparkServer]:
    """Start a server and stop it again.

    Args:
        folder: where its tables and its token lie.
        port: to listen on; else a free one.

    Raises:
        SparkUnavailableError: it cannot be started here.
    """
    spark = home()
    token = folder / "token"
    if not token.exists():
        token.write_text(secrets.token_hex(), encoding="ascii")
        token.chmod(0o600)
    running = SparkServer(port or _free_port(), token.read_text("ascii"), folder)
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.log.level": "WARN",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(running.port),
        # Every statement is asked for again and again, as long ones are.
        "spark.connect.execute.reattachable.senderMaxStreamDuration": "1s",
        # Nothing here runs long enough to be worth compiling well.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    command = [
        str(spark / "bin" / "spark-submit"),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *(f"--conf={name}={value}" for name, value in settings.items()),
        "spark-internal",
    ]
    environment = os.environ | {
        "SPARK_HOME": str(spark),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": running.token,
    }
    log = folder / "spark.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait(running, process, log)
            yield running
        finally:
            process.kill()


def _wait(running: SparkServer, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            last = log.read_text(errors="replace").splitlines()[-1:]
            raise SparkUnavailableError(f"Spark ended: {last}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", running.port), 1).close()
            running.access().reach()
            return
        time.sleep(0.5)
    raise SparkUnavailableError(f"Spark did not answer in {START_SECONDS} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkServer]:
    """A cluster of this test run; tests that need it are skipped without one."""
    for name in ("pandas", "pyarrow", "zstandard"):
        pytest.importorskip(name, reason=f"{name}, for Spark's client, is not there")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory("-spark")))
        try:
            running = stack.enter_context(server(folder))
        except (SparkUnavailableError, AccordError) as reason:
            pytest.skip(f"there is no Spark here: {reason}")
        yield running
