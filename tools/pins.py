# SPDX-License-Identifier: Apache-2.0
"""What the hashed locks pin, and how it is fetched for a machine that is not this one.

pip evaluates the markers of a requirement on the machine where it runs, even when it
downloads for another. So the markers are evaluated here, for the target, and pip is
given plain pins with their hashes.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+))?"
)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One entry of a lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def lines(self, *, marked: bool) -> str:
        """Return the entry as a lock has it, or without its marker."""
        marker = f" ; {self.marker}" if marked and self.marker else ""
        head = f"{self.name}=={self.version}{marker}"
        return " \\\n    ".join([head, *(f"--hash={each}" for each in self.hashes)])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine that wheels are for."""

    python: str
    """Such as 3.11."""
    platforms: tuple[str, ...]
    """Tags of wheels, the newest first."""
    system: str
    sys_platform: str
    os_name: str
    machine: str

    def applies(self, pin: Pin) -> bool:
        """Whether an entry is for this machine."""
        if not pin.marker:
            return True
        environment = {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": self.os_name,
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": self.system,
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": self.sys_platform,
        }
        return Marker(pin.marker).evaluate(environment)


def linux(python: str, machine: str = "x86_64", glibc: int = 36) -> Target:
    """Return a Linux with glibc 2.*glibc*; 36 is that of Debian 12."""
    newer = tuple(f"manylinux_2_{minor}_{machine}" for minor in range(glibc, 4, -1))
    return Target(
        python=python,
        platforms=(*newer, f"manylinux2014_{machine}", f"linux_{machine}"),
        system="Linux",
        sys_platform="linux",
        os_name="posix",
        machine=machine,
    )


def windows(python: str) -> Target:
    """Return a Windows of 64 bits."""
    return Target(
        python=python,
        platforms=("win_amd64",),
        system="Windows",
        sys_platform="win32",
        os_name="nt",
        machine="AMD64",
    )


def read(lock: Path) -> list[Pin]:
    """Return the entries of a hashed lock."""
    found: list[Pin] = []
    for block in re.split(r"\n(?=[a-z0-9])", lock.read_text(encoding="utf-8")):
        entry = _ENTRY.match(block)
        if entry is None:
            continue
        found.append(
            Pin(
                name=canonicalize_name(entry["name"]),
                version=entry["version"],
                marker=(entry["marker"] or "").strip(),
                hashes=tuple(_HASH.findall(block)),
            )
        )
    return found


def requirements(pins: Iterable[Pin], *, marked: bool) -> str:
    """Return a text that pip takes with ``--require-hashes``."""
    return "".join(f"{pin.lines(marked=marked)}\n" for pin in pins)


def fetch(pins: Iterable[Pin], target: Target, into: Path) -> None:
    """Download the wheels that a target needs; each is checked against the lock.

    Raises:
        SystemExit: with what pip says, such as that there is no wheel for it.
    """
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        chosen = [pin for pin in pins if target.applies(pin)]
        wanted.write_text(requirements(chosen, marked=False), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
                *("--require-hashes", "--requirement", wanted, "--dest", into),
                *("--python-version", target.python, "--implementation", "cp"),
                *_each("--platform", target.platforms),
            ],
            env=os.environ | {"PIP_NO_INPUT": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
        sentence = "\n".join(errors) or done.stderr
        raise SystemExit(f"The wheels could not all be fetched:\n{sentence}")


def _each(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield option
        yield value
