# SPDX-License-Identifier: Apache-2.0
"""What a draft is made of: files, or a table of a database."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from accord.agent.drafting.words import Words
from accord.agent.sources.form import SourceForm
from accord.agent.sources.opening import open_file
from accord.agent.sources.table import Source
from accord.agent.state import AgentState
from accord.core.document_syntax import hidden_in
from accord.core.errors import InvalidQuery, SourceError

_LONGEST_NAME = 63

_OF_ENCODING = frozenset({"SOURCE_ENCODING", "SOURCE_MALFORMED"})
"""What is said of a file in another encoding; NUL characters are UTF-16's."""

_OLD_ENCODINGS = (
    *("windows-1252", "windows-1250", "windows-1251", "windows-1256"),
    *("windows-1253", "windows-1254", "windows-1255", "utf-16-le", "utf-16-be"),
)
"""Where none fits the header better, the first one that can be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Files that are together one source, or one table."""

    paths: tuple[Path, ...] = ()
    database: str | None = None
    """Name of a table of the settings."""
    table: str | None = None

    def __post_init__(self) -> None:
        """Refuse both, and neither.

        Raises:
            InvalidQuery: SOURCES_WRONG.
        """
        if bool(self.paths) == bool(self.table) or bool(self.table) != bool(
            self.database
        ):
            raise InvalidQuery(
                "SOURCES_WRONG",
                "Name files, or a table of a database with --database NAME and "
                "--table NAME.",
            )

    @property
    def shown_as(self) -> str:
        """What people call it."""
        return self.paths[0].name if self.paths else str(self.table)

    @property
    def part(self) -> str:
        """Name of the part of the store that it fills."""
        shown = self.shown_as
        stem = shown.split(".")[0] if self.paths else shown.rpartition(".")[2]
        name = re.sub(r"[^a-z0-9]+", "-", stem.casefold()).strip("-")[:_LONGEST_NAME]
        return name.strip("-") or "case-files"


@contextlib.contextmanager
def opened(
    state: AgentState, origin: Origin, folder: Path, words: Words
) -> Iterator[tuple[list[Source], SourceForm]]:
    """Open an origin; its mapping will have to say the same of it.

    Args:
        state: names the databases.
        origin: what to open.
        folder: private; gets copies of files, if any are needed.
        words: by which a header is recognised.
    """
    if origin.database is None or origin.table is None:
        yield _files(origin.paths, folder, words)
        return
    from accord.agent.sources.access import access_to
    from accord.agent.sources.database import open_database_table

    access = access_to(origin.database, state.settings().databases, state.root)
    with open_database_table(access, origin.table) as table:
        form = SourceForm(database=origin.database, table=origin.table)
        yield [table.stream()], form


def common_header(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return the columns that all sources have once, in the order of the first.

    A name that no document can hold is left out.
    """
    return tuple(
        name
        for name in sources[0].header
        if name
        and not hidden_in(name)
        and all(source.header.count(name) == 1 for source in sources)
    )


def _files(
    paths: Sequence[Path], folder: Path, words: Words
) -> tuple[list[Source], SourceForm]:
    """Open the files as they are, or in the old encoding that fits their header."""
    try:
        return _tried(paths, folder / "read", None), SourceForm()
    except SourceError as error:
        if error.reason not in _OF_ENCODING:
            raise
        first = error
    scores: dict[str, int] = {}
    for encoding in _OLD_ENCODINGS:
        apart = folder / f"read-{encoding}"
        with contextlib.suppress(SourceError, UnicodeError):
            sources = _tried(paths, apart, encoding)
            header = common_header(sources)
            scores[encoding] = sum(words.knows(column) for column in header)
        shutil.rmtree(apart)
    best = max(scores, key=lambda encoding: scores[encoding], default=None)
    if best is None or (first.reason != "SOURCE_ENCODING" and not scores[best]):
        raise first
    form = SourceForm.model_validate({"encoding": best})
    return _tried(paths, folder / f"read-{best}", best), form


def _tried(paths: Sequence[Path], folder: Path, encoding: str | None) -> list[Source]:
    form = SourceForm.model_validate({} if encoding is None else {"encoding": encoding})
    folder.mkdir(mode=0o700)
    return [
        source
        for number, path in enumerate(paths)
        for source in open_file(path, form, folder, number)
    ]
