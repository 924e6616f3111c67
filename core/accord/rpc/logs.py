# SPDX-License-Identifier: Apache-2.0
"""Log lines that cannot leak: JSON with a closed list of keys.

Every key that is not listed is dropped, and its name put under ``dropped``; values are
short plain scalars. Events are called ``thing.past_tense``. Lines of libraries are
reduced to the library's name and the type of the error: their texts could hold
anything. Nothing here is the audit log, which is in the hub's database.

Under systemd each line begins with its priority, which the journal takes off again and
files: ``journalctl -p warning`` shows what somebody should see to.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final, TextIO

import structlog

from accord.core._version import __version__

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "component",
        "version",
        "rpc",
        "peer",
        "agency",
        "analyst",
        "agreement",
        "policy_version",
        "cohort",
        "edition",
        "query_id",
        "release_id",
        "round_id",
        "epoch",
        "reason",
        "code",
        "outcome",
        "error_type",
        "library",
        "port",
        "serial",
        "expires_at",
        "wait_s",
        "duration_ms",
        "attempt",
        "dropped",
    }
)
"""Keys that a line may have. Names and times of what people do; never of records."""

_MOST_VALUE = 200

EventDict = MutableMapping[str, object]

_RENDER: Final = structlog.processors.JSONRenderer(sort_keys=True)

_PRIORITIES: Final[Mapping[str, int]] = {"info": 6, "warning": 4, "error": 3}
"""What syslog and the journal call the levels."""


def allow_listed(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Drop what is not allowed, and say which keys that were."""
    kept: EventDict = {}
    dropped: list[str] = []
    for key, value in event.items():
        if key in ALLOWED and _is_plain(value):
            kept[key] = value[:_MOST_VALUE] if isinstance(value, str) else value
        else:
            dropped.append(key)
    if dropped:
        kept["dropped"] = sorted(dropped)
    return kept


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def configure(
    component: str, stream: TextIO | None = None, *, level: str = "info"
) -> None:
    """Set up logging for a whole process, once, at its start.

    Args:
        component: ``hub``, ``agent`` or ``client``; stands in every line.
        stream: where lines go; standard error by default, since commands print their
            results on standard output.
        level: the least that is written: ``info``, ``warning`` or ``error``.
    """
    out = sys.stderr if stream is None else stream
    to_journal = goes_to_journal(out)

    def stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"component": component, "version": __version__, **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            allow_listed,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _prioritised if to_journal else _RENDER,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryLines(logging.WARNING)]
    root.setLevel(logging.WARNING)


def goes_to_journal(out: TextIO) -> bool:
    """Tell whether systemd's journal reads the other end of *out*, as systemd says."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(out.fileno())
    except (OSError, ValueError):  # no file at all, as in a test
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def _prioritised(logger: object, method: str, event: EventDict) -> str:
    priority = _PRIORITIES.get(method, _PRIORITIES["info"])
    line = _RENDER(logger, method, event)
    return f"<{priority}>{line if isinstance(line, str) else line.decode()}"


class _LibraryLines(logging.Handler):
    """Says that a library complained, and of what type of error, but not its words."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        structlog.get_logger().warning(
            "library.complained",
            library=record.name,
            error_type=kind.__name__ if kind else None,
        )
