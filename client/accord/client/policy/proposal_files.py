# SPDX-License-Identifier: Apache-2.0
"""Proposals as files, to pass on by mail or on a stick."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from accord.core.errors import ConfigurationError
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file

LARGEST_PROPOSAL = 3_000_000
"""Bytes, as the hub takes them."""


def read_proposal(path: Path) -> Proposal:
    """Read and verify a proposal.

    Raises:
        ConfigurationError: PROPOSAL_UNREADABLE.
        AccordError: it is malformed or was tampered with.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_PROPOSAL + 1)
    except OSError:
        raise ConfigurationError(
            "PROPOSAL_UNREADABLE", f"There is no proposal {path} that can be read."
        ) from None
    if len(content) > LARGEST_PROPOSAL:
        raise ConfigurationError(
            "PROPOSAL_UNREADABLE", f"{path} is too large to be a proposal."
        )
    return from_file(content, str(path))


def write_proposal(path: Path, proposal: Proposal) -> None:
    """Write a proposal in one step: a signature is there wholly, or not at all.

    Raises:
        ConfigurationError: FOLDER_UNWRITABLE.
    """
    write_whole(path, to_file(proposal))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step, and make it last.

    Raises:
        ConfigurationError: FOLDER_UNWRITABLE.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError:
        raise ConfigurationError(
            "FOLDER_UNWRITABLE", f"{path} cannot be written."
        ) from None


def file_name(proposal: Proposal) -> str:
    """Return what the file of a proposal is called: its first two words."""
    return f"proposal-{'-'.join(proposal.words.split()[:2])}.json"
