# SPDX-License-Identifier: Apache-2.0
"""Files that are private, and on disk before anything relies on them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from accord.agent.machine.locking import NO_FOLLOW, sync_folder

_AS_IT_IS = getattr(os, "O_BINARY", 0)
"""Windows would else change the ends of lines."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says that has no hard links, such as a stick's."""


PRIVATE = 0o600
"""Mode of a file that only its owner can read."""

SHARED = 0o666
"""Mode of a file that holds nothing of anybody: the user's umask decides."""


@contextlib.contextmanager
def created_file(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Open a new file that only its owner can read; it is on disk when this ends."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW | _AS_IT_IS
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_new(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Make a file that is there whole, or not at all; on disk when this returns.

    Raises:
        FileExistsError: there is one of that name.
        OSError: it cannot be written.
    """
    partial = _partial(path)
    try:
        with created_file(partial, mode) as file:
            file.write(content)
        try:
            os.link(partial, path)  # fails if the name is taken
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if path.exists():
                raise FileExistsError(path) from None
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_over(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Put a file in the place of what may be there, in one step; on disk afterwards.

    Raises:
        OSError: it cannot be written, and what was there is as it was.
    """
    partial = _partial(path)
    try:
        with created_file(partial, mode) as file:
            file.write(content)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def made_folder(folder: Path) -> None:
    """Make a folder that only its owner can read, unless it is there; on disk after."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        # One may be allowed to make folders in a place and not to look at it.
        with contextlib.suppress(PermissionError):
            sync_directory(folder.parent)


def sync_directory(directory: Path) -> None:
    """Make renames last: a directory has to be synchronised by itself."""
    sync_folder(directory)


def sync_file(path: Path) -> None:
    """Put a file on disk that somebody else has written and closed."""
    if sys.platform == "win32" and not os.access(path, os.W_OK):
        return  # read-only: it was put on disk before it was made so
    how = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point(link: Path, target: Path, *, by_way_of: Path) -> None:
    """Let a link lead to another folder from one moment to the next.

    Args:
        link: the link, which may be there.
        target: where to, seen from the folder of the link.
        by_way_of: a free name on the same disk, for the link before it is in place.

    On Windows the link is a junction, since links proper are for administrators, and
    for a moment there is none.
    """
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(link.parent / target), str(by_way_of))
        with contextlib.suppress(FileNotFoundError):
            link.rmdir()
    else:
        by_way_of.symlink_to(target)
    by_way_of.replace(link)
