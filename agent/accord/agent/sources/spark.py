# SPDX-License-Identifier: Apache-2.0
"""A Spark cluster that counts for the agent: only statements go there (Spark Connect).

It is talked to by a process of its own (`accord.agent.sources.spark_child`); here is
what it is told, how long it may take to connect, and what is said where it cannot.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from accord.agent.sources.complaints import (
    failed,
    forbidden,
    login,
    unreachable,
    untrusted,
)
from accord.agent.sources.drivers import is_loopback
from accord.core.errors import AccordError, ConfigurationError

if TYPE_CHECKING:
    from accord.agent.sources.access import Access

_PORT: Final = 15_002
"""Of Spark Connect, where the URL has none."""

_USER: Final = "accord_agent"
"""As whom statements are listed at the cluster, where the URL names nobody."""

CONNECT_SECONDS: Final = 60
"""A cluster makes a session anew for each: that takes longer than to connect."""

_GOODBYE_SECONDS: Final = 10

_CHILD: Final = "accord.agent.sources.spark_child"


@dataclasses.dataclass(slots=True, kw_only=True)
class SparkConnection:
    """An open session of the cluster."""

    access: Access
    _child: subprocess.Popen[str] = dataclasses.field(repr=False)

    def columns(self, table: str) -> Sequence[str]:
        """Return the columns of a table or view; none where there is none.

        Raises:
            SourceError: DATABASE_RIGHTS or DATABASE_FAILED.
        """
        found: Sequence[str] = self._asked(["columns", table])
        return found

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        """Return all rows that a statement gives; raises what `columns` does."""
        found: Sequence[Sequence[Any]] = self._asked(["rows", text])
        return found

    def insert(
        self,
        target: str,
        names: Sequence[str],
        values: Sequence[Sequence[int | None]],
    ) -> None:
        """Append whole numbers to a table; raises what `columns` does.

        Args:
            target: the table as Spark reads its name.
            names: its columns.
            values: column by column.
        """
        self._asked(["insert", target, names, values])

    def open(self, way: dict[str, object]) -> None:
        """Let the child connect, in time or not at all.

        Raises:
            Unreachable: DATABASE_UNREACHABLE.
            ConfigurationError: DATABASE_DRIVER, DATABASE_LOGIN or DATABASE_TLS.
            SourceError: DATABASE_RIGHTS.
        """
        late = threading.Timer(CONNECT_SECONDS, self._child.kill)
        late.start()
        try:
            found = self._heard(way)
        finally:
            late.cancel()
        if "fault" in found:
            raise _complaint(self.access, found, connecting=True)

    def _asked(self, request: Sequence[object]) -> Any:  # noqa: ANN401 - as the request
        found = self._heard(request)
        if "fault" in found:
            raise _complaint(self.access, found, connecting=False)
        return found["value"]

    def _heard(self, request: object) -> dict[str, Any]:
        """Send a request, and return its answer; of a child that ended, a fault."""
        child = self._child
        assert child.stdin is not None  # noqa: S101  # both are pipes
        assert child.stdout is not None  # noqa: S101
        # Its answer says more than the pipe does.
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
        line = child.stdout.readline()
        if not line.endswith("\n"):
            return {"fault": "away", "word": "the end of its client"}
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def spark_in(access: Access) -> Iterator[SparkConnection]:
    """Open a session in the Spark cluster of the settings.

    Raises:
        AccordError: as `SparkConnection.open`, or DATABASE_SECRET.
    """
    way = _way(access)
    command = [sys.executable, "-P", "-m", _CHILD]
    # Whoever set these for other programs did not mean the agent.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPARK_", "PYSPARK_"))
    }
    with subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Spark's client writes statements and values there.
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=environment,
    ) as child:
        try:
            connection = SparkConnection(access=access, _child=child)
            connection.open(way)
            yield connection
        finally:
            _end(child)
            child.kill()


def _end(child: subprocess.Popen[str]) -> None:
    """Let the child give its session back; a cluster that is away keeps it."""
    assert child.stdin is not None  # noqa: S101  # a pipe
    with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
        child.stdin.close()
        child.wait(_GOODBYE_SECONDS)


def _way(access: Access) -> dict[str, object]:
    """Return how the cluster is reached, as `spark_child.Way` has it.

    Raises:
        ConfigurationError: DATABASE_TLS, DATABASE_SECRET, SECRET_EXPOSED or
            SECRET_UNREADABLE.
    """
    parts, database = urlsplit(access.database.url), access.database
    host = parts.hostname or ""
    nearby = is_loopback(host)
    token = access.password()
    authorities = None
    if nearby:
        # Between programs of one machine TLS is only where it is asked for.
        if database.ca_file is not None:
            authorities = access.authorities()
    elif database.tls == "verify":
        authorities = access.authorities()
    elif database.tls == "encrypt":
        raise ConfigurationError(
            "DATABASE_TLS",
            "The client for Spark always checks who it talks to: leave `tls` of "
            f"databases.{access.name} out, and name the file of the authority that "
            "signed the cluster's certificate with `ca_file`.",
        )
    elif token is not None:
        raise ConfigurationError(
            "DATABASE_TLS",
            f"The token of databases.{access.name} would be sent for all to read. "
            'Leave `tls = "off"` out; let a proxy before the cluster speak TLS.',
        )
    place = f"[{host}]" if ":" in host else host
    return {
        "target": f"{place}:{parts.port or _PORT}",
        "user": unquote(parts.username or _USER),
        "token": token,
        "authorities": None if authorities is None else _text(authorities, access),
        "nearby": nearby,
        "catalog": parts.path.strip("/") or None,
    }


def _text(file: str, access: Access) -> str:
    """Return a file of certificates."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            "DATABASE_TLS",
            f"The certificates in {file} (databases.{access.name}) cannot be read: it "
            "has to be a PEM file that the agent's user may read.",
        ) from None


def _complaint(
    access: Access, found: dict[str, Any], *, connecting: bool
) -> AccordError:
    """Return our sentence for what the child says went wrong."""
    kind, name = found["fault"], access.name
    if kind == "driver":
        return access.no_driver()
    if kind == "login":
        return login(name)
    if kind == "rights":
        return forbidden(name)
    if connecting:
        return untrusted(name) if kind == "tls" else unreachable(name)
    return failed(name, found["word"])
