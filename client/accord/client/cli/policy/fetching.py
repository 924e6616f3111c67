# SPDX-License-Identifier: Apache-2.0
"""``accord policy fetch``: what is in force, verified on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    notices,
    print_json,
)
from accord.client.cli.policy.asking import confirm
from accord.client.policy.desk import Desk, check_told, utc_now
from accord.client.policy.drafting import place_fetched
from accord.client.policy.hub_access import connect_board
from accord.core.messages import sentence
from accord.trust.metadata import BoardOfRoot


def fetch(
    folder: Annotated[Path, typer.Argument(help="Where to put the policies.")],
    *,
    board: Annotated[
        str | None,
        typer.Option(
            "--board", help="The board's six words, as a member told you; do not ask."
        ),
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Fetch what is in force and verify it; edited files stay as they are."""
    with connect_board(hub, profile) as access:
        desk = Desk(access)
        if not desk.is_confirmed():
            _confirm(desk, board)
            board = None
        view = desk.refresh(utc_now())
        kept = place_fetched(folder, desk.trusted.repository())
        shown = desk.board()
        if board is not None and shown is not None:
            check_told(board, shown.digest, shown.words)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "version": view.version,
                "board": shown.digest if shown else None,
                "words": shown.words if shown else None,
                "differs": list(kept),
                "fresh_until": view.fresh_until.isoformat(),
            }
        )
        return
    line = sentence("board.show.fetched", version=view.version, folder=folder)
    console.print(line, soft_wrap=True)
    for path in kept:
        console.print(f"  {sentence('board.show.kept', path=path)}", soft_wrap=True)


def _confirm(desk: Desk, told: str | None) -> None:
    shown = desk.shown_board()
    if told is None:
        _print_board(shown)
        confirm(sentence("board.ask.pin"))
        told = shown.digest
    desk.confirm(told)


def _print_board(shown: BoardOfRoot) -> None:
    names = ", ".join(member.name for member in shown.members)
    line = sentence(
        "board.show.board", board=shown.name, names=names, threshold=shown.threshold
    )
    notices.print(line, soft_wrap=True)
    notices.print(sentence("board.show.words", words=shown.words), soft_wrap=True)
    notices.print(shown.digest, soft_wrap=True)
