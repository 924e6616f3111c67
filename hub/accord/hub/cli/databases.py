# SPDX-License-Identifier: Apache-2.0
"""Choose the database of a new hub, name it, bring it up to date."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from accord.core.errors import ConfigurationError
from accord.hub.cli.common import AsJson, StateOption, opened, show
from accord.hub.db.engine import Store, named_place, place_of
from accord.hub.db.place import Place
from accord.hub.db.sqlite import SqliteFile
from accord.hub.settings import PREFIX, load_settings
from accord.hub.state import State

DATABASE_VARIABLE = f"{PREFIX}DATABASE"

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="URL of an empty PostgreSQL database, without a password; else a file.",
        show_default=False,
    ),
]


def place_of_new(state: State, named: str | None) -> Place:
    """Return where a new hub keeps its database; refuse one that is in use.

    Args:
        state: of the new hub.
        named: on the command line, where everybody on the machine can read it; else
            the environment may name one.

    Raises:
        ConfigurationError: DATABASE_URL, DATABASE_PASSWORD, DATABASE_EXISTS, ...
        Unreachable: STORE_UNAVAILABLE.
    """
    in_environment = os.environ.get(DATABASE_VARIABLE)
    if named is None and in_environment is None:
        return SqliteFile(state.database)
    if None not in (named, in_environment) and named != in_environment:
        raise ConfigurationError(
            "DATABASE_URL",
            f"--database and ${DATABASE_VARIABLE} name different databases, and every"
            " later command would take the variable's: name one only.",
        )
    place = named_place(str(named if in_environment is None else in_environment))
    if named is not None and place.has_secret():
        raise ConfigurationError(
            "DATABASE_PASSWORD",
            "A password on the command line can be read by everybody on this machine:"
            " leave it out of --database and keep it in ~/.pgpass, or name the database"
            f" in ${DATABASE_VARIABLE} instead. Change a password that others may have"
            " seen.",
        )
    store = Store(place)
    try:
        store.require_empty()
    finally:
        store.close()
    return place


def dangers_of(state: State, place: Place) -> Iterator[str]:
    """Yield what an operator should change about where the database is named."""
    in_file = place.has_secret() and DATABASE_VARIABLE not in os.environ
    if in_file and state.config.stat().st_mode & 0o077:
        yield "config.toml has a password and others can read it: set its mode to 600."
    if place.dialect != "sqlite" and state.database.exists():
        yield (
            f"there is a file {state.database.name} beside the database in use: move it"
            " away, so that the hub never goes on from an old copy."
        )


def described(place: Place) -> dict[str, str]:
    """Return what `--json` says of a database."""
    return {"kind": place.dialect, "name": place.name}


def in_words(place: Place) -> str:
    """Return the line that names a database."""
    return f"Database: {place.name} ({place.dialect})."


def migrate(state: StateOption = None, as_json: AsJson = False) -> None:
    """Bring the database up to date, with every balance as it was, or not at all.

    Stop every hub that uses it, and make a copy, before.
    """
    from accord.hub.db.migrating import migrate as bring_up_to_date

    found = opened(state)
    place = place_of(found, load_settings(found.config), migrating=True)
    with _unserved(found):
        store = Store(place)
        try:
            done = bring_up_to_date(store)
        finally:
            store.close()
    unchanged = done.before == done.after
    changed = f"went from {done.before} to {done.after}"
    show(
        {
            "database": described(place),
            "before": done.before,
            "after": done.after,
            "ledger_height": done.height,
            "accounts": done.accounts,
        },
        as_json=as_json,
        text=f"The database {place.name}"
        f" {f'is up to date ({done.after})' if unchanged else changed}."
        f" All {done.accounts} balances are as they were; ledger height {done.height}.",
    )


@contextlib.contextmanager
def _unserved(state: State) -> Iterator[None]:
    """Keep a hub of this state from starting meanwhile."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(state.serving())
        except ConfigurationError:
            raise ConfigurationError(
                "DATABASE_IN_USE",
                f"The hub in {state.root} is being served: stop it before its database"
                " is migrated. Nothing was changed.",
            ) from None
        yield
