# SPDX-License-Identifier: Apache-2.0
"""Files that are private, and on disk before anything relies on them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from accord.agent.locking import NO_FOLLOW, sync_folder


@contextlib.contextmanager
def created_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that only its owner can read; it is on disk when this ends."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


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
