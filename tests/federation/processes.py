# SPDX-License-Identifier: Apache-2.0
"""The project's own commands as processes that a test can kill, freeze and read.

A process is known by its id alone and is started in a session of its own. Its log is
a new file at every start, so a line that is waited for belongs to this run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from accord.rpc.logs import ALLOWED

READY_SECONDS = 60.0
"""For a process on a busy machine to do what it does at its start."""

STOP_SECONDS = 20.0
POLL_SECONDS = 0.02

_PORTS = range(20_000, 32_000)
"""Below what kernels give to outgoing connections, so nobody takes one by chance."""

_PLAIN = ("hub.ready", "UNSAFE TEST MODE")
"""How lines begin that are for people."""

_RANDOM = random.SystemRandom()
"""Not the generator that tests are seeded with: ports would come again."""

Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return what it printed; it must have succeeded."""
        assert self.code == 0, f"exit status {self.code}: {self.err or self.out}"
        found: dict[str, Any] = json.loads(self.out)
        return found


def command(program: str) -> list[str]:
    """Return how to start ``hub``, ``agent`` or ``client``."""
    return [sys.executable, "-m", f"accord.{program}.cli"]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with *settings* as the only ones for Accord."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ACCORD_")
    }
    return {
        **kept,
        "PYTHONWARNINGS": "always::ResourceWarning",
        "TERM": "dumb",
        "COLUMNS": "200",
        **settings,
    }


def run(
    program: str, *arguments: str, settings: Mapping[str, str], stdin: str = ""
) -> Done:
    """Run a command that ends by itself."""
    done = subprocess.run(
        [*command(program), *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        env=environment(settings),
        check=False,
        timeout=READY_SECONDS * 2,
    )
    assert "ResourceWarning" not in done.stderr, done.stderr
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


class Process:
    """A command that runs until a test ends it, and can be started again."""

    def __init__(
        self,
        name: str,
        program: str,
        arguments: list[str],
        *,
        logs: Path,
        settings: Mapping[str, str],
    ) -> None:
        """Prepare it; nothing runs yet."""
        self.name = name
        self.settings = dict(settings)
        self._command = [*command(program), *arguments]
        self._logs = logs
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def log(self) -> Path:
        """Log of the newest run."""
        return self._logs / f"{self.name}.{self._starts}.log"

    def logs(self) -> list[Path]:
        """Logs of all runs: the lines, and what was printed on standard output."""
        return sorted(self._logs.glob(f"{self.name}.*"))

    def start(self) -> None:
        """Start it with a new log."""
        assert not self.is_running, f"{self.name} runs already"
        self._starts += 1
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log, self.log.with_suffix(".out").open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=environment(self.settings),
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end and return its exit status; one that does not is killed."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                message = f"{self.name} did not stop when it was asked to"
                raise AssertionError(message) from None
        return int(self._process.returncode)

    def freeze(self) -> None:
        """Let it stand still, as on a machine that hangs (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        wait_until(self._stands_still, f"{self.name} stands still")

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def wait_ended(self, seconds: float = READY_SECONDS) -> int:
        """Return the exit status of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines of this run."""
        return [entry for _, entry in _entries(self.log)]

    def wait_line(
        self, event: str, *, seconds: float = READY_SECONDS, **values: object
    ) -> dict[str, Any]:
        """Return the first line of this run with *event* and *values*."""

        def look() -> dict[str, Any] | None:
            for line in self.lines():
                if line["event"] == event and values.items() <= line.items():
                    return line
            assert self.is_running, f"{self.name} ended: {self.log.read_text()}"
            return None

        return wait_until(look, f"{self.name} logs {event} {values}", seconds)

    def check_logs(self) -> None:
        """Fail where a line of any run is not one that may be logged."""
        for path in self.logs():
            if path.suffix == ".out":
                continue
            for text, entry in _entries(path, strict=True):
                assert entry.keys() <= ALLOWED, f"{path.name}: {text}"
                assert "dropped" not in entry, f"{path.name}: {text}"

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was never started"
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _stands_still(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():  # no /proc on this system
            return True
        return stat.read_text().rpartition(")")[2].split()[0] == "T"


def _entries(path: Path, *, strict: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the JSON lines of a log; a last line that was cut short is left out."""
    *lines, _ = path.read_text(encoding="utf-8").split("\n")
    for line in lines:
        if line.startswith(_PLAIN):
            continue
        try:
            yield line, json.loads(line)
        except json.JSONDecodeError:
            assert not strict, f"{path.name} has a line that is no JSON: {line}"


def wait_until(
    look: Callable[[], Found | None], what: str, seconds: float = READY_SECONDS
) -> Found:
    """Return what *look* finds as soon as it finds something.

    Raises:
        AssertionError: *what* did not happen within *seconds*.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    for port in _RANDOM.sample(_PORTS, 200):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    message = "no free port on loopback"
    raise AssertionError(message)
