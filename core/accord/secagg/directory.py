# SPDX-License-Identifier: Apache-2.0
"""The members of one agreement with their keys, as the board signed them.

Hub and agencies build the same `Directory` from the same policies, and its digest is
part of everything that is signed in a round.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final, NamedTuple

from accord.core.members import exchange_bytes, kem_bytes
from accord.core.policy import Policy
from accord.secagg.keys import Directory, PublicKeys

_SIGN: Final = "ed25519:"

_REMEMBERED: Final = 64
"""Lists of members; checking their keys takes as long as the rest of a step."""


class _Listed(NamedTuple):
    """What the board signed for one member."""

    label: str
    key: str
    exchange: str
    kem: str | None


def directory_of(policy: Policy) -> Directory:
    """Return the agreement's parties that can take part: those with keys.

    Raises:
        IntegrityError: MEMBERS_AMBIGUOUS, two parties have a key in common;
            MEMBER_KEYS_INVALID, a key of one of them is none.
    """
    return _directory(tuple(_listed(policy)))


def _listed(policy: Policy) -> Iterator[_Listed]:
    for label in policy.agreement.parties:
        member = policy.members.members.get(label)
        if member is None or member.key is None or member.exchange is None:
            continue
        yield _Listed(label, member.key, member.exchange, member.kem)


@functools.lru_cache(maxsize=_REMEMBERED)
def _directory(listed: tuple[_Listed, ...]) -> Directory:
    return Directory(
        PublicKeys(
            label=each.label,
            sign=bytes.fromhex(each.key.removeprefix(_SIGN)),
            exchange=exchange_bytes(each.exchange),
            kem=None if each.kem is None else kem_bytes(each.kem),
        )
        for each in listed
    )
