# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""A part of the store written once more under the newest keys.

What is left is what an ingest of the same source under these keys would write, but for
what the next ingest goes on from: it reads everything once.

Statements are put together from names and paths of our own, quoted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.batches import CASE_KEY
from accord.agent.intake.build import CASES, PERSONS, case_rows
from accord.agent.intake.chain import Chain, Chains
from accord.agent.intake.parts import PART, Part
from accord.agent.intake.pieces import Piece, bare_persons, join_pieces, load_persons
from accord.agent.intake.sandbox import sandbox
from accord.agent.intake.staging import BATCH_ROWS
from accord.agent.settings import Ingest
from accord.core.errors import IntegrityError

_ORDER_KEY = "order_key"


def rotate_part(
    folder: Path, target: Path, scratch: Path, limits: Ingest, chains: Chains
) -> Part:
    """Write a part anew under the newest keys.

    Args:
        folder: of the part.
        target: of the new one, which must not exist.
        scratch: private folder, which must not exist.
        limits: of the program that reads and sorts.
        chains: of the agency.

    Raises:
        IntegrityError: STORE_BROKEN, the part has other cases than it says.
    """
    part = Part.model_validate_json((folder / PART).read_bytes())
    scratch.mkdir(mode=0o700)
    target.mkdir(mode=0o700)
    raw = scratch / "persons"
    _map_persons(folder / PERSONS, raw, chains.pseudonyms, part.generation)
    with sandbox(scratch, [folder / CASES, target / CASES], limits) as connection:
        keyed = _map_keys(connection, folder / CASES, chains.store, part.generation)
        mapped = Piece(cases=keyed, persons=bare_persons(raw))
        persons = join_pieces(connection, [mapped], target / PERSONS)
        found = connection.execute("SELECT count(*) FROM joined").fetchall()
        if (int(found[0][0]), persons) != (part.rows, part.persons):
            raise IntegrityError(
                "STORE_BROKEN",
                f"The part {part.name!r} of the store is damaged: it has other cases "
                f"or persons than it says. Take it out with `accord-agent remove "
                f"{part.name}`, and ingest its mapping again afterwards.",
            )
        connection.execute(
            f"COPY joined TO {_quoted(target / CASES)} "
            "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )
    part = part.model_copy(update={"generation": chains.generation, "followed": None})
    (target / PART).write_text(part.model_dump_json(indent=1), "utf-8")
    return part


def _map_persons(path: Path, raw: Path, chain: Chain, since: int) -> None:
    held = load_persons(path)
    with raw.open("xb") as file:
        for start in range(0, len(held), BATCH_ROWS):
            some = np.asarray(held[start : start + BATCH_ROWS])
            file.write(chain.pseudonyms(some, since).tobytes())


def _map_keys(
    connection: duckdb.DuckDBPyConnection, path: Path, chain: Chain, since: int
) -> str:
    """Return what stands behind FROM for the cases with the newest keys."""
    cases = case_rows(path)
    described = connection.execute(f"DESCRIBE FROM {cases}").fetchall()
    names = [_ORDER_KEY]
    if CASE_KEY in {str(row[0]) for row in described}:
        names.append(CASE_KEY)
    each = " UNION ".join(f"SELECT {name} AS key FROM {cases}" for name in names)
    connection.execute(f"CREATE TABLE before AS SELECT key FROM ({each})")
    connection.execute("CREATE TABLE turned (before UBIGINT, after UBIGINT)")
    count = connection.execute("SELECT count(*) FROM before").fetchall()
    for start in range(0, int(count[0][0]), BATCH_ROWS):
        found = connection.execute(
            "SELECT key FROM before WHERE rowid >= ? AND rowid < ?",
            [start, start + BATCH_ROWS],
        ).fetchnumpy()
        keys = np.asarray(found["key"], np.uint64)
        arriving: dict[str, npt.NDArray[Any]] = {
            "before": keys,
            "after": chain.keys(keys, since),
        }
        connection.register("arriving", arriving)
        connection.execute("INSERT INTO turned SELECT * FROM arriving")
        connection.unregister("arriving")
    replaced = ", ".join(f"{name}_turned.after AS {name}" for name in names)
    joined = " ".join(
        f"JOIN turned AS {name}_turned ON c.{name} = {name}_turned.before"
        for name in names
    )
    return f"(SELECT c.* REPLACE ({replaced}) FROM {cases} AS c {joined})"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
