# SPDX-License-Identifier: Apache-2.0
"""Where a hub keeps what it is: keys, database, settings, policies.

::

    config.toml      settings (accord.hub.settings)
    hub.db           everything that happened (accord.hub.db)
    keys/            private keys, mode 0600 (accord.hub.identity.authority)
    policies/        what the board signed (accord.hub.governance)
    serving.lock     held by the process that serves
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import platformdirs

from accord.core.errors import ConfigurationError

STATE_VARIABLE: Final = "ACCORD_HUB_STATE"

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """The folder of one hub."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings."""
        return self.root / "config.toml"

    @property
    def database(self) -> Path:
        """The database file."""
        return self.root / "hub.db"

    @property
    def keys(self) -> Path:
        """Private keys and the certificates that go with them."""
        return self.root / "keys"

    @property
    def policies(self) -> Path:
        """Signed policies, as files that agents fetch."""
        return self.root / "policies"

    @property
    def lock(self) -> Path:
        """Lock of the process that serves."""
        return self.root / "serving.lock"

    def require(self) -> None:
        """Refuse a folder that no hub was made in.

        Raises:
            ConfigurationError: STATE_ABSENT.
        """
        if not self.config.is_file():
            raise ConfigurationError(
                "STATE_ABSENT",
                f"There is no hub in {self.root}: run `accord-hub init`, or name the"
                f" right folder with --state or ${STATE_VARIABLE}.",
            )

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Be the one process that serves this state.

        Raises:
            ConfigurationError: ALREADY_SERVING.
        """
        with self.lock.open("w") as file:
            if not _locked(file.fileno()):
                raise ConfigurationError(
                    "ALREADY_SERVING",
                    f"Another process serves the hub in {self.root} already; two would"
                    " ask agencies twice.",
                )
            yield

    def is_served(self) -> bool:
        """Tell whether some process serves this state now."""
        try:
            with self.lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False


def _locked(descriptor: int) -> bool:
    """Take the lock; a look by `State.is_served` may hold it for a moment."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def find_state(named: Path | None) -> State:
    """Return the folder that was named, or the first of the usual places that is set.

    The order: ``--state``, ``$ACCORD_HUB_STATE``, systemd's ``$STATE_DIRECTORY``, the
    user's folder for application state.
    """
    if named is not None:
        return State(named)
    for variable in (STATE_VARIABLE, "STATE_DIRECTORY"):
        value = os.environ.get(variable, "")
        if value:
            return State(Path(value.split(":")[0]))
    return State(Path(platformdirs.user_data_dir("accord-hub", appauthor=False)))


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that does not exist yet, durably, or fail without leaving one.

    Raises:
        FileExistsError: it exists.
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(path, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
