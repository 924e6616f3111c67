# SPDX-License-Identifier: Apache-2.0
"""Commands about the databases that records are read from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import print_json, print_line, printable
from accord.agent.cli.sources import ModelOption
from accord.agent.mapping_file import mapping_from
from accord.agent.settings import SPARK
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery

if TYPE_CHECKING:
    from accord.agent.intake.mapping import Mapping

databases_app = typer.Typer(
    name="databases",
    help="Look at databases that records are read from, and at rights there.",
    no_args_is_help=True,
)

NameArgument = Annotated[
    str,
    typer.Argument(
        help="A database that config.toml names, below `databases`.", show_default=False
    ),
]


@databases_app.command("check")
def check_database(
    name: NameArgument, *, state: StateOption = None, as_json: AsJson = False
) -> None:
    """Connect to a database, and say what its user may do there."""
    from accord.agent.sources.access import access_to
    from accord.agent.sources.rights import rights

    opened = AgentState.open(state_root(state))
    found = rights(access_to(name, opened.settings().databases, opened.root))
    if as_json:
        readable = [
            {"table": one.name, "columns": one.columns} for one in found.readable
        ]
        print_json(
            console,
            {
                "database": name,
                "readable": readable,
                "beyond": list(found.beyond) if found.told else None,
            },
        )
        return
    print_line(console, f"The database {name!r} can be reached.")
    table = Table("table or view", "columns", title="may be read", title_justify="left")
    for one in found.readable:
        table.add_row(
            printable(one.name), "" if one.columns is None else str(one.columns)
        )
    console.print(table)
    if found.beyond:
        print_line(
            screen,
            f"Warning: this user may do more than read: {', '.join(found.beyond)}. "
            "The agent never writes there, but whoever steals its password could. "
            f"`accord-agent databases grants {name} --mapping FILE` prints the "
            "statements for a user that can only read.",
            "yellow",
        )
    elif found.told:
        print_line(console, "Its user can only read.")
    else:
        print_line(
            console,
            "A Spark cluster does not say what else its user may do: its catalogue's "
            "administrator knows.",
        )


@databases_app.command("grants")
def show_grants(
    name: NameArgument,
    *,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            "-m",
            help="Mapping file; a Spark cluster needs none.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the SQL for a user that can read what a mapping names, and no more.

    Of a Spark cluster, out of which no records are read: for the agent's own tables.
    """
    from accord.agent.sources.access import access_to
    from accord.agent.sources.grants import cluster_grants, grants

    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    access = access_to(name, settings.databases, opened.root)
    if access.kind == SPARK and mapping is None:
        lines = cluster_grants(access, settings.store.schema_name)
    else:
        read = _mapping_of(opened, name, mapping, model)
        lines = grants(access, read.form.source.table or "", read.columns)
    if as_json:
        statements = [line for line in lines if not line.startswith("--")]
        print_json(console, {"database": name, "statements": statements})
        return
    for line in lines:
        print_line(console, line)


def _mapping_of(
    state: AgentState, name: str, file: Path | None, model: Path | None
) -> Mapping:
    """Return a mapping that reads a table of the database."""
    if file is None:
        raise InvalidQuery(
            "SOURCES_WRONG",
            f"Name the mapping that reads a table of the database {name!r} with "
            "`--mapping`: its columns are what may be read.",
        )
    read = mapping_from(state, file, model)
    if read.form.source.table is None or read.form.source.database != name:
        raise InvalidQuery(
            "SOURCES_WRONG",
            f"{file.name} reads no table of the database {name!r}: write "
            f"`source: {{database: {name}, table: NAME}}` into it.",
        )
    return read
