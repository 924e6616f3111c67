# SPDX-License-Identifier: Apache-2.0
"""Locks between processes, and what opening a file is called on each system.

A lock is held by a descriptor and ends with it, at the latest with the process. POSIX
locks with ``flock``, a folder as well as a file; Windows locks the first byte of a
file, and for a folder that of a file beside it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""Refuses a symbolic link; Windows lets only administrators make one."""

_CLOSED_ELSEWHERE: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_FOLDER: int = getattr(os, "O_DIRECTORY", 0)
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none.

    Raises:
        BlockingIOError: another process holds it, and *wait* is not set.
    """
    descriptor = lock_file(file, wait=wait)
    try:
        yield
    finally:
        os.close(descriptor)


def lock_file(file: Path, *, wait: bool = True) -> int:
    """Return a descriptor that holds the lock of a file until it is closed.

    Raises:
        BlockingIOError: another process holds it, and *wait* is not set.
    """
    flags = os.O_RDWR | os.O_CREAT | _CLOSED_ELSEWHERE | NO_FOLLOW
    return _locked_descriptor(os.open(file, flags, 0o600), wait=wait)


def lock_folder(folder: Path, *, wait: bool = True) -> int:
    """Return a descriptor that holds the lock of a folder until it is closed.

    Raises:
        BlockingIOError: another process holds it, and *wait* is not set.
        NotADirectoryError: it is something else.
        FileNotFoundError: it is not there.
    """
    if sys.platform == "win32":
        if not folder.is_dir():
            raise NotADirectoryError(folder)
        return lock_file(folder.with_name(f"{folder.name}.lock"), wait=wait)
    flags = os.O_RDONLY | _FOLDER | _CLOSED_ELSEWHERE
    return _locked_descriptor(os.open(folder, flags), wait=wait)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last: it has to be synchronised by itself.

    Windows opens no folder for that; its file system keeps a journal of names.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked_descriptor(descriptor: int, *, wait: bool) -> int:
    try:
        _lock(descriptor, wait=wait)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


if sys.platform == "win32":

    def _lock(descriptor: int, *, wait: bool) -> None:
        while True:
            os.lseek(descriptor, 0, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not wait:
                    raise BlockingIOError(*error.args) from None
                time.sleep(_POLL_SECONDS)
            else:
                return

else:

    def _lock(descriptor: int, *, wait: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
