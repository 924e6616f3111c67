# SPDX-License-Identifier: Apache-2.0
"""Advice for boards, from what was released."""

from __future__ import annotations

from typing import Annotated

import typer

import accord.client as accord
from accord.client.advice import BoundAdvice, advise_bound, advise_from_archive
from accord.client.cli.options import (
    AgreementOption,
    AsJson,
    HubOption,
    ProfileOption,
    console,
    only_agreement,
    print_json,
)
from accord.client.tables import records_table

advise_app = typer.Typer(
    no_args_is_help=True, help="Advice for a board, from what was released."
)


@advise_app.callback()
def advise() -> None:
    """Advice for a board, from what was released."""


@advise_app.command()
def bound(
    releases: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Releases of one table; else the newest."),
    ] = None,
    *,
    agreement: AgreementOption = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show which bound on one person's groups would lead to which error."""
    with accord.connect(hub, profile=profile) as session:
        if releases:
            found = advise_bound([session.release(each) for each in releases])
        else:
            found = advise_from_archive(session, only_agreement(session, agreement))
    if as_json:
        print_json(found.as_json())
        return
    console.print(records_table(found.title, _rows(found)))
    for note in found.notes():
        console.print(note, soft_wrap=True)


def _rows(found: BoundAdvice) -> list[dict[str, object]]:
    persons = found.persons or float("nan")
    return [
        {
            "bound": f"{each.groups}{' *' if each is found.best else ''}",
            "noise": f"±{each.half_width:.3g}",
            "lost groups per person": _range(
                each.least_lost / persons,
                None if each.most_lost is None else each.most_lost / persons,
            ),
            "error of a figure": _range(each.least_error, each.most_error),
        }
        for each in found.choices
    ]


def _range(least: float, most: float | None) -> str:
    if most is None:
        return f"{least:.3g} or more"
    shown = f"{least:.3g}", f"{most:.3g}"
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"
