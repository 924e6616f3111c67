# SPDX-License-Identifier: Apache-2.0
"""The folder for networks that reach no registry: signed, complete, and it installs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from tests.packaging.distributions import ROOT, clean_environment, project, run
from tools import pins, sbom, wheelhouse
from tools.lock import extras_of_agents

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]

LOCK = ROOT / "deploy/agent/extras.lock"


def small_wheel(
    folder: Path, name: str, *lines: str, version: str = "1.0", licence: str = "MIT"
) -> Path:
    """Write a wheel that has nothing but metadata."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
    text = "\n".join([f"License-Expression: {licence}", *lines])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"{head}{text}\n\n")
    return path


def write_keys(folder: Path, key: Ed25519PrivateKey) -> tuple[Path, Path]:
    private, public = folder / "release.key", folder / "release.pub"
    private.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def made(folder: Path) -> Path:
    """Return a small folder with sums, as `build` leaves it."""
    place = folder / "house"
    (place / "wheels").mkdir(parents=True)
    for name in ("a", "wheels/b"):
        (place / name).write_text(f"{name}\n", encoding="utf-8")
    (place / wheelhouse.SUMS).write_text(wheelhouse.sums(place), encoding="utf-8")
    return place


# Locks


@pytest.mark.parametrize("lock", ["deploy/agent/extras.lock", "requirements.lock"])
def test_a_lock_is_read_whole_and_written_as_it_was(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    bare = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    assert pins.requirements(pins.read(ROOT / lock), marked=True) == bare


def test_markers_are_those_of_the_target() -> None:
    def names(target: pins.Target) -> dict[str, str]:
        return {pin.name: pin.version for pin in pins.read(LOCK) if target.applies(pin)}

    here, there = names(pins.linux("3.11")), names(pins.windows("3.11"))
    assert set(there) - set(here) == {"colorama", "tzdata"}
    assert set(here) <= set(there)
    assert names(pins.linux("3.13"))["numpy"] != here["numpy"]


# The bill of materials


def test_a_closure_follows_extras_and_ends_at_circles(tmp_path: Path) -> None:
    small_wheel(tmp_path, "app", "Requires-Dist: one", 'Requires-Dist: two; extra=="x"')
    small_wheel(tmp_path, "one", "Requires-Dist: app", "Requires-Dist: absent>=1")
    small_wheel(tmp_path, "two", "Requires-Dist: three[fast]")
    small_wheel(tmp_path, "three", 'Requires-Dist: four ; extra == "fast"')
    small_wheel(tmp_path, "four")
    wheels = sbom.wheels_in(tmp_path)
    assert sbom.closure(wheels, [Requirement("app")]) == {"app", "one"}
    assert sbom.closure(wheels, [Requirement("app[x]")]) == {
        *("app", "one", "two", "three", "four")
    }


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["License-Expression: MIT OR Apache-2.0"],
            {"expression": "MIT OR Apache-2.0"},
        ),
        (
            ["Classifier: License :: OSI Approved :: ISC License (ISCL)"],
            {"expression": "ISC"},
        ),
        (["License: Apache 2.0, mostly"], {"license": {"name": "Apache 2.0, mostly"}}),
        ([], {"license": {"name": "not stated"}}),
    ],
)
def test_licences_are_expressions_where_they_can_be(
    tmp_path: Path, lines: list[str], expected: dict[str, Any]
) -> None:
    path = tmp_path / "p-1-py3-none-any.whl"
    head = ["Metadata-Version: 2.4", "Name: p", "Version: 1", *lines]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p-1.dist-info/METADATA", "\n".join([*head, "", ""]))
    assert sbom.wheel(path).licences() == [expected]


def check_bill(text: str, files: list[Path]) -> None:
    """Fail where a bill does not keep what CycloneDX 1.6 demands, or misses a file."""
    content = json.loads(text)
    assert content["bomFormat"] == "CycloneDX"
    assert content["specVersion"] == "1.6"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", content["serialNumber"])
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(moment, content["metadata"]["timestamp"])
    parts = [content["metadata"]["component"], *content["components"]]
    references = [part["bom-ref"] for part in parts]
    assert len(set(references)) == len(parts) == len(files)
    by_digest = {wheelhouse.digest(path): path.name for path in files}
    for part in parts:
        assert part["type"] in {"application", "library"}
        (entry,) = part["hashes"]
        assert entry["alg"] == "SHA-256"
        name = by_digest[entry["content"]]
        assert name.lower().startswith(part["name"].replace("-", "_"))
        start = f"pkg:pypi/{part['name']}@{part['version']}?file_name="
        assert part["purl"].startswith(start)
        (licence,) = part["licenses"]
        assert licence.keys() in ({"expression"}, {"license"})
    for entry in content["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= set(references)
    try:
        from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found]
        from cyclonedx.validation.json import (  # type: ignore[import-not-found]
            JsonStrictValidator,
        )
    except ImportError:
        return  # the schema itself comes with a package that the lock does not have
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_a_bill_names_every_file_and_is_the_same_twice(tmp_path: Path) -> None:
    files = [
        small_wheel(tmp_path, "app", "Requires-Dist: Some.Lib>=1"),
        small_wheel(tmp_path, "some_lib", licence="BSD-3-Clause"),
    ]
    texts = {
        sbom.bill(sbom.wheels_in(tmp_path), "app", "2026-01-02T03:04:05Z")
        for _ in range(2)
    }
    (text,) = texts
    check_bill(text, files)
    needed = {
        each["ref"].partition("@")[0]: each["dependsOn"]
        for each in json.loads(text)["dependencies"]
    }
    assert len(needed["pkg:pypi/app"]) == 1
    assert needed["pkg:pypi/some-lib"] == []


# The signature


def test_what_was_signed_is_accepted_and_nothing_else(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    house = made(tmp_path)
    wheelhouse.sign(house, key)
    assert wheelhouse.verify(house, key.public_key()) == []
    other = Ed25519PrivateKey.generate().public_key()
    (problem,) = wheelhouse.verify(house, other)
    assert "not made by this key" in problem
    (house / "wheels/c").write_text("planted", encoding="utf-8")
    (house / "wheels" / wheelhouse.SUMS).write_text("planted", encoding="utf-8")
    (house / "a").write_text("changed", encoding="utf-8")
    problems = wheelhouse.verify(house, key.public_key())
    assert {problem.split()[0] for problem in problems} == {
        *("a", "wheels/c", "wheels/SHA256SUMS")
    }
    (house / wheelhouse.SIGNATURE).unlink()
    (problem,) = wheelhouse.verify(house, key.public_key())
    assert "missing" in problem


def test_a_folder_that_changed_since_it_was_built_is_not_signed(tmp_path: Path) -> None:
    house = made(tmp_path)
    (house / "a").write_text("changed", encoding="utf-8")
    with pytest.raises(SystemExit, match="build it again"):
        wheelhouse.sign(house, Ed25519PrivateKey.generate())


def test_what_an_agency_types_checks_before_the_script_runs(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    text = (ROOT / "docs/how-to-agency.md").read_text(encoding="utf-8")
    typed = re.search(
        r"^openssl pkeyutl (?:.* &&\n *)+\./install\.sh.*", text, re.MULTILINE
    )
    assert typed is not None
    key = Ed25519PrivateKey.generate()
    write_keys(tmp_path, key)
    house = made(tmp_path)
    script = house / "install.sh"
    script.write_text("#!/bin/sh\necho installed\n", encoding="utf-8")
    script.chmod(0o755)
    (house / wheelhouse.SUMS).write_text(wheelhouse.sums(house), encoding="utf-8")
    wheelhouse.sign(house, key)

    def said() -> str:
        return subprocess.run(
            ["/bin/sh", "-c", typed[0]],
            cwd=house,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    assert said().endswith("installed\n")
    script.write_text("#!/bin/sh\necho installed, but what?\n", encoding="utf-8")
    assert "installed" not in said()
    (house / wheelhouse.SUMS).write_text(wheelhouse.sums(house), encoding="utf-8")
    assert "installed" not in said()


@given(place=st.integers(0, 63), bit=st.integers(0, 7))
def test_no_other_signature_is_accepted(
    place: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    house = made(tmp_path_factory.mktemp("flipped"))
    wheelhouse.sign(house, key)
    signature = bytearray((house / wheelhouse.SIGNATURE).read_bytes())
    signature[place] ^= 1 << bit
    (house / wheelhouse.SIGNATURE).write_bytes(bytes(signature))
    assert wheelhouse.verify(house, key.public_key())


def test_a_release_key_may_have_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "release.key"
    place.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"right")
        )
    )
    monkeypatch.setattr("getpass.getpass", lambda _: "right")
    assert isinstance(wheelhouse.private_key(place), Ed25519PrivateKey)
    monkeypatch.setattr("getpass.getpass", lambda _: "wrong")
    with pytest.raises(SystemExit, match="passphrase"):
        wheelhouse.private_key(place)


# The folder, as an agency gets it


def test_the_installer_tells_every_extra() -> None:
    script = ROOT / "deploy/agent/offline/install.sh"
    done = subprocess.run(
        [script, "--help"], capture_output=True, text=True, check=True
    )
    told = re.findall(r"[a-z0-9]+", done.stdout.partition("EXTRA  ")[2])
    assert set(extras_of_agents()) <= set(told)


@pytest.mark.slow
def test_the_installer_runs_no_module_of_the_folder_that_it_is_called_from(
    tmp_path: Path,
) -> None:
    house, here, ran = made(tmp_path), tmp_path / "here", tmp_path / "ran"
    shutil.copy(ROOT / "deploy/agent/offline/install.sh", house)
    (house / "pythons").write_text(f"{wheelhouse.THIS_PYTHON}\n", encoding="utf-8")
    (house / "requirements.txt").write_text("accord-agent==1 \\\n", encoding="utf-8")
    (house / wheelhouse.SUMS).write_text(wheelhouse.sums(house), encoding="utf-8")
    here.mkdir()
    for name in ("venv", "ensurepip", "json", "logging"):
        planted = f"open({str(ran)!r}, 'w').close()\n"
        (here / f"{name}.py").write_text(planted, encoding="utf-8")
    done = subprocess.run(
        [house / "install.sh", "--not-signed", "--into", tmp_path / "agent"],
        env=clean_environment() | {"PYTHON": sys.executable},
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip could not install it" in done.stderr
    assert not ran.exists()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, registry: None) -> Path:
    """Return the folder, signed; beside it lie both halves of the key."""
    del registry  # it has skipped where there is none
    folder = tmp_path_factory.mktemp("wheelhouse")
    found = wheelhouse.build(folder, [wheelhouse.THIS_PYTHON])
    private, _ = write_keys(folder, Ed25519PrivateKey.generate())
    wheelhouse.sign(found, wheelhouse.private_key(private))
    return found


def install(house: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run its script where no network is: in a namespace without one, as root."""
    cut = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    if cut and subprocess.run([*cut, "true"], check=False).returncode != 0:
        cut = []
    return subprocess.run(
        [*cut, house / "install.sh", *words],
        env=clean_environment() | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_folder_installs_with_the_network_cut(house: Path, tmp_path: Path) -> None:
    key, into = house.parent / "release.pub", tmp_path / "agent"
    done = install(house, "--key", key, "--into", into, "excel", "page")
    assert done.returncode == 0, done.stderr
    assert "Installed" in done.stdout
    program = into / "bin/accord-agent"
    assert "Usage" in run(program, "--help", cwd=tmp_path)
    again = install(house, "--key", key, "--into", into)
    assert again.returncode == 0, again.stderr
    folders = sorted(path.name for path in tmp_path.iterdir())
    version = run(
        *(into / "bin/python", "-c"),
        "from importlib.metadata import version as v; print(v('accord-agent'))",
    ).strip()
    assert folders == ["agent", f"agent-{version}", f"agent-{version}-2"]
    assert os.readlink(into) == f"agent-{version}-2"  # noqa: PTH115 - as text


@pytest.mark.slow
def test_the_folder_holds_each_wheel_that_its_lists_name_and_no_other(
    house: Path,
) -> None:
    files = sorted((house / "wheels").glob("*.whl"))
    lists = [house / "requirements.txt", *(house / "extras").iterdir()]
    target = pins.linux(wheelhouse.THIS_PYTHON)
    named = {
        (pin.name, pin.version)
        for path in lists
        for pin in pins.read(path)
        if target.applies(pin)
    }
    assert named == {(each.name, each.version) for each in map(sbom.wheel, files)}
    assert {path.stem for path in lists[1:]} == set(extras_of_agents())
    check_bill((house / wheelhouse.BILL).read_text(encoding="utf-8"), files)
    licences = (house / wheelhouse.BILL).read_text(encoding="utf-8")
    assert "not stated" not in licences
    assert project(ROOT / "agent")["license"] in licences


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name the release key"),
        (["--key"], "--key needs"),
        (["--key", "absent.pub"], "is not there"),
        (["--wrong"], "there is no option"),
        (["--not-signed", "pictures"], "there is no extra"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    house: Path, words: list[str], sentence: str, tmp_path: Path
) -> None:
    done = install(house, "--into", tmp_path / "agent", *words)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("changed", "not what was signed"),
        ("planted", "on no list"),
        ("linked", "on no list"),
        ("gone", "not what was signed"),
        ("sums", "not made by this key"),
        ("python", "this folder is for Python"),
    ],
)
def test_a_folder_that_is_not_what_was_signed_is_not_installed(
    house: Path, damage: str, sentence: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(house, copy)
    some = min((copy / "wheels").iterdir())
    if damage == "changed":
        some.write_bytes(some.read_bytes() + b"x")
    elif damage == "planted":
        shutil.copy(some, copy / "wheels/zzz-1-py3-none-any.whl")
    elif damage == "linked":
        (copy / "wheels/zzz-1-py3-none-any.whl").symlink_to(some)
    elif damage == "gone":
        some.unlink()
    else:
        if damage == "python":
            (copy / "pythons").write_text("2.7\n", encoding="utf-8")
        else:
            some.unlink()
        text = wheelhouse.sums(copy)
        (copy / wheelhouse.SUMS).write_text(text, encoding="utf-8")
    key = ("--key", house.parent / "release.pub")
    signed = key if damage != "python" else ("--not-signed",)
    done = install(copy, *signed, "--into", tmp_path / "agent")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "agent").exists()
