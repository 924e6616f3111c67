# SPDX-License-Identifier: Apache-2.0
"""Digests that two people can compare by telephone."""

from __future__ import annotations

import functools
import re
from typing import Final

from mnemonic import Mnemonic

from accord.core.errors import InvalidQuery

WORDS: Final = 6
_BITS: Final = 11
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@functools.cache
def _word_list() -> tuple[str, ...]:
    """Return the English list of BIP-39: 2048 words, no two with the same start."""
    return tuple(Mnemonic("english").wordlist)


def six_words(digest_hex: str) -> str:
    """Return the first 66 bits of a SHA-256 as six words.

    Raises:
        InvalidQuery: DIGEST_INVALID
    """
    if _DIGEST.fullmatch(digest_hex) is None:
        raise InvalidQuery(
            "DIGEST_INVALID", "A digest has 64 hexadecimal digits in lower case."
        )
    first = int(digest_hex, 16) >> (256 - WORDS * _BITS)
    places = (first >> (_BITS * place) for place in reversed(range(WORDS)))
    return " ".join(_word_list()[each % (1 << _BITS)] for each in places)
