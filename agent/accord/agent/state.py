# SPDX-License-Identifier: Apache-2.0
"""The agent's state directory: what lies where, and who may write it at a time.

::

    config.toml            settings
    keys/                  secrets, 0600
    audit.pub              to what the records of audits are sealed
    agent.db               the agency's own ledger and rules, and what was answered
    state.sequence         how many steps agent.db must know at least
    policies/              the board's signed policies as this agent believes them
    store/current          -> builds/ID, switched in one step
    store/builds/ID/       one complete store: columns, persons, and its parts
    store/editions/C/E/    frozen snapshots, hard links into the build that they froze
    store/forgetting.json  while a forgetting is not finished
    store/rotation.json    while a rotation of keys is not finished
    forgotten.list         keyed hashes of whom no ingest takes in again
    mappings/              drafted mappings, which staff completes and keeps
    scratch/               private, of a running ingest; emptied by the next one

The directory belongs to one user. Nothing in it is meant for the hub.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import platformdirs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.configuration import CONFIGURATION
from accord.agent.keys.files import make_key, read_key
from accord.agent.machine.locking import lock_file
from accord.agent.machine.windows import require_private
from accord.agent.rounds.fence import begin as begin_sequence
from accord.agent.rounds.schema import are_current, create_tables, update_tables
from accord.agent.rounds.sealing import make_audit_key
from accord.agent.settings import STATE_VARIABLE, Settings, load_settings
from accord.agent.store.durable import sync_directory, write_over
from accord.core.errors import ConfigurationError, Conflict, PreconditionFailed
from accord.ledger import check_schema
from accord.ledger.sqlite import open_database, transaction
from accord.secagg.keys import SecretKeys
from accord.trust.trusted import Trusted

PSEUDONYM_KEY = "pseudonym.key"
STORE_KEY = "store.key"
AGENCY_KEY = "agency.key"
"""Seed of the keys that the board lists for this agency."""


@dataclasses.dataclass(frozen=True, slots=True)
class AgentState:
    """Names of everything under one root."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings."""
        return self.root / "config.toml"

    @property
    def keys(self) -> Path:
        """Secrets, and the certificates that go with them."""
        return self.root / "keys"

    @property
    def database(self) -> Path:
        """Ledger and answered questions."""
        return self.root / "agent.db"

    @property
    def sequence_file(self) -> Path:
        """Number of steps in rounds, outside the database that counts them."""
        return self.root / "state.sequence"

    @property
    def audit_public(self) -> Path:
        """Public key to which the records of audits are sealed."""
        return self.root / "audit.pub"

    @property
    def policies(self) -> Path:
        """Signed policies that were accepted, and the board that is pinned."""
        return self.root / "policies"

    @property
    def store(self) -> Path:
        """Root of builds and editions."""
        return self.root / "store"

    @property
    def current(self) -> Path:
        """The store that the next edition freezes."""
        return self.store / "current"

    @property
    def builds(self) -> Path:
        """Complete stores, of which `current` points to one."""
        return self.store / "builds"

    @property
    def editions(self) -> Path:
        """Frozen snapshots by calendar."""
        return self.store / "editions"

    @property
    def mappings(self) -> Path:
        """Mappings that were drafted here."""
        return self.root / "mappings"

    @property
    def scratch(self) -> Path:
        """Private temporary files."""
        return self.root / "scratch"

    @classmethod
    def create(cls, root: Path, *, new_agency_key: bool = False) -> Self:
        """Make the directory with new keys; what exists already is left as it is.

        Args:
            root: the directory.
            new_agency_key: make one where the one that a board knew is gone.

        Raises:
            ConfigurationError: STATE_NOT_WRITABLE; KEYS_LOST where a store exists
                without the keys that it was built with, or a board was pinned and the
                key is gone by which it knows this agency; LEDGER_LOST where the
                record of what was spent is gone.
        """
        state = cls(root)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(root.iterdir()):
                root.chmod(0o700)
            for folder in (state.keys, state.policies, state.store, state.scratch):
                folder.mkdir(mode=0o700, exist_ok=True)
            for folder in (state.builds, state.editions):
                folder.mkdir(mode=0o700, exist_ok=True)
            for folder in (state.store, root):
                sync_directory(folder)
            with contextlib.suppress(PermissionError):  # it was there before
                sync_directory(root.parent)
        except OSError as error:
            raise ConfigurationError(
                "STATE_NOT_WRITABLE",
                f"The state directory {root} cannot be made: {error.strerror}. Name "
                "another with --state.",
            ) from error
        state._check_owner_only()
        state._make_keys()
        state._make_agency_key(lost=new_agency_key)
        make_audit_key(state)
        if not state.config.exists():
            write_over(state.config, CONFIGURATION.encode())
        if state._check_ledger_not_lost():
            begin_sequence(state.sequence_file)
        with (
            contextlib.closing(open_database(state.database)) as connection,
            transaction(connection) as tx,
        ):
            create_tables(tx, state.database)
        return state

    def _check_ledger_not_lost(self) -> bool:
        """Refuse to begin an empty ledger beside what an older one has paid for.

        Returns:
            Whether there is none yet.
        """
        used = (
            self.current.is_symlink()
            or any(self.editions.iterdir())
            or (self.keys / "identity.pem").exists()
        )
        # What a copy that failed leaves behind may be an empty file.
        kept = self.database.exists() and self.database.stat().st_size > 0
        if used and not kept:
            raise ConfigurationError(
                "LEDGER_LOST",
                f"{self.database} is gone, and with it the record of what this "
                "agency's records have lost. Restore it from a copy; without it the "
                "agent must begin anew in another directory.",
            )
        return not kept

    @classmethod
    def open(cls, root: Path) -> Self:
        """Return the state directory of an agent that was set up.

        Raises:
            ConfigurationError: STATE_ABSENT, STATE_FORBIDDEN or STATE_EXPOSED.
        """
        state = cls(root)
        if not state.is_set_up():
            raise ConfigurationError(
                "STATE_ABSENT",
                f"There is no agent in {root}. Set one up with `accord-agent init` or "
                "`accord-agent enrol`, or name its directory with --state.",
            )
        state._check_owner_only()
        return state

    def is_set_up(self) -> bool:
        """Whether an agent was set up in the directory.

        Raises:
            ConfigurationError: STATE_FORBIDDEN, this user cannot tell.
        """
        try:
            mode = self.database.stat().st_mode
        except PermissionError:
            raise ConfigurationError(
                "STATE_FORBIDDEN",
                f"This user may not look into the state directory {self.root}, which "
                "is another one's. Run the command as the agent's own user, such as "
                "with `runuser -u accord-agent --`, or name another directory with "
                "--state.",
            ) from None
        except OSError:
            return False
        return stat.S_ISREG(mode)

    def settings(self) -> Settings:
        """Return the settings in force.

        Raises:
            ConfigurationError: SETTINGS_INVALID.
        """
        return load_settings(self.config)

    def pseudonym_key(self) -> bytes:
        """Return the key under which persons get their first pseudonyms."""
        return read_key(self.keys / PSEUDONYM_KEY)

    def store_key(self) -> bytes:
        """Return the first key under which cases are put in order."""
        return read_key(self.keys / STORE_KEY)

    def agency_key(self) -> Ed25519PrivateKey:
        """Return the key by which the board knows this agency."""
        return Ed25519PrivateKey.from_private_bytes(read_key(self.keys / AGENCY_KEY))

    def secret_keys(self, agency: str) -> SecretKeys:
        """Return the same key with those that are derived from it.

        Args:
            agency: label of this agency, on which they do not depend.
        """
        return SecretKeys.from_seed(agency, read_key(self.keys / AGENCY_KEY))

    @contextlib.contextmanager
    def ledger(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one thread.

        Raises:
            ConfigurationError: it is of another format.
            PreconditionFailed: it cannot be opened, or the disk is full.
            Unreachable: another program keeps it locked.
        """
        with contextlib.closing(open_database(self.database)) as connection:
            connection.execute("PRAGMA secure_delete = ON").close()
            check_schema(connection)
            self._require_tables(connection)
            yield connection

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the database's log in place between the steps of a program that runs.

        Whoever closes the last connection of all has to write the log into the database
        and remove it, and the next one to make it again.
        """
        with contextlib.closing(open_database(self.database)) as connection:
            self._require_tables(connection)  # what has read nothing holds nothing
            yield

    def _require_tables(self, connection: sqlite3.Connection) -> None:
        """Bring tables of an older version up to date, before anything reads them."""
        if not are_current(connection, self.database):
            with transaction(connection) as tx:
                update_tables(tx, self.database)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only one to change the store.

        Raises:
            Conflict: STORE_BUSY, another command is at it.
        """
        with _locked(self.store / ".lock", wait=False):
            yield

    @contextlib.contextmanager
    def freezing(self) -> Iterator[None]:
        """Be the only one to freeze editions; waits, as a freeze takes no time."""
        with _locked(self.store / ".freezing", wait=True):
            yield

    def free_space(self) -> str:
        """Return how much the disk of the state directory can still take, in words."""
        return f"{shutil.disk_usage(self.root).free / 2**30:.1f} GiB"

    def _check_owner_only(self) -> None:
        if sys.platform == "win32":
            require_private(self.root)
        elif self.root.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                "STATE_EXPOSED",
                f"The state directory {self.root} can be read by others than its "
                "owner. Set its mode to 0700.",
            )

    def _make_keys(self) -> None:
        for name in (PSEUDONYM_KEY, STORE_KEY):
            path = self.keys / name
            if path.exists():
                read_key(path)
                continue
            if self.current.is_symlink() or any(self.editions.iterdir()):
                raise ConfigurationError(
                    "KEYS_LOST",
                    f"{path} is missing, and the store here was built with it: restore "
                    "it from a copy. A new key would make strangers of all persons.",
                )
            make_key(path)

    def _make_agency_key(self, *, lost: bool) -> None:
        path = self.keys / AGENCY_KEY
        if path.exists():
            read_key(path)
            return
        if not lost and Trusted(self.policies, None).pinned() is not None:
            raise ConfigurationError(
                "KEYS_LOST",
                f"{path} is missing, and the board knows this agency by it: restore "
                "it from a copy. Where there is none, `accord-agent init "
                "--new-agency-key` makes another, which the board has to sign anew.",
            )
        make_key(path)


def state_root(option: Path | None) -> Path:
    """Return the state directory: option, environment, systemd's, or the user's own."""
    if option is not None:
        return option
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    return platformdirs.user_data_path("accord-agent", appauthor=False)


def disk_trouble(error: OSError, state: AgentState) -> PreconditionFailed:
    """Return what to tell the person whose disk refused a write."""
    return PreconditionFailed(
        "STORE_NOT_WRITABLE",
        f"The store cannot be written: {error.strerror or type(error).__name__}. The "
        f"disk of the state directory has {state.free_space()} free. The store that "
        "was there is unchanged; see to the disk and run the command again.",
    )


@contextlib.contextmanager
def _locked(file: Path, *, wait: bool) -> Iterator[None]:
    try:
        descriptor = lock_file(file, wait=wait)
    except BlockingIOError:
        raise Conflict(
            "STORE_BUSY",
            "Another command is changing this agent's store; try again when it "
            "has ended.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
