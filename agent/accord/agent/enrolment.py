# SPDX-License-Identifier: Apache-2.0
"""Whose board is it: what staff compares before an agent believes any policy.

A hub could make up a board of its own and sign whatever it likes with its keys. So the
fingerprint is compared with what the board's members say in person, by telephone or on
paper, and never with what the hub says elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from accord.agent.network.enrol import Confirm
from accord.core.errors import PolicyDenied
from accord.trust.metadata import BoardOfRoot


def named_board(given: str) -> Confirm:
    """Return how a board is confirmed by what its members said.

    Args:
        given: six words or fingerprint.
    """
    return lambda board, _known: _require_same(given, board)


def describe(board: BoardOfRoot) -> Iterator[str]:
    """Yield the lines that name a board and its fingerprint.

    Nobody has vouched for the names yet: what could rewrite a terminal is left out.
    """
    yield (
        f"The policies of the network {board.network!r} are signed by the board "
        f"{board.name!r}: {board.threshold} of these {len(board.members)} members."
    )
    for member in board.members:
        where = f", {member.organisation}" if member.organisation else ""
        line = f"{member.label}: {member.name}{where}"
        yield "  " + "".join(each if each.isprintable() else "?" for each in line)
    yield f"Fingerprint: {board.digest}"
    yield f"In words:    {board.words}"


def _require_same(given: str, board: BoardOfRoot) -> None:
    words = " ".join(given.split()).casefold()
    if words == board.words or words.replace(" ", "") == board.digest:
        return
    raise PolicyDenied(
        "BOARD_DIFFERS",
        f"The hub's board has another fingerprint than the one given: {board.words} "
        f"({board.digest}). Nothing was pinned and this agency has not joined. Ask a "
        "member of the board for its words; if they are the ones given, tell the "
        "member what you saw here.",
    )
