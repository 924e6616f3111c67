# SPDX-License-Identifier: Apache-2.0
"""Editions that were written anew because somebody has left them.

The folder of an edition is never changed. What is left of it is written into another
one, ``NAME~1``, ``NAME~2``..., that takes its name only when it is complete and on
disk; from that moment on it is the edition, and the folder before it is removed. So
there is always a whole edition, whatever ends the program.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from accord.agent.store.durable import sync_directory
from accord.core.calendar import is_edition

PARTIAL = ".partial-"
"""Folders that begin so are no editions; they are removed when one is frozen."""

_GENERATION = re.compile(r"(?P<name>[^~]+)(?:~(?P<number>[1-9][0-9]{0,8}))?")


def edition_folders(home: Path) -> Iterator[Path]:
    """Yield the folder of every edition of a calendar, the newest of each name."""
    newest: dict[str, tuple[int, Path]] = {}
    for entry in home.iterdir():
        name, number = _parsed(entry)
        if is_edition(name) and number >= newest.get(name, (0, entry))[0]:
            newest[name] = number, entry
    yield from (folder for _, folder in sorted(newest.values(), key=lambda f: f[1]))


def folder_of(home: Path, name: str) -> Path:
    """Return the folder of one edition of a calendar, which may not be there."""
    later = [entry for entry in home.glob(f"{name}~*") if _parsed(entry)[0] == name]
    return max(later, key=lambda entry: _parsed(entry)[1], default=home / name)


def edition_name(folder: Path) -> str:
    """Return calendar and name of an edition, however often it was written anew."""
    return f"{folder.parent.name}/{folder.name.partition('~')[0]}"


def partial_folder(home: Path) -> Path:
    """Return a free name for a folder that is no edition yet."""
    return home / f"{PARTIAL}{secrets.token_hex(4)}"


def sweep_partial(home: Path) -> None:
    """Remove what a crash left, and folders in whose place others have come."""
    current = set(edition_folders(home))
    for entry in home.iterdir():
        old = is_edition(_parsed(entry)[0]) and entry not in current
        if old or entry.name.startswith(PARTIAL):
            remove_folder(entry)


def succeed(folder: Path, complete: Path) -> Path:
    """Let *complete*, on disk already, take the place of an edition's folder."""
    name, number = _parsed(folder)
    target = folder.with_name(f"{name}~{number + 1}")
    complete.rename(target)
    sync_directory(target.parent)
    target.chmod(0o500)
    remove_folder(folder)
    return target


def remove_folder(folder: Path) -> None:
    """Remove a folder that may be an edition: from one moment to the next it is none.

    Raises:
        OSError: it cannot be removed.
    """
    gone = folder
    if not folder.name.startswith(PARTIAL):
        gone = folder.rename(partial_folder(folder.parent))
        sync_directory(gone.parent)
    gone.chmod(0o700)
    shutil.rmtree(gone)
    sync_directory(gone.parent)


def _parsed(folder: Path) -> tuple[str, int]:
    """Return the name of the edition and how often it was written anew."""
    match = _GENERATION.fullmatch(folder.name)
    if match is None:
        return "", 0
    return match["name"], int(match["number"] or 0)
