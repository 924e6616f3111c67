# SPDX-License-Identifier: Apache-2.0
"""This agency's own exact table, for its own use: nothing of it ever leaves by itself.

Counted as the pooled figures are, from the same records, but for the bound on one
person and the noise: every person counts in every cell that they belong to. Beside it
stands, if wanted, what was published for all agencies together.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from accord.agent.store.bound import Vector
from accord.agent.store.entries import LeafFilter, leaf_filters
from accord.core.errors import InvalidQuery, PreconditionFailed
from accord.core.layout import Layout, lay_out
from accord.core.measure import Bounds, ComponentVector, component_vector
from accord.core.model import DataModel
from accord.core.privacy import Accounting
from accord.core.query import Kind, Query

SMALL: Final = 10
"""Counts below this may point to somebody, wherever they are published."""

_MOST_CASES: Final = 1_000_000
"""Of one person in one cell; no store has as many."""

_LARGEST: Final = 2**53
"""No published figure is larger; up to here all whole numbers are exact."""

_COUNTED: Final = frozenset({Kind.PERSONS, Kind.CASES})


class Cases(Protocol):
    """What counts, on this machine or in a database, by one and the same rule."""

    def vector(
        self, layout: Layout, where: Sequence[LeafFilter], vector: ComponentVector
    ) -> Vector:
        """Return what `bounded_vector` does of the cases."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What was published for all agencies together, of one cell."""

    estimate: float | None
    """None where it was withheld."""
    lower: float | None
    upper: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell."""

    values: tuple[str, ...]
    count: int
    share: float | None
    """Of the total; none of an empty table."""
    pooled: Pooled | None = None

    @property
    def small(self) -> bool:
        """Whether publishing it may point to somebody."""
        return 0 < self.count < SMALL


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """Exact counts of one agency."""

    query: Query
    source: str
    """Which records, in words."""
    rows: tuple[Row, ...]
    total: int
    """Distinct persons, or cases, with a cell of the table; each once."""
    release: str | None = None
    """Id of what stands beside it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Grouped dimensions."""
        return tuple(each.dimension for each in self.query.group_by)

    @property
    def small(self) -> int:
        """How many cells may point to somebody."""
        return sum(row.small for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "agreement": self.query.agreement,
            "measure": self.query.measure.name,
            "records": self.source,
            "by": list(self.names),
            "rows": [
                {
                    **dict(zip(self.names, row.values, strict=True)),
                    "count": row.count,
                    "share": row.share,
                    "small": row.small,
                    "pooled": row.pooled and dataclasses.asdict(row.pooled),
                }
                for row in self.rows
            ],
            "total": self.total,
            "small_cells": self.small,
            "release": self.release,
        }


def count(cases: Cases, query: Query, model: DataModel, source: str) -> OwnTable:
    """Return the exact table of *query*.

    Args:
        cases: what is counted.
        query: persons or cases.
        model: by which codes are read.
        source: which records these are, in words.

    Raises:
        InvalidQuery: REPORT_MEASURE, or TOO_MANY_CELLS.
        PreconditionFailed: STORE_COLUMN
        IntegrityError: STORE_BROKEN
        AccordError: the database cannot do it.
    """
    if query.measure.kind not in _COUNTED:
        raise InvalidQuery(
            "REPORT_MEASURE",
            f"Tables of this agency's own count persons or cases, not"
            f" {query.measure.name}.",
        )
    layout = lay_out(query, model)
    bounds = Bounds(
        groups_per_person=max(1, layout.n_cells),
        cases_per_group=_MOST_CASES,
        drop_cap=1,
    )
    vector = component_vector(query, model, bounds, Accounting.PURE)
    where = leaf_filters(query, model)
    found = cases.vector(layout, where, vector)
    scale = vector.slots[0].scale
    counts = [int(each) // scale for each in found[: layout.n_cells]]
    # A person of several cells counts once: the table without groups says how often.
    total = counts[0] if not query.group_by else _total(cases, query, model)
    rows = tuple(
        Row(values=cell, count=each, share=each / total if total else None)
        for cell, each in zip(layout.cells(), counts, strict=True)
    )
    return OwnTable(query=query, source=source, rows=rows, total=total)


def _total(cases: Cases, query: Query, model: DataModel) -> int:
    whole = dataclasses.replace(query, group_by=())
    return count(cases, whole, model, "").total


def beside(table: OwnTable, file: Path) -> OwnTable:
    """Return the table with the release in *file* beside it.

    Args:
        table: of this agency.
        file: as ``accord query --json`` or ``accord release --json`` printed it.

    Raises:
        PreconditionFailed: RELEASE_UNREADABLE or RELEASE_DIFFERS.
    """
    release = _release(file)
    query = table.query
    asked = {
        "agreement": query.agreement,
        "measure": query.measure.name,
        "by": list(table.names),
        "levels": [each.level for each in query.group_by],
        "where": {each.dimension: sorted(each.nodes) for each in query.where},
        "edition": query.edition,
    }
    found = {
        **{name: release.get(name) for name in asked},
        "where": _sorted(release.get("where")),
    }
    differs = [name for name, value in asked.items() if found[name] != value]
    if differs:
        raise PreconditionFailed(
            "RELEASE_DIFFERS",
            f"{file.name} is the answer to another question than this table"
            f" ({', '.join(differs)}): it cannot stand beside it.",
        )
    try:
        pooled = dict(_pooled(release["rows"], table.names))
    except (KeyError, TypeError):
        raise _unreadable(file) from None
    rows = tuple(
        dataclasses.replace(row, pooled=pooled.get(row.values)) for row in table.rows
    )
    release_id = release.get("id")
    if not isinstance(release_id, str) or not release_id.isprintable():
        raise _unreadable(file)
    return dataclasses.replace(table, rows=rows, release=release_id)


def _sorted(where: object) -> object:
    if not isinstance(where, Mapping):
        return where
    return {
        name: sorted(map(str, values)) if isinstance(values, list) else values
        for name, values in where.items()
    }


def _pooled(
    rows: list[Mapping[str, Any]], names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Pooled]]:
    for row in rows:
        yield (
            tuple(str(row[name]) for name in names),
            Pooled(
                estimate=_figure(row["estimate"]),
                lower=_figure(row["lower"]),
                upper=_figure(row["upper"]),
            ),
        )


def _figure(value: object) -> float | None:
    """Return a number of the file.

    Raises:
        TypeError: it is none.
    """
    # No comparison holds for what is no number, and none of integers is too long.
    if value is None or (isinstance(value, int | float) and abs(value) <= _LARGEST):
        return value
    raise TypeError


def _release(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unreadable(file) from None
    release = content.get("release") if isinstance(content, dict) else None
    if not isinstance(release, dict):
        raise _unreadable(file)
    return release


def _unreadable(file: Path) -> PreconditionFailed:
    return PreconditionFailed(
        "RELEASE_UNREADABLE",
        f"{file.name} holds no release as `accord release ID --json` prints it.",
    )
