# SPDX-License-Identifier: Apache-2.0
"""Secret files of the agent: made once, read by their owner only.

A secret is written to a file of its own with mode 0600, on disk before anything
relies on it, and never overwritten: a lost pseudonym key cannot be replaced without
building every store anew, so nothing replaces one by itself.

Where the file `SEALED` lies beside them, keys are sealed under a key-encrypting key
(`accord.agent.keys.envelope`), and new ones are sealed from the first byte on. Whoever
reads a secret need not know whether it was; but a plain file is no key where keys are
sealed, as anybody who can write there could have made it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from accord.agent.keys import envelope
from accord.agent.keys.envelope import Altered
from accord.agent.keys.kek import KekRing
from accord.agent.keys.marker import SEALED, Marker
from accord.agent.machine.private_files import (
    read_private,
    replace_private,
    write_private,
)
from accord.agent.settings import load_settings
from accord.core.errors import ConfigurationError

KEY_BYTES = 32

ENDING = ".key"
"""How the names of files end that are sealed. Certificates and addresses are not."""


def write_secret(path: Path, content: bytes) -> None:
    """Create *path* with mode 0600; when this returns the file survives a power cut.

    Raises:
        Conflict: SECRET_EXISTS, there is such a file.
        ConfigurationError: SECRET_NOT_WRITABLE, or keys are to be sealed here and the
            KEK is not there.
    """
    write_private(path, _as_kept(path, content))


def replace_secret(path: Path, content: bytes) -> None:
    """Write *path* with mode 0600 in the place of what may be there, atomically.

    Raises:
        ConfigurationError: as `write_secret`.
    """
    replace_private(path, _as_kept(path, content))


def read_secret(path: Path, state: Path | None = None) -> bytes:
    """Return the content of a file that only its owner can read.

    Args:
        path: the file.
        state: state directory whose settings say where the KEK is; the folder above
            the one of the file, if it is not given.

    Raises:
        ConfigurationError: SECRET_ABSENT, SECRET_EXPOSED, SECRET_UNREADABLE, or
            SECRET_BROKEN; SECRET_NOT_SEALED; KEK_ABSENT and what else `KekRing` says
            of a sealed one.
    """
    content = read_private(path)
    root = state or path.parent.parent
    if not envelope.is_sealed(content):
        if not is_secret(path) or path.parent != root / "keys" or _may_be_plain(path):
            return content
        # It may have been sealed since, by a command beside this one.
        content = read_private(path)
        if not envelope.is_sealed(content):
            raise ConfigurationError(
                "SECRET_NOT_SEALED",
                f"{path} is not sealed, and this agent's keys are: somebody may have "
                "put another key in its place. Restore the sealed file from a copy; if "
                "you put this one there yourself, `accord-agent keys seal "
                "--take-plain` seals it.",
            )
    return _opened(path, content, ring_of(root))


def make_key(path: Path) -> None:
    """Create a file with a new random key.

    Raises:
        Conflict: SECRET_EXISTS.
    """
    write_secret(path, secrets.token_bytes(KEY_BYTES))


def read_key(path: Path, state: Path | None = None) -> bytes:
    """Return the 32 bytes of a key that `make_key` made.

    Raises:
        ConfigurationError: it is missing, exposed, or has another length.
    """
    key = read_secret(path, state)
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            "SECRET_BROKEN",
            f"{path} has {len(key)} bytes in the place of {KEY_BYTES}: restore it from "
            "a copy.",
        )
    return key


def ring_of(state: Path) -> KekRing:
    """Return where the KEKs of a state directory are looked for.

    Raises:
        ConfigurationError: SETTINGS_INVALID.
    """
    return KekRing(state, load_settings(state / "config.toml"))


def is_secret(path: Path) -> bool:
    """Whether a file of the folder of keys is sealed, once keys are."""
    return path.suffix == ENDING and not path.name.startswith(".")


def marker_of(folder: Path) -> Marker | None:
    """Return how far the keys in *folder* are sealed; none: they are plain.

    Raises:
        ConfigurationError: as `read_secret`.
    """
    path = folder / SEALED
    try:
        content = read_private(path)
    except ConfigurationError as error:
        if error.reason == "SECRET_ABSENT":
            return None
        raise
    if not envelope.is_sealed(content):
        return Marker()
    try:
        return Marker.parse(_opened(path, content, ring_of(folder.parent)))
    except Altered:
        raise _broken(path) from None


def no_kek(what: str, ring: KekRing) -> ConfigurationError:
    """Return the complaint that no KEK is at hand."""
    return ConfigurationError(
        "KEK_ABSENT",
        f"{what} The key-encrypting key was looked for in "
        f"{', '.join(ring.places())}. Where it is a credential of the service, run "
        "the command with `systemd-run` as docs/how-to-agency.md shows, else set "
        "[keys] in config.toml.",
    )


def _as_kept(path: Path, content: bytes) -> bytes:
    marker = marker_of(path.parent) if is_secret(path) else None
    if marker is None or marker.opening:
        return content
    ring = ring_of(path.parent.parent)
    kek = ring.current()
    if kek is None:
        raise no_kek(f"{path} is to be sealed and cannot be.", ring)
    return envelope.seal(kek, path.name, content)


def _may_be_plain(path: Path) -> bool:
    """Whether the file of a key is rightly plain, as far as can be told here."""
    marker = marker_of(path.parent)
    if marker is not None:
        return marker.allows(path.name)
    # Nobody makes keys plain one by one: beside a sealed one the marker was removed.
    return not any(
        envelope.is_sealed(_start(each))
        for each in path.parent.iterdir()
        if is_secret(each)
    )


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(envelope.MAGIC))
    except OSError:
        return b""


def _opened(path: Path, content: bytes, ring: KekRing) -> bytes:
    try:
        id_ = envelope.kek_id(content)
        kek = ring.named(id_)
        if kek is not None:
            return envelope.unseal(kek, path.name, content)
    except Altered:
        raise _broken(path) from None
    current = ring.current()
    if current is None:
        raise no_kek(f"{path} is sealed.", ring)
    raise ConfigurationError(
        "KEK_WRONG",
        f"{path} is sealed under the key-encrypting key {id_.hex()}, and the one of "
        f"{current.place} is another ({current.id.hex()}). Bring that one, or name it "
        "below [keys.old] in config.toml.",
    )


def _broken(path: Path) -> ConfigurationError:
    return ConfigurationError(
        "SECRET_BROKEN",
        f"{path} is sealed and does not open: it was changed, cut off, or has another "
        "name than when it was sealed. Restore it from a copy.",
    )
