# SPDX-License-Identifier: Apache-2.0
"""Take a backup of a hub that may serve meanwhile: everything from one moment.

It is written beside its place and moved there once it is whole and on the disk. What is
at the place already is never overwritten.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from accord.core._version import __version__
from accord.core.errors import ConfigurationError
from accord.hub.backup.contents import (
    CONFIG,
    KEYS,
    MANIFEST,
    POLICIES,
    TABLES,
    Hashing,
    Manifest,
    row_line,
    tables_of,
)
from accord.hub.contact.standing import standing
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.revisions import HEAD
from accord.hub.log import tree
from accord.hub.state import State
from accord.ledger import verify

_ROWS_AT_ONCE: Final = 500


def take(
    state: State,
    store: Store,
    path: Path,
    *,
    key: str,
    with_keys: bool,
    at: dt.datetime,
) -> Manifest:
    """Write a backup.

    Args:
        state: of the hub.
        store: its database, of the layout that this program knows.
        path: where the backup goes.
        key: the hub's public key.
        with_keys: put the private keys into it.
        at: now.

    Raises:
        ConfigurationError: BACKUP_EXISTS, or BACKUP_NOT_WRITABLE.
        IntegrityError: the ledger contradicts itself.
    """
    if path.exists():
        raise ConfigurationError(
            "BACKUP_EXISTS",
            f"{path} exists already: name another file, nothing is overwritten.",
        )
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _private(partial) as archive:
            made = _write(archive, state, store, key=key, with_keys=with_keys, at=at)
        partial.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(
            "BACKUP_NOT_WRITABLE",
            f"The backup {path} cannot be written:"
            f" {error.strerror or type(error).__name__}.",
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return made


def _write(
    archive: zipfile.ZipFile,
    state: State,
    store: Store,
    *,
    key: str,
    with_keys: bool,
    at: dt.datetime,
) -> Manifest:
    # Whoever writes policies is the database's only writer, so they are whole here; the
    # tables are as new or newer, and a hub writes what is missing from them.
    with store.write():
        files = _files(state, with_keys=with_keys)
    parts: dict[str, str] = {}
    for name, content in files.items():
        parts[name] = _put(archive, name, content)
    with store.read() as tx:
        height = verify(LedgerTransaction(tx))
        size = tree.size(tx)
        for table in tables_of(tx):
            name = f"{TABLES}{table.name}.jsonl"
            parts[name] = _put_table(archive, name, tx, table)
        made = Manifest(
            accord=__version__,
            revision=HEAD,
            taken_at=at,
            key=key,
            ledger_height=height,
            epoch=standing(tx).epoch,
            log_size=size,
            log_root=tree.root(tx, size).hex(),
            parts=parts,
        )
    _put(archive, MANIFEST, made.to_bytes())
    return made


def _files(state: State, *, with_keys: bool) -> Mapping[str, bytes]:
    """Return settings, policies and keys by their names in the backup."""
    found = {CONFIG: state.config.read_bytes()}
    folders = [(POLICIES, state.policies)] + [(KEYS, state.keys)] * with_keys
    for prefix, folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found[prefix + path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> str:
    with archive.open(name, "w") as part:
        hashing = Hashing(part)
        hashing.write(content)
    return hashing.hexdigest()


def _put_table(
    archive: zipfile.ZipFile, name: str, tx: sa.Connection, table: sa.Table
) -> str:
    """Write all rows in the order of their keys, a few in memory at a time."""
    ordered = sa.select(table).order_by(*table.primary_key.columns)
    rows = tx.execution_options(yield_per=_ROWS_AT_ONCE).execute(ordered)
    with archive.open(name, "w", force_zip64=True) as part:
        hashing = Hashing(part)
        for row in rows:
            hashing.write(row_line(row))
    return hashing.hexdigest()


@contextlib.contextmanager
def _private(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an archive that only its owner can read, and that is on the disk after."""
    path.unlink(missing_ok=True)  # of one that was interrupted
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            yield archive
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(OSError):  # some network file systems cannot
        os.fsync(descriptor)
    os.close(descriptor)
