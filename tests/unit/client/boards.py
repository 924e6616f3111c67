# SPDX-License-Identifier: Apache-2.0
"""A board with key files, and a hub in a thread, for the client's tests."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from accord.client import cli
from accord.client.policy.keys import make_key
from accord.hub.serve import Hub, load_parts
from accord.hub.state import State
from accord.rpc.command import run_command
from accord.rpc.logs import configure
from accord.trust.keys import new_key, text_of
from tests.unit.hub.world import add_analyst, bare_state

PASSPHRASE = "correct horse battery"
MEMBERS = ("alice", "bela", "chidi")
SEATS = ("survivor representative=alice", "data protection officer=bela")
AGREEMENT = Path("agreements/regional-trends.yaml")


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.out.splitlines()[-1])

    @property
    def reason(self) -> str:
        return str(json.loads(self.err.splitlines()[-1])["error"]["reason"])


@dataclasses.dataclass(frozen=True)
class Office:
    """A folder with three members' keys, and the ``accord`` command."""

    folder: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def accord(self, *arguments: object) -> Ran:
        """Run ``accord``."""
        words = ["accord", *map(str, arguments)]
        self.capture.readouterr()
        self.patch.setattr(sys, "argv", words)
        status = run_command(cli.app, unharmed="")
        said = self.capture.readouterr()
        return Ran(status, said.out, said.err)

    def policy(self, *arguments: object) -> Ran:
        """Run ``accord policy … --json``."""
        return self.accord("policy", *arguments, "--json")

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    def key(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.pub"

    @property
    def board(self) -> Path:
        return self.folder / "board"

    def found(self, *more: object, hub: tuple[str, str] | None = None) -> Ran:
        """Found the sample board; *hub* are the keys of its hub."""
        key, freshness = hub or (text_of(new_key()), text_of(new_key()))
        arguments: list[object] = ["found", self.board, "--board-name", "sample-board"]
        arguments += ["--network", "sample-network", "--threshold", 2]
        arguments += ["--from-samples", "--hub-key", key, "--freshness-key", freshness]
        for name in MEMBERS:
            arguments += ["--member", f"{name}={self.public(name)}"]
        for seat in SEATS:
            arguments += ["--seat", seat]
        return self.policy(*arguments, *more)

    def sign(self, which: object, name: str, *more: object) -> Ran:
        """Sign as somebody, without questions."""
        chosen: list[object] = ["--key", self.key(name), "--yes"]
        if "--passphrase-file" not in more:
            chosen += ["--passphrase-file", self.passphrase]
        return self.policy("sign", which, *chosen, *more)

    def edit(self, path: Path, *changes: tuple[str, str]) -> None:
        """Change texts of a document."""
        file = self.board / path
        text = file.read_text("utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file.write_text(text, "utf-8")


def make_office(
    folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
) -> Office:
    """Make keys for everybody; profiles and state stay in *folder*."""
    patch.setenv("ACCORD_CONFIG", str(folder / "config"))
    patch.setenv("ACCORD_DATA", str(folder / "data"))
    patch.setenv("COLUMNS", "200")
    for name in ("ACCORD_HUB", "ACCORD_TOKEN"):
        patch.delenv(name, raising=False)
    for name in (*MEMBERS, "eve"):
        make_key(folder / "keys", name, PASSPHRASE)
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
    return Office(folder, patch, capture)


@dataclasses.dataclass(frozen=True)
class RunningHub:
    """A hub that nobody has signed anything for yet."""

    state: State
    address: str
    keys: tuple[str, str]
    token: str
    """Of somebody on the board."""


@contextmanager
def running_hub(folder: Path) -> Iterator[RunningHub]:
    """Serve a new hub on loopback from another thread; its log is kept apart."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("hub", io.StringIO())
    state = bare_state(folder)
    token = add_analyst(state, "bela", organisation="board-office", role="board")
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        hub = Hub(load_parts(state))
        addresses = await hub.start()
        found.append(addresses.public)
        ready.set()
        await asyncio.to_thread(over.wait)
        await hub.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        form = load_parts(state).authority.hub_form
        yield RunningHub(state, found[0], (form.key, form.freshness), token)
    finally:
        over.set()
        thread.join(60)
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
