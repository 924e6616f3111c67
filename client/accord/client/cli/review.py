# SPDX-License-Identifier: Apache-2.0
"""Reviewers: releases that wait, and what is decided about them."""

from __future__ import annotations

from typing import Annotated

import typer

import accord.client as accord
from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    print_json,
)
from accord.client.moments import spoken
from accord.client.tables import with_notes

review_app = typer.Typer(
    no_args_is_help=True,
    help="Look at releases before they are published, where an agreement names you.",
)

Release = Annotated[str, typer.Argument(metavar="ID", help="Of the release.")]


@review_app.command("list")
def list_waiting(
    *, hub: HubOption = None, profile: ProfileOption = None, as_json: AsJson = False
) -> None:
    """List the releases that wait for you, oldest first."""
    with accord.connect(hub, profile=profile) as session:
        found = session.reviews.waiting()
    if as_json:
        print_json({"held": [each.as_json() for each in found]})
        return
    if not found:
        console.print("no release waits for you")
        return
    for each in found:
        console.print(each.id)
        console.print(f"  {each.title()} ({each.agreement})", soft_wrap=True)
        console.print(
            f"  asked by {each.analyst} ({each.organisation}) for {each.purpose}",
            soft_wrap=True,
        )
        console.print(f"  waits since {spoken(each.held_at)}")
    console.print("look at one with: accord review show ID")


@review_app.command()
def show(
    identifier: Release,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a release as it would be published, and how to decide."""
    with accord.connect(hub, profile=profile) as session:
        found, figures = session.reviews.look(identifier)
    if as_json:
        print_json({"held": found.as_json(), "release": figures.as_json()["release"]})
        return
    console.print(
        f"Asked by {found.analyst} ({found.organisation}) for {found.purpose}; waits"
        f" since {spoken(found.held_at)}.",
        soft_wrap=True,
    )
    console.print(with_notes(figures))
    console.print(
        "The loss is charged whatever you decide, and a decision is final.\n"
        f"publish it as it is here: accord review let-go {found.id}\n"
        f"keep it back for ever:    accord review keep-back {found.id} --reason REASON",
        soft_wrap=True,
    )


@review_app.command("let-go")
def let_go(
    identifier: Release,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Publish a release, because nothing in it stands out."""
    with accord.connect(hub, profile=profile) as session:
        found = session.reviews.let_go(identifier)
    if as_json:
        print_json({"held": found.as_json(), "let_go": True, "reason": "no-concern"})
        return
    console.print(
        f"let go: {found.title()} is published, and {found.analyst} can read it",
        soft_wrap=True,
    )


@review_app.command("keep-back")
def keep_back(
    identifier: Release,
    *,
    reason: Annotated[
        accord.Reason,
        typer.Option(
            help="It could identify a person or a small group, could endanger victims"
            " or staff, is outside the purpose that was named, would be misleading, or"
            " is forbidden now by law or for an investigation."
        ),
    ],
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Keep a release back for ever; who asked is told so, and never why."""
    with accord.connect(hub, profile=profile) as session:
        found = session.reviews.keep_back(identifier, reason)
    if as_json:
        print_json({"held": found.as_json(), "let_go": False, "reason": reason.value})
        return
    console.print(
        f"kept back: {found.title()}; the loss stays charged, and the question is not"
        " asked again under this version of the agreement",
        soft_wrap=True,
    )
