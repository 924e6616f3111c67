# SPDX-License-Identifier: Apache-2.0
"""What every command shares: where the state is, how results are printed."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table

from accord.core.errors import InvalidQuery
from accord.hub.db.engine import moment, open_store
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import load_authority
from accord.hub.settings import load_settings
from accord.hub.state import State, find_state

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Folder of the hub; else $ACCORD_HUB_STATE or the usual place.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

_WIDE = 200
"""Columns where nobody sees a terminal."""


def now() -> dt.datetime:
    """Return the time of the machine."""
    return dt.datetime.now(dt.UTC)


def opened(named: Path | None) -> State:
    """Return a state that exists.

    Raises:
        ConfigurationError: STATE_ABSENT.
    """
    state = find_state(named)
    state.require()
    return state


@contextlib.contextmanager
def writing(state: State) -> Iterator[sa.Connection]:
    """Give a transaction on the hub's database, which may be in use by a server."""
    store = open_store(state, load_settings(state.config))
    try:
        store.check()
        with store.write() as tx:
            yield tx
    finally:
        store.close()


@contextlib.contextmanager
def reading(state: State) -> Iterator[sa.Connection]:
    """Give a view of the hub's database."""
    store = open_store(state, load_settings(state.config))
    try:
        store.check(guarded=False)
        with store.read() as tx:
            yield tx
    finally:
        store.close()


@contextlib.contextmanager
def governed(state: State) -> Iterator[Standing]:
    """Give the policies in force, as a server that may run beside it has them."""
    store = open_store(state, load_settings(state.config))
    try:
        store.check()
        standing = Standing(
            folder=state.policies,
            store=store,
            authority=load_authority(state.keys, now()),
            clock=now,
        )
        standing.begin(sign=False)
        yield standing
    finally:
        store.close()


def show(payload: Mapping[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print a result: one line of JSON, or a sentence."""
    typer.echo(json.dumps(payload) if as_json else text)


def show_table(
    name: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str
) -> None:
    """Print a list: one line of JSON, or a table."""
    if as_json:
        typer.echo(json.dumps({name: rows}))
        return
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, markup=False, emoji=False).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(each)}" for key, each in value.items())
    return str(value)


def day_and_time(count: int | None) -> str | None:
    """Return a moment of the database as ISO 8601, in UTC."""
    if count is None:
        return None
    return moment_text(moment(count))


def moment_text(moment: dt.datetime) -> str:
    """Return a moment as ISO 8601, in UTC."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def require_form(value: str, pattern: str, what: str) -> str:
    """Return *value* if it has the right form.

    Raises:
        InvalidQuery: NAME_INVALID.
    """
    if re.fullmatch(pattern, value) is None:
        raise InvalidQuery(
            "NAME_INVALID",
            f"{value[:80]!r} cannot be {what}: small letters, digits and hyphens,"
            " beginning with a letter, at most 63.",
        )
    return value
