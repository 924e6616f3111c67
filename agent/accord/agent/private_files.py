# SPDX-License-Identifier: Apache-2.0
"""Files that only their owner can read, written whole or not at all.

What is in them is no concern of this module: `accord.agent.keys` says what is a secret
and in which form it lies here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path

from accord.agent.locking import NO_FOLLOW
from accord.agent.store.durable import created_file, sync_directory
from accord.agent.windows import require_private
from accord.core.errors import ConfigurationError, Conflict

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, content: bytes) -> None:
    """Create *path* with mode 0600; when this returns the file survives a power cut.

    Raises:
        Conflict: SECRET_EXISTS, there is such a file.
        ConfigurationError: SECRET_NOT_WRITABLE.
    """
    partial = _partial(path)
    try:
        try:
            _write(partial, content)
            os.link(partial, path)  # fails if the name is taken
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        raise Conflict(
            "SECRET_EXISTS", f"{path} exists already and is not overwritten."
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from error


def replace_private(path: Path, content: bytes) -> None:
    """Write *path* with mode 0600 in the place of what may be there, atomically.

    Raises:
        ConfigurationError: SECRET_NOT_WRITABLE.
    """
    partial = _partial(path)
    try:
        _write(partial, content)
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def read_private(path: Path) -> bytes:
    """Return the content of a file that only its owner can read.

    Raises:
        ConfigurationError: SECRET_ABSENT, SECRET_EXPOSED or SECRET_UNREADABLE.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW)
    except FileNotFoundError:
        raise ConfigurationError(
            "SECRET_ABSENT",
            f"{path} is missing. A new agent makes it with `accord-agent init`; on one "
            "that has worked before, restore it from a copy.",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            "SECRET_UNREADABLE", f"{path} cannot be read: {error.strerror}."
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if sys.platform == "win32":
            require_private(path)
        elif os.fstat(descriptor).st_mode & _OTHERS:
            raise ConfigurationError(
                "SECRET_EXPOSED",
                f"{path} can be read by others than its owner. Set its mode to 0600, "
                "and consider who may have seen it.",
            )
        return file.read()


def clear_partial(folder: Path) -> None:
    """Remove what a write has left that was cut off: it may hold a secret.

    Only for whoever knows that nobody else writes there now.
    """
    for left in folder.glob(".*.*"):
        left.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _write(path: Path, content: bytes) -> None:
    with created_file(path) as file:
        file.write(content)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "SECRET_NOT_WRITABLE", f"{path} cannot be written: {error.strerror}."
    )
