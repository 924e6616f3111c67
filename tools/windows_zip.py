# SPDX-License-Identifier: Apache-2.0
"""The agent for Windows, as a zip that needs no administrator: ``make windows-zip``.

::

    accord-agent-VERSION-windows/
        accord-agent.cmd    the program
        accord-agent.xml    for the Task Scheduler
        packages/           what the lock names for win_amd64, unpacked
        python/             python.org's embeddable package, where one was given
        README.txt  LICENSE  sbom.cdx.json  SHA256SUMS

python.org's package cannot be fetched from a package registry. Whoever makes the zip
downloads it, and its hash has to stand in deploy/agent/windows/pythons.sha256.
**Not run on Windows.**
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools import wheelhouse
from tools.pins import ROOT, Pin, Target, fetch, read, requirements, windows
from tools.sbom import bill, wheel, wheels_in

SOURCE = ROOT / "deploy/agent/windows"
KNOWN = SOURCE / "pythons.sha256"
PYTHON = "3.13"
"""For which Python the packages are where none is given."""

WITH = "The Python in the folder python is the one that the agent uses."
WITHOUT = (
    "The interpreter is not in this folder. Either unpack python.org's embeddable "
    "package of Python {python} for 64 bits into a folder python here, and delete the "
    "file ending in ._pth there; or install Python {python} for your user."
)


def main() -> int:
    """Build dist/accord-agent-VERSION-windows.zip."""
    words = argparse.ArgumentParser(prog="windows_zip", description=__doc__)
    words.add_argument("--into", type=Path, default=ROOT / "dist")
    words.add_argument("--python", type=Path, help="python-3.N.M-embed-amd64.zip")
    given = words.parse_args()
    print(f"built {build(given.into, given.python)}")
    if given.python is None:
        print("The interpreter is not in it: give it with PYTHON_EMBED=path.zip.")
    return 0


def build(into: Path, interpreter: Path | None = None) -> Path:
    """Put the zip together.

    Args:
        into: where it goes.
        interpreter: python.org's embeddable package.

    Raises:
        SystemExit: the interpreter is not a known one, or a wheel is missing.
    """
    python = PYTHON if interpreter is None else checked(interpreter)
    target = windows(python)
    agent = wheelhouse.agent_wheel(into)
    folder = into / f"{wheelhouse.AGENT}-{agent.version}-windows"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as name:
        wheels = Path(name)
        pins = read(wheelhouse.LOCK)
        fetch(pins, target, wheels)
        own = Path(shutil.move(agent.path, wheels))
        unpack(folder / "packages", target, pins, wheels, own)
        moment = datetime.datetime.fromtimestamp(wheelhouse.source_date(), datetime.UTC)
        (folder / wheelhouse.BILL).write_text(
            bill(
                wheels_in(wheels),
                wheelhouse.AGENT,
                moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            ),
            encoding="utf-8",
        )
    if interpreter is not None:
        lay_interpreter(folder / "python", interpreter)
    said = WITHOUT.format(python=python) if interpreter is None else WITH
    for name in ("accord-agent.cmd", "accord-agent.xml", "README.txt"):
        text = (SOURCE / name).read_text(encoding="utf-8")
        for word, value in {
            "VERSION": agent.version,
            "PYTHON": python,
            "INTERPRETER": said,
        }.items():
            text = text.replace(f"@{word}@", value)
        (folder / name).write_text(text, encoding="utf-8", newline="\r\n")
    shutil.copy(ROOT / "LICENSE", folder)
    (folder / wheelhouse.SUMS).write_text(wheelhouse.sums(folder), encoding="utf-8")
    return pack(folder)


def checked(interpreter: Path, known: Path = KNOWN) -> str:
    """Return the version of an embeddable package whose hash is a known one.

    Raises:
        SystemExit: it is not.
    """
    named = re.fullmatch(r"python-(3\.\d+)\.\d+-embed-amd64\.zip", interpreter.name)
    if named is None or not interpreter.is_file():
        raise SystemExit(
            f"{interpreter} is not python.org's embeddable package for 64 bits, such "
            "as python-3.13.9-embed-amd64.zip."
        )
    line = f"{wheelhouse.digest(interpreter)}  {interpreter.name}"
    if line not in known.read_text(encoding="utf-8").splitlines():
        raise SystemExit(
            f"{interpreter.name} is not known: compare its hash with the one that "
            f"python.org signs, and add to {known.name}: {line}"
        )
    return named[1]


def unpack(
    place: Path, target: Target, pins: list[Pin], wheels: Path, agent: Path
) -> None:
    """Install for the target, without running anything of what is installed."""
    stated = wheel(agent)
    own = f"{wheelhouse.AGENT}=={stated.version} --hash=sha256:{stated.digest}\n"
    chosen = [pin for pin in pins if target.applies(pin)]
    wanted = wheels / "requirements.txt"
    wanted.write_text(own + requirements(chosen, marked=False), encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"),
            *("install", "--quiet", "--no-compile", "--no-deps", "--no-index"),
            *("--find-links", wheels, "--require-hashes", "--requirement", wanted),
            *("--only-binary=:all:", "--target", place),
            *("--python-version", target.python, "--implementation", "cp"),
            *("--platform", *target.platforms),
            "--ignore-requires-python",  # of this Python; the target's was asked for
        ],
        env=os.environ | {"PIP_CONFIG_FILE": os.devnull},
        check=True,
    )
    shutil.rmtree(place / "bin", ignore_errors=True)


def lay_interpreter(place: Path, interpreter: Path) -> None:
    """Unpack Python, and let it find the packages and nothing else."""
    with zipfile.ZipFile(interpreter) as archive:
        archive.extractall(place)  # of a known hash
    (paths,) = place.glob("python3*._pth")
    (library,) = place.glob("python3*.zip")
    paths.write_text(f"{library.name}\n.\n..\\packages\n", encoding="utf-8")


def pack(folder: Path) -> Path:
    """Put a folder into a zip; the same files give the same bytes."""
    archive = folder.parent / f"{folder.name}.zip"
    moment = datetime.datetime.fromtimestamp(wheelhouse.source_date(), datetime.UTC)
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
                entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
                entry.external_attr = 0o644 << 16
                file.writestr(
                    entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=6
                )
    return archive


if __name__ == "__main__":
    raise SystemExit(main())
