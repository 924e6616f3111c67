# SPDX-License-Identifier: Apache-2.0
"""Saved addresses and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.client import profile as profiles
from accord.client.cli.options import AsJson, console, print_json
from accord.client.tables import records_table
from accord.rpc.address import parse_address
from accord.rpc.tokens import TokenKind, parse

profile_app = typer.Typer(no_args_is_help=True, help="Saved addresses and tokens.")


@profile_app.command("add")
def add_profile(
    name: Annotated[str, typer.Argument()] = profiles.DEFAULT,
    *,
    hub: Annotated[str, typer.Option("--hub", prompt="Hub (HOST:PORT)")],
    token: Annotated[
        str,
        typer.Option("--token", prompt="Token", hide_input=True, envvar="ACCORD_TOKEN"),
    ],
    as_json: AsJson = False,
) -> None:
    """Save an address and a token; the token is asked for, so that it stays hidden."""
    parse_address(hub)
    parse(token, TokenKind.ANALYST)
    path = profiles.profiles_path()
    known = profiles.load_profiles(path)
    known[name] = profiles.Profile(hub=hub, token=token)
    profiles.save_profiles(path, known)
    if as_json:
        print_json({"saved": name, "file": str(path)})
        return
    console.print(f"saved profile {name} in {path}", soft_wrap=True)


@profile_app.command("list")
def list_profiles(*, as_json: AsJson = False) -> None:
    """List saved profiles, without their tokens."""
    known = profiles.load_profiles(profiles.profiles_path())
    records = [{"name": name, "hub": entry.hub} for name, entry in known.items()]
    if as_json:
        print_json({"profiles": records})
        return
    console.print(records_table("profiles", records))


@profile_app.command("remove")
def remove_profile(name: str, *, as_json: AsJson = False) -> None:
    """Forget a profile."""
    path: Path = profiles.profiles_path()
    known = profiles.load_profiles(path)
    if known.pop(name, None) is None:
        raise profiles.unknown_profile(name, known)
    profiles.save_profiles(path, known)
    if as_json:
        print_json({"removed": name})
