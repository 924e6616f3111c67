# SPDX-License-Identifier: Apache-2.0
"""The Debian package: what is in it, and an installation as a user does it."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.distributions import ROOT
from tools import debian, manpage, wheelhouse

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(1800)]

SOURCE = ROOT / "deploy/agent/debian"
PROGRAM = "./usr/lib/accord-agent/bin/accord-agent"
STATE = "var/lib/accord-agent"


def test_a_candidate_sorts_before_its_release() -> None:
    assert debian.debian_version("1.2.0") == "1.2.0"
    assert debian.debian_version("1.2.0rc1") == "1.2.0~rc1"
    assert debian.debian_version("1.2.0.dev3") == "1.2.0~dev3"


def test_the_c_library_is_what_the_most_demanding_wheel_asks_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "wheels").mkdir()
    for name in (
        "a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "b-1-cp311-abi3-manylinux_2_28_x86_64.manylinux_2_34_x86_64.whl",
        "c-1-py3-none-any.whl",
    ):
        (tmp_path / "wheels" / name).touch()
    assert debian.glibc_of(tmp_path) == "2.28"


def test_the_manual_names_every_command_and_is_clean_troff() -> None:
    text = manpage.page("1.2", datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    for words in ("init", "enrol", "run", r"rules veto", r"stop\-sharing"):
        assert f"\n.B {words}\n" in text
    if shutil.which("man") is None:
        pytest.skip("no man on this machine")
    done = subprocess.run(
        ["man", "--warnings", "--local-file", "-"],
        input=text,
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "stop-sharing" in done.stdout


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm", "accord-agent.sh"])
def test_a_script_of_the_package_asks_nothing(name: str) -> None:
    text = (SOURCE / name).read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert not re.search(r"\bread\b|debconf|db_input", text)
    subprocess.run(["sh", "-n", SOURCE / name], check=True)
    if name != "accord-agent.sh":
        assert "\nset -e\n" in text
        assert not re.search(r"rm\b.*/var/lib|deluser|userdel", text)


def test_what_an_agency_may_have_enabled_ends_with_the_package() -> None:
    """What systemd starts by itself has a section [Install]."""
    units = [*SOURCE.parent.glob("*.service"), *SOURCE.parent.glob("*.timer")]
    enabled = {each.name for each in units if "[Install]" in each.read_text("utf-8")}
    assert {"accord-agent.service", "accord-agent-ingest.timer"} <= enabled
    stopped = (SOURCE / "prerm").read_text(encoding="utf-8")
    assert enabled <= set(re.findall(r"[a-z-]+\.(?:service|timer)", stopped))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, registry: None) -> Path:
    """Return the package of this machine's release."""
    del registry  # it has skipped where there is none
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb on this machine")
    try:
        debian.distribution_python()
    except SystemExit as error:
        pytest.skip(str(error))
    return debian.build(tmp_path_factory.mktemp("debian"))


def told(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_package_holds_what_it_says(package: Path) -> None:
    fields = dict(
        line.split(": ", 1)
        for line in told("dpkg-deb", "--field", package).splitlines()
        if ": " in line
    )
    version, architecture = fields["Version"], fields["Architecture"]
    assert package.name == f"accord-agent_{version}_{architecture}.deb"
    assert f"python3 (>= {wheelhouse.THIS_PYTHON})" in fields["Depends"]
    listed = {
        words[5]: words
        for words in map(
            str.split, told("dpkg-deb", "--contents", package).splitlines()
        )
    }
    for name, words in listed.items():
        kind, owner = words[0], words[1]
        assert owner == "root/root", name
        assert "s" not in kind, name
        assert kind[0] == "l" or kind[5] == kind[8] == "-", name  # nobody else writes
        assert not name.startswith(("./etc/", "./var/", "./usr/local/")), name
        assert "__pycache__" not in name
        started = name.startswith(("./usr/bin/", "./usr/lib/accord-agent/bin/"))
        assert kind[0] != "-" or kind[3] == "-" or started, name
    for name in (
        PROGRAM,
        "./usr/bin/accord-agent",
        "./usr/lib/systemd/system/accord-agent.service",
        "./usr/share/man/man1/accord-agent.1.gz",
        "./usr/share/doc/accord-agent/copyright",
        "./usr/share/doc/accord-agent/changelog.gz",
        f"./usr/share/doc/accord-agent/{wheelhouse.BILL}",
    ):
        assert name in listed, name
    for name in (PROGRAM, "./usr/bin/accord-agent"):
        assert listed[name][0].startswith("-rwxr-xr-x")
    assert any(name.endswith("/accord/agent/cli/__init__.py") for name in listed)
    assert not any("/accord/hub/" in name or "/pip/" in name for name in listed)


@pytest.mark.slow
def test_the_units_of_the_package_start_its_program(
    package: Path, tmp_path: Path
) -> None:
    told("dpkg-deb", "--extract", package, tmp_path)
    units = list((tmp_path / "usr/lib/systemd/system").iterdir())
    assert len(units) >= 3
    for path in units:
        text = path.read_text(encoding="utf-8")
        assert "/usr/local/" not in text
        for start in re.findall(r"^ExecStart=(\S+)", text, re.MULTILINE):
            assert (tmp_path / start.lstrip("/")).is_file()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a Debian on which nothing was ever installed, as a folder."""
    tool = shutil.which("debootstrap")
    if os.geteuid() != 0 or tool is None:
        pytest.skip("a fresh Debian needs root and debootstrap")
    release = told("sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"').strip()
    mirror = told(
        *("apt-get", "indextargets", "--format", "$(REPO_URI)"),
        *("Created-By: Packages", f"Codename: {release}"),
    ).splitlines()
    if not mirror:
        pytest.skip("apt on this machine names no mirror of its release")
    root = tmp_path_factory.mktemp("fresh") / "root"
    done = subprocess.run(
        [tool, "--variant=minbase", release, root, mirror[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"debootstrap could not make a fresh {release}")
    mounts = [(root / "proc", "proc"), (root / "dev/shm", "tmpfs")]
    for place, kind in mounts:
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    yield root
    for place, _ in reversed(mounts):
        subprocess.run(["umount", place], check=True)


def inside(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Type a command on that machine."""
    return subprocess.run(
        ["chroot", root, "/bin/sh", "-c", command],
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "HOME": "/srv",
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_fresh_debian_installs_runs_and_purges_it(package: Path, fresh: Path) -> None:
    shutil.copy(package, fresh / "srv")
    name = f"/srv/{package.name}"
    done = inside(fresh, f"apt-get install --yes --no-install-recommends {name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Next: accord-agent init" in done.stdout

    version = inside(fresh, "accord-agent --help")
    assert version.returncode == 0, version.stderr
    made = inside(fresh, "accord-agent init --json")
    assert made.returncode == 0, made.stderr
    keys = fresh / STATE / "keys"
    owner = inside(fresh, "id --user accord-agent").stdout.strip()
    for place in (keys, keys / "agency.key", fresh / STATE):
        assert str(place.stat().st_uid) == owner != "0"
        assert place.stat().st_mode & 0o077 == 0
    status = inside(fresh, "accord-agent status")
    assert status.returncode == 0, status.stderr
    compiled = list((fresh / "usr/lib/accord-agent").rglob("cli.*.pyc"))
    assert compiled  # else every start would take seconds longer

    gone = inside(fresh, "apt-get purge --yes accord-agent")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert "was kept" in gone.stdout
    assert (keys / "agency.key").is_file()
    assert not (fresh / "usr/lib/accord-agent").exists()
    assert inside(fresh, "accord-agent --help").returncode != 0
