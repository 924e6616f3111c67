# SPDX-License-Identifier: Apache-2.0
"""Canonical bytes and digests of plain values.

Source: RFC 8785 (JSON canonicalisation scheme). Everything that is compared,
cached or signed by content goes through here, so that two programs agree on it.
"""

from __future__ import annotations

import hashlib

import rfc8785


def canonical_bytes(value: object) -> bytes:
    """Return the RFC 8785 form of a plain JSON value."""
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # its JSON type is private


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def bytes_digest(content: bytes) -> str:
    """Return the SHA-256 of the bytes themselves, in hex."""
    return hashlib.sha256(content).hexdigest()
