# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from accord.core.errors import RequisitionRefused
from accord.secagg import keys
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    PublicKeys,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
    uses_kem,
)
from tests.unit.secagg.cohort import reason_of, secret

A, B, C = (secret(label) for label in ("a", "b", "c"))
DIRECTORY = Directory(each.public for each in (A, B, C))
OTHER = secret("other").public
NO_KEM = dataclasses.replace(B.public, kem=None)

P = 2**255 - 19
SMALL_ORDER = tuple(u.to_bytes(32, "little") for u in (0, 1, P - 1, P, P + 1))


def order_8() -> list[int]:
    """Return both y with which doubling gives a point of order 4, whose y is zero.

    On -x^2 + y^2 = 1 + d x^2 y^2 that is where y^2 = -x^2, so d y^4 + 2 y^2 - 1 = 0.
    """
    d = -121665 * pow(121666, -1, P) % P
    roots = [
        root
        for sign in (1, -1)
        if (square := root_of(1 + d)) is not None
        if (root := root_of((sign * square - 1) * pow(d, -1, P))) is not None
    ]
    return [each for root in roots for each in (root, P - root)]


def root_of(square: int) -> int | None:
    """Return a square root modulo P, which is 5 modulo 8."""
    square %= P
    root = pow(square, (P + 3) // 8, P)
    for each in (root, root * pow(2, (P - 1) // 4, P) % P):
        if each * each % P == square:
            return each
    return None


SMALL_Y = (0, 1, P - 1, P, P + 1, *order_8())


class TestDirectory:
    def test_members_are_in_order_however_they_come(self) -> None:
        other = Directory(each.public for each in (C, A, B))
        assert list(other) == list(DIRECTORY) == ["a", "b", "c"]
        assert other.digest == DIRECTORY.digest
        assert other["b"] == B.public
        assert "d" not in other
        assert len(other) == 3

    @pytest.mark.parametrize(
        "changed",
        [
            dataclasses.replace(B.public, label="bb"),
            dataclasses.replace(B.public, sign=OTHER.sign),
            dataclasses.replace(B.public, exchange=OTHER.exchange),
            dataclasses.replace(B.public, kem=bytes(1184)),
            NO_KEM,
        ],
    )
    def test_every_key_counts_in_the_digest(self, changed: PublicKeys) -> None:
        other = Directory([A.public, changed, C.public])
        assert other.digest != DIRECTORY.digest

    def test_a_member_more_or_less_counts(self) -> None:
        assert Directory([A.public, B.public]).digest != DIRECTORY.digest

    @pytest.mark.parametrize(
        "changed",
        [
            dataclasses.replace(C.public, label="a"),
            dataclasses.replace(C.public, sign=A.public.sign),
            dataclasses.replace(C.public, exchange=A.public.exchange),
            dataclasses.replace(C.public, kem=A.public.kem),
            dataclasses.replace(C.public, exchange=A.public.sign),
        ],
    )
    def test_a_label_or_key_twice_is_refused(self, changed: PublicKeys) -> None:
        members = [A.public, B.public, changed]
        assert reason_of(Directory, members) == "MEMBERS_AMBIGUOUS"

    def test_members_without_kem_keys_are_not_alike(self) -> None:
        bare = [dataclasses.replace(each.public, kem=None) for each in (A, B)]
        assert len(Directory(bare)) == 2

    @pytest.mark.parametrize("field", ["sign", "exchange", "kem"])
    @pytest.mark.parametrize("change", [lambda key: key[1:], lambda key: key + b"0"])
    def test_a_key_of_another_length_is_refused(
        self, field: str, change: Callable[[bytes], bytes]
    ) -> None:
        key = change(getattr(A.public, field))
        changed: dict[str, Any] = {field: key}
        assert (
            reason_of(lambda: dataclasses.replace(A.public, **changed))
            == "MEMBER_KEYS_INVALID"
        )

    @pytest.mark.parametrize(
        "key", [each for each in SMALL_ORDER if len(each) == len(OTHER.exchange)]
    )
    def test_an_exchange_key_that_gives_no_secret_is_refused(self, key: bytes) -> None:
        assert (
            reason_of(lambda: dataclasses.replace(A.public, exchange=key))
            == "MEMBER_KEYS_INVALID"
        )

    @pytest.mark.parametrize("sign_bit", [0, 0x80])
    @pytest.mark.parametrize("y", SMALL_Y)
    def test_an_identity_with_which_everybody_can_sign_is_refused(
        self, y: int, sign_bit: int
    ) -> None:
        """The points of order 1, 2, 4 and 8, and the first two not reduced."""
        key = bytearray(y.to_bytes(32, "little"))
        key[31] |= sign_bit
        assert (
            reason_of(lambda: dataclasses.replace(A.public, sign=bytes(key)))
            == "MEMBER_KEYS_INVALID"
        )

    def test_an_empty_kem_key_is_none_of_both(self) -> None:
        assert (
            reason_of(lambda: dataclasses.replace(A.public, kem=b""))
            == "MEMBER_KEYS_INVALID"
        )


class TestSecretKeys:
    def test_keys_follow_from_the_seed_alone(self) -> None:
        one, other = (SecretKeys.from_seed(label, bytes(32)) for label in "xy")
        assert dataclasses.replace(one.public, label="y") == other.public
        assert SecretKeys.from_seed("x", b"\1" * 32).public.sign != one.public.sign

    def test_no_key_is_made_from_another(self) -> None:
        """The three public keys of a seed have no seed in common but that one."""
        seed = bytes(range(32))
        made = SecretKeys.from_seed("x", seed)
        assert made._sign.private_bytes_raw() == seed
        private = made._exchange.private_bytes_raw(), made._kem.private_bytes_raw()
        parts = {seed, private[0], private[1][:32], private[1][32:]}
        assert len(parts) == 4

    def test_a_seed_of_another_length_is_refused(self) -> None:
        assert reason_of(SecretKeys.from_seed, "x", bytes(31)) == "INTERNAL_ERROR"

    def test_nothing_secret_is_shown(self) -> None:
        assert repr(A) == "<SecretKeys of 'a'>"

    def test_signatures_are_of_the_listed_key(self) -> None:
        signature = A.sign(b"text")
        assert A.public.has_signed(b"text", signature)
        assert not A.public.has_signed(b"test", signature)
        assert not B.public.has_signed(b"text", signature)
        assert not A.public.has_signed(b"text", signature[:-1])

    def test_exchange_is_the_same_from_both_sides(self) -> None:
        assert A.exchange(B.public.exchange) == B.exchange(A.public.exchange)

    @pytest.mark.parametrize(
        "point",
        [
            *SMALL_ORDER,
            b"",
            bytes(33),
        ],
    )
    def test_a_point_that_gives_no_secret_is_refused(self, point: bytes) -> None:
        assert reason_of(A.exchange, point) == "READY_INVALID"


class TestAsListed:
    def test_what_is_listed_stays(self) -> None:
        assert A.as_listed(DIRECTORY).public == A.public

    def test_an_unlisted_kem_key_is_not_used(self) -> None:
        listed = B.as_listed(Directory([A.public, NO_KEM]))
        assert listed.public == NO_KEM
        assert reason_of(listed.decapsulate, bytes(1088)) == "READY_INVALID"

    @pytest.mark.parametrize(
        "members",
        [
            [A.public],
            [A.public, dataclasses.replace(C.public, label="b")],
            [A.public, dataclasses.replace(B.public, exchange=OTHER.exchange)],
            [A.public, dataclasses.replace(B.public, kem=bytes(1184))],
        ],
    )
    def test_other_keys_than_listed_are_refused(
        self, members: list[PublicKeys]
    ) -> None:
        assert reason_of(B.as_listed, Directory(members)) == "READY_INVALID"

    def test_a_listed_kem_key_that_the_machine_lacks_is_refused(self) -> None:
        """Nobody falls back quietly to what a quantum computer could read later."""
        bare = SecretKeys("b", B._sign, B._exchange, None)
        assert reason_of(bare.as_listed, DIRECTORY) == "READY_INVALID"


class TestEncapsulation:
    def test_both_have_the_secret_and_nobody_chose_it(self) -> None:
        made, shared = encapsulate(A, B.public)
        assert (made.sender, made.receiver) == ("a", "b")
        assert len(made.ciphertext) == 1088
        assert opened(B, A.public, made) == shared
        assert len(shared) == 32
        assert encapsulate(A, B.public)[1] != shared

    def test_only_the_lower_label_sends(self) -> None:
        assert reason_of(encapsulate, B, A.public) == "INTERNAL_ERROR"
        assert reason_of(encapsulate, A, A.public) == "INTERNAL_ERROR"

    def test_without_a_listed_key_nothing_is_sent(self) -> None:
        assert reason_of(encapsulate, A, NO_KEM) == "INTERNAL_ERROR"

    def test_a_listed_key_that_is_none_is_refused(self) -> None:
        broken = dataclasses.replace(B.public, kem=b"\xff" * 1184)
        assert reason_of(encapsulate, A, broken) == "READY_INVALID"

    @pytest.mark.parametrize(
        "change",
        [
            {"ciphertext": encapsulate(A, B.public)[0].ciphertext},
            {"ciphertext": bytes(1088)},
            {"ciphertext": b""},
            {"signature": bytes(64)},
            {"signature": b""},
            {"sender": "c"},
            {"receiver": "c"},
        ],
    )
    def test_what_was_changed_on_the_way_is_refused(
        self, change: dict[str, Any]
    ) -> None:
        made, _ = encapsulate(A, B.public)
        wrong = dataclasses.replace(made, **change)
        assert reason_of(opened, B, A.public, wrong) == "READY_INVALID"

    def test_it_is_for_one_receiver_and_from_one_sender(self) -> None:
        made, _ = encapsulate(A, B.public)
        assert reason_of(opened, C, A.public, made) == "READY_INVALID"
        forged, _ = encapsulate(SecretKeys.from_seed("a", bytes(32)), B.public)
        assert reason_of(opened, B, A.public, forged) == "READY_INVALID"

    def test_it_is_for_one_key_of_the_receiver(self) -> None:
        """One that was made for a former key is not taken for a bad secret."""
        former = SecretKeys.from_seed("b", bytes(32))
        made, _ = encapsulate(A, former.public)
        assert reason_of(opened, B, A.public, made) == "READY_INVALID"

    def signed(self, by: SecretKeys, sender: str, receiver: SecretKeys) -> str:
        """Return why what *by* did sign is refused."""
        made = Encapsulation(
            sender=sender,
            receiver="x" if sender == "x" else receiver.label,
            ciphertext=encapsulate(A, B.public)[0].ciphertext,
            signature=b"",
        )
        signature = by.sign(made.body(receiver.public))
        made = dataclasses.replace(made, signature=signature)
        return reason_of(opened, receiver, by.public, made)

    def test_the_higher_label_cannot_send_even_if_it_signs(self) -> None:
        assert self.signed(B, "b", A) == "READY_INVALID"

    def test_other_names_than_those_of_the_pair_are_refused_even_if_signed(
        self,
    ) -> None:
        assert self.signed(A, "c", B) == "READY_INVALID"
        assert self.signed(A, "x", B) == "READY_INVALID"

    def test_who_has_no_listed_kem_key_cannot_send_even_if_it_signs(self) -> None:
        assert self.signed(A.without_kem(), "a", B) == "READY_INVALID"
        assert self.signed(A, "a", B.without_kem()) == "READY_INVALID"


class TestPairSecret:
    def test_both_sides_have_the_same(self) -> None:
        made, shared = encapsulate(A, B.public)
        digest = DIRECTORY.digest
        one = pair_secret(A, B.public, digest, shared)
        assert one == pair_secret(B, A.public, digest, opened(B, A.public, made))
        assert len(one) == 32

    def test_kem_is_used_exactly_if_both_list_it(self) -> None:
        assert uses_kem(A.public, B.public)
        assert not uses_kem(A.public, NO_KEM)
        assert not uses_kem(NO_KEM, A.public)

    def test_one_side_without_kem_still_gives_a_secret(self) -> None:
        listed = Directory([A.public, NO_KEM])
        bare = B.as_listed(listed)
        one = pair_secret(A, NO_KEM, listed.digest, None)
        assert one == pair_secret(bare, A.public, listed.digest, None)

    @pytest.mark.parametrize(
        ("own", "peer", "kem", "told"),
        [
            (A, B.public, None, "missing"),
            (B, A.public, None, "missing"),
            (A, B.public, b"", "missing"),
            (A, B.public, bytes(31), "missing"),
            (A, NO_KEM, bytes(32), "unexpected"),
        ],
    )
    def test_nobody_goes_on_with_less_or_more_than_is_listed(
        self, own: SecretKeys, peer: PublicKeys, kem: bytes | None, told: str
    ) -> None:
        with pytest.raises(RequisitionRefused) as caught:
            pair_secret(own, peer, DIRECTORY.digest, kem)
        assert caught.value.reason == "READY_INVALID"
        assert caught.value.metadata["kem"] == told

    def test_everything_that_goes_in_counts(self) -> None:
        shared, other = bytes(32), b"\1" * 32
        digest, later = DIRECTORY.digest, b"\1" * 32
        made = {
            pair_secret(A, B.public, digest, shared),
            pair_secret(A, B.public, digest, other),
            pair_secret(A, B.public, later, shared),
            pair_secret(A, C.public, digest, shared),
            pair_secret(C, B.public, digest, shared),
            pair_secret(A, NO_KEM, digest, None),
        }
        assert len(made) == 6


def test_where_openssl_lacks_ml_kem_there_is_no_such_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(seed: bytes) -> object:
        raise UnsupportedAlgorithm(f"no ML-KEM for {len(seed)} bytes")

    lacking = types.SimpleNamespace(
        MLKEM768PrivateKey=types.SimpleNamespace(from_seed_bytes=refuse)
    )
    monkeypatch.setattr(keys, "_ML_KEM", lacking)
    made = SecretKeys.from_seed("b", bytes(range(32)))
    monkeypatch.undo()
    assert made.public.kem is None
    with_kem = SecretKeys.from_seed("b", bytes(range(32)))
    assert made.public == dataclasses.replace(with_kem.public, kem=None)
    digest = Directory([A.public, made.public]).digest
    assert pair_secret(A, made.public, digest, None) == pair_secret(
        made, A.public, digest, None
    )
