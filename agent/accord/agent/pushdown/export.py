# SPDX-License-Identifier: Apache-2.0
"""The coded columns of the local store, as a table in the agency's database.

What is written are numbers that the store has already: ordinals in the place of
persons, leaf codes, bitmasks. No pseudonym, key or source value leaves the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from accord.agent.pushdown.making import (
    TableForm,
    analysing,
    make_next,
    put_next,
)
from accord.agent.pushdown.session import Session
from accord.agent.pushdown.table import KEY, PERSON, PLACE, TableName, columns_of_store
from accord.agent.store.columns import Columns
from accord.agent.store.units import places
from accord.core.model import NOT_RECORDED

BATCH_ROWS = 20_000
"""Rows that are written at once."""

Row = tuple[int | None, ...]


def export(
    session: Session,
    columns: Columns,
    table: TableName,
    *,
    tell: Callable[[int], None] | None = None,
) -> int:
    """Put all cases of a store into *table*, in the place of what it had.

    Args:
        session: one that writes.
        columns: the store.
        table: what becomes of it.
        tell: is told how many rows are there so far.

    Returns:
        The number of rows.
    """
    made = list(columns_of_store(columns.form))
    form = TableForm(model=columns.form.model, model_digest=columns.form.model_digest)
    make_next(session, table, made, form)
    names = [each.name for each in made]
    written = 0
    for rows in coded_rows(columns, names):
        session.insert(table.next, names, rows)
        written += len(rows)
        if tell is not None:
            tell(written)
    put_next(session, table)
    analysing(session, table)
    return written


def coded_rows(
    columns: Columns, names: list[str], batch: int = BATCH_ROWS
) -> Iterator[list[Row]]:
    """Yield the named columns of all cases, a batch at a time."""
    before = 0  # cases of the batch's first person that stood in earlier ones
    for start in range(0, columns.rows, batch):
        stop = min(start + batch, columns.rows)
        person = columns.array(PERSON)[start:stop].astype(np.int64)
        place = places(person)
        place[person == person[0]] += before
        values = [
            place if name == PLACE else _shifted(name, columns.array(name)[start:stop])
            for name in names
        ]
        yield list(zip(*(_plain(each) for each in values), strict=True))
        same = stop < columns.rows and columns.array(PERSON)[stop] == person[-1]
        before = int(place[-1]) + 1 if same else 0


def _shifted(name: str, values: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return keys as signed numbers in the same order; others as they are."""
    if name != KEY:
        return values
    flipped: npt.NDArray[np.integer] = (values ^ np.uint64(1 << 63)).view(np.int64)
    return flipped


def _plain(values: npt.NDArray[np.integer]) -> list[int | None]:
    found: list[int | None] = values.tolist()
    if values.dtype.str.startswith("<i4"):
        return [None if value == NOT_RECORDED else value for value in found]
    return found
