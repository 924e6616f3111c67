# SPDX-License-Identifier: Apache-2.0
"""A whole query over five agents with small data, from asking to the answer.

The network of the demo runs on this machine, each program in its own process. An
analyst asks distinct questions one after another. The time includes the agents' own
work on the same cores, their durable charges and the analyst's side, so it is an upper
bound of what the hub adds; ``hub_cpu`` is what the hub's process really uses for one
question. Beside them stand an empty call to the same hub (the floor of one gRPC call)
and a repeat from the archive.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import accord.client as accord
from accord.client.demo.board import AGREEMENT
from accord.client.demo.stage import Stage, set_the_stage

GOAL_MS = 50.0
QUESTIONS = 24
PURPOSE = "prevention planning"


def timed_ms(act: Callable[[], object]) -> float:
    """Return the wall time of *act* in milliseconds."""
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used, in milliseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1]
    user, system = (int(field) for field in fields.split()[11:13])
    return (user + system) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(stage: Stage) -> dict[str, float]:
    """Return the medians, in milliseconds."""
    with accord.connect(stage.hub, token=stage.token) as hub:
        agreement = hub.agreement(AGREEMENT)
        months = [
            f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)
        ]
        questions = [
            agreement.persons().by("region").where(registered_month=month)
            for month in months[:QUESTIONS]
        ]

        def ask(question: accord.Question) -> Callable[[], object]:
            return lambda: question.release(epsilon=0.3, purpose=PURPOSE)

        ask(questions[0])()
        before = cpu_ms(stage.processes[0].pid)
        fresh = [timed_ms(ask(question)) for question in questions[1:]]
        spent = cpu_ms(stage.processes[0].pid) - before
        repeats = [timed_ms(ask(question)) for question in questions[1:]]
        empty = [timed_ms(hub.agreements) for _ in questions]
    return {
        "whole": statistics.median(fresh),
        "hub_cpu": spent / len(fresh),
        "repeat": statistics.median(repeats),
        "empty_call": statistics.median(empty),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Set the stage, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        stage = set_the_stage(Path(folder), lambda _: None)
        try:
            found = measure(stage)
        finally:
            stage.stop()
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>14}  {value:8.1f} ms")
    for name in ("whole", "hub_cpu"):
        print(f"{name} / goal of {GOAL_MS:.0f} ms: {found[name] / GOAL_MS:.2f}x")
    print(f"whole / empty call: {found['whole'] / found['empty_call']:.1f}x")


if __name__ == "__main__":
    main()
