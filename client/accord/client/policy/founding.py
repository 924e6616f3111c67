# SPDX-License-Identifier: Apache-2.0
"""The first day of a board: its names, its keys, and policies to start from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import documents_in, sample_documents
from accord.client.policy.proposal_files import write_whole
from accord.core.board import load_board
from accord.core.errors import ConfigurationError, Conflict
from accord.core.policy import BOARD, MEMBERS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Founder:
    """One member of a new board."""

    name: str
    key: str
    organisation: str = ""


def board_text(
    *,
    board: str,
    threshold: int,
    members: Mapping[str, Founder],
    seats: Mapping[str, str],
) -> str:
    """Return a ``board.yaml``.

    Raises:
        DocumentError: with everything that is wrong, two names with one key included.
    """
    lines = [
        "# The board: whose keys sign every policy of this network. A decision needs",
        "# `threshold` signatures; a seat has a say that the others cannot outvote.",
        f"board: {_quoted(board)}",
        f"threshold: {threshold}",
        "members:",
    ]
    for label, member in members.items():
        lines += [f"  {_quoted(label)}:", f"    name: {_quoted(member.name)}"]
        if member.organisation:
            lines.append(f"    organisation: {_quoted(member.organisation)}")
        lines.append(f"    key: {_quoted(member.key)}")
    if seats:
        lines.append("seats:")
        lines += [f"  {_quoted(seat)}: {_quoted(who)}" for seat, who in seats.items()]
    text = "\n".join(lines) + "\n"
    load_board(text, BOARD)
    return text


def start_folder(
    folder: Path, board: str, *, network: str | None, from_samples: bool
) -> dict[str, bytes]:
    """Write a new board's folder and return its documents.

    What the folder already has stays; samples only fill what it lacks. The board is
    written last, so that a folder with ``board.yaml`` is whole.

    Raises:
        Conflict: BOARD_EXISTS.
        ConfigurationError: POLICIES_MISSING, FOLDER_UNREADABLE.
        DocumentError: ``members.yaml`` is wrong.
    """
    there = documents_in(folder) if folder.is_dir() else {}
    if BOARD in there and there[BOARD] != board.encode():
        raise Conflict(
            "BOARD_EXISTS",
            f"{folder / BOARD} is there already. A board is founded once; later it is "
            "changed: edit the file, then run `accord policy propose`.",
        )
    documents = {**sample_documents(), **there} if from_samples else dict(there)
    if MEMBERS not in documents:
        raise ConfigurationError(
            "POLICIES_MISSING",
            f"{folder} has no {MEMBERS}. Write one, or start from the samples with "
            "--from-samples.",
        )
    if network is not None:
        text = documents[MEMBERS].decode("utf-8", "replace")
        documents[MEMBERS] = enter_keys(text, network=network).encode()
    write_documents(folder, {p: c for p, c in documents.items() if there.get(p) != c})
    documents[BOARD] = board.encode()
    write_documents(folder, {BOARD: documents[BOARD]})
    return documents


def write_documents(folder: Path, documents: Mapping[str, bytes]) -> None:
    """Write *documents* below *folder*, each in one step.

    Raises:
        ConfigurationError: FOLDER_UNWRITABLE.
    """
    for path, content in documents.items():
        write_whole(folder / path, content)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
