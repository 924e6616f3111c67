# SPDX-License-Identifier: Apache-2.0
"""Ed25519 keys: as text in documents, and sealed with a passphrase in files."""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from accord.core.errors import ConfigurationError, InvalidQuery, Unauthenticated
from accord.core.members import KEY

_TEXT: Final = re.compile(KEY)
_PREFIX: Final = "ed25519:"
_RAW_LENGTH: Final = 32
_SEALED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def public_text(raw: bytes) -> str:
    """Return 32 raw bytes of a public key as documents write it.

    Raises:
        InvalidQuery: KEY_INVALID
    """
    if len(raw) != _RAW_LENGTH:
        raise InvalidQuery("KEY_INVALID", "A public key has 32 bytes.")
    return _PREFIX + raw.hex()


def raw_public(text: str) -> bytes:
    """Return the raw bytes of a public key.

    Raises:
        InvalidQuery: KEY_INVALID
    """
    if _TEXT.fullmatch(text) is None:
        raise InvalidQuery(
            "KEY_INVALID",
            "A key is written ed25519: and 64 hexadecimal digits in lower case.",
        )
    return bytes.fromhex(text.removeprefix(_PREFIX))


def new_key() -> Ed25519PrivateKey:
    """Make a private key from the system's randomness."""
    return Ed25519PrivateKey.generate()


def text_of(private: Ed25519PrivateKey) -> str:
    """Return the public half of a key as documents write it."""
    public = private.public_key()
    return public_text(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def seal(private: Ed25519PrivateKey, passphrase: bytes) -> bytes:
    """Encrypt a private key: PKCS #8 in PEM, readable by other programs.

    Raises:
        InvalidQuery: PASSPHRASE_EMPTY
    """
    if not passphrase:
        raise InvalidQuery("PASSPHRASE_EMPTY", "The passphrase is empty.")
    return private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
    )


def unseal(pem: bytes, passphrase: bytes, source: str) -> Ed25519PrivateKey:
    """Decrypt a private key.

    Args:
        pem: what `seal` returned.
        passphrase: the one that it was sealed with.
        source: what to call the file in errors.

    Raises:
        Unauthenticated: PASSPHRASE_WRONG
        ConfigurationError: KEY_UNREADABLE
    """
    unreadable = ConfigurationError(
        "KEY_UNREADABLE", f"{source} is not a sealed Ed25519 key, or it is damaged."
    )
    if not pem.lstrip().startswith(_SEALED):
        raise unreadable
    try:
        private = load_pem_private_key(pem, passphrase or b"\0")
    except ValueError as error:
        if _is_refusal(error) or _is_sealed(pem):
            raise Unauthenticated(
                "PASSPHRASE_WRONG", f"That passphrase does not open {source}."
            ) from None
        raise unreadable from None
    except (TypeError, UnsupportedAlgorithm):
        raise unreadable from None
    if not isinstance(private, Ed25519PrivateKey):
        raise unreadable
    return private


def _is_refusal(error: ValueError) -> bool:
    return "decrypt" in str(error).lower() or "password" in str(error).lower()


def _is_sealed(pem: bytes) -> bool:
    """Tell whether a passphrase is all that is wrong.

    One wrong passphrase in 256 decrypts to what looks like a damaged key; that three
    more do so as well is as good as impossible.
    """
    for probe in (b"\0a", b"\0b", b"\0c"):
        try:
            load_pem_private_key(pem, probe)
        except ValueError as error:
            if _is_refusal(error):
                return True
        except (TypeError, UnsupportedAlgorithm):
            return False
    return False
