# SPDX-License-Identifier: Apache-2.0
"""What drivers of databases complain about, sorted into sentences of ours.

Their own words quote hosts, statements and values of records, and go no further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from accord.core.errors import (
    AccordError,
    ConfigurationError,
    SourceError,
    Unreachable,
)

_Complaint: TypeAlias = tuple[tuple[str, ...], Callable[[str], AccordError]]
"""Words, and the sentence for any of them, given the name of a database."""


def sorted_out(error: Exception, name: str, *, connecting: bool) -> AccordError:
    """Return our sentence for what a driver raised.

    Args:
        error: the driver's, or SQLAlchemy's around it.
        name: of the database in the settings.
        connecting: whether it happened before anything was asked.
    """
    inner = getattr(error, "orig", None) or error
    # Without SQLAlchemy's part, which quotes the statement.
    said = str(inner).lower()
    for words, kind in (*(_ON_THE_WAY if connecting else ()), *_COMPLAINTS):
        if any(word in said for word in words):
            return kind(name)
    if connecting:
        return unreachable(name)
    return failed(name, type(inner).__name__)


def failed(name: str, word: str) -> AccordError:
    """Return the sentence for whatever has none of its own.

    Args:
        name: of the database in the settings.
        word: what the driver calls the fault; says nothing of a record.
    """
    return SourceError(
        "DATABASE_FAILED",
        f"The database {name!r} ended the reading with {word}. Nothing was stored; its "
        "own log says more.",
    )


def unreachable(name: str) -> AccordError:
    """Return the sentence for a place where nobody answers."""
    return Unreachable(
        "DATABASE_UNREACHABLE",
        f"The database {name!r} cannot be reached at the place that its url names. "
        "See whether the server runs, whether a firewall is in between, and whether "
        "host, port and name of the database are right.",
    )


def login(name: str) -> AccordError:
    """Return the sentence for a user who is not let in."""
    return ConfigurationError(
        "DATABASE_LOGIN",
        f"The database {name!r} does not let this user in: see the user in its url "
        "and the password in password_file (or the systemd credential of that name), "
        "and from where the server lets the user connect.",
    )


def untrusted(name: str) -> AccordError:
    """Return the sentence for a server that does not prove who it is."""
    return ConfigurationError(
        "DATABASE_TLS",
        f"The server of the database {name!r} does not prove who it is over TLS. Name "
        "the file of the authority that signed its certificate with `ca_file`, and "
        "call it by the host name in the certificate. Without TLS names and birth "
        'dates are sent for all to read; `tls = "off"` would allow even that.',
    )


def forbidden(name: str) -> AccordError:
    """Return the sentence for a right that is missing."""
    return SourceError(
        "DATABASE_RIGHTS",
        f"The user of the database {name!r} may not read what the mapping names. "
        f"`accord-agent databases grants {name} --mapping FILE` prints the statements "
        "that allow it.",
    )


def _undecodable(name: str) -> AccordError:
    return SourceError(
        "SOURCE_ENCODING",
        f"A text in the database {name!r} that the mapping reads is no UTF-8. Repair "
        "it in the database, or read a view without such rows.",
    )


def _unopened(name: str) -> AccordError:
    return ConfigurationError(
        "DATABASE_PATH",
        f"The file of the database {name!r} cannot be opened by this user, who must be "
        "able to read it. In WAL mode that takes its -wal and -shm files as well, or "
        "the right to make them in the same folder.",
    )


def _no_database(name: str) -> AccordError:
    return ConfigurationError(
        "DATABASE_PATH",
        f"The file of the database {name!r} is no SQLite database, or one under a "
        "password. See the url in config.toml; a file under a password is read from "
        "a copy without one.",
    )


def _damaged(name: str) -> AccordError:
    return SourceError(
        "DATABASE_FAILED",
        f"The file of the database {name!r} is damaged. Nothing was stored; restore it "
        "from a copy, or repair it with the program that writes it.",
    )


def _locked(name: str) -> AccordError:
    return SourceError(
        "DATABASE_FAILED",
        f"The database {name!r} is locked: another program is writing into it and did "
        "not end in time. Nothing was stored; run the command again.",
    )


_COMPLAINTS: tuple[_Complaint, ...] = (
    (("unable to open database file", "readonly database"), _unopened),
    (("file is not a database",), _no_database),
    (("disk image is malformed",), _damaged),
    (("database is locked", "database table is locked"), _locked),
    (
        ("could not decode to utf-8", "codec can't decode", "invalid byte sequence"),
        _undecodable,
    ),
    (
        (
            "permission denied",
            "command denied",
            "permission was denied",
        ),
        forbidden,
    ),
)
"""Words of drivers, in lower case, and what they mean."""

_ON_THE_WAY: tuple[_Complaint, ...] = (
    (
        (
            "certificate",
            "ssl error",
            "does not support ssl",
            "doesn't support it",
            "tls",
            "wrong version number",
        ),
        untrusted,
    ),
    (
        (
            "password authentication failed",
            "no password supplied",
            "authentication failed",
            "pg_hba.conf",
            "access denied for user",
            "login failed",
            "is not allowed to connect",
            'role "',
        ),
        login,
    ),
)
"""The same while connecting; later a table or a column may be called so."""
