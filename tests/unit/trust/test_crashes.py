# SPDX-License-Identifier: Apache-2.0
"""The machine stops at every single step of writing: the old is there, or the new."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from accord.core.errors import IntegrityError
from accord.trust.durable import write_file
from accord.trust.store import load, save
from accord.trust.trusted import Trusted
from tests.policies import ROOT, THREE
from tests.unit.trust.simulator import TIMESTAMP, World, agreement

TRENDS = "agreements/trends.yaml"


P = ParamSpec("P")
T = TypeVar("T")


class Stopped(BaseException):
    """The power went."""


@pytest.fixture
def world() -> World:
    """Return a world where the first policies are published."""
    return World()


def completes(
    action: Callable[[], object], steps: int, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Run *action*, which stops before the step of writing after so many."""
    left = [steps]

    def counted(real: Callable[P, T]) -> Callable[P, T]:
        def step(*args: P.args, **more: P.kwargs) -> T:
            if left[0] == 0:
                raise Stopped
            left[0] -= 1
            return real(*args, **more)

        return step

    with monkeypatch.context() as patched:
        for name in ("fsync", "replace", "open", "mkdir"):
            patched.setattr(os, name, counted(getattr(os, name)))
        try:
            action()
        except Stopped:
            return False
    return True


def test_an_agent_holds_the_old_or_the_new(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.agent(tmp_path / "old").trusted.view()
    world.publish({TRENDS: agreement(version=2, suppress=12)})
    seen: list[int] = []
    complete = False
    while not complete:
        folder = shutil.copytree(tmp_path / "old", tmp_path / str(len(seen)))
        trusted = Trusted(folder, "police")
        complete = completes(
            functools.partial(trusted.refresh, world.fetch, world.now),
            len(seen),
            monkeypatch,
        )
        view = Trusted(folder, "police").view()
        assert view is not None
        assert view == old or view.version == 2
        seen.append(view.version)
        assert Trusted(folder, "police").refresh(world.fetch, world.now).version == 2
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


def test_a_hub_has_published_the_old_or_the_new(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change replaces the board, so that a mixture could not be verified."""
    save(tmp_path / "old", world.repository, world.files)
    first = load(tmp_path / "old")
    assert first is not None
    board = dataclasses.replace(THREE, members=("alice", "chidi", "dora"))
    world.publish({"board.yaml": board.text()}, keys=[board.key("dora")])
    fresh = {n: c for n, c in world.files.items() if n not in world.repository.files}
    seen: list[int] = []
    complete = False
    while not complete:
        folder = shutil.copytree(tmp_path / "old", tmp_path / str(len(seen)))
        saving = functools.partial(save, folder, world.repository, fresh)
        complete = completes(saving, len(seen), monkeypatch)
        stored = load(folder)
        assert stored is not None
        assert stored.repository.id in (first.repository.id, world.repository.id)
        seen.append(stored.repository.version)
        saving()
        again = load(folder)
        assert again is not None
        assert again.repository.files == world.repository.files
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


PROGRAM = """
import os, sys
from pathlib import Path
from accord.core.errors import NotFound
from accord.trust.trusted import Trusted
import datetime
folder, files, stop = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
real, left = os.fsync, [stop]
def fsync(descriptor):
    if left[0] == 0:
        os.kill(os.getpid(), 9)
    left[0] -= 1
    real(descriptor)
os.fsync = fsync
def fetch(name):
    if not (files / name).exists():
        raise NotFound("POLICY_UNKNOWN", name)
    return (files / name).read_bytes()
now = datetime.datetime.fromisoformat(sys.argv[4])
Trusted(folder, "police").refresh(fetch, now)
"""


def test_killed_by_the_system(world: World, tmp_path: Path) -> None:
    world.agent(tmp_path / "agent")
    world.publish({TRENDS: agreement(version=2, suppress=12)})
    for name, content in world.files.items():
        (tmp_path / "hub" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "hub" / name).write_bytes(content)
    versions = []
    for stop in range(3):
        folder = shutil.copytree(tmp_path / "agent", tmp_path / str(stop))
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                PROGRAM,
                folder,
                tmp_path / "hub",
                str(stop),
                world.now.isoformat(),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"},
            check=False,
            capture_output=True,
        )
        assert done.returncode == (-9 if stop < 2 else 0), done.stderr
        view = Trusted(folder, "police").view()
        assert view is not None
        versions.append(view.version)
    assert versions == [1, 2, 2]


class TestStore:
    def test_what_was_saved_is_loaded(self, world: World, tmp_path: Path) -> None:
        world.publish({TRENDS: agreement(version=2, suppress=12)})
        assert load(tmp_path) is None
        save(tmp_path, world.repository, world.files)
        stored = load(tmp_path)
        assert stored is not None
        assert stored.repository.files == world.repository.files
        assert stored.file(TIMESTAMP) == world.files[TIMESTAMP]
        assert stored.file("metadata/9.root.json") is None

    def test_refreshed_freshness_leaves_the_rest(
        self, world: World, tmp_path: Path
    ) -> None:
        save(tmp_path, world.repository, world.files)
        before = (tmp_path / "metadata/1.root.json").stat().st_mtime_ns
        world.vouch()
        save(tmp_path, world.repository, world.files)
        assert (tmp_path / "metadata/1.root.json").stat().st_mtime_ns == before
        stored = load(tmp_path)
        assert stored is not None
        assert stored.file(TIMESTAMP) == world.files[TIMESTAMP]

    @pytest.mark.parametrize("name", ["1.root", "1.targets", "2.snapshot", "timestamp"])
    def test_damage_is_noticed(self, world: World, tmp_path: Path, name: str) -> None:
        save(tmp_path, world.repository, world.files)
        path = tmp_path / "metadata" / f"{name}.json"
        path.write_bytes(path.read_bytes().replace(b'"sig":"', b'"sig":"00'))
        with pytest.raises(IntegrityError) as caught:
            load(tmp_path)
        assert caught.value.reason == "POLICIES_DAMAGED"

    @pytest.mark.parametrize("name", ["1.root", "1.targets", "2.snapshot"])
    def test_loss_is_noticed(self, world: World, tmp_path: Path, name: str) -> None:
        save(tmp_path, world.repository, world.files)
        (tmp_path / "metadata" / f"{name}.json").unlink()
        with pytest.raises(IntegrityError) as caught:
            load(tmp_path)
        assert caught.value.reason == "POLICIES_DAMAGED"

    @pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"format": 1}'])
    def test_an_agents_damaged_file_is_not_taken_for_none(
        self, world: World, tmp_path: Path, content: bytes
    ) -> None:
        """Otherwise the protection against older versions would be gone."""
        agent = world.agent(tmp_path)
        write_file(tmp_path / "accepted.json", content)
        with pytest.raises(IntegrityError) as caught:
            Trusted(tmp_path, "police").view()
        assert caught.value.reason == "POLICIES_DAMAGED"
        with pytest.raises(IntegrityError):
            Trusted(tmp_path, "police").refresh(world.fetch, agent.world.now)

    def test_an_agents_document_that_was_changed_on_the_disk(
        self, world: World, tmp_path: Path
    ) -> None:
        world.agent(tmp_path)
        path = tmp_path / "accepted.json"
        text = path.read_text().replace("suppress_below: 10", "suppress_below: 0")
        path.write_text(text)
        with pytest.raises(IntegrityError):
            Trusted(tmp_path, "police").view()

    def test_files_are_private(self, world: World, tmp_path: Path) -> None:
        world.agent(tmp_path / "agent")
        for path in (tmp_path / "agent").iterdir():
            assert path.stat().st_mode & 0o077 == 0
