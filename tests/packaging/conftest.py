# SPDX-License-Identifier: Apache-2.0
"""Wheels, each built once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.packaging.distributions import ROOT, Wheel, build


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
