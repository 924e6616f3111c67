# SPDX-License-Identifier: Apache-2.0
"""``accord board``: the page for members of a board."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, console, print_json
from accord.client.profile import DEFAULT
from accord.core.messages import sentence


def board(
    *,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Else one that is free.")
    ] = 0,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Else its address."),
    ] = True,
    launcher: Annotated[
        bool,
        typer.Option("--launcher", help="Write something to double-click, and end."),
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", help="Name of a saved profile.")
    ] = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Open a page on this machine to read, compare and sign agreements."""
    if launcher:
        _write_launcher(as_json=as_json)
        return
    from accord.client.board.running import Board
    from accord.rpc.loopback.launching import launched

    page = Board(profile, port)
    with launched(page.home.session, page.port, browser=browser) as opened:
        if as_json:
            print_json({"port": page.port, "address": None if opened else page.address})
        elif opened:
            console.print(sentence("board.launcher.open"))
        else:
            console.print(sentence("board.launcher.address"))
            console.print(page.address, soft_wrap=True)
        sys.stdout.flush()
        page.run()


def _write_launcher(*, as_json: bool) -> None:
    from accord.client.board.launcher import write_launcher

    path = write_launcher()
    if as_json:
        print_json({"launcher": str(path)})
        return
    way = "menu" if path.suffix == ".desktop" else "file"
    console.print(sentence(f"board.launcher.{way}", path=path), soft_wrap=True)
