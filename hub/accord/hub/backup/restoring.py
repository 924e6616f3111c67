# SPDX-License-Identifier: Apache-2.0
"""Make a hub from a backup: in an empty folder and an empty database, or not at all.

Everything is checked before anything is written, and the settings come last: a state
without them is no hub, so one whose restoring was interrupted is never served. Rows and
what the restored hub knows of itself are one transaction, in which the doubt begins.
"""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, IntegrityError
from accord.hub.audit import Event, note
from accord.hub.backup.contents import (
    CONFIG,
    FILES,
    KEYS,
    MANIFEST,
    POLICIES,
    TABLES,
    Manifest,
    damaged,
    row_reader,
    sha256_of,
    tables_of,
)
from accord.hub.contact.standing import note_restored
from accord.hub.db.engine import LedgerTransaction, open_store
from accord.hub.db.numbering import count_on
from accord.hub.db.revisions import HEAD
from accord.hub.identity.authority import create_authority, load_authority
from accord.hub.log import tree
from accord.hub.settings import HubSettings, load_settings
from accord.hub.state import State, write_new
from accord.ledger import height, verify

_ROWS_AT_ONCE: Final = 500

_PUBLIC: Final = frozenset({"ca.pem"})
"""Files among the keys that everybody may read."""


def restore(
    path: Path, state: State, at: dt.datetime, *, new_keys: str | None = None
) -> Manifest:
    """Make a hub from a backup.

    Args:
        path: the backup.
        state: an empty folder, or one that holds nothing but ``keys/``.
        at: now.
        new_keys: the network to make other keys for, where its own are lost for ever.

    Returns:
        What the backup said of itself.

    Raises:
        ConfigurationError: BACKUP_UNREADABLE, BACKUP_FORMAT, STATE_EXISTS,
            KEYS_MISSING, KEYS_CONTRADICT, DATABASE_EXISTS, ...; see the sentence for
            what was written.
        IntegrityError: BACKUP_DAMAGED.
        Unreachable: STORE_UNAVAILABLE.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = check(archive)
            _require_empty(state, found, new_keys=new_keys)
            _restore(archive, found, state, at, new_keys=new_keys)
    except zipfile.BadZipFile:
        raise damaged(path.name) from None
    except OSError as error:
        raise ConfigurationError(
            "BACKUP_UNREADABLE",
            f"The backup {path} cannot be restored into {state.root}:"
            f" {error.strerror or type(error).__name__}. Begin again in an empty"
            " folder.",
        ) from None
    return found


def check(archive: zipfile.ZipFile) -> Manifest:
    """Read a backup to the end and hold every part against its manifest.

    Raises:
        ConfigurationError: BACKUP_FORMAT.
        IntegrityError: BACKUP_DAMAGED.
    """
    names = archive.namelist()
    if MANIFEST not in names:
        raise damaged(MANIFEST)
    found = Manifest.from_bytes(archive.read(MANIFEST))
    if found.revision != HEAD:
        raise ConfigurationError(
            "BACKUP_FORMAT",
            f"The backup has the layout {found.revision}, and this version of Accord"
            f" has {HEAD}: restore it with Accord {found.accord}, which made it, and"
            " migrate then.",
        )
    if sorted(names) != sorted([*found.parts, MANIFEST]) or CONFIG not in names:
        raise damaged(MANIFEST)
    for name, expected in found.parts.items():
        if ".." in name.split("/") or not name.startswith((TABLES, FILES)):
            raise damaged(name)
        with archive.open(name) as part:
            if sha256_of(part) != expected:
                raise damaged(name)
    return found


def _require_empty(state: State, found: Manifest, *, new_keys: str | None) -> None:
    known = {state.config, state.database, state.policies}
    existing = sorted(path.name for path in known if path.exists())
    if state.keys.exists() and (found.has_keys or new_keys is not None):
        existing.append(state.keys.name)
    if existing:
        raise ConfigurationError(
            "STATE_EXISTS",
            f"There is a hub, or a part of one, in {state.root} already"
            f" ({', '.join(existing)}): nothing was changed. Restore into an empty"
            " folder; if this one is left from a restore that was interrupted, empty"
            " it yourself.",
        )
    if not state.keys.exists() and not found.has_keys and new_keys is None:
        raise ConfigurationError(
            "KEYS_MISSING",
            f"The backup has no keys, and {state.keys} does not exist: put the hub's"
            " folder `keys` there, from where it is kept, and restore again. Only if"
            " they are lost for ever, --new-keys makes others.",
        )


def _restore(
    archive: zipfile.ZipFile,
    found: Manifest,
    state: State,
    at: dt.datetime,
    *,
    new_keys: str | None,
) -> None:
    state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.root.chmod(0o700)
    settings = _settings(archive, state)
    if new_keys is not None:
        state.keys.mkdir(mode=0o700)
        create_authority(state.keys, new_keys, at)
    else:
        _write_folder(archive, found, KEYS, state.keys)
    key = load_authority(state.keys, at).hub_form.key
    if key != found.key and new_keys is None:
        raise ConfigurationError(
            "KEYS_CONTRADICT",
            f"The keys in {state.keys} are those of another hub: the backup was made by"
            f" one with the key {found.key}.",
        )
    state.policies.mkdir(mode=0o700)
    _write_folder(archive, found, POLICIES, state.policies)
    store = open_store(state, settings)
    try:
        store.create()
        with store.write() as tx:
            _load(archive, found, tx)
            note_restored(tx, copied_at=found.taken_at, at=at)
            note(tx, Event.HUB_RESTORED, at, epoch=found.epoch)
    finally:
        store.close()
    write_new(state.config, archive.read(CONFIG))


def _settings(archive: zipfile.ZipFile, state: State) -> HubSettings:
    """Read the settings before they count: they name the database."""
    path = state.root / ".config.toml.restored"
    path.unlink(missing_ok=True)
    try:
        write_new(path, archive.read(CONFIG))
        return load_settings(path)
    finally:
        path.unlink(missing_ok=True)


def _write_folder(
    archive: zipfile.ZipFile, found: Manifest, prefix: str, folder: Path
) -> None:
    for name in found.parts:
        if name.startswith(prefix):
            path = folder / name.removeprefix(prefix)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = 0o644 if path.name in _PUBLIC else 0o600
            write_new(path, archive.read(name), mode=mode)


def _load(archive: zipfile.ZipFile, found: Manifest, tx: sa.Connection) -> None:
    """Put all rows in, and hold ledger and log against what the backup says."""
    tables = tables_of(tx)
    if {table.name for table in tables} != set(found.tables):
        raise damaged(MANIFEST)
    for table in reversed(tables):
        # A new ledger has a row already, which the backup's one replaces.
        if tx.execute(sa.select(sa.func.count()).select_from(table)).scalar():
            tx.execute(table.delete())
    for table in tables:
        name = f"{TABLES}{table.name}.jsonl"
        with archive.open(name) as part:
            try:
                _insert(tx, table, part)
            except (ValueError, sa.exc.IntegrityError, sa.exc.StatementError):
                raise damaged(name) from None
        count_on(tx, table)
    ledger = LedgerTransaction(tx)
    verify(ledger)
    size = tree.size(tx)
    stands = (height(ledger), size, tree.root(tx, size).hex())
    if stands != (found.ledger_height, found.log_size, found.log_root):
        raise IntegrityError(
            "BACKUP_DAMAGED",
            "The backup's ledger or log does not stand where its manifest says: take"
            " another copy. The new database is empty.",
        )


def _insert(tx: sa.Connection, table: sa.Table, lines: Iterable[bytes]) -> None:
    """Put rows in, those together that have values in the same columns."""
    read = row_reader(table)
    waiting: dict[frozenset[str], list[dict[str, object]]] = {}
    for line in lines:
        row = read(line)
        alike = waiting.setdefault(frozenset(row), [])
        alike.append(row)
        if len(alike) == _ROWS_AT_ONCE:
            tx.execute(table.insert(), alike)
            alike.clear()
    for alike in waiting.values():
        if alike:
            tx.execute(table.insert(), alike)
