# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""Builds of the store: parts by mapping, joined into columns, switched in one step.

A build is a directory of its own. It holds every part (``parts/NAME/``: its cases as
Parquet clustered by person, and the pseudonyms of its persons), the joined columns
(`accord.agent.store.columns`) and ``persons.npy``: the pseudonym of every ordinal. When
it is complete and on disk, the link ``store/current`` is replaced; that is the only
step that anybody can see. Persons are the same in every part, cases are not.

Statements are put together from numbers and from paths of our own, quoted.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.batches import CASE_KEY, Rows
from accord.agent.intake.parts import PART, PARTS, Part, parts_of
from accord.agent.intake.pieces import (
    Piece,
    bare_persons,
    join_pieces,
    load_persons,
    save_persons,
)
from accord.agent.intake.sandbox import sandbox
from accord.agent.intake.staging import Staging
from accord.agent.settings import Ingest
from accord.agent.state import AgentState
from accord.agent.store.columns import write_columns
from accord.agent.store.durable import point, sync_directory, sync_file
from accord.agent.store.form import DESCRIPTION, FORMAT, format_of
from accord.agent.store.leaving import CONSENT_UNTIL, NO_END, Leaving, day_code
from accord.core.errors import NotFound, PreconditionFailed
from accord.core.model import DataModel

CASES = "cases.parquet"
PERSONS = "persons.npy"

_TYPES = {
    "|u1": "UTINYINT",
    "<u2": "USMALLINT",
    "<u4": "UINTEGER",
    "<u8": "UBIGINT",
    "<i4": "INTEGER",
}


class PartWriter:
    """Takes the rows of one mapping and leaves them as a part."""

    def __init__(self, folder: Path, staging: Staging) -> None:
        """Write into *folder*, which must not exist."""
        self._folder = folder
        self._staging = staging
        self._columns: list[str] = []
        self._table = "cases"
        folder.mkdir(mode=0o700)
        self._pseudonyms = (folder / f"{PERSONS}.raw").open("xb")

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        self._pseudonyms.close()

    def add(self, rows: Rows) -> None:
        """Append a run of rows."""
        if not self._columns:
            self._columns = list(rows.columns)
            fields = ", ".join(
                f'"{name}" {_TYPES[values.dtype.str]}'
                for name, values in rows.columns.items()
            )
            self._staging.connection.execute(f"CREATE TABLE cases ({fields})")
        self._staging.insert("cases", rows.columns)
        self._pseudonyms.write(rows.pseudonyms.tobytes())

    def join(self, kept: Piece) -> tuple[int, int]:
        """Add cases of an earlier part; return how many cases and persons there are."""
        connection = self._staging.connection
        self._pseudonyms.close()
        raw = self._folder / f"{PERSONS}.raw"
        pieces = [kept]
        if self._columns:
            pieces.append(Piece(cases=self._table, persons=bare_persons(raw)))
        persons = join_pieces(connection, pieces, self._folder / PERSONS)
        raw.unlink()
        self._table = "joined"
        found = connection.execute("SELECT count(*) FROM joined").fetchall()
        return int(found[0][0]), persons

    def finish(self, part: Part) -> None:
        """Write the Parquet file and the description."""
        if not part.rows:
            return
        self._staging.connection.execute(
            f"COPY {self._table} TO '{_path(self._folder / CASES)}' "
            "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )
        self._pseudonyms.close()
        if self._table == "cases":
            raw = self._folder / f"{PERSONS}.raw"
            save_persons(self._folder / PERSONS, raw)
        (self._folder / PART).write_text(part.model_dump_json(indent=1), "utf-8")


def put_part(
    state: AgentState,
    new: Path,
    scratch: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> tuple[Part, ...]:
    """Build the store anew with the part in *new*, and switch to it.

    Raises:
        PreconditionFailed: PART_MODEL, another part has another data model.
    """
    part = Part.model_validate_json((new / PART).read_bytes())
    others = {
        name: other
        for name, other in parts_of(state.current).items()
        if name != part.name
    }
    for name, other in others.items():
        if other.model_digest != part.model_digest:
            raise PreconditionFailed(
                "PART_MODEL",
                f"The part {name!r} of the store was ingested with another version of "
                f"the data model {other.data_model!r}. Take it out with `accord-agent "
                f"remove {name}`, ingest this one, then ingest {name!r} again.",
                part=name,
            )
    if others:
        _require_format(state, list(others))
    folders = {name: state.current / PARTS / name for name in others}
    folders[part.name] = new
    _switch(state, folders, scratch, limits, now)
    return tuple(sorted([*others.values(), part], key=lambda each: each.name))


def remove_part(
    state: AgentState,
    name: str,
    scratch: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> tuple[Part, ...]:
    """Build the store anew without a part; without its last one there is no store.

    Editions that were frozen before keep what they hold.

    Raises:
        NotFound: PART_UNKNOWN.
    """
    parts = parts_of(state.current)
    if name not in parts:
        known = ", ".join(parts) or "none"
        raise NotFound(
            "PART_UNKNOWN", f"The store has no part {name!r}; it has: {known}."
        )
    replace_parts(state, {name: None}, scratch, limits, now)
    del parts[name]
    return tuple(parts.values())


def replace_parts(
    state: AgentState,
    changed: Mapping[str, Path | None],
    scratch: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> None:
    """Build the store anew with other parts; without its last one there is no store.

    Args:
        state: whose store it is; the caller holds it alone.
        changed: by name the folder of a part, or nothing where it goes.
        scratch: private folder.
        limits: of the program that joins.
        now: when it is made.
    """
    folders = {name: state.current / PARTS / name for name in parts_of(state.current)}
    for name, folder in changed.items():
        folders.pop(name, None)
        if folder is not None:
            folders[name] = folder
    if folders:
        _require_format(state, list(folders))
        _switch(state, dict(sorted(folders.items())), scratch, limits, now)
    else:
        state.current.unlink(missing_ok=True)
        sync_directory(state.store)
        sweep_builds(state)


def _require_format(state: AgentState, parts: list[str]) -> None:
    """Refuse to carry over parts of a build that another version wrote.

    They have no format of their own, and the new build would say that it is of this
    one. What cannot be read at all is no reason: it is made anew.

    Raises:
        PreconditionFailed: STORE_FORMAT.
    """
    try:
        found = format_of((state.current / DESCRIPTION).read_bytes())
    except OSError:
        return
    if found not in (None, FORMAT):
        raise PreconditionFailed(
            "STORE_FORMAT",
            f"The store has parts ({', '.join(parts)}) in the format {found} of another"
            f" version of this program, which reads {FORMAT}: nothing was changed. "
            f"Install that version again; or delete the link {state.current}, and "
            "ingest every mapping anew.",
        )


def sweep_builds(state: AgentState) -> None:
    """Remove builds that nothing points to: old ones, and what a crash left."""
    current = state.current.resolve().name if state.current.is_symlink() else None
    for build in state.builds.iterdir():
        if build.name != current:
            shutil.rmtree(build, ignore_errors=True)


def _switch(
    state: AgentState,
    folders: dict[str, Path],
    scratch: Path,
    limits: Ingest,
    now: datetime.datetime,
) -> None:
    """Make a complete build of the parts in *folders*, then point to it."""
    build = scratch / "build"
    build.mkdir(mode=0o700)
    (build / PARTS).mkdir(mode=0o700)
    for name, folder in folders.items():
        target = build / PARTS / name
        target.mkdir(mode=0o700)
        for file in folder.iterdir():
            os.link(file.resolve(), target / file.name)
    parts = parts_of(build)
    first = next(iter(parts.values()))
    work = scratch / "join"
    work.mkdir(mode=0o700)
    with sandbox(
        work, [build / PARTS / n / CASES for n in parts], limits
    ) as connection:
        _join(connection, build, parts)
        write_columns(
            build,
            _columns(connection),
            model=first.data_model,
            model_digest=first.model_digest,
            created_at=now,
            generation=first.generation,
        )
    _sync_tree(build)
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    build.rename(state.builds / name)
    sync_directory(state.builds)
    point(state.current, Path("builds") / name, by_way_of=scratch / "current")
    sync_directory(state.store)
    sweep_builds(state)


def _join(
    connection: duckdb.DuckDBPyConnection, build: Path, parts: dict[str, Part]
) -> None:
    """Make the table or view ``joined`` of all parts, and write the persons down."""
    cases = {name: _bare_rows(build / PARTS / name / CASES) for name in parts}
    if len(parts) == 1:
        ((only, rows),) = cases.items()
        os.link(build / PARTS / only / PERSONS, build / PERSONS)
        connection.execute(f"CREATE VIEW joined AS FROM {rows}")
        return
    pieces = [
        Piece(cases=rows, persons=load_persons(build / PARTS / name / PERSONS))
        for name, rows in cases.items()
    ]
    join_pieces(connection, pieces, build / PERSONS)


def _columns(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield every column, one in memory at a time."""
    described = connection.execute("DESCRIBE joined").fetchall()
    for row in described:
        name = str(row[0])
        wanted = f'"{name}"'
        if name == CONSENT_UNTIL:
            # Parts whose mapping names no end have no such column.
            wanted = f"coalesce({wanted}, {NO_END})::USMALLINT AS {wanted}"
        found = connection.execute(f"SELECT {wanted} FROM joined").fetchnumpy()
        yield name, np.asarray(found[name])


def case_rows(path: Path) -> str:
    """Return what stands behind FROM for the cases of a part."""
    return f"read_parquet('{_path(path)}')"


def _bare_rows(path: Path) -> str:
    """Return the same without the keys of the cases, which not all parts have."""
    return f"(SELECT COLUMNS(lambda c: c <> '{CASE_KEY}') FROM {case_rows(path)})"


def staying(leaving: Leaving, model: DataModel, *, ends: bool) -> str:
    """Return the condition under which a case of a part stays.

    Args:
        leaving: what does not.
        model: by which the part is coded.
        ends: whether the part says when consent ends.
    """
    conditions = ["TRUE"]
    if codes := leaving.codes(model):
        conditions.append(f"{leaving.registered} NOT IN ({', '.join(map(str, codes))})")
    if ends:
        conditions.append(f"{CONSENT_UNTIL} >= {day_code(leaving.today)}")
    return " AND ".join(conditions)


def _path(path: Path) -> str:
    return str(path).replace("'", "''")


def _sync_tree(folder: Path) -> None:
    """Put every file and name below *folder* on disk; make the files read-only."""
    for directory, _, files in os.walk(folder):
        for name in files:
            sync_file(Path(directory, name))
            Path(directory, name).chmod(0o400)
        sync_directory(Path(directory))
