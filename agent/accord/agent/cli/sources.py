# SPDX-License-Identifier: Apache-2.0
"""Commands that read sources: ``check``, ``ingest`` and ``remove``.

DuckDB and drivers of databases are loaded when one of them runs, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import (
    print_json,
    print_line,
    show_parts,
    show_report,
)
from accord.agent.mapping_file import mapping_from
from accord.agent.state import AgentState, state_root

MappingOption = Annotated[
    Path, typer.Option("--mapping", "-m", help="Mapping file.", show_default=False)
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="Data model file; else that of the agreement, else the sample.",
        show_default=False,
    ),
]
Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files, together one source; none where the mapping names a table.",
        metavar="SOURCE…",
        show_default=False,
    ),
]


def check(
    sources: Sources = None,
    *,
    mapping: MappingOption,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what a mapping would make of a source; nothing is stored."""
    from accord.agent.cli.bars import bars_on
    from accord.agent.intake.ingest import check as check_sources

    opened = AgentState.open(state_root(state))
    limits = opened.settings().ingest
    with bars_on(screen) as progress:
        report = check_sources(
            opened,
            mapping_from(opened, mapping, model),
            sources or [],
            limits,
            progress=progress,
        )
    if as_json:
        print_json(console, report.as_json())
        return
    show_report(console, report)
    print_line(console, "Nothing was stored.")


def ingest(
    sources: Sources = None,
    *,
    mapping: MappingOption,
    model: ModelOption = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Read all rows, also where the mapping tells how to find what "
            "changed.",
        ),
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Store what a mapping makes of a source, in the place of its earlier part."""
    from accord.agent.cli.bars import bars_on
    from accord.agent.intake.ingest import ingest as ingest_sources

    opened = AgentState.open(state_root(state))
    limits = opened.settings().ingest
    with bars_on(screen) as progress:
        done = ingest_sources(
            opened,
            mapping_from(opened, mapping, model),
            sources or [],
            limits,
            utc_now(),
            everything=everything,
            progress=progress,
        )
    if as_json:
        content = {
            "report": done.report.as_json(),
            "parts": [each.as_json() for each in done.parts],
        }
        print_json(console, content)
        return
    show_report(console, done.report)
    show_parts(console, done.parts)


def remove(
    part: Annotated[str, typer.Argument(metavar="PART", help="Name of its mapping.")],
    *,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove what a mapping has stored; frozen editions keep it."""
    from accord.agent.intake.ingest import remove as remove_from_store

    opened = AgentState.open(state_root(state))
    left = remove_from_store(opened, part, opened.settings().ingest, utc_now())
    if as_json:
        print_json(console, {"parts": [each.as_json() for each in left]})
        return
    show_parts(console, left)
