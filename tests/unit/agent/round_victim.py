# SPDX-License-Identifier: Apache-2.0
"""An agent's process that takes one step of a round, and may end in the middle of it.

``python -m tests.unit.agent.round_victim FILE``: the file is a pickled `Job`. The
process says ``ready``, waits for a line on standard input, takes the step, and prints
what it returned, pickled, in hex. With a point the process ends there without a word,
as if the power had failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from accord.agent.answer import StoreAnswerer
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.errors import Unreachable
from tests.unit.agent.agencies import NOW

ROOTS = ("", "core", "proto", "hub", "agent", "client")
ENDED = 9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """Where a process ends: around a function of the product."""

    function: str
    """Module and name, as the step finds it."""
    after: bool = False

    def arm(self) -> None:
        """End this process when it comes there."""
        module_name, name = self.function.rsplit(".", 1)
        module = importlib.import_module(module_name)
        function: Callable[..., Any] = getattr(module, name)

        def ending(*arguments: object, **named: object) -> object:
            if self.after:
                function(*arguments, **named)
            os._exit(ENDED)

        setattr(module, name, ending)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One step of one agency."""

    state: Path
    agency: str
    step: str
    arguments: tuple[Any, ...]
    point: Point | None = None

    def take(self) -> object:
        """Take the step in this process."""
        answerer = StoreAnswerer(
            AgentState.open(self.state),
            agency=self.agency,
            settings=Settings(),
            clock=lambda: NOW,
        )
        arguments = self.arguments
        if self.step == "ready":
            arguments = (*arguments, no_hub)
        if self.point is not None:
            self.point.arm()
        return getattr(answerer, self.step)(*arguments)


def no_hub(_name: str) -> bytes:
    """Stand for a hub that cannot be asked for newer policies."""
    raise Unreachable("STREAM_ENDED", "There is no hub here.")


@contextlib.contextmanager
def started(folder: Path, job: Job) -> Iterator[subprocess.Popen[str]]:
    """Start a process that is ready to take a step."""
    file = folder / f"{job.step}-{os.urandom(4).hex()}.job"
    file.write_bytes(pickle.dumps(job))
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join(str(root / name) for name in ROOTS)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.agent.round_victim", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def went(process: subprocess.Popen[str]) -> tuple[int, Any]:
    """Let a process go on; return its exit status and what the step returned."""
    said, _ = process.communicate("go\n", timeout=120)
    last = said.splitlines()[-1] if said.strip() else ""
    return process.returncode, pickle.loads(bytes.fromhex(last)) if last else None  # noqa: S301


def together(folder: Path, job: Job, count: int) -> Sequence[Any]:
    """Have several processes take one step at the same time."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(started(folder, job)) for _ in range(count)]
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [went(process) for process in running]


def main() -> None:
    job: Job = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301
    print("ready", flush=True)  # noqa: T201 - the test reads it
    sys.stdin.readline()
    found = job.take()
    print(pickle.dumps(found).hex(), flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
