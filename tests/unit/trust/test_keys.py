# SPDX-License-Identifier: Apache-2.0
"""Keys as text and in files, digests as words, the hub's word that all is fresh."""

from __future__ import annotations

import datetime
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import (
    AccordError,
    ConfigurationError,
    InvalidQuery,
    Unauthenticated,
)
from accord.trust import keys
from accord.trust.freshness import LIFETIME, freshen, needs_freshening
from accord.trust.keys import new_key, public_text, raw_public, seal, text_of, unseal
from accord.trust.words import six_words
from tests.policies import key
from tests.unit.trust.simulator import FRESHNESS, TIMESTAMP, World


@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_survives_as_text(raw: bytes) -> None:
    assert raw_public(public_text(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ["", "ed25519:", "ed25519:" + "A" * 64, "rsa:" + "a" * 64, "ed25519:" + "a" * 65],
)
def test_a_text_that_is_no_key(text: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        raw_public(text)
    assert caught.value.reason == "KEY_INVALID"


def test_a_key_of_another_length() -> None:
    with pytest.raises(InvalidQuery):
        public_text(b"short")


class TestSealed:
    def test_the_right_passphrase(self) -> None:
        private = new_key()
        pem = seal(private, "pässphrase".encode())
        assert text_of(unseal(pem, "pässphrase".encode(), "f")) == text_of(private)

    @pytest.mark.parametrize("passphrase", [b"", b"wrong"])
    def test_a_wrong_passphrase(self, passphrase: bytes) -> None:
        with pytest.raises(Unauthenticated) as caught:
            unseal(seal(new_key(), b"right"), passphrase, "alice.key")
        assert caught.value.reason == "PASSPHRASE_WRONG"

    def test_a_wrong_passphrase_whose_padding_looks_right(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One in 256 does; the library then speaks of a damaged key."""
        pem = seal(new_key(), b"right")
        real = load_pem_private_key

        def load(content: bytes, passphrase: bytes) -> object:
            if passphrase == b"wrong":
                raise ValueError("Could not deserialize key data.")
            return real(content, passphrase)

        monkeypatch.setattr(keys, "load_pem_private_key", load)
        with pytest.raises(Unauthenticated) as caught:
            unseal(pem, b"wrong", "alice.key")
        assert caught.value.reason == "PASSPHRASE_WRONG"

    def test_no_passphrase(self) -> None:
        with pytest.raises(InvalidQuery) as caught:
            seal(new_key(), b"")
        assert caught.value.reason == "PASSPHRASE_EMPTY"

    @pytest.mark.parametrize(
        "content", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\n"]
    )
    def test_something_else(self, content: bytes) -> None:
        with pytest.raises(ConfigurationError) as caught:
            unseal(content, b"right", "alice.key")
        assert caught.value.reason == "KEY_UNREADABLE"

    @given(st.integers(0, 400), st.integers(0, 255))
    def test_damage_is_an_error_of_ours(self, place: int, value: int) -> None:
        pem = bytearray(_SEALED)
        pem[place % len(pem)] = value
        try:
            unseal(bytes(pem), b"right", "alice.key")
        except AccordError:
            return


_SEALED = seal(key("sealed"), b"right")


class TestWords:
    """Vectors made by hand from the list of BIP-39."""

    @pytest.mark.parametrize(
        ("digest", "words"),
        [
            ("00" * 32, "abandon abandon abandon abandon abandon abandon"),
            ("ff" * 32, "zoo zoo zoo zoo zoo zoo"),
            # places 1 to 6 of the list, in eleven bits each
            (
                "0020080180400a018000" + "0" * 44,
                "ability able about above absent absorb",
            ),
            # only what follows the first 66 bits differs
            (
                "0020080180400a01bfff" + "f" * 44,
                "ability able about above absent absorb",
            ),
        ],
    )
    def test_vectors(self, digest: str, words: str) -> None:
        assert six_words(digest) == words

    @given(st.binary(min_size=32, max_size=32), st.integers(0, 65))
    def test_every_one_of_66_bits_counts(self, raw: bytes, bit: int) -> None:
        number = int.from_bytes(raw) ^ (1 << (255 - bit))
        assert six_words(raw.hex()) != six_words(number.to_bytes(32).hex())

    @pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64])
    def test_something_else(self, digest: str) -> None:
        with pytest.raises(InvalidQuery) as caught:
            six_words(digest)
        assert caught.value.reason == "DIGEST_INVALID"


class TestFreshness:
    def test_the_timestamp_always_rises(self) -> None:
        world = World()
        versions = []
        for _ in range(3):
            world.files |= freshen(
                world.repository, FRESHNESS, now=world.now, previous=world.files
            )
            versions.append(json.loads(world.files[TIMESTAMP])["signed"]["version"])
        assert versions == sorted(set(versions))

    def test_a_clock_that_was_set_back(self) -> None:
        world = World()
        first = json.loads(world.files[TIMESTAMP])["signed"]["version"]
        world.now -= datetime.timedelta(days=30)
        world.vouch()
        assert json.loads(world.files[TIMESTAMP])["signed"]["version"] == first + 1

    def test_the_snapshot_is_the_same_for_the_same_policies(self) -> None:
        world = World()
        (name,) = [each for each in world.files if each.endswith(".snapshot.json")]
        before = world.files[name]
        world.vouch()
        assert world.files[name] == before

    def test_a_timestamp_is_renewed_at_half_its_life(self) -> None:
        world = World()
        made = world.now
        assert not needs_freshening(world.files[TIMESTAMP], made)
        assert not needs_freshening(world.files[TIMESTAMP], made + LIFETIME / 2)
        later = made + LIFETIME / 2 + datetime.timedelta(seconds=1)
        assert needs_freshening(world.files[TIMESTAMP], later)

    def test_another_hubs_key(self) -> None:
        world = World()
        with pytest.raises(ConfigurationError) as caught:
            freshen(world.repository, key("other"), now=world.now)
        assert caught.value.reason == "FRESHNESS_KEY_OTHER"
