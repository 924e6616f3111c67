# SPDX-License-Identifier: Apache-2.0
"""Pictures of what was released, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import accord.client as accord
from accord.client.chart import Kind, chart, checked, save
from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    print_json,
)
from accord.core.errors import InvalidQuery


def plot(
    identifier: str,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File: .png, .svg or .html.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--kind", "-k", help="Else what fits the dimensions best."),
    ] = None,
    outlines: Annotated[
        Path | None,
        typer.Option("--map", help="GeoJSON with outlines of regions, for a map."),
    ] = None,
    named_by: Annotated[
        str,
        typer.Option(help="With --map: property with the names of regions."),
    ] = "name",
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Draw a release into a file, with its noise and all that goes with it."""
    if outlines is not None and kind not in {None, Kind.MAP}:
        raise InvalidQuery("OPTION_ALONE", "--map goes with --kind map only.")
    checked(out)
    with accord.connect(hub, profile=profile) as session:
        result = session.release(identifier)
    drawing = chart([result], kind, outlines=outlines, named_by=named_by)
    written = save(drawing, out)
    if as_json:
        print_json({"picture": str(written), "release": result.id})
        return
    console.print(f"{written}: {result.title()}; {result.coverage}", soft_wrap=True)
