# SPDX-License-Identifier: Apache-2.0
"""One-time enrolment tokens and analysts' API tokens.

A token is ``accord_``, a letter for its kind, ``1_`` and the unpadded base64url of a
version byte, the SHA-256 of the hub's certificate authority and a secret of 32 random
bytes. Who holds it can check that it talks to the right hub before it shows the
secret. Hubs store `Token.secret_digest` only.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import hmac
import re
import secrets

from accord.core.errors import Unauthenticated

VERSION = 1
FINGERPRINT_BYTES = 32
SECRET_BYTES = 32


class TokenKind(enum.Enum):
    """What a token is good for; the value is its letter."""

    ENROLMENT = "e"
    ANALYST = "a"


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A credential; ``str()`` gives the text with the secret, ``repr()`` does not."""

    kind: TokenKind
    fingerprint: bytes
    """SHA-256 of the DER of the hub's certificate authority."""
    secret: bytes = dataclasses.field(repr=False)

    def __str__(self) -> str:
        content = bytes([VERSION]) + self.fingerprint + self.secret
        encoded = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
        return f"accord_{self.kind.value}{VERSION}_{encoded}"

    def secret_digest(self) -> str:
        """Return the SHA-256 of the secret in hex, which is what a hub stores.

        The secret has 256 random bits, so a fast hash is enough.
        """
        return hashlib.sha256(self.secret).hexdigest()

    def matches(self, digest: str) -> bool:
        """Tell in constant time whether *digest* is this token's."""
        return hmac.compare_digest(self.secret_digest(), digest)


def mint(kind: TokenKind, fingerprint: bytes) -> Token:
    """Return a new token for the hub whose authority has *fingerprint*."""
    if len(fingerprint) != FINGERPRINT_BYTES:
        message = "a fingerprint has 32 bytes"
        raise ValueError(message)
    return Token(kind, fingerprint, secrets.token_bytes(SECRET_BYTES))


_FORM = re.compile(r"accord_([a-z])1_([A-Za-z0-9_-]{87})")


def parse(text: str, expected: TokenKind | None = None) -> Token:
    """Read a token; blanks around it do not matter.

    Raises:
        Unauthenticated: TOKEN_MALFORMED or, where *expected* is given and the token
            is of another kind, TOKEN_WRONG_KIND.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or match[1] not in {kind.value for kind in TokenKind}:
        raise _malformed()
    content = base64.urlsafe_b64decode(match[2] + "=")
    kind = TokenKind(match[1])
    split = 1 + FINGERPRINT_BYTES
    token = Token(kind, content[1:split], content[split:])
    if content[0] != VERSION or str(token) != match[0]:
        raise _malformed()
    if expected is not None and kind is not expected:
        raise Unauthenticated("TOKEN_WRONG_KIND", _WRONG_KIND[expected])
    return token


_WRONG_KIND = {
    TokenKind.ENROLMENT: "This is an analyst's token; an agency enrols with one from "
    "`accord-hub token create`.",
    TokenKind.ANALYST: "This is an agency's enrolment token; an analyst needs one from "
    "`accord-hub analyst add`.",
}


def _malformed() -> Unauthenticated:
    return Unauthenticated(
        "TOKEN_MALFORMED",
        "This is not a whole token. Copy it again, from `accord_` to its end.",
    )
