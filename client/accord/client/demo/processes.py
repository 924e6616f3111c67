# SPDX-License-Identifier: Apache-2.0
"""Programs of this distribution as separate processes, each with its own log file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accord.core.errors import InternalError

STOP_SECONDS = 10.0
"""How long a process may take to stop by itself."""

_POLL_SECONDS = 0.05


def command_of(program: str) -> list[str]:
    """Return how to start *program*, ``hub`` or ``agent``, with this interpreter."""
    return [sys.executable, "-m", f"accord.{program}.cli"]


def environment() -> dict[str, str]:
    """Return this environment without settings of other deployments."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ACCORD_")
    }


def run(program: str, *arguments: str) -> dict[str, Any]:
    """Run a command that ends by itself and return the JSON that it prints.

    Raises:
        InternalError: DEMO_STEP_FAILED, with what the command said.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [*command_of(program), *arguments, "--json"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    if done.returncode != 0:
        raise InternalError(
            "DEMO_STEP_FAILED",
            f"accord-{program} {arguments[0]} ended with {done.returncode}: "
            f"{done.stderr.strip() or done.stdout.strip()}",
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Background:
    """A process that runs until it is stopped; known by its process id alone."""

    def __init__(self, program: str, arguments: Sequence[str], log: Path) -> None:
        """Start it; both its outputs go to *log*."""
        self.log = log
        self.arguments = tuple(arguments)
        self.program = program
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*command_of(program), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_for(self, words: str, seconds: float) -> str:
        """Return the first line of the log with *words* in it.

        Raises:
            InternalError: DEMO_STEP_FAILED, when it ended or took too long.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if words in line:
                    return line
            if self._process.poll() is not None:
                break
            time.sleep(_POLL_SECONDS)
        raise InternalError(
            "DEMO_STEP_FAILED",
            f"accord-{self.program} {self.arguments[0]} did not get ready; "
            f"its log is {self.log}.",
        )

    def stop(self) -> None:
        """Ask it to stop, and kill it where it does not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
