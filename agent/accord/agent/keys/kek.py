# SPDX-License-Identifier: Apache-2.0
"""Where the key-encrypting key comes from: a credential, a file, or a token.

The KEK is never in the state directory: a copy of that alone then opens nothing. It is
looked for anew whenever a sealed secret is read, so that a program holds it no longer
than that takes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from accord.agent.keys.envelope import ID_BYTES, Altered, Kek
from accord.agent.keys.token_kek import TokenKek
from accord.agent.machine import windows
from accord.agent.machine.private_files import read_private
from accord.agent.settings import CREDENTIALS, KekSource, Settings
from accord.core.errors import ConfigurationError

KEK_BYTES: Final = 32

CREDENTIAL: Final = "accord-agent.kek"
"""Name of the systemd credential."""

OLD_CREDENTIAL: Final = "accord-agent.kek.old"
"""Name of the one that it takes the place of, while keys are sealed anew."""

PIN_CREDENTIAL: Final = "accord-agent.pin"
"""Name of the systemd credential with the PIN of a token."""


@dataclasses.dataclass(frozen=True, slots=True)
class KekBytes:
    """A KEK of which this program has the bytes."""

    key: bytes = dataclasses.field(repr=False)
    place: str

    @property
    def id(self) -> bytes:
        """Hash of the key: whoever has the hash has no way back."""
        return hashlib.sha256(b"accord kek id 1\0" + self.key).digest()[:ID_BYTES]

    def encrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return ciphertext and tag."""
        return AESGCM(self.key).encrypt(nonce, content, context)

    def decrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            Altered: it does not open.
        """
        try:
            return AESGCM(self.key).decrypt(nonce, content, context)
        except InvalidTag:
            raise Altered from None


@dataclasses.dataclass(frozen=True, slots=True)
class KekRing:
    """The KEK that is in use, and the one before it."""

    root: Path
    """State directory: relative paths in the settings begin there."""
    settings: Settings

    def current(self) -> Kek | None:
        """Return the KEK that secrets are sealed under from now on, if one is set up.

        Raises:
            ConfigurationError: KEK_ABSENT, KEK_BROKEN, KEK_TOKEN, or its file can be
                read by others.
        """
        return self._kek(self.settings.keys, CREDENTIAL)

    def old(self) -> Kek | None:
        """Return the one before, if it is still set up."""
        return self._kek(self.settings.keys.old, OLD_CREDENTIAL)

    def named(self, id_: bytes) -> Kek | None:
        """Return the KEK with this id, if it is one of the two."""
        for find in (self.current, self.old):
            kek = find()
            if kek is not None and kek.id == id_:
                return kek
        return None

    def places(self) -> Iterator[str]:
        """Yield where a KEK is looked for, and what came of it."""
        keys = self.settings.keys
        folder = os.environ.get(CREDENTIALS)
        unset = "systemd gave this process no credentials"
        yield f"the systemd credential {CREDENTIAL} ({folder or unset})"
        yield f"kek_file ({keys.kek_file or 'not set'})"
        yield f"pkcs11_module ({keys.pkcs11_module or 'not set'})"

    def _kek(self, source: KekSource, credential: str) -> Kek | None:
        if source.kek_file is not None:
            return self._from_file(self.root / source.kek_file)
        if source.pkcs11_module is not None:
            return TokenKek.of(source, self._pin(source))
        content = _credential(credential)
        if content is None:
            return None
        return _checked(content, f"the systemd credential {credential}")

    def _from_file(self, path: Path) -> Kek:
        try:
            content = read_private(path)
        except ConfigurationError as error:
            if error.reason != "SECRET_ABSENT":
                raise
            raise ConfigurationError(
                "KEK_ABSENT",
                f"There is no file {path}, which kek_file in config.toml names and the "
                "agent's keys are sealed with. Mount the volume that it lies on, or "
                "restore it from a copy.",
            ) from None
        if windows.is_wrapped(content):
            content = windows.unwrap(content)
        return _checked(content, str(path))

    def _pin(self, source: KekSource) -> str:
        if source.pkcs11_pin_file is not None:
            content = read_private(self.root / source.pkcs11_pin_file)
        else:
            content = _credential(PIN_CREDENTIAL) or b""
        pin = content.decode("utf-8", "replace").strip()
        if not pin:
            raise ConfigurationError(
                "KEK_TOKEN",
                "The PIN of the token that the agent's keys are sealed with is not "
                "here: name its file with pkcs11_pin_file in config.toml, or give the "
                f"service the systemd credential {PIN_CREDENTIAL}.",
            )
        return pin


def lies_within(path: Path, root: Path) -> bool:
    """Whether a KEK would lie beside the keys that it is to seal."""
    return (root / path).resolve().is_relative_to(root.resolve())


def kek_content(key: bytes) -> bytes:
    """Return what a file with a new KEK holds: on Windows, wrapped with DPAPI."""
    return windows.wrap(key) if sys.platform == "win32" else key


def _credential(name: str) -> bytes | None:
    folder = os.environ.get(CREDENTIALS)
    if folder is None:
        return None
    try:
        # systemd guards the folder; the file's own mode shows its ACL as a group.
        return (Path(folder) / name).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            "KEK_ABSENT",
            f"The systemd credential {name!r} cannot be read: {error.strerror}. See "
            "to the unit's LoadCredentialEncrypted.",
        ) from None


def _checked(content: bytes, place: str) -> KekBytes:
    if len(content) != KEK_BYTES:
        raise ConfigurationError(
            "KEK_BROKEN",
            f"The key-encrypting key of {place} has {len(content)} bytes in the place "
            f"of {KEK_BYTES}: restore it from a copy. `accord-agent keys make-kek` "
            "makes a new one.",
        )
    return KekBytes(content, place)
