# SPDX-License-Identifier: Apache-2.0
"""Wheels, each built once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import ROOT, Wheel, build, run


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Return the wheel of everything."""
    return build(ROOT, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Return the wheel that agencies install."""
    return build(ROOT / "agent", tmp_path_factory.mktemp("slim"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no package registry is reached; what a lock names is needed whole."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--dest", tmp_path_factory.mktemp("registry")),
            "typing-extensions",
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("no package registry is reached from this machine")


@pytest.fixture(scope="session")
def installed(slim: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh environment with the agent alone, as its lock has it."""
    folder = tmp_path_factory.mktemp("footprint") / "agent"
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin/python", "-m", "pip", "--quiet", "install")
    run(*pip, "--require-hashes", "-r", ROOT / "deploy/agent/requirements.lock")
    run(*pip, "--no-deps", slim.path)
    return folder
