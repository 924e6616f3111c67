# SPDX-License-Identifier: Apache-2.0
"""The key of audits, and what is sealed with it.

A record of a round holds what would open this agency's own vector, so the running agent
can write it and cannot read it: it is sealed with HPKE (RFC 9180) to ``audit.pub``. The
private half, ``keys/audit.key``, may be moved off the machine. It is a seed of 32
bytes, from which an X25519 key and, where the OpenSSL at hand can do it, an ML-KEM-768
key are derived; a record is sealed to both together, or to the first alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from accord.agent.keys.files import (
    KEY_BYTES,
    make_key,
    read_key,
    replace_secret,
    write_secret,
)
from accord.agent.store.durable import write_over
from accord.core.errors import ConfigurationError
from accord.core.members import exchange_bytes, exchange_text, kem_bytes, kem_text
from accord.secagg.encoding import derived, encoded

if TYPE_CHECKING:
    from accord.agent.state import AgentState

AUDIT_KEY: Final = "audit.key"
"""Seed of the private half."""

_CLASSICAL: Final = b"\x01"
_HYBRID: Final = b"\x02"
"""First byte of what is sealed: to which keys."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AuditPublic:
    """The public half, as ``audit.pub`` has it."""

    exchange: bytes
    """X25519, 32 bytes."""
    kem: bytes | None
    """ML-KEM-768, 1184 bytes."""

    def text(self) -> str:
        """Return the file's text."""
        lines = [exchange_text(self.exchange)]
        if self.kem is not None:
            lines.append(kem_text(self.kem))
        return "".join(f"{line}\n" for line in lines)


def make_audit_key(state: AgentState) -> None:
    """Make the key of audits unless there is one; what is moved off stays moved off."""
    path = state.keys / AUDIT_KEY
    if state.audit_public.exists():
        return
    if not path.exists():
        make_key(path)
    write_secret(state.audit_public, public_of(read_key(path)).text().encode())


def replace_audit_key(state: AgentState) -> Path | None:
    """Make another key of audits; records from now on are sealed to that one.

    The old one stays beside it under a name of its own, unless it was moved off, and
    goes first: cut off anywhere, no record has lost the key that opens it.

    Returns:
        Where the old one is now, if it is here.
    """
    path, kept = state.keys / AUDIT_KEY, None
    if path.exists():
        # Whatever it is: an older one may have been put back to audit by it.
        seed = read_key(path)
        kept = _kept(state, seed)
        if not kept.exists():
            write_secret(kept, seed)
    new = secrets.token_bytes(KEY_BYTES)
    replace_secret(path, new)
    write_over(state.audit_public, public_of(new).text().encode())
    return kept


def audit_seeds(state: AgentState) -> Iterator[bytes]:
    """Yield every key of audits that is here, the newest first.

    Raises:
        ConfigurationError: one cannot be read.
    """
    path = state.keys / AUDIT_KEY
    older = sorted(state.keys.glob("audit-*.key"))
    yield from (read_key(each) for each in [path, *older] if each.exists())


def _kept(state: AgentState, seed: bytes) -> Path:
    """Return where an old key lies: named by its public half."""
    name = hashlib.sha256(public_of(seed).exchange).hexdigest()[:16]
    return state.keys / f"audit-{name}.key"


def public_of(seed: bytes) -> AuditPublic:
    """Return the public half of a seed."""
    exchange, kem = _private(seed)
    return AuditPublic(
        exchange=exchange.public_key().public_bytes_raw(),
        kem=None if kem is None else kem.public_key().public_bytes_raw(),
    )


def read_public(state: AgentState) -> AuditPublic:
    """Return what records are sealed to.

    Raises:
        ConfigurationError: AUDIT_KEY_ABSENT or AUDIT_KEY_BROKEN.
    """
    path = state.audit_public
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        exchange, *rest = lines
        return AuditPublic(
            exchange=exchange_bytes(exchange), kem=kem_bytes(rest[0]) if rest else None
        )
    except FileNotFoundError:
        raise ConfigurationError(
            "AUDIT_KEY_ABSENT",
            f"{path} is missing, to which the records of audits are sealed: restore it"
            " from a copy, or put keys/audit.key back and run `accord-agent init`.",
        ) from None
    except (OSError, ValueError):
        raise ConfigurationError(
            "AUDIT_KEY_BROKEN",
            f"{path} does not hold the public key of audits: restore it from a copy.",
        ) from None


def seal(
    public: AuditPublic, content: bytes, query_id: str, transcript: bytes
) -> bytes:
    """Return *content*, readable with the private half only.

    Args:
        public: whom it is for.
        content: what it is.
        query_id: which round it is of.
        transcript: and which attempt and cohort; another round's record does not open.
    """
    info = encoded("audit record", query_id, transcript)
    exchange = X25519PublicKey.from_public_bytes(public.exchange)
    if public.kem is not None:
        try:
            kem = mlkem.MLKEM768PublicKey.from_public_bytes(public.kem)
        except UnsupportedAlgorithm:
            pass  # made on a machine that could do more than this one
        else:
            both = hpke.MLKEM768X25519PublicKey(kem, exchange)
            return _HYBRID + _suite(_HYBRID).encrypt(content, both, info)
    return _CLASSICAL + _suite(_CLASSICAL).encrypt(content, exchange, info)


def unseal(seed: bytes, sealed: bytes, query_id: str, transcript: bytes) -> bytes:
    """Return what `seal` was given.

    Raises:
        ConfigurationError: AUDIT_KEY_WRONG, it was sealed to another key, or is of
            another round; or this machine cannot do what it was sealed with.
    """
    info = encoded("audit record", query_id, transcript)
    kind, content = sealed[:1], sealed[1:]
    exchange, kem = _private(seed)
    try:
        if kind == _HYBRID and kem is not None:
            both = hpke.MLKEM768X25519PrivateKey(kem, exchange)
            return _suite(kind).decrypt(content, both, info)
        if kind == _CLASSICAL:
            return _suite(kind).decrypt(content, exchange, info)
    except (InvalidTag, ValueError):
        pass
    raise ConfigurationError(
        "AUDIT_KEY_WRONG",
        f"The record of query {query_id} does not open with this key: it was sealed to"
        " another one. Name the file that `accord-agent init` made with --key.",
    )


def _private(
    seed: bytes,
) -> tuple[X25519PrivateKey, mlkem.MLKEM768PrivateKey | None]:
    salt = b"accord.audit.v1"
    exchange = X25519PrivateKey.from_private_bytes(
        derived(seed, salt, "audit exchange")
    )
    both = derived(seed, salt, "audit kem", "d") + derived(seed, salt, "audit kem", "z")
    try:
        return exchange, mlkem.MLKEM768PrivateKey.from_seed_bytes(both)
    except UnsupportedAlgorithm:
        return exchange, None


def _suite(kind: bytes) -> hpke.Suite:
    kem = hpke.KEM.MLKEM768_X25519 if kind == _HYBRID else hpke.KEM.X25519
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
