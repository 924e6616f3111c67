# SPDX-License-Identifier: Apache-2.0
"""Files that only their owner can read, written whole or not at all.

What is in them is no concern of this module: `accord.agent.keys.files` says what is a
secret and in which form it lies here.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from accord.agent.machine.locking import NO_FOLLOW
from accord.agent.machine.windows import require_private
from accord.agent.store.durable import write_new, write_over
from accord.core.errors import ConfigurationError, Conflict

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, content: bytes) -> None:
    """Create *path* with mode 0600; when this returns the file survives a power cut.

    Raises:
        Conflict: SECRET_EXISTS, there is such a file.
        ConfigurationError: SECRET_NOT_WRITABLE.
    """
    try:
        write_new(path, content)
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
    try:
        write_over(path, content)
    except OSError as error:
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


def clear_partial(folder: Path, *endings: str) -> None:
    """Remove what a write has left that was cut off: it may hold a secret.

    Args:
        folder: where to look.
        endings: of the files that only the caller writes now; a running agent may be
            renewing its certificate beside them.
    """
    for ending in endings:
        for left in folder.glob(f".*{ending}.*"):
            left.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "SECRET_NOT_WRITABLE", f"{path} cannot be written: {error.strerror}."
    )
