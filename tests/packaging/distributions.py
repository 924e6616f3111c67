# SPDX-License-Identifier: Apache-2.0
"""The checkout and the wheels that come out of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MEBIBYTE = 1 << 20
ROOTS = ("core", "proto", "hub", "agent", "client", "testing")
PACKAGES = (
    "core/accord/core",
    "core/accord/ledger",
    "core/accord/merkle",
    "core/accord/noise",
    "core/accord/rpc",
    "core/accord/secagg",
    "core/accord/trust",
    "proto/accord/v1",
    "hub/accord/hub",
    "agent/accord/agent",
    "client/accord/client",
    "testing/accord/testing",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that was built from the checkout."""

    path: Path
    names: frozenset[str]
    metadata: str
    entry_points: str

    def requires(self) -> frozenset[str]:
        """Return the requirements of the wheel without those of its extras."""
        prefix = "Requires-Dist: "
        return frozenset(
            line.removeprefix(prefix)
            for line in self.metadata.splitlines()
            if line.startswith(prefix) and "extra ==" not in line
        )


def project(folder: Path) -> dict[str, Any]:
    """Return the project table of the pyproject.toml in a folder."""
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


def build(source: Path, into: Path) -> Wheel:
    """Build the wheel of a folder with the build backend of this environment."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", into, source)
    (path,) = into.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = frozenset(archive.namelist())
        texts = {
            name.rpartition("/")[2]: archive.read(name).decode()
            for name in names
            if name.endswith(("dist-info/METADATA", "dist-info/entry_points.txt"))
        }
    return Wheel(
        path=path,
        names=names,
        metadata=texts["METADATA"],
        entry_points=texts["entry_points.txt"],
    )


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command and return what it printed; its failure is the test's."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return this environment without what would lead Python to the checkout."""
    inherited = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {key: value for key, value in os.environ.items() if key not in inherited}


def tell(capsys: pytest.CaptureFixture[str], figure: str, size: int) -> None:
    """Show a figure whether or not the test passes."""
    with capsys.disabled():
        sys.stdout.write(f"\n{figure}: {size / MEBIBYTE:.0f} MiB\n")
