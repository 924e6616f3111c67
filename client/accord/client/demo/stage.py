# SPDX-License-Identifier: Apache-2.0
"""Sets up what the demo shows: a board, a hub, five agencies with records, an analyst.

Every step is what a board, an operator or an agency's staff would do; the agencies are
set up at the same time, as they are in life.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.resources
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import accord.client as accord
from accord.client.demo.board import AGREEMENT, DemoBoard, gather
from accord.client.demo.casefiles import AGENCIES, write_case_files
from accord.client.demo.processes import Background, run
from accord.client.policy.agency_keys import AgencyKeys
from accord.core.errors import InternalError

SEED = 20260101
READY_SECONDS = 30.0
LABELS = tuple(agency.label for agency in AGENCIES)
WITNESS = LABELS[0]
"""The agency whose staff looks at what its agent believes."""

_POLL_SECONDS = 0.1

Made = TypeVar("Made")


@dataclasses.dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs."""

    folder: Path
    hub: str
    """Address of the hub's public port."""
    board: DemoBoard
    token: str = dataclasses.field(default="", repr=False)
    hub_process: Background | None = None
    agents: list[Background] = dataclasses.field(default_factory=list)
    _starts: int = 0

    @property
    def hub_state(self) -> Path:
        return self.folder / "hub"

    @property
    def processes(self) -> list[Background]:
        """The hub, then the agents."""
        return [*([self.hub_process] if self.hub_process else []), *self.agents]

    @staticmethod
    def now() -> datetime.datetime:
        """Return the time."""
        return datetime.datetime.now(datetime.UTC)

    def stop(self) -> None:
        """Stop the agents, then the hub."""
        for process in reversed(self.processes):
            process.stop()

    def start_hub(self) -> None:
        """Start the hub; it serves when `wait_for_hub` returns."""
        self._starts += 1
        log = self.folder / f"hub-{self._starts}.log"
        arguments = ["serve", "--state", str(self.hub_state)]
        self.hub_process = Background("hub", arguments, log)

    def wait_for_hub(self) -> None:
        """Return once the hub serves."""
        assert self.hub_process is not None  # noqa: S101 - for the type checker
        self.hub_process.wait_for("hub.ready", READY_SECONDS)

    def publish(self, proposal: Path) -> int:
        """Put a signed change in force and return once all agencies have it."""
        state = ("--state", str(self.hub_state))
        done = run("hub", "policies", "publish", str(proposal), *state)
        version = int(done["policies_version"])
        for agent in self.agents:
            agent.wait_for(f'"policy_version": {version}', READY_SECONDS)
        return version

    def back_up_hub(self) -> Path:
        """Copy the hub's database and policies as an operator does while it runs."""
        backup = self.folder / "hub-backup"
        shutil.copytree(self.hub_state / "policies", backup / "policies")
        with (
            contextlib.closing(sqlite3.connect(self.hub_state / "hub.db")) as source,
            contextlib.closing(sqlite3.connect(backup / "hub.db")) as target,
        ):
            source.backup(target)
        return backup

    def restore_hub(self, copy: Path) -> Path:
        """Start the hub with the database and policies of a copy.

        Returns:
            Where those that it had are now.
        """
        assert self.hub_process is not None  # noqa: S101 - for the type checker
        self.hub_process.stop()
        aside = self.folder / f"hub-aside-{self._starts}"
        aside.mkdir()
        for name in ("policies", "hub.db", "hub.db-wal", "hub.db-shm"):
            if (self.hub_state / name).exists():
                (self.hub_state / name).rename(aside / name)
        shutil.copytree(copy, self.hub_state, dirs_exist_ok=True)
        self.start_hub()
        self.wait_for_hub()
        return aside

    def wait_for_trouble(self) -> dict[str, Any]:
        """Return what an agent's own status says of policies that it refuses.

        Raises:
            InternalError: DEMO_STEP_FAILED, when it refuses nothing.
        """
        state = ("--state", str(self.folder / "agents" / WITNESS))
        self.agents[0].wait_for("policy.refused", READY_SECONDS)
        trust = run("agent", "status", *state)["policies"]
        if trust["distrust"] is None:
            raise _failed(self.folder)
        return {
            "agency": WITNESS,
            "reason": trust["distrust"]["reason"],
            "text": trust["distrust"]["text"],
            "keeps": trust["version"],
        }


def set_the_stage(folder: Path, say: Callable[[str], None]) -> Stage:
    """Start everything and return when the first question can be asked.

    Raises:
        InternalError: a step failed; what was started is stopped again.
    """
    public, private = _free_ports(2)
    stage = Stage(folder=folder, hub=f"127.0.0.1:{public}", board=gather(folder))
    state = str(stage.hub_state)
    try:
        say("the hub and five agencies make their keys")
        ports = ("--public-port", str(public), "--agent-port", str(private))
        with ThreadPoolExecutor() as pool:
            making = pool.submit(
                run,
                *("hub", "init", "--state", state, "--network", "sample-network"),
                *("--listen", "127.0.0.1", *ports),
            )
            keys = dict(zip(LABELS, _each(LABELS, stage, _make_agent), strict=True))
            making.result()
        say("a board of three signs the sample agreement, two of three")
        founded = stage.board.found(
            run("hub", "keys", "--state", state), keys, stage.now()
        )
        run("hub", "policies", "publish", str(founded), "--state", state)
        stage.start_hub()
        say("five agencies write case files, in their own formats")
        files = write_case_files(
            folder / "case-files", until=stage.now().date(), seed=SEED
        )
        analyst = run(
            *("hub", "analyst", "add", "demo-analyst", "--state", state),
            *("--organisation", "observatory", "--role", "analyst"),
        )
        stage.token = analyst["token"]
        stage.wait_for_hub()
        say("each agency confirms the board's words and joins, with its case files")
        _each(LABELS, stage, lambda label, it: _join(label, it, files[label]))
        for label in LABELS:
            _start_agent(label, stage)
        _wait_for_editions(stage)
    except BaseException:
        stage.stop()
        raise
    return stage


def _each(
    labels: Iterable[str], stage: Stage, work: Callable[[str, Stage], Made]
) -> list[Made]:
    """Do *work* for all agencies at the same time."""
    with ThreadPoolExecutor(max_workers=len(LABELS)) as pool:
        doing = [pool.submit(work, label, stage) for label in labels]
        wait(doing)
        return [each.result() for each in doing]


def _state_of(label: str, stage: Stage) -> tuple[str, str]:
    return "--state", str(stage.folder / "agents" / label)


def _make_agent(label: str, stage: Stage) -> AgencyKeys:
    made = run("agent", "init", *_state_of(label, stage))
    return AgencyKeys(
        key=made["agency_key"], exchange=made["exchange"], kem=made.get("kem")
    )


def _join(label: str, stage: Stage, source: Path) -> None:
    state = _state_of(label, stage)
    made = run("hub", "token", "create", label, "--state", str(stage.hub_state))
    run(
        *("agent", "enrol", *state, "--hub", stage.hub),
        *("--token", made["token"], "--board", stage.board.words),
    )
    mapping = importlib.resources.files("accord.policies") / "mappings"
    with importlib.resources.as_file(mapping / "htcds-demo.yaml") as path:
        run("agent", "ingest", *state, "--mapping", str(path), str(source))


def _start_agent(label: str, stage: Stage) -> None:
    log = stage.folder / f"{label}.log"
    stage.agents.append(Background("agent", ["run", *_state_of(label, stage)], log))


def _wait_for_editions(stage: Stage) -> None:
    """Return once every agency has frozen the edition that is due."""
    deadline = time.monotonic() + READY_SECONDS
    with accord.connect(stage.hub, token=stage.token) as hub:
        while time.monotonic() < deadline:
            if hub.agreement(AGREEMENT).describe().editions:
                return
            time.sleep(_POLL_SECONDS)
    raise _failed(stage.folder)


def _failed(folder: Path) -> InternalError:
    return InternalError(
        "DEMO_STEP_FAILED",
        f"The agencies did not get ready; their logs are in {folder}.",
    )


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
