# SPDX-License-Identifier: Apache-2.0
"""What an analyst asks, and its canonical form.

Two questions that mean the same have one canonical form and so one *query key*:
group-by entries are sorted, and a filter is written with the fewest nodes that
select exactly the same leaves. Accuracy, purpose and analyst are not part of it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from accord.core.canonical import digest
from accord.core.errors import InvalidQuery, suggestion
from accord.core.model import DataModel

KEY_VERSION = 1
"""Goes up when the meaning of a canonical query changes."""

MOST_GROUPED = 3
"""Dimensions that one query can group by."""


class Measure(enum.StrEnum):
    """What is counted."""

    PERSONS = "persons"
    """Distinct persons of an agency, added over agencies."""
    CASES = "cases"
    """Cases, at most `cases_per_group` of one person in one cell."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class GroupBy:
    """One dimension of the answer at one level of its roll-up."""

    dimension: str
    level: str


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Filter:
    """Keep the cases that have a value under one of *nodes*."""

    dimension: str
    nodes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question in canonical form; build it with `canonical_query`."""

    agreement: str
    edition: str
    measure: Measure
    group_by: tuple[GroupBy, ...]
    where: tuple[Filter, ...]

    def key(self) -> str:
        """Return the query key: SHA-256 in hex of the RFC 8785 form."""
        return digest(
            {
                "v": KEY_VERSION,
                "agreement": self.agreement,
                "edition": self.edition,
                "measure": self.measure.value,
                "group_by": [[group.dimension, group.level] for group in self.group_by],
                "where": [[part.dimension, list(part.nodes)] for part in self.where],
            }
        )


def canonical_query(
    *,
    agreement: str,
    edition: str,
    measure: str,
    group_by: Sequence[tuple[str, str | None]],
    where: Mapping[str, Sequence[str]],
    model: DataModel,
) -> Query:
    """Check names against the data model and return the canonical query.

    Args:
        agreement: name of the agreement.
        edition: name of the edition.
        measure: name of a `Measure`.
        group_by: dimension and level; no level means the finest one.
        where: for each filtered dimension the wanted values, of any level.
        model: the data model of the agreement.

    Raises:
        InvalidQuery: UNKNOWN_MEASURE, UNKNOWN_DIMENSION, UNKNOWN_LEVEL, UNKNOWN_VALUE,
            TOO_MANY_DIMENSIONS, DUPLICATE_DIMENSION or EMPTY_FILTER.
    """
    groups = [_group(model, name, level) for name, level in group_by]
    names = [group.dimension for group in groups]
    if len(set(names)) != len(names):
        raise InvalidQuery(
            "DUPLICATE_DIMENSION",
            "A dimension can be grouped by only once; choose one of its levels.",
        )
    if len(groups) > MOST_GROUPED:
        raise InvalidQuery(
            "TOO_MANY_DIMENSIONS",
            f"A query can group by at most {MOST_GROUPED} dimensions.",
            limit=str(MOST_GROUPED),
        )
    filters = [_filter(model, name, values) for name, values in where.items()]
    return Query(
        agreement=agreement,
        edition=edition,
        measure=_measure(measure),
        group_by=tuple(sorted(groups)),
        where=tuple(sorted(part for part in filters if part is not None)),
    )


def _measure(name: str) -> Measure:
    try:
        return Measure(name)
    except ValueError:
        known = ", ".join(Measure)
        raise InvalidQuery(
            "UNKNOWN_MEASURE",
            f"There is no measure {name[:64]!r}; there are: {known}."
            + suggestion(name, Measure),
        ) from None


def _group(model: DataModel, name: str, level: str | None) -> GroupBy:
    dimension = model.dimension(name)
    chosen = dimension.levels[0] if level is None else dimension.level(level)
    return GroupBy(name, chosen)


def _filter(model: DataModel, name: str, values: Sequence[str]) -> Filter | None:
    """Return the shortest equal filter, or nothing where it keeps every case."""
    dimension = model.dimension(name)
    codes = frozenset(
        code for value in values for code in dimension.leaves_under(value)
    )
    if not codes:
        raise InvalidQuery(
            "EMPTY_FILTER",
            f"The filter on {name!r} names no value; leave it out or name one.",
            dimension=name,
        )
    if len(codes) == len(dimension.tree):
        return None
    return Filter(name, dimension.cover(codes))


def finest_levels(query: Query, model: DataModel) -> Mapping[str, frozenset[str]]:
    """Return for every dimension that *query* touches the levels it touches it at."""
    touched: dict[str, set[str]] = {}
    for group in query.group_by:
        touched.setdefault(group.dimension, set()).add(group.level)
    for part in query.where:
        dimension = model.dimension(part.dimension)
        levels = {dimension.level_of(node) for node in part.nodes}
        touched.setdefault(part.dimension, set()).update(levels)
    return {name: frozenset(levels) for name, levels in touched.items()}
