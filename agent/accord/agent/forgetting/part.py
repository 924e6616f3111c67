# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""A part of the store written once more without some of its cases.

Statements are put together from numbers of our own and from paths, quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.forgetting.survey import Whom, ordinals
from accord.agent.intake.batches import CASE_KEY
from accord.agent.intake.build import CASES, PERSONS, staying
from accord.agent.intake.following import STAMPS
from accord.agent.intake.parts import PART, Part
from accord.agent.intake.pieces import Piece, join_pieces, load_persons
from accord.agent.intake.sandbox import sandbox
from accord.agent.settings import Ingest
from accord.agent.store.leaving import CONSENT_UNTIL, Leaving
from accord.core.model import DataModel

Condition = Callable[[duckdb.DuckDBPyConnection, Path], str | None]
"""Connection and folder of a part -> what is true of cases that stay; nothing: all."""


def without_persons(whom: Whom) -> Condition:
    """Return the condition that leaves persons out."""

    def condition(connection: duckdb.DuckDBPyConnection, folder: Path) -> str | None:
        numbers = ordinals(folder, whom)
        if not len(numbers):
            return None
        _register(connection, numbers)
        return "person NOT IN (FROM leaving)"

    return condition


def without_old(leaving: Leaving, model: DataModel) -> Condition:
    """Return the condition that leaves out what has left by itself."""

    def condition(connection: duckdb.DuckDBPyConnection, folder: Path) -> str | None:
        cases = _quoted(folder / CASES)
        described = connection.execute(
            f"DESCRIBE SELECT * FROM read_parquet({cases})"
        ).fetchall()
        names = {str(row[0]) for row in described}
        stays = staying(leaving, model, ends=CONSENT_UNTIL in names)
        found = connection.execute(
            f"SELECT count(*) FROM read_parquet({cases}) WHERE NOT ({stays})"
        ).fetchall()
        return stays if int(found[0][0]) else None

    return condition


def count_leaving(
    folder: Path, scratch: Path, limits: Ingest, condition: Condition
) -> int:
    """Return how many cases of a part a condition does not let stay."""
    scratch.mkdir(mode=0o700)
    with sandbox(scratch, [folder / CASES], limits) as connection:
        stays = condition(connection, folder)
        if stays is None:
            return 0
        found = connection.execute(
            f"SELECT count(*) FROM read_parquet({_quoted(folder / CASES)}) "
            f"WHERE NOT ({stays})"
        ).fetchall()
    return int(found[0][0])


def rewrite_part(
    folder: Path, target: Path, scratch: Path, limits: Ingest, condition: Condition
) -> Part | None:
    """Write a part anew if anything leaves it.

    Args:
        folder: of the part.
        target: of the new one; is not made where nothing leaves or nothing stays.
        scratch: private folder, which must not exist.
        limits: of the program that reads and sorts.
        condition: what is true of cases that stay.

    Returns:
        What the new part says, without a case where nothing stays; nothing, if all
        of them stay.
    """
    part = Part.model_validate_json((folder / PART).read_bytes())
    scratch.mkdir(mode=0o700)
    readable = [folder / CASES, folder / STAMPS]
    with sandbox(scratch, readable, limits) as connection:
        stays = condition(connection, folder)
        if stays is None:
            return None
        cases = f"read_parquet({_quoted(folder / CASES)})"
        left = f"(FROM {cases} WHERE {stays})"
        held = load_persons(folder / PERSONS)
        made = scratch / "part"
        made.mkdir(mode=0o700)
        persons = join_pieces(
            connection, [Piece(cases=left, persons=held)], made / PERSONS
        )
        found = connection.execute("SELECT count(*) FROM joined").fetchall()
        part = part.model_copy(update={"rows": int(found[0][0]), "persons": persons})
        if not part.rows:
            return part
        connection.execute(
            f"COPY joined TO {_quoted(made / CASES)} "
            "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )
        if (folder / STAMPS).exists():
            # A case without a stamp is read again each time, and left out again.
            connection.execute(
                f"COPY (SELECT * FROM read_parquet({_quoted(folder / STAMPS)}) WHERE "
                f"{CASE_KEY} NOT IN (SELECT {CASE_KEY} FROM {cases} WHERE NOT "
                f"({stays})) ORDER BY {CASE_KEY}) TO {_quoted(made / STAMPS)} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
    (made / PART).write_text(part.model_dump_json(indent=1), "utf-8")
    made.rename(target)
    return part


def _register(
    connection: duckdb.DuckDBPyConnection, numbers: npt.NDArray[np.intp]
) -> None:
    connection.execute("CREATE TABLE leaving (person UINTEGER)")
    connection.register("arriving", {"person": numbers.astype(np.uint32)})
    connection.execute("INSERT INTO leaving SELECT * FROM arriving")
    connection.unregister("arriving")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
