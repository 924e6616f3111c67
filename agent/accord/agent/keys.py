# SPDX-License-Identifier: Apache-2.0
"""Secret files of the agent: made once, read by their owner only.

A secret is written to a file of its own with mode 0600, on disk before anything
relies on it, and never overwritten: a lost pseudonym key cannot be replaced without
building every store anew, so nothing replaces one by itself.
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

KEY_BYTES = 32

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_secret(path: Path, content: bytes) -> None:
    """Create *path* with mode 0600; when this returns the file survives a power cut.

    Raises:
        Conflict: SECRET_EXISTS, there is such a file.
        ConfigurationError: SECRET_NOT_WRITABLE.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(partial, content)
        try:
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


def replace_secret(path: Path, content: bytes) -> None:
    """Write *path* with mode 0600 in the place of what may be there, atomically.

    Raises:
        ConfigurationError: SECRET_NOT_WRITABLE.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(partial, content)
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def read_secret(path: Path) -> bytes:
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


def make_key(path: Path) -> None:
    """Create a file with a new random key.

    Raises:
        Conflict: SECRET_EXISTS.
    """
    write_secret(path, secrets.token_bytes(KEY_BYTES))


def read_key(path: Path) -> bytes:
    """Return the 32 bytes of a key that `make_key` made.

    Raises:
        ConfigurationError: it is missing, exposed, or has another length.
    """
    key = read_secret(path)
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            "SECRET_BROKEN",
            f"{path} has {len(key)} bytes in the place of {KEY_BYTES}: restore it from "
            "a copy.",
        )
    return key


def _write(path: Path, content: bytes) -> None:
    with created_file(path) as file:
        file.write(content)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "SECRET_NOT_WRITABLE", f"{path} cannot be written: {error.strerror}."
    )
