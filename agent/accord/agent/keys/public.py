# SPDX-License-Identifier: Apache-2.0
"""The agency's public keys, as the board lists them."""

from __future__ import annotations

from collections.abc import Iterator

from accord.core.members import exchange_text, kem_text
from accord.secagg.keys import PublicKeys
from accord.trust.keys import public_text


def key_lines(public: PublicKeys) -> Iterator[str]:
    """Yield what the board enters for an agency, one entry a line."""
    yield f"key: {public_text(public.sign)}"
    yield f"exchange: {exchange_text(public.exchange)}"
    if public.kem is not None:
        yield f"kem: {kem_text(public.kem)}"


def keys_json(public: PublicKeys) -> dict[str, str | None]:
    """Return the same for machines."""
    return {
        "agency_key": public_text(public.sign),
        "exchange": exchange_text(public.exchange),
        "kem": None if public.kem is None else kem_text(public.kem),
    }
