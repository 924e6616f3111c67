# SPDX-License-Identifier: Apache-2.0
"""The state directory: who can read it, and whether everything is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from accord.agent.doctor.finding import Finding, from_error, ok, warning, wrong
from accord.agent.keys.files import read_secret
from accord.agent.keys.marker import SEALED
from accord.agent.rotation.note import rotation_note
from accord.agent.rotation.standing import require_keys
from accord.agent.rounds import fence
from accord.agent.rounds.sealing import AUDIT_KEY
from accord.agent.settings import load_settings
from accord.agent.state import AGENCY_KEY, PSEUDONYM_KEY, STORE_KEY, AgentState
from accord.core.errors import AccordError

SECRETS = (PSEUDONYM_KEY, STORE_KEY, AGENCY_KEY)


def state_directory(state: AgentState) -> Iterator[Finding]:
    """Say whether there is a state, and whether it is this user's alone."""
    root = state.root
    if not state.is_set_up():
        yield wrong(
            "state",
            f"There is no agent in {root}.",
            "Set one up with `accord-agent init`, or name its directory with --state.",
        )
        return
    try:
        AgentState.open(root)
    except AccordError as error:
        yield from_error("state", error)
    else:
        yield _owner(root)
    yield _ledger(state)


def _owner(root: Path) -> Finding:
    if sys.platform != "win32" and root.stat().st_uid != os.geteuid():
        return wrong(
            "state",
            f"{root} belongs to another user than the one who runs this command.",
            "Run the agent as its owner, such as with `runuser -u accord-agent --`.",
        )
    return ok("state", f"{root} is its owner's alone.")


def _ledger(state: AgentState) -> Finding:
    try:
        with state.ledger() as connection:
            standing = fence.standing(state, connection)
    except AccordError as error:
        return from_error("ledger", error)
    if standing.restored:
        return wrong(
            "ledger",
            "This state is an older copy, or its file state.sequence is gone: nothing "
            "is answered.",
            "If somebody restored it, run `accord-agent confirm-restore`.",
        )
    return ok("ledger", "The agency's own ledger can be read and is the newest.")


def keys(state: AgentState) -> Iterator[Finding]:
    """Say whether the keys are there and nobody else's to read."""
    if not state.keys.is_dir():
        return
    bad = False
    present = sorted(path for path in state.keys.iterdir() if path.is_file())
    for path in dict.fromkeys([*(state.keys / name for name in SECRETS), *present]):
        try:
            read_secret(path)
        except AccordError as error:
            bad = True
            yield from_error("keys", error)
    if not bad:
        try:
            require_keys(state)
        except AccordError as error:
            bad = True
            yield from_error("keys", error)
    if rotation_note(state).exists():
        yield warning(
            "keys",
            "A rotation of the pseudonym and the store key is not finished.",
            "If none is running, `accord-agent keys rotate-pseudonyms` finishes it.",
        )
    if not bad:
        form = ", sealed" if (state.keys / SEALED).exists() else ""
        yield ok(
            "keys", f"The keys are there{form}, and only their owner can read them."
        )
    if (state.keys / AUDIT_KEY).exists():
        yield ok(
            "audit key",
            f"{AUDIT_KEY} lies beside the other keys. It is needed for audits only, "
            "and may be moved to a place of its own.",
        )


def settings(config: Path) -> Finding:
    """Say whether all settings are known, those of the environment too."""
    try:
        found = load_settings(config)
    except AccordError as error:
        return from_error("settings", error)
    if found.unsafe_test_mode:
        return wrong(
            "settings",
            "unsafe_test_mode is on: the agency's own caps are lifted.",
            "Take it out of config.toml and of the environment.",
        )
    return ok("settings", "Settings and environment variables are all known.")
