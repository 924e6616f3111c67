# SPDX-License-Identifier: Apache-2.0
"""Sets up what the demo shows: a hub, five agencies with records, an analyst.

Every step is what an operator or an agency's staff would type; the agencies are set up
at the same time, as they are in life.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.resources
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import accord.client as accord
from accord.client.demo.casefiles import AGENCIES, write_case_files
from accord.client.demo.processes import Background, run
from accord.core.errors import InternalError

AGREEMENT = "regional-trends"
SEED = 20260101
READY_SECONDS = 30.0
_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs."""

    folder: Path
    hub: str
    """Address of the hub's public port."""
    token: str = dataclasses.field(repr=False)
    processes: tuple[Background, ...]

    def stop(self) -> None:
        """Stop the agents, then the hub."""
        for process in reversed(self.processes):
            process.stop()


def set_the_stage(
    folder: Path, today: datetime.date, say: Callable[[str], None]
) -> Stage:
    """Start everything and return when the first question can be asked.

    Raises:
        InternalError: a step failed; what was started is stopped again.
    """
    started: list[Background] = []
    try:
        public, private = _free_ports(2)
        address = f"127.0.0.1:{public}"
        state = folder / "hub"
        say("the hub makes its keys, its database and a sample agreement")
        run(
            *("hub", "init", "--state", str(state), "--listen", "127.0.0.1"),
            *("--public-port", str(public), "--agent-port", str(private)),
        )
        _renew_agreement(state / "policies/agreements" / f"{AGREEMENT}.yaml", today)
        hub = Background("hub", ["serve", "--state", str(state)], folder / "hub.log")
        started.append(hub)
        say("five agencies write case files, in their own formats")
        files = write_case_files(folder / "case-files", until=today, seed=SEED)
        analyst = run(
            *("hub", "analyst", "add", "demo-analyst", "--state", str(state)),
            *("--organisation", "observatory", "--role", "analyst"),
        )
        hub.wait_for("hub.ready", READY_SECONDS)
        say("each agency enrols, reads its case files and starts its agent")
        labels = [agency.label for agency in AGENCIES]
        with ThreadPoolExecutor(max_workers=len(labels)) as pool:
            joining = [
                pool.submit(_join, folder, label, files[label], state, address)
                for label in labels
            ]
            wait(joining)
            started.extend(each.result() for each in joining if not each.exception())
            for each in joining:
                each.result()
        stage = Stage(
            folder=folder,
            hub=address,
            token=analyst["token"],
            processes=tuple(started),
        )
        _wait_for_editions(stage)
    except BaseException:
        for process in reversed(started):
            process.stop()
        raise
    return stage


def _join(
    folder: Path, label: str, source: Path, hub_state: Path, address: str
) -> Background:
    state = str(folder / "agents" / label)
    mapping = importlib.resources.files("accord.policies") / "mappings"
    token = run("hub", "token", "create", label, "--state", str(hub_state))["token"]
    run("agent", "init", "--state", state)
    run("agent", "enrol", "--state", state, "--hub", address, "--token", token)
    with importlib.resources.as_file(mapping / "htcds-demo.yaml") as path:
        run("agent", "ingest", "--state", state, "--mapping", str(path), str(source))
    return Background("agent", ["run", "--state", state], folder / f"{label}.log")


def _renew_agreement(path: Path, today: datetime.date) -> None:
    """Move the sample agreement's dates to this year and the next."""
    lines = path.read_text(encoding="utf-8").splitlines()
    valid = (
        f"valid: {{from: {today.year}-01-01, until: {today.year + 1}-12-31, "
        f"review_by: {today.year + 1}-06-30}}"
    )
    changed = [valid if line.startswith("valid:") else line for line in lines]
    path.write_text("\n".join(changed) + "\n", encoding="utf-8")


def _wait_for_editions(stage: Stage) -> None:
    """Return once every agency has frozen the edition that is due."""
    deadline = time.monotonic() + READY_SECONDS
    with accord.connect(stage.hub, token=stage.token) as hub:
        while time.monotonic() < deadline:
            if hub.agreement(AGREEMENT).describe().editions:
                return
            time.sleep(_POLL_SECONDS)
    raise InternalError(
        "DEMO_STEP_FAILED",
        f"The agencies did not get ready; their logs are in {stage.folder}.",
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
