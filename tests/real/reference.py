# SPDX-License-Identifier: Apache-2.0
"""Plain group-bys of the published files, under the bound that an agreement sets.

Nothing here comes from the project's code: columns and codes are named once more by
hand, the rule is written with pandas, and of the data model's document only the order
of its values is read, since the order of cells decides which of them a bound keeps.

In both files every row is one person. So the groups of a person rank by cell number
alone, and the tables of any split of the file over agencies add up to that of the file.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from ruamel.yaml import YAML

Cell = tuple[str, ...]
"""One value for every grouped dimension, dimensions in alphabetical order."""

UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """What every row holds of one dimension at one level."""

    dimension: str
    domain: Sequence[str]
    """In the order of the cells."""
    held: pd.DataFrame
    """Columns ``row`` and ``place``, the index into the domain; each pair once."""

    def rows_with(self, values: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the rows that hold one of *values*."""
        places = [self.domain.index(value) for value in values]
        rows = self.held.loc[self.held["place"].isin(places), "row"]
        return np.unique(rows.to_numpy(np.int64))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Counts; a cell that is not there is zero."""

    cells: Mapping[Cell, int]
    persons: int
    dropped: int


def group_by(
    rows: int,
    facets: Sequence[Facet],
    where: Sequence[npt.NDArray[np.int64]],
    *,
    groups: int,
    drop_cap: int,
) -> Table:
    """Return how many rows stand in every cell, of each row at most *groups* cells.

    Args:
        rows: number of rows of the file.
        facets: what to group by.
        where: for each filter the rows that pass it.
        groups: most cells of one row that count, the first ones in cell order.
        drop_cap: most cells of one row that count as dropped.
    """
    kept = functools.reduce(np.intersect1d, where, np.arange(rows))
    entries = pd.DataFrame({"row": kept})
    ordered = sorted(facets, key=lambda facet: facet.dimension)
    names = [facet.dimension for facet in ordered]
    for facet in ordered:
        places = facet.held.rename(columns={"place": facet.dimension})
        entries = entries.merge(places, on="row")
    entries = entries.sort_values(["row", *names], ignore_index=True)
    by_row = entries.groupby("row", sort=False)
    counted = entries[by_row.cumcount() < groups]
    sizes = by_row.size()
    if names:
        found = counted.groupby(names).size()
        cells = {
            tuple(
                facet.domain[place]
                for facet, place in zip(ordered, _as_tuple(places), strict=True)
            ): int(count)
            for places, count in found.items()
        }
    else:
        cells = {(): len(counted)} if len(counted) else {}
    return Table(
        cells=cells,
        persons=len(sizes),
        dropped=int((sizes - groups).clip(0, drop_cap).sum()),
    )


def _as_tuple(key: object) -> tuple[int, ...]:
    return key if isinstance(key, tuple) else (key,)


class ModelOrder:
    """The order of values as the document of the data model lists them."""

    def __init__(self, document: Path) -> None:
        written = YAML(typ="safe", pure=True).load(document)
        self._dimensions: Mapping[str, Any] = written["dimensions"]

    def fine(self, dimension: str) -> list[str]:
        """Return the finest values, with those for "not recorded finer"."""
        values = self._dimensions[dimension]["values"]
        if isinstance(values, list):
            return [*values, UNKNOWN]
        return [
            *itertools.chain.from_iterable(
                [*leaves, f"{group} ?"] for group, leaves in values.items()
            ),
            UNKNOWN,
        ]

    def broad(self, dimension: str) -> list[str]:
        """Return the groups of values."""
        return [*self._dimensions[dimension]["values"], UNKNOWN]

    def group_of(self, dimension: str) -> dict[str, str]:
        """Return the group of every fine value."""
        groups: Mapping[str, Sequence[str]] = self._dimensions[dimension]["values"]
        found = {leaf: group for group, leaves in groups.items() for leaf in leaves}
        found.update({f"{group} ?": group for group in groups})
        return found | {UNKNOWN: UNKNOWN}


YEARS = [*map(str, range(2000, 2030)), UNKNOWN]
QUARTERS = [
    *itertools.chain.from_iterable(
        [*(f"{year}-Q{quarter}" for quarter in (1, 2, 3, 4)), f"{year}-??"]
        for year in range(2000, 2030)
    ),
    UNKNOWN,
]


def facet_of_one(dimension: str, domain: Sequence[str], values: pd.Series) -> Facet:
    """Return the facet of a dimension of which every row holds one value."""
    return facet_of_many(dimension, domain, values.map(lambda value: [value]))


def facet_of_many(dimension: str, domain: Sequence[str], values: pd.Series) -> Facet:
    """Return the facet of lists of values; an empty list is unknown."""
    places = {value: place for place, value in enumerate(domain)}
    known = values.reset_index(drop=True).map(lambda found: found or [UNKNOWN])
    long = known.explode()
    held = pd.DataFrame(
        {
            "row": long.index.to_numpy(np.int64),
            "place": [places[value] for value in long],
        }
    )
    return Facet(
        dimension=dimension, domain=domain, held=held.drop_duplicates(["row", "place"])
    )


def facet_of_flags(
    dimension: str, domain: Sequence[str], flags: Mapping[str, pd.Series]
) -> Facet:
    """Return the facet of columns that are 1 where a value was recorded."""
    names = list(flags)
    held = np.column_stack([flags[name].to_numpy() == "1" for name in names])
    row, place = np.nonzero(held)
    silent = np.flatnonzero(~held.any(axis=1))
    numbers = np.array([domain.index(name) for name in names])
    return Facet(
        dimension=dimension,
        domain=domain,
        held=pd.DataFrame(
            {
                "row": np.concatenate([row, silent]),
                "place": np.concatenate(
                    [numbers[place], np.full(len(silent), domain.index(UNKNOWN))]
                ),
            }
        ),
    )


Facets = Mapping[tuple[str, str], Callable[[], Facet]]
"""How to make the facet of a dimension at a level."""


class Source:
    """A published file with the facets that tests ask for; each is made once."""

    def __init__(self, rows: int, facets: Facets) -> None:
        self.rows = rows
        self._makers = facets
        self._made: dict[tuple[str, str], Facet] = {}
        self._tables: dict[object, Table] = {}

    def facet(self, dimension: str, level: str) -> Facet:
        key = (dimension, level)
        if key not in self._made:
            self._made[key] = self._makers[key]()
        return self._made[key]

    def table(
        self,
        by: Sequence[tuple[str, str]],
        where: Mapping[tuple[str, str], Sequence[str]],
        *,
        groups: int,
        drop_cap: int,
    ) -> Table:
        """Return the bounded group-by of the file; made once for each question."""
        key = (
            frozenset(by),
            frozenset((place, tuple(values)) for place, values in where.items()),
            groups,
            drop_cap,
        )
        if key not in self._tables:
            self._tables[key] = group_by(
                self.rows,
                [self.facet(*each) for each in by],
                [self.facet(*each).rows_with(values) for each, values in where.items()],
                groups=groups,
                drop_cap=drop_cap,
            )
        return self._tables[key]
