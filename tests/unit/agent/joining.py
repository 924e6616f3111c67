# SPDX-License-Identifier: Apache-2.0
"""Joining a hub in tests, with a board that somebody has confirmed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.network.enrol import Confirm, enrol
from accord.agent.network.identity import IdentityFiles, Membership
from accord.rpc.address import Address
from accord.trust.metadata import BoardOfRoot
from tests.policies import key
from tests.unit.rpc.hub_double import HubDouble


def believe(board: BoardOfRoot, known: bool) -> None:
    """Confirm any board."""
    assert board.words
    assert known in (True, False)


def join_now(
    files: IdentityFiles,
    address: Address,
    token: str,
    *,
    agency_key: Ed25519PrivateKey | None = None,
    policies: Path | None = None,
    confirm: Confirm = believe,
) -> Membership:
    """Enrol and wait for it; the policies lie beside the keys."""
    folder = policies or files.folder.parent / "policies"
    folder.mkdir(exist_ok=True)
    return enrol(
        files,
        address,
        token,
        agency_key=agency_key or key("agency"),
        policies=folder,
        confirm=confirm,
    )


async def join(
    hub: HubDouble,
    files: IdentityFiles,
    token: object,
    *,
    policies: Path | None = None,
    confirm: Confirm = believe,
) -> Membership:
    """Enrol while the hub of the test runs in this loop."""
    return await asyncio.to_thread(
        join_now,
        files,
        hub.public_address,
        str(token),
        policies=policies,
        confirm=confirm,
    )
