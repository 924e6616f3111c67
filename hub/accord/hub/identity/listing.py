# SPDX-License-Identifier: Apache-2.0
"""Whether the board lists an agency, with the very key that it proved to hold."""

from __future__ import annotations

from accord.core.errors import PolicyDenied
from accord.core.members import MembersForm


def require_listed(members: MembersForm, agency: str, key: str) -> None:
    """Refuse an agency that the board does not list, or lists with another key.

    Raises:
        PolicyDenied: MEMBER_UNKNOWN, MEMBER_KEY_UNLISTED.
    """
    error = fault(members, agency, key)
    if error is not None:
        raise error


def fault(members: MembersForm, agency: str, key: str) -> PolicyDenied | None:
    """Return why an agency is not, or no longer, let in; nothing if it is."""
    member = members.members.get(agency)
    if member is None:
        return PolicyDenied(
            "MEMBER_UNKNOWN",
            f"{agency!r} is not in members.yaml, or not any more: talk to the board.",
            agency=agency,
        )
    if member.key != key:
        return PolicyDenied(
            "MEMBER_KEY_UNLISTED",
            f"The board lists {'another' if member.key else 'no'} key for {agency!r} in"
            f" members.yaml: ask it to list {key}, or enrol with the key that it lists."
            " An unused token still works.",
            agency=agency,
        )
    return None
