# SPDX-License-Identifier: Apache-2.0
"""Where the records of one ingest come from: named files, or the mapping's table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from accord.agent.intake.mapping import Mapping
from accord.agent.sources.opening import open_file
from accord.agent.sources.table import Source
from accord.agent.state import AgentState
from accord.core.errors import InvalidQuery


@contextlib.contextmanager
def opened(
    state: AgentState, mapping: Mapping, paths: Sequence[Path], folder: Path
) -> Iterator[list[Source]]:
    """Open what is to be read, and close it again.

    Args:
        state: names the databases.
        mapping: says how files are written, or which table is read.
        paths: files; none with a table.
        folder: private; gets copies of files, if any are needed.

    Raises:
        InvalidQuery: SOURCES_WRONG, files and a table, neither, or a file twice.
        SourceError: a source cannot be read.
        ConfigurationError: the settings of the database are wrong.
        Unreachable: DATABASE_UNREACHABLE.
    """
    form = mapping.form.source
    if form.database is None or form.table is None:
        if not paths:
            raise InvalidQuery(
                "SOURCES_WRONG",
                f"{mapping.source} reads files: name them behind the command, such as "
                "`cases-2026.csv`. A mapping that reads a table says "
                "`source: {database: NAME, table: NAME}`.",
            )
        _refuse_twice(paths)
        yield [
            source
            for number, path in enumerate(paths)
            for source in open_file(path, form, folder, number)
        ]
        return
    if paths:
        raise InvalidQuery(
            "SOURCES_WRONG",
            f"{mapping.source} reads the table {form.table!r} of a database: name no "
            "files.",
        )
    from accord.agent.sources.access import access_to
    from accord.agent.sources.database import open_database_table

    access = access_to(form.database, state.settings().databases, state.root)
    with open_database_table(access, form.table) as table:
        yield [table.stream()]


def _refuse_twice(paths: Sequence[Path]) -> None:
    """Refuse a file that is named twice: without case ids, so were all of its cases."""
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        with contextlib.suppress(OSError):  # whoever opens it says what is wrong
            found = path.stat()
            place = found.st_dev, found.st_ino
            if place in seen:
                raise InvalidQuery(
                    "SOURCES_WRONG",
                    f"{path} and {seen[place]} are one file, whose records would be "
                    "counted twice. Name each file once.",
                )
            seen[place] = path


def place_of(state: AgentState, mapping: Mapping) -> str:
    """Return what tells one database from another; files are told by their rows."""
    name = mapping.form.source.database
    database = None if name is None else state.settings().databases.get(name)
    return "" if database is None else database.url
