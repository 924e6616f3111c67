# SPDX-License-Identifier: Apache-2.0
"""Files that are on the disk, whole, before anything relies on them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from accord.core.errors import PreconditionFailed

PRIVATE = 0o600

_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""Refuses a symbolic link; Windows lets only administrators make one."""


def write_file(path: Path, content: bytes) -> None:
    """Replace a file at one moment; before it the old one is there, after it the new.

    The folder is synchronised too, so that what is written later cannot reach the
    disk sooner.

    Raises:
        PreconditionFailed: POLICIES_NOT_WRITABLE
    """
    beside = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_FOLLOW
    with _writing(path):
        with os.fdopen(os.open(beside, flags, PRIVATE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file that may be there.

    Raises:
        PreconditionFailed: POLICIES_NOT_WRITABLE
    """
    with _writing(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those around it, to last.

    Raises:
        PreconditionFailed: POLICIES_NOT_WRITABLE
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    with _writing(path):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames in a folder last: it has to be synchronised by itself.

    Windows opens no folder for that; its file system keeps a journal of names.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in Accord's words why a file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise PreconditionFailed(
            "POLICIES_NOT_WRITABLE",
            f"{path} cannot be written: {error.strerror or type(error).__name__}.",
        ) from None
