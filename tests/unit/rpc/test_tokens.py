# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import Unauthenticated
from accord.rpc.tokens import Token, TokenKind, mint, parse

tokens = st.builds(
    Token,
    st.sampled_from(TokenKind),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)


@given(tokens)
def test_a_token_survives_being_copied(token: Token) -> None:
    assert parse(f"  {token}\n") == token
    assert str(token).startswith(f"accord_{token.kind.value}1_")
    assert len(str(token)) == 97


@given(tokens, st.integers(0, 96), st.characters(codec="utf-8"))
def test_a_changed_letter_never_gives_the_same_secret(
    token: Token, place: int, letter: str
) -> None:
    text = str(token)
    changed = text[:place] + letter + text[place + 1 :]
    try:
        other = parse(changed)
    except Unauthenticated as error:
        assert error.reason == "TOKEN_MALFORMED"  # noqa: PT017  # both ends are right
    else:
        assert other != token or changed.strip() == text


@given(tokens, st.integers(1, 96))
def test_half_a_token_is_malformed(token: Token, length: int) -> None:
    with pytest.raises(Unauthenticated, match="Copy it again"):
        parse(str(token)[:length])


def test_the_secret_is_not_in_the_repr_nor_in_what_a_hub_stores() -> None:
    token = mint(TokenKind.ANALYST, bytes(32))
    assert str(token)[-43:] not in repr(token)
    assert repr(token.secret) not in repr(token)
    assert token.secret.hex() != token.secret_digest()
    assert len(token.secret_digest()) == 64


def test_only_its_own_digest_matches() -> None:
    token, other = (mint(TokenKind.ANALYST, bytes(32)) for _ in range(2))
    assert token.matches(token.secret_digest())
    assert not token.matches(other.secret_digest())


def test_a_token_of_the_other_kind_is_told_apart() -> None:
    token = mint(TokenKind.ANALYST, bytes(32))
    with pytest.raises(Unauthenticated, match="analyst's token") as caught:
        parse(str(token), TokenKind.ENROLMENT)
    assert caught.value.reason == "TOKEN_WRONG_KIND"


def test_a_fingerprint_of_another_length_cannot_be_minted() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint(TokenKind.ENROLMENT, bytes(20))
