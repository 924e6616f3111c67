# SPDX-License-Identifier: Apache-2.0
"""Another key for the agency, which the board has to sign before it counts.

The board lists one key for an agency, so there is a moment at which it changes. Until
then the new key lies ready beside the one in use; the agent is switched over when the
board has signed, and enrols again, since its certificate was issued to the old one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from accord.agent.keys.files import make_key, read_key, replace_secret, write_secret
from accord.agent.state import AGENCY_KEY, AgentState
from accord.agent.store.durable import sync_directory
from accord.core.errors import PreconditionFailed
from accord.secagg.keys import PublicKeys, SecretKeys

NEXT_KEY = "agency-next.key"
"""Seed of the keys that the board is to list."""


def prepare_agency_key(state: AgentState) -> PublicKeys:
    """Return the public keys for the board to sign; made once, until they are used."""
    path = state.keys / NEXT_KEY
    if not path.exists():
        make_key(path)
    return SecretKeys.from_seed("", read_key(path)).public


def switch_agency_key(state: AgentState) -> Path:
    """Use the key that was prepared; return where the old one is kept.

    Cut off anywhere, there is a whole key in use, and the same call goes on.

    Raises:
        PreconditionFailed: KEY_NOT_PREPARED.
    """
    path, following = state.keys / AGENCY_KEY, state.keys / NEXT_KEY
    if not following.exists():
        raise PreconditionFailed(
            "KEY_NOT_PREPARED",
            f"There is no key in {following} to switch to. `accord-agent keys "
            "rotate-agency` makes one, which the board has to sign first.",
        )
    old, new = read_key(path), read_key(following)
    public = SecretKeys.from_seed("", old).public.sign
    kept = path.with_name(f"agency-{hashlib.sha256(public).hexdigest()[:16]}.key")
    if old != new:
        if not kept.exists():
            write_secret(kept, old)
        replace_secret(path, new)
    else:
        kept = path
    following.unlink()
    sync_directory(state.keys)
    return kept
