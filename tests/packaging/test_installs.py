# SPDX-License-Identifier: Apache-2.0
"""Installations from the checkout into clean environments, with plain pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import ROOT, project, run

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(1200)]

FOUND = "import importlib.util as u, sys; print(*filter(u.find_spec, sys.argv[1:]))"
HUB_ONLY = ("accord.hub", "accord.client", "opendp", "sqlalchemy")


def interpreter(version: str) -> Path | None:
    """Return a Python of a version that really starts, wherever it is kept."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = shutil.which(f"python{version}")
    paths = [*([Path(named)] if named else []), *kept.glob(f"{version}.*/bin/python")]
    for path in paths:
        asked = [str(path), "-c", "import sys, venv, ensurepip; print(sys.version)"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(f"{version}."):
            return path
    return None


def environment(python: Path | str, folder: Path) -> Path:
    """Make an environment and return its Python."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def install(python: Path, *arguments: str | Path) -> None:
    """Install with plain pip."""
    run(python, "-m", "pip", "--disable-pip-version-check", "install", *arguments)


@pytest.fixture(scope="module")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the locked versions without their hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = re.findall(r"^[a-z0-9][^\\\n]*", text, re.MULTILINE)
    path = tmp_path_factory.mktemp("constraints") / "constraints.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.slow
def test_everything_installs_with_plain_pip(tmp_path: Path) -> None:
    python = environment(sys.executable, tmp_path / "all")
    install(python, f"{ROOT}[hub,agent,client]")
    run(python, "-m", "pip", "check", cwd=tmp_path)
    for program in project(ROOT)["scripts"]:
        assert "Usage" in run(python.with_name(program), "--help", cwd=tmp_path)


@pytest.mark.slow
def test_agent_installs_alone_with_plain_pip(tmp_path: Path) -> None:
    python = environment(sys.executable, tmp_path / "agent")
    install(python, ROOT / "agent")
    run(python, "-m", "pip", "check", cwd=tmp_path)
    assert "Usage" in run(python.with_name("accord-agent"), "--help", cwd=tmp_path)
    sought = ["accord.agent", *HUB_ONLY]
    assert run(python, "-c", FOUND, *sought, cwd=tmp_path).split() == ["accord.agent"]
    assert not python.with_name("accord-hub").exists()


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_core_and_agent_run_on(version: str, tmp_path: Path, constraints: Path) -> None:
    found = interpreter(version)
    if found is None:
        pytest.skip(f"no Python {version} here")
    python = environment(found, tmp_path / version)
    tools = (
        *("coverage", "hypothesis", "pytest", "pytest-asyncio", "pytest-timeout"),
        *("pytest-xdist", "jsonschema", "pyarrow", "scipy"),
    )
    install(python, "-c", constraints, ROOT / "agent", *tools)
    tests = [ROOT / "tests/unit/core", ROOT / "tests/unit/agent"]
    at_once = ("-n", "2", "--dist", "loadfile")
    run(python, "-m", "pytest", "-q", "-m", "not slow and not stat", *at_once, *tests)
