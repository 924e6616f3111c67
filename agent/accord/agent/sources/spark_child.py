# SPDX-License-Identifier: Apache-2.0
"""The process that talks to a Spark cluster for the agent, for one session.

Spark's own client brings two libraries of data frames, writes statements and answers
of the cluster to standard error, and repeats calls for longer than an agency waits.
Here it takes its memory with it when it ends, is heard by nobody, and can be killed.

A request is a line of JSON on standard input, an answer one on standard output. What
goes wrong is a word, and the name that Spark has for it: never its text, which quotes
values.
"""

from __future__ import annotations

import decimal
import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypedDict

_RETRIES: Final = 4
"""So often a call is repeated that broke on its way: some seconds."""

_ALIVE_MILLISECONDS: Final = 330_000
"""How often the way is tried; servers drop who tries it every five minutes."""

_VIEW: Final = "accord_rows"
"""What rows that are appended are called for the moment."""

_RIGHTS_STATE: Final = "42501"
"""SQLSTATE of a right that is missing."""

_NO_TABLE: Final = (
    "TABLE_OR_VIEW_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "NO_SUCH_TABLE_EXCEPTION",
)

_OF_RIGHTS: Final = (
    "accesscontrolexception",
    "permission denied",
    "does not have privilege",
    "insufficient privilege",
    "insufficient_permissions",
    "not authorized",
    "access denied",
)
"""Words of catalogues and file systems that know rights; each has its own."""

_OF_TLS: Final = (
    *("tls handshake", "ssl handshake", "security handshaker", "verification check"),
    *("certificate", "ssl_error", "tsi_"),
)
"""Words of gRPC where the way is there, and TLS is not."""


class Way(TypedDict):
    """How the cluster is reached: the first line."""

    target: str
    user: str
    token: str | None
    authorities: str | None
    """Certificates that the server's must lead to; none: without TLS."""
    nearby: bool
    """Whether the server is on this machine."""
    catalog: str | None


def connected(way: Way) -> Any:  # noqa: ANN401 - Spark's client is loaded below
    """Return a session of the cluster, which has answered."""
    import grpc
    from pyspark.sql.connect.client import ChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    class Channel(ChannelBuilder):  # type: ignore[misc]  # Spark's client has no types here
        """A channel whose trust and token are those of the settings alone."""

        @property
        def host(self) -> str:
            return str(way["target"])

        def toChannel(self) -> grpc.Channel:  # noqa: N802 - Spark's name
            token, authorities = way["token"], way["authorities"]
            found: grpc.Channel
            if authorities is not None:
                trust = grpc.ssl_channel_credentials(authorities.encode())
            elif token is not None:
                trust = grpc.local_channel_credentials()
            else:
                found = self._insecure_channel(way["target"])
                return found
            if token is not None:
                bearer = grpc.access_token_call_credentials(token)
                trust = grpc.composite_channel_credentials(trust, bearer)
            found = self._secure_channel(way["target"], trust)
            return found

    channel = Channel()
    channel.set(ChannelBuilder.PARAM_USER_ID, way["user"])
    channel.set(ChannelBuilder.PARAM_USER_AGENT, "accord-agent")
    channel.setChannelOption("grpc.keepalive_time_ms", _ALIVE_MILLISECONDS)
    if way["nearby"]:
        channel.setChannelOption("grpc.enable_http_proxy", 0)
    session = SparkSession(connection=channel)
    session.client.set_retry_policies([])
    # A sum that does not fit ends the statement, in the place of wrapping around.
    session.conf.set("spark.sql.ansi.enabled", "true")
    if way["catalog"] is not None:
        session.catalog.setCurrentCatalog(way["catalog"])
    session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
    return session


def columns(session: Any, name: str) -> list[str]:  # noqa: ANN401
    """Return the columns of a table or view; none where there is none."""
    from pyspark.errors import PySparkException

    try:
        return list(session.table(name).columns)
    except PySparkException as error:
        if error.getCondition() in _NO_TABLE:
            return []
        raise


def rows(session: Any, text: str) -> list[list[Any]]:  # noqa: ANN401
    """Return what a statement gives; of one that gives nothing, nothing."""
    return [[_plain(value) for value in row] for row in session.sql(text).collect()]


def insert(
    session: Any,  # noqa: ANN401
    target: str,
    names: Sequence[str],
    values: Sequence[Sequence[int | None]],
) -> None:
    """Append rows of whole numbers to a table.

    Args:
        session: of the cluster.
        target: the table as Spark reads its name.
        names: its columns.
        values: column by column.
    """
    import pyarrow as pa

    arrays = [pa.array(each, pa.int64()) for each in values]
    batch = pa.Table.from_arrays(arrays, names=list(names))
    session.createDataFrame(batch).createOrReplaceTempView(_VIEW)
    fields = ", ".join(f"`{name}`" for name in names)
    # One file for each call, however many machines the cluster has.
    rows = f"SELECT /*+ COALESCE(1) */ {fields} FROM {_VIEW}"  # noqa: S608 - names of our own
    session.sql(f"INSERT INTO {target} ({fields}) {rows}")


def fault(error: BaseException) -> dict[str, str]:
    """Return in a word what went wrong, and what Spark calls it."""
    if isinstance(error, ImportError):
        return {"fault": "driver", "word": "ImportError"}
    said = str(error).lower()
    code = _called(error, "getGrpcStatusCode")
    status = str(getattr(code, "name", ""))
    condition = _called(error, "getCondition")
    state = _called(error, "getSqlState")
    word = str(condition or status or type(error).__name__)
    if status == "UNAUTHENTICATED":
        kind = "login"
    elif (
        status == "PERMISSION_DENIED"
        or state == _RIGHTS_STATE
        or any(each in said for each in _OF_RIGHTS)
    ):
        kind = "rights"
    elif status == "UNAVAILABLE":
        kind = "tls" if any(each in said for each in _OF_TLS) else "away"
    else:
        kind = "failed"
    return {"fault": kind, "word": word}


def _called(error: BaseException, name: str) -> object:
    """Return what an error of Spark says of itself; others say nothing."""
    function = getattr(error, name, None)
    return function() if callable(function) else None


def _plain(value: object) -> object:
    """Return a value as JSON has it; a table of the agency's may hold decimals."""
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value():
        return int(value)
    return value if value is None or isinstance(value, int) else str(value)


_DOING: Final[Mapping[str, Callable[..., object]]] = {
    "columns": columns,
    "rows": rows,
    "insert": insert,
}


def answer() -> None:
    """Answer one session's requests, until there are no more."""
    first = sys.stdin.readline()
    if not first:
        return
    try:
        session = connected(json.loads(first))
    except BaseException as error:  # noqa: BLE001 - whatever it is has a word
        _say(fault(error))
        return
    _say({"value": None})
    for line in sys.stdin:
        name, *given = json.loads(line)
        try:
            _say({"value": _DOING[name](session, *given)})
        except BaseException as error:  # noqa: BLE001 - as above
            _say(fault(error))
    session.stop()


def _say(content: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    answer()
