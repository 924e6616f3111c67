# SPDX-License-Identifier: Apache-2.0
"""What is written is on disk before anything relies on it.

Calls of the operating system are recorded on their way: what a name points to must have
been synchronised as it is before it gets the name, and the folder of the name after.
SQLite synchronises its own files, from C.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accord.agent.forgetting.listed import put_on_list
from accord.agent.keys.files import replace_secret, write_secret
from accord.agent.rounds import fence
from accord.agent.state import AgentState
from accord.agent.store.durable import write_new, write_over
from accord.agent.store.editions import freeze_due
from tests.unit.agent.agencies import NOW, ingest_rows, row, write_csv
from tests.unit.agent.command import Command
from tests.unit.agent.test_editions import MONTHLY

Known = tuple[int, int]


class Disk:
    """What would be left after a power cut."""

    def __init__(self) -> None:
        self.synced: dict[Known, tuple[int, int]] = {}
        """Files and folders as they were when they were last synchronised."""
        self.waiting: dict[Known, Path] = {}
        """Folders with a new name in them that is not on disk."""
        self.problems: list[str] = []
        self.named: list[str] = []

    def sync(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self.synced[_known(found)] = _as_it_is(found)
        self.waiting.pop(_known(found), None)

    def name(self, source: Path, target: Path) -> None:
        """Look at what is about to get a name; nothing relies on those in scratch."""
        if "scratch" in target.parts:
            return
        self.named.append(target.name)
        for path in _files(source):
            self._require_synced(path, target)
        self.waiting[_known(target.parent.stat())] = target.parent

    def require_all(self, root: Path, *, besides: Callable[[Path], bool]) -> None:
        """Everything below *root* is on disk, and so are all names."""
        for path in _files(root):
            if not besides(path):
                self._require_synced(path, path)
        for folder in self.waiting.values():
            if folder.exists() and not besides(folder / "file"):
                self.problems.append(f"{folder} has a name that is not on disk")
        assert self.problems == []

    def _require_synced(self, path: Path, target: Path) -> None:
        found = path.lstat()
        if self.synced.get(_known(found)) != _as_it_is(found):
            self.problems.append(f"{path} becomes {target} and is not on disk")


def _known(found: os.stat_result) -> Known:
    return found.st_dev, found.st_ino


def _as_it_is(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _files(root: Path) -> Iterator[Path]:
    """Yield a file, or all files below a folder; links are names and nothing else."""
    for path in [root, *(root.rglob("*") if root.is_dir() else ())]:
        if stat.S_ISREG(path.lstat().st_mode):
            yield path


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        made.sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, _recorded(made, getattr(os, name)))
    make = os.mkdir

    def mkdir(path: Path, *more: int, **named: int) -> None:
        make(path, *more, **named)
        made.name(Path(path), Path(path))

    monkeypatch.setattr(os, "mkdir", mkdir)
    return made


def _recorded(disk: Disk, real: Callable[..., None]) -> Callable[..., None]:
    def call(source: Path, target: Path, *more: object, **named: object) -> None:
        disk.name(Path(source), Path(target))
        real(source, target, *more, **named)

    return call


def _own(state: Path) -> Callable[[Path], bool]:
    """Say of files which are SQLite's, locks without content, or scratch."""

    def besides(path: Path) -> bool:
        return (
            path.name.startswith("agent.db")
            or path.name in {".lock", ".freezing", ".sequence.lock"}
            or state / "scratch" in path.parents
        )

    return besides


@pytest.mark.parametrize("write", [write_new, write_over, write_secret, replace_secret])
def test_a_file_is_on_disk_before_it_has_its_name(
    tmp_path: Path, disk: Disk, write: Callable[[Path, bytes], None]
) -> None:
    write(tmp_path / "a.key", b"content")
    assert disk.named == ["a.key"]
    disk.require_all(tmp_path, besides=lambda _: False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_the_record_tells_what_is_not_on_disk(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(AssertionError, match="becomes"):
        disk.require_all(tmp_path, besides=lambda _: False)
    disk.problems.clear()
    with (tmp_path / "b").open("rb") as file:
        os.fsync(file.fileno())
    with pytest.raises(AssertionError, match="a name that is not on disk"):
        disk.require_all(tmp_path, besides=lambda _: False)


def test_a_new_file_overwrites_nothing_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    write_new(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_over(tmp_path / "a", b"first")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space"):
        write_over(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_everything_that_an_agent_writes_is_on_disk(
    tmp_path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, root = Command(monkeypatch, capsys), tmp_path / "state"

    def run(*words: object) -> None:
        said = command(*words, "--state", root)
        assert said.status == 0, said.stderr

    besides = _own(root)
    run("init")
    disk.require_all(root, besides=besides)
    assert {"agency.key", "config.toml", "state.sequence"} <= set(disk.named)
    state = AgentState.open(root)
    for rows in ([row()], [row(first="Bela")]):  # the second takes the place
        ingest_rows(state, rows)
        disk.require_all(root, besides=besides)
    frozen, waiting = freeze_due(state, [MONTHLY], NOW)
    assert (len(frozen), waiting) == (1, [])
    disk.require_all(root, besides=besides)
    put_on_list(state, [bytes(32)])
    with state.ledger() as connection:
        fence.confirm(state, connection, NOW)
    disk.require_all(root, besides=besides)
    kek = tmp_path / "kek"
    assert command("keys", "make-kek", kek).status == 0
    write_over(state.config, f'[keys]\nkek_file = "{kek}"\n'.encode())
    run("keys", "seal")
    run("keys", "unseal")
    write_over(state.config, b"")
    disk.require_all(root, besides=besides)
    source = tmp_path / "cases.csv"
    write_csv(source, [row(first=str(number)) for number in range(30)])
    run("draft", source, "-o", state.mappings / "cases.yaml")
    disk.require_all(root, besides=besides)
    book = tmp_path / "book.xlsx"
    run("template", "htcds", book)
    for file in (book, book.with_suffix(".yaml")):
        disk.require_all(file, besides=besides)
