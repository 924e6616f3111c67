# SPDX-License-Identifier: Apache-2.0
"""Commands about the databases that records are read from."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import print_json, print_line
from accord.agent.cli.sources import MappingOption, ModelOption
from accord.agent.mapping_file import mapping_from
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery

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
        table.add_row(one.name, "" if one.columns is None else str(one.columns))
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
    mapping: MappingOption,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the SQL for a user that can read what a mapping names, and no more."""
    from accord.agent.sources.access import access_to
    from accord.agent.sources.grants import grants

    opened = AgentState.open(state_root(state))
    access = access_to(name, opened.settings().databases, opened.root)
    read = mapping_from(opened, mapping, model)
    table = read.form.source.table
    if table is None or read.form.source.database != name:
        raise InvalidQuery(
            "SOURCES_WRONG",
            f"{mapping.name} reads no table of the database {name!r}: write "
            f"`source: {{database: {name}, table: NAME}}` into it.",
        )
    lines = grants(access, table, read.columns)
    if as_json:
        statements = [line for line in lines if not line.startswith("--")]
        print_json(console, {"database": name, "statements": statements})
        return
    for line in lines:
        print_line(console, line)
