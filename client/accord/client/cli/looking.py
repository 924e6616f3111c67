# SPDX-License-Identifier: Apache-2.0
"""What may be asked, and what is left to spend."""

from __future__ import annotations

from typing import Annotated

import typer

import accord.client as accord
from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    only_agreement,
    print_json,
)
from accord.client.tables import budget_table, records_table


def agreements(
    *, hub: HubOption = None, profile: ProfileOption = None, as_json: AsJson = False
) -> None:
    """List the agreements under which you may ask."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreements()
    records = [
        {
            "name": summary.name,
            "version": summary.version,
            "purposes": list(summary.purposes),
            "parties": list(summary.parties),
            "valid_from": summary.valid_from,
            "valid_until": summary.valid_until,
            "accounting": summary.accounting,
        }
        for summary in found
    ]
    if as_json:
        print_json({"agreements": records})
        return
    shown = [
        record
        | {name: ", ".join(_words(record[name])) for name in ("purposes", "parties")}
        for record in records
    ]
    console.print(records_table("agreements", shown))


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else [str(value)]


def describe(
    name: str,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what an agreement lets you ask."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreement(name).describe()
    if as_json:
        print_json(found.as_json())
        return
    console.print(f"{found.summary.name} version {found.summary.version}", style="bold")
    console.print(f"measures: {', '.join(found.measures)}")
    console.print(f"purposes: {', '.join(found.summary.purposes)}")
    console.print(f"editions: {', '.join(found.editions) or 'none yet'}")
    console.print(
        f"at most {found.at_most_dimensions} dimensions; one release may cost up to "
        f"ε = {found.each_release_epsilon:g} (δ = {found.delta:g})"
    )
    if phrase := found.review.phrase():
        console.print(f"review: {phrase}", soft_wrap=True)
    console.print(
        records_table(
            "dimensions",
            [
                {
                    "dimension": dimension.name,
                    "level": level,
                    "values": len(values),
                    "such as": ", ".join(values[:6]),
                }
                for dimension in found.dimensions
                for level, values in dimension.levels.items()
            ],
        )
    )


def budget(
    agreement: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what is spent and what is left."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreement(only_agreement(session, agreement)).budget()
    if as_json:
        print_json(found.as_json())
        return
    console.print(budget_table(found.accounts))
