# SPDX-License-Identifier: Apache-2.0
"""The commands ``pushdown …``: tables in the agency's own database that answer.

What they need is loaded when they are used: an agent whose store is on its machine runs
without it.
"""

from __future__ import annotations

import csv
import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.agent.cli.options import AsJson, StateOption, console
from accord.agent.cli.screens import print_json, print_line
from accord.agent.policies import model_for_mapping
from accord.agent.pushdown.library import no_library
from accord.agent.settings import Settings
from accord.agent.state import AgentState, state_root
from accord.agent.store.columns import LEAVES_PER_WORD, Columns
from accord.agent.store.editions import (
    IN_DATABASE,
    edition_folder,
    held_editions,
)
from accord.core.errors import ConfigurationError
from accord.core.model import DataModel

if TYPE_CHECKING:
    from accord.agent.pushdown.session import Session
    from accord.agent.pushdown.table import TableName

pushdown_app = typer.Typer(
    name="pushdown",
    help="Let a database of this agency count what the store would.",
    no_args_is_help=True,
)


class Kind(enum.StrEnum):
    """Databases that a table can be written for."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQL_SERVER = "mssql"
    SQLITE = "sqlite"
    SPARK = "spark"


DatabaseArgument = Annotated[
    str | None,
    typer.Argument(
        help="As config.toml calls it; else the one of [store].", show_default=False
    ),
]
ModelName = Annotated[str, typer.Argument(help="Name of a data model.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="Data model file; else that of the agreement, else the sample.",
        show_default=False,
    ),
]


@pushdown_app.command("export")
def export_store(
    database: DatabaseArgument = None,
    *,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Put the coded cases of the store into a table, in the place of what it had."""
    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    name = _database(settings, database)
    try:
        from accord.agent.pushdown.export import export
        from accord.agent.pushdown.session import session_in
    except ImportError:
        raise no_library() from None
    table = _current(settings)
    with (
        Columns.open(opened.current) as columns,
        session_in(opened, name, writes=True) as session,
    ):
        rows = export(session, columns, table)
    if as_json:
        print_json(console, {"database": name, "table": str(table), "cases": rows})
        return
    print_line(console, f"The table {table} of {name!r} has {rows:,} cases now.")
    if settings.store.where == "local":
        print_line(
            console,
            "Editions are frozen from the store of this machine yet. To freeze them "
            "from the table, write into config.toml:",
        )
        print_line(console, f'[store]\nwhere = "database"\ndatabase = "{name}"')


@pushdown_app.command("check")
def check_tables(
    database: DatabaseArgument = None,
    *,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Look whether the tables in a database keep the rules of their form."""
    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    name = _database(settings, database)
    try:
        from accord.agent.pushdown.checking import check_table
        from accord.agent.pushdown.making import model_named, open_table
        from accord.agent.pushdown.session import session_in
    except ImportError:
        raise no_library() from None
    found: list[str] = []
    with session_in(opened, name) as session:
        for table in _tables(session, opened, settings, name):
            read_by = model_for_mapping(opened, model_named(session, table), model)
            check_table(session, open_table(session, table, read_by), read_by)
            found.append(str(table))
    if as_json:
        print_json(console, {"database": name, "tables": found})
        return
    for each in found:
        print_line(console, f"{each} keeps the rules.")
    if not found:
        print_line(console, f"The database {name!r} has no table of this agent yet.")


@pushdown_app.command("form")
def print_form(
    model_name: ModelName,
    *,
    kind: Annotated[
        Kind, typer.Option("--for", help="Kind of the database.", show_default=False)
    ],
    model: ModelOption = None,
    schema: Annotated[
        str | None, typer.Option(help="Schema of the tables.", show_default=False)
    ] = None,
    state: StateOption = None,
) -> None:
    """Print the statements that make an empty table of a data model and its form."""
    try:
        from accord.agent.pushdown.dialect import Dialect
        from accord.agent.pushdown.making import TableForm, creating
        from accord.agent.pushdown.session import DIALECTS
        from accord.agent.pushdown.table import CURRENT, TableName, columns_of_model
    except ImportError:
        raise no_library() from None
    read_by = _model(model_name, model, state)
    dialect = DIALECTS.get(kind.value, Dialect.SPARK)
    table = TableName(name=CURRENT, schema=schema)
    form = TableForm(model=read_by.name, model_digest=read_by.digest)
    for statement in creating(table, columns_of_model(read_by), form):
        sys.stdout.write(f"{dialect.text(statement, pretty=True)};\n")


@pushdown_app.command("codes")
def print_codes(
    model_name: ModelName, *, model: ModelOption = None, state: StateOption = None
) -> None:
    """Print the code of every value of a data model, as CSV."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(["dimension", "column", "code", "value"])
    for name, dimension in _model(model_name, model, state).dimensions.items():
        for code, value in enumerate(dimension.leaves):
            column, number = name, code
            if not dimension.single:
                word, bit = divmod(code, LEAVES_PER_WORD)
                column, number = f"{name}__{word}", 1 << bit
            lines.writerow([name, column, number, value])


def _model(name: str, file: Path | None, state: Path | None) -> DataModel:
    return model_for_mapping(AgentState.open(state_root(state)), name, file)


def _database(settings: Settings, named: str | None) -> str:
    name = named or settings.store.database
    if name is None:
        known = ", ".join(settings.databases) or "none"
        raise ConfigurationError(
            "DATABASE_UNKNOWN",
            "Say which database of config.toml is meant, or set `database` in its "
            f"table [store]. It names: {known}.",
        )
    return name


def _current(settings: Settings) -> TableName:
    from accord.agent.pushdown.table import CURRENT, TableName

    return TableName(name=CURRENT, schema=settings.store.schema_name)


def _tables(
    session: Session, state: AgentState, settings: Settings, database: str
) -> Iterator[TableName]:
    """Yield the tables that there are: the current one, and those of editions."""
    from accord.agent.pushdown.edition import place_of_edition

    current = _current(settings)
    if session.columns(current):
        yield current
    for edition in held_editions(state):
        folder = edition_folder(
            state, edition.every, edition.embargo_days, edition.name
        )
        if folder is not None and (folder / IN_DATABASE).is_file():
            place = place_of_edition(folder)
            if place.database == database:
                yield place.name
