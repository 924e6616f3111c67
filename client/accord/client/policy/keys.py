# SPDX-License-Identifier: Apache-2.0
"""Key files of board members: one sealed with a passphrase, one to give away."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.agreement_form import LABEL
from accord.core.errors import ConfigurationError, Conflict, InvalidQuery
from accord.core.members import KEY
from accord.trust.keys import new_key, raw_public, seal, text_of, unseal

SHORTEST_PASSPHRASE = 12
"""Characters; the sealed file can be guessed at for as long as a thief likes."""

LARGEST_KEY_FILE = 10_000
"""Bytes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """A new key."""

    private: Path
    public: Path
    key: str
    """The public half, as text."""


def make_key(folder: Path, name: str, passphrase: str) -> KeyFiles:
    """Make a key; the file with its secret half is readable by this user alone.

    Raises:
        InvalidQuery: KEY_NAME_INVALID or PASSPHRASE_SHORT.
        Conflict: KEY_EXISTS.
        ConfigurationError: KEY_UNWRITABLE.
    """
    if re.fullmatch(LABEL, name) is None:
        raise InvalidQuery(
            "KEY_NAME_INVALID",
            f"{name[:70]!r} cannot be the name of a key: use lower-case letters, "
            "digits and hyphens, beginning with a letter.",
        )
    check_passphrase(passphrase)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    key = new_key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(private, seal(key, passphrase.encode()))
        public.write_text(f"{text_of(key)} {name}\n", encoding="utf-8")
    except FileExistsError:
        raise Conflict(
            "KEY_EXISTS",
            f"There is a file {private} already. Keys are never overwritten: choose "
            "another name or another folder.",
        ) from None
    except OSError:
        raise ConfigurationError(
            "KEY_UNWRITABLE",
            f"The key cannot be written in {folder}; choose another folder.",
        ) from None
    return KeyFiles(private=private, public=public, key=text_of(key))


def check_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that is too short.

    Raises:
        InvalidQuery: PASSPHRASE_SHORT.
    """
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidQuery(
            "PASSPHRASE_SHORT",
            f"The passphrase needs at least {SHORTEST_PASSPHRASE} characters; four or "
            "more unrelated words are easy to remember.",
        )


def open_key(pem: bytes, passphrase: str, source: str) -> Ed25519PrivateKey:
    """Unseal the content of a key file.

    Raises:
        Unauthenticated: PASSPHRASE_WRONG.
        ConfigurationError: KEY_UNREADABLE.
    """
    if len(pem) > LARGEST_KEY_FILE:
        raise _unreadable(source)
    return unseal(pem, passphrase.encode(), source)


def read_key_file(path: Path) -> bytes:
    """Return the content of a key file, still sealed.

    Raises:
        ConfigurationError: KEY_UNREADABLE.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_KEY_FILE + 1)
    except OSError:
        raise _unreadable(str(path)) from None


def public_key(given: str) -> str:
    """Return the public key in *given*: the key itself, or a file that begins with it.

    Raises:
        ConfigurationError: KEY_UNREADABLE.
        InvalidQuery: KEY_INVALID.
    """
    text = given.strip()
    if not text.startswith("ed25519:"):
        try:
            with Path(text).open(encoding="utf-8") as file:
                text = file.read(LARGEST_KEY_FILE)
        except (OSError, UnicodeDecodeError, ValueError):
            raise _unreadable(given) from None
        if "PRIVATE KEY" in text:
            raise ConfigurationError(
                "KEY_UNREADABLE",
                f"{given} is a secret key; nobody else may have it. Give the file that "
                "ends in .pub.",
            )
        text = text.split(maxsplit=1)[0] if text.split() else ""
    if re.fullmatch(KEY, text) is None:
        raise InvalidQuery(
            "KEY_INVALID",
            f"{given[:100]!r} is no public key: one is written ed25519: and 64 "
            "hexadecimal digits in lower case.",
        )
    raw_public(text)
    return text


def passphrase_in(path: Path) -> str:
    """Return the first line of a file, without its end.

    Raises:
        ConfigurationError: PASSPHRASE_UNREADABLE.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(LARGEST_KEY_FILE).rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            "PASSPHRASE_UNREADABLE", f"The passphrase in {path} cannot be read."
        ) from None


def _unreadable(source: str) -> ConfigurationError:
    return ConfigurationError(
        "KEY_UNREADABLE", f"{source} is not a key that can be read."
    )


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # Half a key would stand in the way of a whole one.
        with contextlib.suppress(OSError):
            path.unlink()
        raise
