# SPDX-License-Identifier: Apache-2.0
"""The command ``enrol``: an agency joins a hub and pins the board that it believes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.screens import print_json, print_line
from accord.agent.enrolment import describe, named_board
from accord.agent.network.enrol import enrol as join_hub
from accord.agent.network.identity import IdentityFiles
from accord.agent.state import AgentState, state_root
from accord.core.errors import PolicyDenied
from accord.rpc.address import parse_address
from accord.trust.metadata import BoardOfRoot
from accord.trust.trusted import Trusted

FROM_INPUT = "-"
"""In the place of a token, which else can be seen in the list of processes."""


def enrol(
    *,
    hub: Annotated[
        str, typer.Option(help="The hub, as HOST:PORT.", show_default=False)
    ],
    token: Annotated[
        str,
        typer.Option(
            help="One-time token from the hub's operator; - reads it from input.",
            show_default=False,
        ),
    ],
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            help="Six words or fingerprint of the board, as its members told you; "
            "confirms it without asking.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Join a hub with a one-time token, and pin the board that signs its policies."""
    address = parse_address(hub)
    made = AgentState.create(state_root(state))
    may_ask = sys.stdin.isatty() and token != FROM_INPUT and not as_json
    _require_way_to_confirm(made, board, may_ask=may_ask)
    text = sys.stdin.readline().strip() if token == FROM_INPUT else token
    membership = join_hub(
        IdentityFiles(made.keys),
        address,
        text,
        agency_key=made.agency_key(),
        policies=made.policies,
        confirm=_asked_board if board is None else named_board(board),
    )
    found = {"agency": membership.agency, "hub": str(membership.hub)}
    if as_json:
        print_json(console, found)
        return
    print_line(console, f"This agent is now {found['agency']!r} at {found['hub']}.")
    ingested = made.current.is_symlink()
    first = "" if ingested else "`accord-agent ingest`, then "
    print_line(console, f"Next: {first}`accord-agent run`.")


def _require_way_to_confirm(
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


def _asked_board(board: BoardOfRoot, known: bool) -> None:
    if not known:
        _ask(board)


def _ask(board: BoardOfRoot) -> None:
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
