# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""Several runs of ordered cases as one: persons numbered anew, cases sorted.

Every piece has cases with persons' numbers of its own, and the pseudonyms that these
stand for. Persons are the same wherever their pseudonyms are.

Statements are put together from numbers and from names and paths of our own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.pseudonym import (
    DIGEST_BYTES,
    Pseudonyms,
    as_words,
    from_words,
)
from accord.agent.intake.staging import BATCH_ROWS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Cases of one origin."""

    cases: str
    """What stands behind FROM; has ``person`` and ``order_key``."""
    persons: Pseudonyms
    """By the piece's own numbers of persons; some may have no case."""


def join_pieces(
    connection: duckdb.DuckDBPyConnection, pieces: Sequence[Piece], persons: Path
) -> int:
    """Make the table ``joined`` in the order of the store.

    Args:
        connection: has what the pieces name.
        pieces: all with the same columns.
        persons: file to write, with the pseudonyms of those who have a case.

    Returns:
        The number of persons.
    """
    connection.execute(
        "CREATE TABLE known (piece USMALLINT, local UINTEGER, p0 UBIGINT, "
        "p1 UBIGINT, p2 UBIGINT, p3 UBIGINT)"
    )
    for number, piece in enumerate(pieces):
        _load_persons(connection, number, piece.persons)
    having = " UNION ALL ".join(
        f"SELECT DISTINCT {number} AS piece, person AS local FROM {piece.cases}"
        for number, piece in enumerate(pieces)
    )
    connection.execute(
        "CREATE TABLE renamed AS SELECT piece, local, p0, p1, p2, p3, (dense_rank() "
        "OVER (ORDER BY p0, p1, p2, p3) - 1)::UINTEGER AS person FROM known "
        f"SEMI JOIN ({having}) AS having_cases USING (piece, local)"
    )
    count = _write_persons(connection, persons)
    cases = " UNION ALL BY NAME ".join(
        f"SELECT {number} AS piece, * FROM {piece.cases}"
        for number, piece in enumerate(pieces)
    )
    connection.execute(
        "CREATE TABLE joined AS SELECT renamed.person AS person, c.* EXCLUDE "
        f"(piece, person) FROM ({cases}) AS c JOIN renamed ON c.piece = renamed.piece "
        "AND c.person = renamed.local ORDER BY renamed.person, c.order_key"
    )
    return count


def _load_persons(
    connection: duckdb.DuckDBPyConnection, number: int, persons: Pseudonyms
) -> None:
    for start in range(0, len(persons), BATCH_ROWS):
        some = np.asarray(persons[start : start + BATCH_ROWS])
        arriving: dict[str, npt.NDArray[Any]] = {
            "piece": np.full(len(some), number, np.uint16),
            "local": np.arange(start, start + len(some), dtype=np.uint32),
        }
        arriving |= {f"p{i}": word for i, word in enumerate(as_words(some.tobytes()))}
        connection.register("arriving", arriving)
        connection.execute("INSERT INTO known SELECT * FROM arriving")
        connection.unregister("arriving")


def _write_persons(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    connection.execute(
        "CREATE TABLE everyone AS SELECT DISTINCT person, p0, p1, p2, p3 "
        "FROM renamed ORDER BY person"
    )
    count = int(connection.execute("SELECT count(*) FROM everyone").fetchall()[0][0])
    raw = path.with_name(f".{path.name}.raw")
    with raw.open("xb") as file:
        for start in range(0, count, BATCH_ROWS):
            found = connection.execute(
                "SELECT p0, p1, p2, p3 FROM everyone WHERE person >= ? AND "
                "person < ? ORDER BY person",
                [start, start + BATCH_ROWS],
            ).fetchnumpy()
            words = [np.asarray(found[f"p{index}"]) for index in range(4)]
            file.write(from_words(words).tobytes())
    save_persons(path, raw)
    return count


def bare_persons(raw: Path) -> Pseudonyms:
    """Return the pseudonyms of a file that holds nothing else."""
    rows = raw.stat().st_size // DIGEST_BYTES
    if not rows:
        return np.empty((0, DIGEST_BYTES), np.uint8)
    return np.memmap(raw, np.uint8, "r", shape=(rows, DIGEST_BYTES))


def save_persons(path: Path, raw: Path) -> None:
    """Turn a file of bare pseudonyms into an array's file, and remove it."""
    with path.open("xb") as file:
        np.save(file, bare_persons(raw), allow_pickle=False)
    raw.unlink()


def load_persons(path: Path) -> Pseudonyms:
    """Return the pseudonyms of a file, which stays on the disk."""
    found: Pseudonyms = np.load(path, mmap_mode="r", allow_pickle=False)
    return found
