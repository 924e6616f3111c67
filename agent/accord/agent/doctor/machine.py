# SPDX-License-Identifier: Apache-2.0
"""The machine: its clock, its disk, and the program that runs on it."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from accord.agent.doctor.finding import Finding, ok, warning, wrong
from accord.agent.machine.looking import is_seen
from accord.agent.machine.room import LEAST_FREE, free_bytes
from accord.core._version import __version__

LITTLE_FREE = 2 << 30

_NOT_SYNCHRONISED = 5
_SIZE_OF_TIMEX = 208

_ESCAPED = re.compile(r"\\([0-7]{3})")
"""A blank or the like in a path, as proc(5) writes it."""

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_THE_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "glusterfs", "9p"}
)
_ENCRYPTED_BY_ITSELF = frozenset({"ecryptfs", "fuse.gocryptfs", "fuse.encfs"})


def program() -> Finding:
    """Say which program this is."""
    python = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - a copy may run with anything
        return wrong(
            "program",
            f"This is agent {__version__} on Python {python}.",
            "Use Python 3.11 or newer.",
        )
    return ok("program", f"This is agent {__version__} on Python {python}.")


def clock(state: int | None = None) -> Finding:
    """Say whether something keeps the clock right.

    Args:
        state: what the kernel says of it; asked if not given.
    """
    found = _kernel_clock() if state is None else state
    if found is None:
        return warning(
            "clock",
            "It cannot be told whether this machine's clock is kept right.",
            "Make sure that it is set by NTP: all windows and certificates go by it.",
        )
    if found == _NOT_SYNCHRONISED:
        return warning(
            "clock",
            "The kernel says that nothing keeps this machine's clock right.",
            "Turn NTP on, such as with `timedatectl set-ntp true`.",
        )
    return ok("clock", "The clock is kept right by NTP.")


def _kernel_clock() -> int | None:
    """Return what ``adjtimex`` says, or nothing where there is no such call."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
        # All zeros ask and change nothing.
        found = library.adjtimex(ctypes.create_string_buffer(_SIZE_OF_TIMEX))
    except (OSError, AttributeError, TypeError):
        return None
    return int(found) if found >= 0 else None


def disk(folder: Path, free: int | None = None) -> Iterator[Finding]:
    """Say how much room there is, and what kind of disk it is.

    Args:
        folder: state directory, or where it would be.
        free: bytes; asked if not given.
    """
    here = nearest(folder)
    free = free_bytes(here) if free is None else free
    room = f"{free / 2**30:.1f} GiB are free on the disk of {here}."
    if free < LEAST_FREE:
        yield wrong(
            "disk",
            room,
            "Make room: an ingest needs about as much as its files, and the ledger "
            "must always be writable.",
        )
    elif free < LITTLE_FREE:
        advice = "Make room before the next ingest."
        yield warning("disk", room, advice)
    else:
        yield ok("disk", room)
    yield _kind(here)


def _kind(folder: Path) -> Finding:
    device, kind = mounted(folder)
    advice = "Put the state directory on an encrypted disk (LUKS)."
    if kind in _IN_MEMORY:
        return warning(
            "encryption",
            f"{folder} lies in memory ({kind}): it is gone when the machine is off.",
            "Put the state directory on a disk; keys and ledger must last.",
        )
    if kind in _OVER_THE_NETWORK:
        return warning(
            "encryption",
            f"{folder} lies on a network drive ({kind}), where locks may not hold.",
            "Put the state directory on a disk of this machine, an encrypted one.",
        )
    if kind in _ENCRYPTED_BY_ITSELF:
        return ok("encryption", f"The file system of {folder} is encrypted ({kind}).")
    found = encrypted(device)
    if found is None:
        return warning(
            "encryption",
            f"It cannot be told whether the disk of {folder} is encrypted ({kind}).",
            advice + " If it is one, or the host encrypts it, all is well.",
        )
    if not found:
        sentence = f"The disk of {folder} is not encrypted."
        return warning("encryption", sentence, advice)
    return ok("encryption", f"The disk of {folder} is encrypted.")


def mounted(folder: Path, table: str | None = None) -> tuple[str, str]:
    """Return number of the device and type of the file system that *folder* is on.

    Args:
        folder: exists.
        table: as ``/proc/self/mountinfo``; read if not given.
    """
    if table is None:
        try:
            table = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        except OSError:
            return "", "unknown"
    place = os.path.realpath(folder)
    best, found = -1, ("", "unknown")
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 5 or not rest:  # noqa: PLR2004 - proc(5)
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, found = len(point), (fields[2], rest[0])
    return found


def encrypted(device: str, devices: Path = Path("/sys/dev/block")) -> bool | None:
    """Tell whether a block device lies on an encrypted one."""
    folder = devices / device
    if not device or not folder.exists():
        return None
    try:
        kind = (folder / "dm" / "uuid").read_text("ascii")
    except OSError:
        kind = ""
    if kind.startswith("CRYPT-"):
        return True
    below = folder / "slaves"
    if not below.is_dir():
        # A partition has none of its own; of other devices nothing is known.
        return False if kind or (folder / "partition").exists() else None
    parts = [
        encrypted((each / "dev").read_text().strip(), devices)
        for each in below.iterdir()
    ]
    if not parts:
        return False
    return all(parts) if None not in parts else None


def nearest(folder: Path) -> Path:
    """Return *folder*, or the nearest one above it that exists."""
    here = folder.absolute()
    while not is_seen(here):
        here = here.parent
    return here
