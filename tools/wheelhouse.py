# SPDX-License-Identifier: Apache-2.0
"""The agent for a network that reaches no registry: one folder, signed, with its bill.

``make wheelhouse`` builds it under dist/::

    accord-agent-VERSION-linux-x86_64/
        install.sh          checks all of it, then installs with nothing but this folder
        requirements.txt    the agent, with hashes; extras/NAME.txt: what an extra adds
        wheels/             every file that is named there
        sbom.cdx.json       what it is made of (CycloneDX 1.6)
        SHA256SUMS          of everything else
        SHA256SUMS.sig      Ed25519, made by `sign` on the machine that has the key

`verify` does what install.sh does with openssl, for who has this checkout. Whoever
got the folder from strangers checks it before: the script is a part of it.
"""

from __future__ import annotations

import argparse
import datetime
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from tools.lock import extras_of_agents
from tools.pins import ROOT, fetch, linux, read, requirements
from tools.sbom import WheelFile, bill, closure, wheel, wheels_in

AGENT = "accord-agent"
LOCK = ROOT / "deploy/agent/extras.lock"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
BILL = "sbom.cdx.json"
THIS_PYTHON = "{}.{}".format(*sys.version_info)


def main() -> int:
    """Build, sign or verify."""
    words = argparse.ArgumentParser(prog="wheelhouse", description=__doc__)
    commands = words.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="make the folder and its archive")
    building.add_argument("--into", type=Path, default=ROOT / "dist")
    building.add_argument(
        "--pythons", default=THIS_PYTHON, help="such as '3.11 3.13', for each of them"
    )
    signing = commands.add_parser("sign", help="sign a folder that was built")
    signing.add_argument("folder", type=Path)
    signing.add_argument("--key", type=Path, required=True, help="private, PEM")
    verifying = commands.add_parser("verify", help="check the signature and all sums")
    verifying.add_argument("folder", type=Path)
    verifying.add_argument("--key", type=Path, required=True, help="public, PEM")
    given = words.parse_args()
    if given.command == "build":
        folder = build(given.into, given.pythons.replace(",", " ").split())
        print(f"built {folder} and {pack(folder)}")
    elif given.command == "sign":
        sign(given.folder, private_key(given.key))
        print(f"signed {given.folder}; its archive: {pack(given.folder)}")
    else:
        problems = verify(given.folder, public_key(given.key))
        for problem in problems:
            print(problem, file=sys.stderr)
        if problems:
            return 1
        print(f"{given.folder.name} is what was signed")
    return 0


def build(into: Path, pythons: list[str]) -> Path:
    """Build the agent's wheel, fetch what it needs, and describe all of it."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    agent = agent_wheel(into)
    folder = into / f"{AGENT}-{agent.version}-linux-{machine}"
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "wheels"
    place.mkdir(parents=True)
    pins = read(LOCK)
    for python in pythons:
        fetch(pins, linux(python, machine), place)
    shutil.move(agent.path, place)
    wheels = wheels_in(place)
    write_requirements(folder, wheels)
    moment = datetime.datetime.fromtimestamp(source_date(), datetime.UTC)
    (folder / BILL).write_text(
        bill(wheels, AGENT, moment.strftime("%Y-%m-%dT%H:%M:%SZ")), encoding="utf-8"
    )
    (folder / "pythons").write_text("\n".join(pythons) + "\n", encoding="utf-8")
    shutil.copy(ROOT / "LICENSE", folder)
    for path in sorted((ROOT / "deploy/agent/offline").iterdir()):
        shutil.copy(path, folder)
    units = folder / "systemd"
    units.mkdir()
    for path in (ROOT / "deploy/agent").glob("accord-agent*"):
        if path.suffix in {".service", ".timer"}:
            shutil.copy(path, units)
    (folder / SUMS).write_text(sums(folder), encoding="utf-8")
    return folder


def agent_wheel(into: Path) -> WheelFile:
    """Build the slim wheel; the same checkout gives the same bytes."""
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob("accord_agent-*.whl"):
        old.unlink()
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", into, ROOT / "agent"),
        ],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(source_date())},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (path,) = into.glob("accord_agent-*.whl")
    return wheel(path)


def write_requirements(folder: Path, wheels: list[WheelFile]) -> None:
    """Write what the agent needs, and what each extra adds to that, with hashes."""
    entries: dict[str, str] = {}
    for pin in read(LOCK):
        entry = requirements([pin], marked=True)
        entries[pin.name] = entries.get(pin.name, "") + entry
    (agent,) = (each for each in wheels if each.name == AGENT)
    own = f"{AGENT}=={agent.version} \\\n    --hash=sha256:{agent.digest}\n"
    alone = closure(wheels, agent.requires())

    def text(names: frozenset[str]) -> str:
        return "".join(entries[name] for name in sorted(names))

    (folder / "requirements.txt").write_text(own + text(alone), encoding="utf-8")
    (folder / "extras").mkdir()
    for extra in extras_of_agents():
        added = closure(wheels, agent.requires(extra)) - alone
        place = folder / "extras" / f"{extra}.txt"
        place.write_text(text(added), encoding="utf-8")


def source_date() -> int:
    """Return when the last commit was made: what is built of it carries that time."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    git = shutil.which("git")
    if git is not None:
        done = subprocess.run(
            [git, "log", "-1", "--format=%ct"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip():
            return int(done.stdout)
    return 1_577_836_800  # 2020, where nobody knows


def sums(folder: Path) -> str:
    """Return a line for every file but the sums and their signature."""
    return "".join(
        f"{digest(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in {folder / SUMS, folder / SIGNATURE}
    )


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(folder: Path) -> Path:
    """Put a folder into one file; the wheels in it are compressed already."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = source_date()
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    archive = folder.parent / f"{folder.name}.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, folder.name, recursive=False, filter=plain)
        for path in sorted(folder.rglob("*")):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            tar.add(path, name, recursive=False, filter=plain)
    return archive


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    """Sign the sums, after a look whether they are still those of the files."""
    listed = (folder / SUMS).read_text(encoding="utf-8")
    if listed != sums(folder):
        raise SystemExit(f"{folder} has changed since it was built: build it again.")
    (folder / SIGNATURE).write_bytes(key.sign(listed.encode()))


def verify(folder: Path, key: Ed25519PublicKey) -> list[str]:
    """Return what is wrong with a folder: its signature, or single files."""
    try:
        listed = (folder / SUMS).read_bytes()
        key.verify((folder / SIGNATURE).read_bytes(), listed)
    except FileNotFoundError as error:
        name = Path(error.filename).name
        return [f"{name} is missing: this folder was never signed, or not copied whole"]
    except InvalidSignature:
        return [f"{SIGNATURE} was not made by this key: do not install it"]
    found = set(sums(folder).splitlines())
    expected = set(listed.decode().splitlines())
    return [
        f"{line.partition('  ')[2]} is not what was signed: do not install it"
        for line in sorted(found ^ expected, key=lambda line: line[64:])
    ]


def private_key(place: Path) -> Ed25519PrivateKey:
    """Read the release key, and ask for its passphrase where it has one."""
    text = place.read_bytes()
    asked = None
    if b"ENCRYPTED" in text:
        asked = getpass.getpass(f"Passphrase of {place.name}: ").encode()
    try:
        key = load_pem_private_key(text, asked)
    except (ValueError, TypeError):
        raise SystemExit(f"{place.name} cannot be read with this passphrase.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{place.name} is no Ed25519 key.")
    return key


def public_key(place: Path) -> Ed25519PublicKey:
    """Read the public half of the release key."""
    try:
        key = load_pem_public_key(place.read_bytes())
    except ValueError:
        raise SystemExit(f"{place.name} is no public key in PEM.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SystemExit(f"{place.name} is no Ed25519 key.")
    return key


if __name__ == "__main__":
    raise SystemExit(main())
