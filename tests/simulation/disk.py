# SPDX-License-Identifier: Apache-2.0
"""Disks of machines that lose power, are full, or get an old copy back.

Every database of hub and agents is a real SQLite file. Where one is committed, the
machine may lose power just before or just after: its files are then copied as they
are, and are what the next process finds; whatever the dying one still does is gone.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.simulation.loop import PowerLost, Process
from tests.simulation.patching import Passed, around

KEPT: Final = ("hub.db", "agent.db", "state.sequence", "policies")
"""What a process changes, in its state directory; all else stays as it was made."""


@dataclasses.dataclass(slots=True)
class Crash:
    """A loss of power that waits for its moment."""

    left: int
    """Commits that still happen."""
    after: bool


class Disk:
    """The state directory of one hub or agent."""

    def __init__(self, name: str, root: Path, images: Path) -> None:
        self.name = name
        self.root = root
        self.commits = 0
        """Changes since the beginning of the world."""
        self.is_full = False
        self.crash: Crash | None = None
        self.process: Process | None = None
        """Who works on it; nobody while the machine is off."""
        self._images = images / name

    def save(self, image: str) -> None:
        """Copy what is there this very moment."""
        folder = self._images / image
        shutil.rmtree(folder, ignore_errors=True)
        _copy(self.root, folder)

    def load(self, image: str, names: tuple[str, ...] = KEPT) -> None:
        """Put a copy, or a part of it, in the place of what is there."""
        for path in _parts(self.root, names):
            _remove(path)
        _copy(self._images / image, self.root, names)
        self.commits += 1

    def has(self, image: str) -> bool:
        return (self._images / image).is_dir()

    def before(self, full: Exception) -> None:
        """Something is going to be committed.

        Args:
            full: what is raised where the disk is full.
        """
        if self.process is not None and not self.process.is_alive:
            raise PowerLost
        if self.crash is not None and self.crash.left == 0 and not self.crash.after:
            self._die()
        if self.is_full:
            raise full

    def after(self) -> None:
        """It was."""
        self.commits += 1
        if self.crash is None:
            return
        if self.crash.left == 0:
            self._die()
        self.crash.left -= 1

    def _die(self) -> None:
        assert self.process is not None
        self.crash = None
        self.save("crash")
        self.process.is_alive = False
        raise PowerLost


class _Connection(sqlite3.Connection):
    """A connection that tells its disk of commits."""

    disk: Disk | None = None
    _changes = 0

    def execute(self, sql: str, /, *args: Passed) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, *args)
        made: sqlite3.Cursor = self._committing(
            lambda: super(_Connection, self).execute(sql)
        )
        return made

    def commit(self) -> None:
        self._committing(super().commit)

    def _committing(self, commit: Callable[[], Passed]) -> Passed:
        if self.disk is None or self.total_changes == self._changes:
            return commit()
        self._changes = self.total_changes
        if self.disk.is_full:
            # What SQLite does by itself where the disk has no room for a commit.
            self.rollback()
        self.disk.before(_full())
        made = commit()
        self.disk.after()
        return made


class Disks:
    """All machines' disks, in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._disks: dict[str, Disk] = {}

    def add(self, name: str) -> Disk:
        disk = Disk(name, self._root / name, self._root / "images")
        self._disks[name] = disk
        return disk

    def of(self, path: str | os.PathLike[str]) -> Disk | None:
        """Return the disk that a file is on."""
        try:
            place = Path(os.path.relpath(path, self._root)).parts
        except ValueError:
            return None
        return self._disks.get(place[0]) if place else None

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Let every database, and every file that agents write, be on these disks."""
        for module in ("sqlite3", "sqlite3.dbapi2"):
            around(patch, f"{module}.connect", self._connecting)
        around(patch, "accord.agent.rounds.fence.created_file", self._writing)

    def _connecting(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def connecting(path: Passed, **options: Passed) -> Passed:
            disk = self.of(path)
            if disk is None or options.pop("uri", False):
                return connect(path, **options)
            made = connect(path, **{**options, "factory": _Connection})
            made.disk = disk
            return made

        return connecting

    def _writing(self, create: Callable[[Path], Any]) -> Callable[[Path], Any]:
        @contextmanager
        def writing(path: Path) -> Iterator[Any]:
            disk = self.of(path)
            if disk is not None:
                disk.before(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            with create(path) as file:
                yield file
            if disk is not None:
                disk.after()

        return writing


def _full() -> Exception:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def _parts(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        for path in (folder / name, folder / f"{name}-wal", folder / f"{name}-shm"):
            if path.exists():
                yield path


def _copy(source: Path, target: Path, names: tuple[str, ...] = KEPT) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in _parts(source, names):
        if path.name.endswith("-shm"):
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)
            (target / path.name).chmod(0o600)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
