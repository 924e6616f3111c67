# SPDX-License-Identifier: Apache-2.0
"""How long an agency's machine works, from the unpacked folder to the first answer.

A hub and the agencies of the demo run. One of them begins anew, as
``docs/how-to-agency.md`` says: it installs the agent from the folder that ``make
wheelhouse`` built (without a registry), types `init` with an export of its case files,
gives its keys to the board, and types `enrol` and `run`. Then an analyst asks, and the
answer needs that agency. What the board and the operator do is not counted::

    make wheelhouse
    python -m benchmarks.joining dist/accord-agent-0.1.0-linux-x86_64
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import accord.client as accord
from accord.client.demo.board import AGREEMENT
from accord.client.demo.processes import environment, run
from accord.client.demo.stage import LABELS, Stage, set_the_stage
from accord.client.policy.agency_keys import AgencyKeys
from accord.client.policy.entering import enter_keys
from accord.core.errors import AccordError

GOAL_SECONDS = 60.0
NEWCOMER = LABELS[0]
PERSON = "prs_FirstName,prs_SecondName,prs_Birthdate"
PURPOSE = "prevention planning"
MEMBERS = "members.yaml"
WAIT_SECONDS = 120.0

Seconds = dict[str, float]


@contextlib.contextmanager
def timed(found: Seconds, step: str) -> Iterator[None]:
    """Note the wall time of a step."""
    start = time.perf_counter()
    yield
    found[step] = time.perf_counter() - start


def call(*command: str | Path) -> str:
    """Run a command that must succeed; return what it prints."""
    return subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(),
    ).stdout


def measure(stage: Stage, wheelhouse: Path, sources: Path) -> Seconds:
    """Return the seconds of each step."""
    found: Seconds = {}
    old = stage.folder / "agents" / NEWCOMER
    stage.agents[LABELS.index(NEWCOMER)].stop()
    shutil.rmtree(old)
    place = stage.folder / "program"
    with timed(found, "install"):
        call(wheelhouse / "install.sh", "--not-signed", "--into", place)
    program = place / "bin/accord-agent"
    state = ("--state", stage.folder / "newcomer")
    with timed(found, "init"):
        made = json.loads(
            call(program, "init", sources, "--person", PERSON, *state, "--json")
        )
    publish_keys(stage, made)
    token = run("hub", "token", "create", NEWCOMER, "--state", str(stage.hub_state))
    with timed(found, "enrol"):
        call(
            *(program, "enrol", "--hub", stage.hub, "--token", token["token"]),
            *("--board", stage.board.words, *state),
        )
    log = stage.folder / "newcomer.log"
    with timed(found, "run to first answer"), log.open("wb") as file:
        process = subprocess.Popen(
            [program, "run", *state],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        try:
            release = first_answer(stage)
        finally:
            process.terminate()
            process.wait()
    if NEWCOMER not in release.coverage.answered:
        raise SystemExit(f"{NEWCOMER} is not in the answer; its log was {log}.")
    return found


def publish_keys(stage: Stage, made: dict[str, Any]) -> None:
    """Do what board and operator do with a newcomer's keys."""
    keys = AgencyKeys(
        key=made["agency_key"], exchange=made["exchange"], kem=made.get("kem")
    )
    text = stage.board.documents()[MEMBERS].decode()
    changed = stage.board.change(
        MEMBERS,
        enter_keys(text, agencies={NEWCOMER: keys}),
        "a member begins anew",
        stage.now(),
        signers=("alice", "bela"),  # a key is new: the seat has to agree
    )
    run("hub", "policies", "publish", str(changed), "--state", str(stage.hub_state))


def first_answer(stage: Stage) -> accord.Result:
    """Ask until the newcomer's edition is known, and return the answer."""
    deadline = time.monotonic() + WAIT_SECONDS
    with accord.connect(stage.hub, token=stage.token) as hub:
        while True:
            try:
                return (
                    hub.agreement(AGREEMENT)
                    .persons()
                    .by("region")
                    .release(epsilon=0.3, purpose=PURPOSE)
                )
            except AccordError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Set the stage, join, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheelhouse", type=Path, help="folder of `make wheelhouse`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        stage = set_the_stage(Path(folder), lambda _: None)
        try:
            sources = stage.folder / "case-files" / f"{NEWCOMER}.csv"
            found = measure(stage, options.wheelhouse, sources)
        finally:
            stage.stop()
    if options.json:
        print(json.dumps(found))
        return
    for step, seconds in found.items():
        print(f"{step:>20}  {seconds:6.1f} s")
    total = sum(found.values())
    print(f"{'together':>20}  {total:6.1f} s on {os.cpu_count()} processors")
    print(f"together / goal of {GOAL_SECONDS:.0f} s: {total / GOAL_SECONDS:.2f}x")


if __name__ == "__main__":
    main()
