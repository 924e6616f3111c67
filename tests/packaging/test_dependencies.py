# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.distributions import ROOT, project
from tools.lock import UNLOCKED

AGENT_LOCK = "deploy/agent/requirements.lock"
EXTRAS_LOCK = "deploy/agent/extras.lock"
BUILD_LOCK = "deploy/agent/build.lock"
AT_AN_AGENCY = (AGENT_LOCK, EXTRAS_LOCK, BUILD_LOCK)
PEERS = tuple(sorted(path.stem for path in (ROOT / "benchmarks/peers").glob("*.in")))
LOCKS = (
    *("requirements.lock", *AT_AN_AGENCY, "tools/proto.lock"),
    *(f"benchmarks/peers/{name}.lock" for name in PEERS),
)
PINNED = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def declared() -> list[Requirement]:
    """Return every requirement of the root project, extras and tools included."""
    table = project(ROOT)
    extras: dict[str, list[str]] = dict(table["optional-dependencies"])
    extras.pop(UNLOCKED)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    groups: dict[str, list[str]] = tomllib.loads(text)["dependency-groups"]
    lists = [table["dependencies"], *extras.values(), *groups.values()]
    found = [Requirement(line) for lines in lists for line in lines]
    return [requirement for requirement in found if requirement.name != "accord"]


def pins(lock: str) -> dict[str, list[Version]]:
    """Return the versions of each package in a lock, one for each platform."""
    found: dict[str, list[Version]] = {}
    for match in PINNED.finditer((ROOT / lock).read_text(encoding="utf-8")):
        name = canonicalize_name(match["name"])
        found.setdefault(name, []).append(Version(match["version"]))
    return found


def floor(name: str) -> Version:
    """Return the lowest version of a dependency that the project accepts."""
    (requirement,) = (
        Requirement(line)
        for line in project(ROOT)["dependencies"]
        if Requirement(line).name == name
    )
    (lowest,) = (part for part in requirement.specifier if part.operator == ">=")
    return Version(lowest.version)


def test_slim_agent_needs_what_the_agent_extra_needs() -> None:
    root = project(ROOT)
    expected = {*root["dependencies"], *root["optional-dependencies"]["agent"]}
    slim = project(ROOT / "agent")
    assert set(slim["dependencies"]) == expected
    assert slim["requires-python"] == root["requires-python"]


def test_extras_of_one_name_ask_for_the_same() -> None:
    """Who installs everything and who installs the agent get one and the same page."""
    extras = project(ROOT / "agent")["optional-dependencies"]
    whole = project(ROOT)["optional-dependencies"]
    assert set(extras) == {
        *("excel", "metrics", "mysql", "page", "pkcs11", "postgresql", "spark"),
        *("sqlite", "sqlserver", "tracing"),
    }
    for name, needed in extras.items():
        assert needed == whole[name], name


@pytest.mark.parametrize("lock", AT_AN_AGENCY)
def test_an_agency_locks_what_everybody_locks(lock: str) -> None:
    agency, everybody = pins(lock), pins("requirements.lock")
    assert len(agency) < len(everybody) / 2
    for name, versions in agency.items():
        assert everybody[name] == versions, name


def test_the_locks_of_an_agency_have_what_its_wheel_asks_for() -> None:
    table = project(ROOT / "agent")
    alone, extras = pins(AGENT_LOCK), pins(EXTRAS_LOCK)
    for line in table["dependencies"]:
        assert canonicalize_name(Requirement(line).name) in alone
    for name, lines in table["optional-dependencies"].items():
        for line in lines if name != UNLOCKED else []:
            assert canonicalize_name(Requirement(line).name) in extras
    assert set(alone) < set(extras)
    text = (ROOT / "agent/pyproject.toml").read_text(encoding="utf-8")
    for line in tomllib.loads(text)["build-system"]["requires"]:
        assert canonicalize_name(Requirement(line).name) in pins(BUILD_LOCK)


def test_agent_needs_nothing_heavy() -> None:
    needed = {Requirement(r).name for r in project(ROOT / "agent")["dependencies"]}
    assert not needed & {"opendp", "sqlalchemy", "pandas", "polars", "pyarrow", "scipy"}


def test_demo_needs_all_three_parts() -> None:
    assert project(ROOT)["optional-dependencies"]["demo"] == [
        "accord[hub,agent,client]"
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_registry(lock: str) -> None:
    """A lock has to install from whichever registry a machine uses."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(
        r"[a-z]+://| @ |^\s*--(?!hash=)|\.(org|com|net|io)\b", text, re.MULTILINE
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_everything_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    bare = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    entries = re.split(r"\n(?=[a-z0-9])", bare)
    assert len(entries) > 5
    for entry in entries:
        assert PINNED.match(entry), entry
        assert "--hash=sha256:" in entry, entry


def test_lock_is_in_step_with_the_declared_ranges() -> None:
    pinned = pins("requirements.lock")
    for requirement in declared():
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in the lock: run `make lock`."
        for version in versions:
            assert requirement.specifier.contains(version), f"{requirement}: {version}"


@pytest.mark.parametrize("name", PEERS)
def test_lock_of_another_engine_has_the_release_that_was_measured(name: str) -> None:
    folder = ROOT / "benchmarks" / "peers"
    lines = (folder / f"{name}.in").read_text(encoding="utf-8").splitlines()
    (wanted,) = (Requirement(line) for line in lines if not line.startswith("#"))
    text = (folder / f"{name}.lock").read_text(encoding="utf-8")
    found = {
        canonicalize_name(pin["name"]): pin["version"] for pin in PINNED.finditer(text)
    }
    assert str(wanted.specifier) == f"=={found[canonicalize_name(wanted.name)]}"


def test_stubs_run_on_the_lowest_versions_that_are_accepted() -> None:
    """Generated code refuses a runtime that is older than its generator."""
    stubs = ROOT / "proto" / "accord" / "v1"
    messages = "".join(path.read_text() for path in stubs.glob("*_pb2.py"))
    services = "".join(path.read_text() for path in stubs.glob("*_pb2_grpc.py"))
    protobuf = set(re.findall(r"Protobuf Python Version: (\S+)", messages))
    grpcio = set(re.findall(r"GRPC_GENERATED_VERSION = '(\S+)'", services))
    assert protobuf
    assert grpcio
    assert floor("protobuf") >= max(map(Version, protobuf))
    for name in ("grpcio", "grpcio-health-checking", "grpcio-status"):
        assert floor(name).release[:2] >= max(map(Version, grpcio)).release[:2]
