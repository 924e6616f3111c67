# SPDX-License-Identifier: Apache-2.0
"""What is in a backup, and how rows and bytes are written there."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final, Self

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, IntegrityError
from accord.hub.db.revisions import VERSION
from accord.hub.db.tables import METADATA, WRITERS
from accord.hub.db.tables_replicas import AGENT_STREAMS, RELAYED, REPLICAS

FORMAT: Final = 1
"""Number of the form that this program writes and reads."""

MANIFEST: Final = "manifest.json"
TABLES: Final = "tables/"
FILES: Final = "files/"
CONFIG: Final = f"{FILES}config.toml"
POLICIES: Final = f"{FILES}policies/"
KEYS: Final = f"{FILES}keys/"

PASSING: Final = frozenset(
    {AGENT_STREAMS.name, RELAYED.name, REPLICAS.name, VERSION.name, WRITERS.name}
)
"""Tables about processes that run now, or that a new database brings along."""

_CHUNK: Final = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    accord: str
    """Version of the program that made it."""
    revision: str
    """Layout of the tables."""
    taken_at: dt.datetime
    key: str
    """The hub's public key, as boards list it."""
    ledger_height: int
    epoch: int
    log_size: int
    log_root: str
    """Hex."""
    parts: Mapping[str, str]
    """SHA-256 of every part, hex, by its name."""

    @property
    def tables(self) -> list[str]:
        """Names of the tables that it has."""
        found = (name.removeprefix(TABLES) for name in self.parts if TABLES in name)
        return sorted(name.removesuffix(".jsonl") for name in found)

    @property
    def has_keys(self) -> bool:
        """Whether the hub's private keys are in it."""
        return any(name.startswith(KEYS) for name in self.parts)

    def to_bytes(self) -> bytes:
        """Return it as it is written."""
        content = dataclasses.asdict(self) | {
            "format": FORMAT,
            "taken_at": self.taken_at.isoformat(),
        }
        return json.dumps(content, indent=1, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read it.

        Raises:
            IntegrityError: BACKUP_DAMAGED.
            ConfigurationError: BACKUP_FORMAT, of a newer program.
        """
        try:
            found = json.loads(content)
            number = found.pop("format")
            if number != FORMAT:
                raise ConfigurationError(
                    "BACKUP_FORMAT",
                    f"The backup has format {number}, and this version of Accord reads"
                    f" format {FORMAT}: restore it with the version that made it.",
                )
            taken_at = dt.datetime.fromisoformat(found.pop("taken_at"))
            return cls(taken_at=taken_at, **found)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise damaged(MANIFEST) from None


class Hashing:
    """Writes to a part of a backup and remembers its SHA-256."""

    def __init__(self, part: IO[bytes]) -> None:
        """Write nothing yet."""
        self._part = part
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        """Write some more."""
        self._digest.update(content)
        self._part.write(content)

    def hexdigest(self) -> str:
        """Return the SHA-256 of all that was written."""
        return self._digest.hexdigest()


def sha256_of(part: IO[bytes]) -> str:
    """Return the SHA-256 of a whole part, hex."""
    digest = hashlib.sha256()
    while chunk := part.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def tables_of(tx: sa.Connection) -> list[sa.Table]:
    """Return the tables of a database that belong into a backup, parents first.

    Those of the ledger are its own, and are taken as the database describes them.
    """
    names = set(sa.inspect(tx).get_table_names()) - PASSING
    own = [table for table in METADATA.sorted_tables if table.name in names]
    described = sa.MetaData()
    described.reflect(tx, only=sorted(names - METADATA.tables.keys()))
    return [*described.sorted_tables, *own]


def row_line(row: sa.Row[Any]) -> bytes:
    """Return a row as one line."""
    values = [_plain(value) for value in row]
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def row_reader(table: sa.Table) -> Callable[[bytes], dict[str, object]]:
    """Return what reads lines of a table; they have its columns in order.

    Columns without a value are left out: in one of JSON, None would be JSON's null.
    """
    names = [column.name for column in table.columns]
    binary = [isinstance(column.type, sa.LargeBinary) for column in table.columns]

    def read(line: bytes) -> dict[str, object]:
        values: Sequence[object] = json.loads(line)
        return {
            name: base64.b64decode(str(value)) if is_binary else value
            for name, is_binary, value in zip(names, binary, values, strict=True)
            if value is not None
        }

    return read


def _plain(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return value


def damaged(part: str) -> IntegrityError:
    """Return what is said of a backup that is not as it was made."""
    return IntegrityError(
        "BACKUP_DAMAGED",
        f"The backup is damaged: its part {part} is not as it was written. Take another"
        " copy. Nothing was changed.",
        part=part,
    )
