# SPDX-License-Identifier: Apache-2.0
"""The members of one agreement with their keys, as the board signed them.

Hub and agencies build the same `Directory` from the same policies, and its digest is
part of everything that is signed in a round.
"""

from __future__ import annotations

from collections.abc import Iterator

from accord.core.members import exchange_bytes, kem_bytes
from accord.core.policy import Policy
from accord.secagg.keys import Directory, PublicKeys

_SIGN = "ed25519:"


def directory_of(policy: Policy) -> Directory:
    """Return the agreement's parties that can take part: those with keys.

    Raises:
        IntegrityError: MEMBERS_AMBIGUOUS, two parties have a key in common.
    """
    return Directory(_members(policy))


def _members(policy: Policy) -> Iterator[PublicKeys]:
    for label in policy.agreement.parties:
        member = policy.members.members.get(label)
        if member is None or member.key is None or member.exchange is None:
            continue
        yield PublicKeys(
            label=label,
            sign=bytes.fromhex(member.key.removeprefix(_SIGN)),
            exchange=exchange_bytes(member.exchange),
            kem=None if member.kem is None else kem_bytes(member.kem),
        )
