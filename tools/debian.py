# SPDX-License-Identifier: Apache-2.0
"""The agent as a Debian package, with dpkg-deb alone: ``make deb``.

The package has its own environment of Python packages under /usr/lib/accord-agent, all
of them checked against the lock, and uses the distribution's Python. Compiled packages
fit one minor version of Python, so a package is for one release of the distribution:
that of the machine where it is built.
"""

from __future__ import annotations

import argparse
import datetime
import email.utils
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import manpage, wheelhouse
from tools.lock import extras_of_agents
from tools.pins import ROOT
from tools.sbom import wheels_in

SOURCE = ROOT / "deploy/agent/debian"
LIB = "usr/lib/accord-agent"
INSTALLED = "/usr/local/lib/accord-agent/bin/accord-agent"
"""Where the units expect the program that was installed by hand."""


def main() -> int:
    """Build dist/accord-agent_VERSION_ARCHITECTURE.deb."""
    words = argparse.ArgumentParser(prog="debian", description=__doc__)
    words.add_argument("--into", type=Path, default=ROOT / "dist")
    words.add_argument("--house", type=Path, help="a folder of `make wheelhouse`")
    given = words.parse_args()
    print(f"built {build(given.into, given.house)}")
    return 0


def build(into: Path, house: Path | None = None) -> Path:
    """Put the package together.

    Args:
        into: where it goes.
        house: a wheelhouse for this Python; else one is built.

    Raises:
        SystemExit: what is missing on this machine.
    """
    tool = shutil.which("dpkg-deb")
    if tool is None:
        raise SystemExit("dpkg-deb is missing: build the package on Debian.")
    python = distribution_python()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found = house or wheelhouse.build(Path(folder), [python])
        root = Path(folder, "root")
        lay_out(root, found, python)
        version = debian_version(agent_version(found))
        architecture = _told("dpkg", "--print-architecture")
        write_control(root, version, architecture, python, glibc_of(found))
        package = into / f"accord-agent_{version}_{architecture}.deb"
        _settle(root)
        subprocess.run(
            [tool, "--root-owner-group", "-Zzstd", "--build", root, package],
            env=os.environ | {"SOURCE_DATE_EPOCH": str(wheelhouse.source_date())},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return package


def distribution_python() -> str:
    """Return the version of /usr/bin/python3, which has to be that of this Python."""
    own = wheelhouse.THIS_PYTHON
    if not Path("/usr/bin/python3").exists():
        return own
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = _told("/usr/bin/python3", "-I", "-c", ask)
    if found != own:
        raise SystemExit(
            f"The package would be for Python {own}, and this release has {found}: "
            "make clean, then make PYTHON=/usr/bin/python3 deb."
        )
    return found


def lay_out(root: Path, house: Path, python: str) -> None:
    """Write every file that the package installs."""
    site = root / LIB / "lib" / f"python{python}" / "site-packages"
    lists = [house / "requirements.txt"]
    lists += [house / "extras" / f"{name}.txt" for name in extras_of_agents()]
    _install(house, lists, site)
    shutil.rmtree(site / "bin", ignore_errors=True)
    programs = root / LIB / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(f"/usr/bin/python{python}")
    shutil.copy(SOURCE / "accord-agent.py", programs / "accord-agent")
    (root / LIB / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n",
        encoding="utf-8",
    )
    (root / "usr/bin").mkdir()
    shutil.copy(SOURCE / "accord-agent.sh", root / "usr/bin/accord-agent")
    for place in (programs / "accord-agent", root / "usr/bin/accord-agent"):
        place.chmod(0o755)
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for path in sorted((house / "systemd").iterdir()):
        text = path.read_text(encoding="utf-8")
        text = text.replace(INSTALLED, f"/{LIB}/bin/accord-agent")
        text = text.replace("man:systemd.exec(5)", "man:accord-agent(1)")
        (units / path.name).write_text(text, encoding="utf-8")
    moment = datetime.datetime.fromtimestamp(wheelhouse.source_date(), datetime.UTC)
    version = agent_version(house)
    manual = root / "usr/share/man/man1"
    manual.mkdir(parents=True)
    _zip(manual / "accord-agent.1.gz", manpage.page(version, moment))
    documents = root / "usr/share/doc/accord-agent"
    documents.mkdir(parents=True)
    shutil.copy(SOURCE / "copyright", documents)
    shutil.copy(house / wheelhouse.BILL, documents)
    shutil.copy(ROOT / "deploy/agent/config.toml", documents / "config.toml.sample")
    _zip(documents / "CHANGELOG.md.gz", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    _zip(
        documents / "changelog.gz",
        f"accord-agent ({debian_version(version)}) stable; urgency=medium\n\n"
        "  * What changed stands in CHANGELOG.md.gz in this folder.\n\n"
        f" -- {maintainer()}  {email.utils.format_datetime(moment)}\n",
    )


def write_control(
    root: Path, version: str, architecture: str, python: str, glibc: str
) -> None:
    """Write what dpkg reads."""
    major, _, minor = python.partition(".")
    kibibytes = sum(
        -(-path.lstat().st_size // 1024) for path in root.rglob("*") if path.is_file()
    )
    text = (SOURCE / "control").read_text(encoding="utf-8")
    for name, value in {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "INSTALLED_SIZE": str(kibibytes),
        "MAINTAINER": maintainer(),
        "PYTHON": python,
        "NEXT_PYTHON": f"{major}.{int(minor) + 1}",
        "GLIBC": glibc,
    }.items():
        text = text.replace(f"@{name}@", value)
    control = root / "DEBIAN"
    control.mkdir()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    (control / "control").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(SOURCE / name, control / name)
        (control / name).chmod(0o755)
    (control / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
            f"{path.relative_to(root).as_posix()}\n"
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink() and control not in path.parents
        ),
        encoding="utf-8",
    )


def agent_version(house: Path) -> str:
    """Return the version of the agent in a wheelhouse."""
    (version,) = (
        each.version
        for each in wheels_in(house / "wheels")
        if each.name == wheelhouse.AGENT
    )
    return version


def maintainer() -> str:
    """Return who answers for the package."""
    return os.environ.get("DEB_MAINTAINER", "Accord <accord@localhost.localdomain>")


def debian_version(version: str) -> str:
    """Return a version such that a release candidate sorts before its release."""
    return re.sub(r"(?<=[0-9])\.?(a|b|rc|dev)(?=[0-9])", r"~\1", version)


def glibc_of(house: Path) -> str:
    """Return the lowest version of the C library that all wheels run on."""
    needed = {(2, 17)}
    for path in (house / "wheels").glob("*.whl"):
        tags = re.findall(r"manylinux_(\d+)_(\d+)_", path.name)
        needed |= (
            {min((int(major), int(minor)) for major, minor in tags)} if tags else set()
        )
    return ".".join(map(str, max(needed)))


def _install(house: Path, lists: list[Path], site: Path) -> None:
    command: list[str | Path] = [
        *(sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"),
        *("install", "--quiet", "--no-compile", "--no-index", "--only-binary=:all:"),
        *("--find-links", house / "wheels", "--require-hashes", "--target", site),
    ]
    for path in lists:
        if path.read_text(encoding="utf-8").strip():
            command += ["-r", path]
    subprocess.run(
        command, env=os.environ | {"PIP_CONFIG_FILE": os.devnull}, check=True
    )


def _settle(root: Path) -> None:
    """Give every file the rights and the time that it has in the package."""
    moment = wheelhouse.source_date()
    places = {root / "DEBIAN", root / "usr/bin", root / LIB / "bin"}
    for path in [*root.rglob("*"), root]:
        if not path.is_symlink():
            started = path.parent in places and path.stat().st_mode & 0o100
            executable = path.is_dir() or started
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


def _zip(place: Path, text: str) -> None:
    place.write_bytes(gzip.compress(text.encode(), mtime=0))


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
