# SPDX-License-Identifier: Apache-2.0
"""Writing a release to a file."""

from __future__ import annotations

from pathlib import Path
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


def export(
    identifier: str,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="FILE.csv, FILE.parquet or FILE.xlsx; is replaced."
        ),
    ],
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.")
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a release, by its id, to a file with notes and a citation line."""
    with accord.connect(hub, profile=profile) as session:
        result = session.release(identifier, timeout=timeout)
    files = result.export(out)
    if as_json:
        print_json(
            {
                "release": result.id,
                "files": [str(file) for file in files],
                "citation": result.citation(),
            }
        )
        return
    for file in files:
        console.print(f"wrote {file}", soft_wrap=True)
    console.print(f"cite as: {result.citation()}", soft_wrap=True)
