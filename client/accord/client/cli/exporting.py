# SPDX-License-Identifier: Apache-2.0
"""Writing releases to a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

import accord.client as accord
from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    notices,
    print_json,
)


def export(
    identifiers: Annotated[
        list[str],
        typer.Argument(
            metavar="ID...",
            help="Of a release, or of several that have their columns in common.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="FILE.csv, FILE.parquet or FILE.xlsx; is replaced."
        ),
    ],
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for each at most.")
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Write releases, by their ids, to one file with notes and citation lines."""
    with accord.connect(hub, profile=profile) as session:
        results = {
            result.id: result
            for result in (
                session.release(each, timeout=timeout) for each in identifiers
            )
        }
    first, *others = results.values()
    if others:
        together = _together(first, *others)
        files, citations = together.export(out), together.citations()
    else:
        files, citations = first.export(out), [first.citation()]
    if as_json:
        print_json(
            {
                "releases": list(results),
                "files": [str(file) for file in files],
                "citations": citations,
            }
        )
        return
    for file in files:
        console.print(f"wrote {file}", soft_wrap=True)
    for line in citations:
        console.print(f"cite as: {line}", soft_wrap=True)


def _together(*results: accord.Result) -> accord.Releases:
    """Put releases under each other; that other agencies answered is said in words."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", accord.PartialCoverageWarning)
        together = accord.concat(*results)
    for each in said:
        notices.print(str(each.message), soft_wrap=True)
    return together
