# SPDX-License-Identifier: Apache-2.0
"""Why a change of policies is not taken, or a signed file not given."""

from __future__ import annotations

from accord.core.errors import Conflict, NotFound, PreconditionFailed
from accord.core.members import HubForm


def outdated() -> Conflict:
    """Return the refusal of a change to what is no longer in force."""
    return Conflict(
        "PROPOSAL_OUTDATED",
        "The proposal changes policies that are no longer in force: propose it again on"
        " top of those that are.",
    )


def hub_keys_differ(keys: HubForm) -> PreconditionFailed:
    """Return the refusal of policies that are for a hub with other keys."""
    return PreconditionFailed(
        "HUB_KEYS_DIFFER",
        "The keys under `hub:` in members.yaml are not those of this hub; the board has"
        f" to list key {keys.key} and freshness {keys.freshness}, as `accord-hub keys`"
        " prints them.",
    )


def unknown_file() -> NotFound:
    """Return the refusal of a file that is not there, or not for the caller."""
    return NotFound("POLICY_UNKNOWN", "There is no signed file of that name for you.")
