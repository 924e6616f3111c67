# SPDX-License-Identifier: Apache-2.0
"""Long-lived keys of agencies, and what two of them share for as long as these last.

An agency keeps one secret of 32 bytes, its Ed25519 seed; its X25519 and ML-KEM-768 keys
are derived from it, each under a label of its own, so one secret is backed up and one
is rotated. Public keys come from the member list that the board signed (`Directory`),
never from the hub.

Invariant: whether a pair of agencies uses ML-KEM follows from that list alone
(`uses_kem`). Nothing that a hub says, leaves out or repeats can downgrade it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from accord.core.errors import IntegrityError, InternalError, RequisitionRefused
from accord.secagg.curve import (
    agreed,
    exchange_has_small_order,
    signs_for_everybody,
)
from accord.secagg.encoding import KEY_BYTES, derived, encoded, hashed

try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:  # pragma: no cover - cryptography 46 does not have it
    _ML_KEM: Any = None
else:
    _ML_KEM = mlkem

KEM_BYTES: Final = 1184
"""Length of an ML-KEM-768 public key."""

CIPHERTEXT_BYTES: Final = 1088
"""Length of an ML-KEM-768 ciphertext."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeys:
    """What the board lists for one agency.

    Raises:
        IntegrityError: MEMBER_KEYS_INVALID, a key has another length, or is one of the
            few under which everybody could sign or compute what they share (such as
            zeros that stand for a key that is still to come).
    """

    label: str
    sign: bytes
    """Ed25519, 32 bytes: the agency's identity."""
    exchange: bytes
    """X25519, 32 bytes."""
    kem: bytes | None = None
    """ML-KEM-768, 1184 bytes; none if the agency's machine cannot do it."""

    def __post_init__(self) -> None:
        lengths = len(self.sign), len(self.exchange), len(self.kem or b"")
        wanted = KEY_BYTES, KEY_BYTES, 0 if self.kem is None else KEM_BYTES
        if (
            lengths != wanted
            or exchange_has_small_order(self.exchange)
            or signs_for_everybody(self.sign)
        ):
            raise IntegrityError(
                "MEMBER_KEYS_INVALID",
                f"The board lists a key of {self.label!r} that is no key of its kind:"
                " the board corrects members.yaml.",
                agency=self.label,
            )

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the agency's identity key made this signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.sign).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @property
    def kem_digest(self) -> bytes:
        """Hash of the ML-KEM key, or of nothing."""
        return hashlib.sha256(self.kem or b"").digest()


class Directory(Mapping[str, PublicKeys]):
    """All members whose keys the board signed, by label, in order.

    Raises:
        IntegrityError: MEMBERS_AMBIGUOUS, two entries have a label or a key in common.
    """

    __slots__ = ("_members", "digest")

    digest: bytes
    """Stands for this list, all of its keys included."""

    def __init__(self, members: Iterable[PublicKeys]) -> None:
        ordered = sorted(members, key=lambda each: each.label)
        keys = [key for each in ordered for key in _keys_of(each)]
        self._members = {each.label: each for each in ordered}
        if len(self._members) < len(ordered) or len(set(keys)) < len(keys):
            raise IntegrityError(
                "MEMBERS_AMBIGUOUS",
                "The board's list of members has a label or a key twice: the board"
                " corrects members.yaml.",
            )
        parts: list[bytes | str] = []
        for each in ordered:
            parts += (each.label, each.sign, each.exchange, each.kem or b"")
        self.digest = hashed("membership", len(ordered), *parts)

    def __getitem__(self, label: str) -> PublicKeys:
        return self._members[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _keys_of(member: PublicKeys) -> Iterator[bytes]:
    yield member.sign
    yield member.exchange
    if member.kem is not None:
        yield member.kem


class SecretKeys:
    """One agency's secret keys."""

    __slots__ = ("_exchange", "_kem", "_sign", "label", "public")

    label: str
    public: PublicKeys

    def __init__(
        self,
        label: str,
        sign: Ed25519PrivateKey,
        exchange: X25519PrivateKey,
        kem: Any,  # noqa: ANN401 - its type does not exist in cryptography 46
    ) -> None:
        self.label = label
        self._sign, self._exchange, self._kem = sign, exchange, kem
        self.public = PublicKeys(
            label=label,
            sign=sign.public_key().public_bytes_raw(),
            exchange=exchange.public_key().public_bytes_raw(),
            kem=None if kem is None else kem.public_key().public_bytes_raw(),
        )

    def __repr__(self) -> str:
        return f"<SecretKeys of {self.label!r}>"

    @classmethod
    def from_seed(cls, label: str, seed: bytes) -> SecretKeys:
        """Derive all keys of an agency from its Ed25519 seed.

        Where the OpenSSL at hand has no ML-KEM, the agency has no such key.

        Args:
            label: the agency; its keys do not depend on it.
            seed: 32 secret bytes.
        """
        if len(seed) != KEY_BYTES:
            raise InternalError("INTERNAL_ERROR", "An agency's seed has 32 bytes.")
        sign = Ed25519PrivateKey.from_private_bytes(seed)
        salt = hashed("identity", sign.public_key().public_bytes_raw())
        exchange = derived(seed, salt, "exchange key")
        kem = derived(seed, salt, "kem key", "d") + derived(seed, salt, "kem key", "z")
        return cls(
            label, sign, X25519PrivateKey.from_private_bytes(exchange), _kem(kem)
        )

    def as_listed(self, directory: Directory) -> SecretKeys:
        """Return these keys as the board lists them: without ML-KEM if it lists none.

        Both members of a pair then decide alike whether they use it.

        Raises:
            RequisitionRefused: READY_INVALID, the board lists other keys, or one that
                this machine does not have.
        """
        listed = directory.get(self.label)
        kem = None if listed is None or listed.kem is None else self._kem
        kept = SecretKeys(self.label, self._sign, self._exchange, kem)
        if kept.public != listed:
            raise RequisitionRefused(
                "READY_INVALID",
                f"The board lists other keys for {self.label!r} than this agency has:"
                " it lists the ones that the agency prints.",
                agency=self.label,
            )
        return kept

    def without_kem(self) -> SecretKeys:
        """Return the keys of an agency for which the board lists no ML-KEM key."""
        return SecretKeys(self.label, self._sign, self._exchange, None)

    def sign(self, message: bytes) -> bytes:
        return self._sign.sign(message)

    def exchange(self, peer_public: bytes) -> bytes:
        """Return what X25519 gives with another agency's long-lived key.

        Raises:
            RequisitionRefused: READY_INVALID, no such key gives a secret.
        """
        return agreed(self._exchange, peer_public)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the 32 bytes that an ML-KEM ciphertext holds.

        A ciphertext that was made for another key gives other bytes, not an error.

        Raises:
            RequisitionRefused: READY_INVALID, there is no ML-KEM here or it has another
                length.
        """
        if self._kem is None or len(ciphertext) != CIPHERTEXT_BYTES:
            raise RequisitionRefused(
                "READY_INVALID",
                f"{self.label!r} cannot open a key that was encapsulated for it.",
                agency=self.label,
            )
        secret: bytes = self._kem.decapsulate(ciphertext)
        return secret


def _kem(seed: bytes) -> Any:  # noqa: ANN401 - see `SecretKeys`
    if _ML_KEM is None:  # pragma: no cover - cryptography 46
        return None
    try:
        return _ML_KEM.MLKEM768PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm:
        return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Encapsulation:
    """One ML-KEM secret from the lexicographically lower label of a pair to the other.

    It lasts as long as both keys do. The sender keeps the secret, since it cannot be
    computed again.
    """

    sender: str
    receiver: str
    ciphertext: bytes
    """1088 bytes."""
    signature: bytes

    def body(self, receiver: PublicKeys) -> bytes:
        """Return what the sender signs."""
        return encoded(
            "encapsulation",
            self.sender,
            self.receiver,
            receiver.kem_digest,
            self.ciphertext,
        )


def uses_kem(a: PublicKeys, b: PublicKeys) -> bool:
    """Tell whether a pair mixes an ML-KEM secret in: exactly if both list a key."""
    return a.kem is not None and b.kem is not None


def encapsulate(
    secret: SecretKeys, receiver: PublicKeys
) -> tuple[Encapsulation, bytes]:
    """Make the secret of a pair; return what the receiver needs, and the secret.

    The randomness is OpenSSL's: two calls give two secrets.

    Raises:
        InternalError: the pair uses no ML-KEM, or its other member sends.
        RequisitionRefused: READY_INVALID, the receiver's key is none.
    """
    if not uses_kem(secret.public, receiver) or not secret.label < receiver.label:
        raise InternalError(
            "INTERNAL_ERROR",
            f"{secret.label!r} does not encapsulate a key for {receiver.label!r}.",
        )
    try:
        public = _ML_KEM.MLKEM768PublicKey.from_public_bytes(receiver.kem or b"")
    except ValueError:
        raise RequisitionRefused(
            "READY_INVALID",
            f"The ML-KEM key that the board lists for {receiver.label!r} is none.",
            agency=receiver.label,
        ) from None
    shared, ciphertext = public.encapsulate()
    made = Encapsulation(
        sender=secret.label,
        receiver=receiver.label,
        ciphertext=ciphertext,
        signature=b"",
    )
    signature = secret.sign(made.body(receiver))
    return dataclasses.replace(made, signature=signature), shared


def opened(
    secret: SecretKeys, sender: PublicKeys, encapsulation: Encapsulation
) -> bytes:
    """Return the 32 bytes that the lower label of a pair made for this agency.

    Raises:
        RequisitionRefused: READY_INVALID, it is not from *sender* for this agency and
            its listed key, or has been changed.
    """
    pair = encapsulation.sender, encapsulation.receiver
    if (
        pair != (sender.label, secret.label)
        or not sender.label < secret.label
        or not uses_kem(sender, secret.public)
        or len(encapsulation.ciphertext) != CIPHERTEXT_BYTES
        or not sender.has_signed(
            encapsulation.body(secret.public), encapsulation.signature
        )
    ):
        raise RequisitionRefused(
            "READY_INVALID",
            f"What should be a key that {sender.label!r} encapsulated for"
            f" {secret.label!r} is not, or it was changed on the way.",
            agency=sender.label,
        )
    return secret.decapsulate(encapsulation.ciphertext)


def pair_secret(
    secret: SecretKeys,
    peer: PublicKeys,
    directory_digest: bytes,
    kem_secret: bytes | None,
) -> bytes:
    """Return the 32 bytes that two agencies share under one member list.

    Both get the same. It costs an exchange, so callers keep it for as long as the list
    stands; it alone does not give a mask key.

    Args:
        secret: one agency, `SecretKeys.as_listed`.
        peer: the other, as listed.
        directory_digest: the member list, of which every change gives new secrets.
        kem_secret: what `encapsulate` or `opened` returned; exactly if `uses_kem`.

    Raises:
        RequisitionRefused: READY_INVALID, with ``kem="missing"`` if the pair needs an
            ML-KEM secret that is not there: nobody goes on without it.
    """
    needed = uses_kem(secret.public, peer)
    length = None if kem_secret is None else len(kem_secret)
    if length != (KEY_BYTES if needed else None):
        raise RequisitionRefused(
            "READY_INVALID",
            f"{secret.label!r} and {peer.label!r} share "
            + ("no ML-KEM secret, and must." if needed else "one that must not be."),
            agency=peer.label,
            kem="missing" if needed else "unexpected",
        )
    low, high = sorted((secret.label, peer.label))
    ikm = secret.exchange(peer.exchange) + (kem_secret or b"")
    return derived(ikm, directory_digest, "pair", low, high)
