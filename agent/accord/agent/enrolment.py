# SPDX-License-Identifier: Apache-2.0
"""Whose board is it: what staff compares before an agent believes any policy.

A hub could make up a board of its own and sign whatever it likes with its keys. So the
fingerprint is compared with what the board's members say in person, by telephone or on
paper, and never with what the hub says elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from accord.agent.network.enrol import Confirm
from accord.agent.options import typed_yes
from accord.agent.screens import print_line
from accord.agent.state import AgentState
from accord.core.errors import PolicyDenied
from accord.trust.metadata import BoardOfRoot
from accord.trust.trusted import Trusted


def require_way_to_confirm(
    state: AgentState, board: str | None, *, may_ask: bool
) -> None:
    """Raise where nobody could confirm the board, before a token is shown to anybody.

    Raises:
        PolicyDenied: BOARD_NOT_CONFIRMED.
    """
    pinned = Trusted(state.policies, None).pinned() is not None
    if board is None and not may_ask and not pinned:
        raise PolicyDenied(
            "BOARD_NOT_CONFIRMED",
            "Somebody has to confirm which board signs this hub's policies: run the "
            "command in a terminal, or give --board with the six words or the "
            "fingerprint that a member of the board told you. Nothing was sent.",
        )


def board_check(given: str | None, screen: Console) -> Confirm:
    """Return how a board is confirmed: by what was given, or by asking.

    Args:
        given: six words or fingerprint.
        screen: where the board is shown and the question is asked.
    """

    def confirm(board: BoardOfRoot, known: bool) -> None:  # noqa: FBT001 - a callback
        if given is not None:
            _require_same(given, board)
        elif not known:
            _ask(board, screen)

    return confirm


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


def _ask(board: BoardOfRoot, screen: Console) -> None:
    for line in describe(board):
        print_line(screen, line)
    print_line(
        screen,
        "Compare the words with a member of the board, by another way than through "
        "this hub.",
    )
    if not typed_yes("Are they the same?"):
        raise PolicyDenied(
            "BOARD_NOT_CONFIRMED",
            "The board was not confirmed. Nothing was pinned and this agency has not "
            "joined; the same token can be used again.",
        )
