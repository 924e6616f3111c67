# SPDX-License-Identifier: Apache-2.0
"""What is in the wheels; built without a network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.distributions import (
    PACKAGES,
    ROOT,
    Wheel,
    clean_environment,
    project,
)

pytestmark = pytest.mark.packaging

AT_AN_AGENCY = (
    "accord/agent/",
    "accord/core/",
    "accord/ledger/",
    "accord/merkle/",
    "accord/noise/",
    "accord/rpc/",
    "accord/secagg/",
    "accord/trust/",
)
SHARED = ("accord/v1/", "accord/policies/", "buf/validate/")
KEPT_OUT = ("accord.hub", "accord.client")
HEAVY = ("opendp", "sqlalchemy", "pandas", "polars", "pyarrow", "scipy")

# Imports every module below a folder while what an agency does not have is missing.
IMPORT_ALL = """
import importlib, sys
from pathlib import Path
folder, site_packages, *missing = sys.argv[1:]
sys.path += [folder, site_packages]

class Missing:
    def find_spec(self, name, path=None, target=None):
        if any(name == gone or name.startswith(gone + ".") for gone in missing):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for path in sorted(Path(folder).rglob("*.py")):
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    if not name.endswith("__main__"):
        module = importlib.import_module(name.removesuffix(".__init__"))
        assert Path(module.__file__).is_relative_to(folder), module
        print(name)
"""


def test_slim_wheel_holds_the_agent_and_nothing_of_the_hub(slim: Wheel) -> None:
    code = {name for name in slim.names if ".dist-info/" not in name}
    strangers = {name for name in code if not name.startswith(AT_AN_AGENCY + SHARED)}
    assert not strangers
    for folder in AT_AN_AGENCY + SHARED:
        assert any(name.startswith(folder) for name in code), folder
    assert not any(name.endswith("accord/__init__.py") for name in code)
    assert "accord/agent/LICENSE" in code


def test_slim_wheel_starts_the_agent_only(slim: Wheel) -> None:
    assert slim.entry_points.split() == [
        *("[console_scripts]", "accord-agent", "=", "accord.agent.cli:main")
    ]


def test_slim_wheel_asks_for_nothing_heavy(slim: Wheel) -> None:
    needed = {Requirement(line).name for line in slim.requires()}
    assert needed
    assert not needed & set(HEAVY)


def test_both_wheels_have_one_version(slim: Wheel, whole: Wheel) -> None:
    version = slim.path.name.split("-")[1]
    assert version == whole.path.name.split("-")[1]
    assert version


@pytest.mark.parametrize("kind", ["slim", "whole"])
def test_wheel_holds_every_file_of_its_packages(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """What works in a checkout must not be missing from an installation."""
    wheel: Wheel = request.getfixturevalue(kind)
    packages = [*PACKAGES, "proto/buf"]
    for package in packages:
        root, _, inside = package.partition("/")
        if kind == "slim" and root not in {"core", "proto", "agent"}:
            continue
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                below = path.relative_to(ROOT / package)
                assert f"{inside}/{below.as_posix()}" in wheel.names
    for path in (ROOT / "policies").rglob("*.yaml"):
        below = path.relative_to(ROOT / "policies")
        assert f"accord/policies/{below.as_posix()}" in wheel.names


def test_whole_wheel_starts_all_programs(whole: Wheel) -> None:
    for program, target in project(ROOT)["scripts"].items():
        assert f"{program} = {target}" in whole.entry_points
    assert not any(name.endswith("accord/__init__.py") for name in whole.names)


def test_slim_wheel_runs_where_the_hub_and_its_packages_are_missing(
    slim: Wheel, tmp_path: Path
) -> None:
    with zipfile.ZipFile(slim.path) as archive:
        archive.extractall(tmp_path)
    site_packages = sysconfig.get_path("purelib")
    arguments = [str(tmp_path), site_packages, *KEPT_OUT, *HEAVY]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", IMPORT_ALL, *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "accord.agent" in done.stdout
