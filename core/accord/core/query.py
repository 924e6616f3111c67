# SPDX-License-Identifier: Apache-2.0
"""What an analyst asks, and its canonical form.

Two questions that mean the same have one canonical form and so one *query key*:
group-by entries are sorted, and a filter is written with the fewest nodes that
select exactly the same leaves. Accuracy, purpose and analyst are not part of it.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping, Sequence

from accord.core.canonical import digest
from accord.core.errors import InvalidQuery, suggestion
from accord.core.model import DataModel

KEY_VERSION = 1
"""Goes up when the meaning of a canonical query changes."""

MOST_GROUPED = 3
"""Dimensions that one query can group by."""


class Kind(enum.StrEnum):
    """How the cases in one cell become figures."""

    PERSONS = "persons"
    """Distinct persons of an agency, added over agencies."""
    CASES = "cases"
    """Cases, at most `cases_per_group` of one person in one cell."""
    SUM = "sum"
    """Sum of a quantity over those cases that record it."""
    MEAN = "mean"
    """Sum and number of those cases; analysts divide."""
    QUANTILE = "quantile"
    """Those cases by the quantity's public bins; analysts read quantiles off."""
    SHARE = "share"
    """Persons by the values of a dimension, and how many have any."""
    VALUES = "values"
    """Persons by how many values of a dimension they have."""

    @property
    def of_quantity(self) -> bool:
        """Whether it is about a quantity of the data model."""
        return self in (Kind.SUM, Kind.MEAN, Kind.QUANTILE)

    @property
    def of_dimension(self) -> bool:
        """Whether it is about a dimension, and so shows its values."""
        return self in (Kind.SHARE, Kind.VALUES)


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """What is counted; `parse_measure` makes them from names."""

    kind: Kind
    of: str = ""
    """The quantity or dimension; empty for persons and cases."""
    level: str = ""
    """Of the dimension; empty for the others."""
    finest: bool = True
    """Whether the level is the dimension's finest, and left out of the name."""

    @property
    def name(self) -> str:
        """Such as ``persons``, ``mean(days_in_care)`` or ``share(region:country)``."""
        if self.finest or not self.of:
            return self.family
        return f"{self.kind.value}({self.of}:{self.level})"

    @property
    def family(self) -> str:
        """The name without a level, as agreements list it."""
        return f"{self.kind.value}({self.of})" if self.of else self.kind.value


PERSONS = Measure(Kind.PERSONS)
CASES = Measure(Kind.CASES)

_OF = re.compile(r"([a-z]+)\(([a-z0-9_]+)(?::([a-z0-9_]+))?\)")


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

    @property
    def grouped(self) -> tuple[GroupBy, ...]:
        """Every dimension whose values the answer shows.

        These are the groups and, for `share` and `values`, the dimension that these
        are about: what limits a grouping limits it as well.
        """
        if not self.measure.kind.of_dimension:
            return self.group_by
        return (*self.group_by, GroupBy(self.measure.of, self.measure.level))

    def key(self) -> str:
        """Return the query key: SHA-256 in hex of the RFC 8785 form."""
        return digest(
            {
                "v": KEY_VERSION,
                "agreement": self.agreement,
                "edition": self.edition,
                "measure": self.measure.name,
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
        measure: name of a `Measure`, as `parse_measure` reads it.
        group_by: dimension and level; no level means the finest one.
        where: for each filtered dimension the wanted values, of any level.
        model: the data model of the agreement.

    Raises:
        InvalidQuery: UNKNOWN_MEASURE, UNKNOWN_QUANTITY, UNKNOWN_DIMENSION,
            UNKNOWN_LEVEL, UNKNOWN_VALUE, TOO_MANY_DIMENSIONS, DUPLICATE_DIMENSION or
            EMPTY_FILTER.
    """
    chosen = parse_measure(measure, model)
    groups = [_group(model, name, level) for name, level in group_by]
    names = [group.dimension for group in groups]
    if len(set(names)) != len(names):
        raise InvalidQuery(
            "DUPLICATE_DIMENSION",
            "A dimension can be grouped by only once; choose one of its levels.",
        )
    if chosen.kind.of_dimension and chosen.of in names:
        raise InvalidQuery(
            "DUPLICATE_DIMENSION",
            f"The measure {chosen.name!r} shows the values of {chosen.of!r} already; "
            "leave it out of the groups.",
            dimension=chosen.of,
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
        measure=chosen,
        group_by=tuple(sorted(groups)),
        where=tuple(sorted(part for part in filters if part is not None)),
    )


def parse_measure(name: str, model: DataModel) -> Measure:
    """Return the measure called *name*; what it is about must be in *model*.

    Raises:
        InvalidQuery: UNKNOWN_MEASURE, UNKNOWN_QUANTITY, UNKNOWN_DIMENSION or
            UNKNOWN_LEVEL, with the nearest name that exists.
    """
    if name in (Kind.PERSONS, Kind.CASES):
        return Measure(Kind(name))
    match = _OF.fullmatch(name)
    if match is None or match[1] not in _FORMS:
        raise _unknown_measure(name)
    kind, of, level = Kind(match[1]), match[2], match[3]
    if kind.of_quantity:
        if level is not None:
            raise _unknown_measure(name)
        return Measure(kind, model.quantity(of).name)
    dimension = model.dimension(of)
    chosen = dimension.levels[0] if level is None else dimension.level(level)
    return Measure(kind, of, chosen, finest=chosen == dimension.levels[0])


_FORMS = {
    kind: f"{kind.value}(…)" for kind in Kind if kind.of_quantity or kind.of_dimension
}

MEASURE_FORMS = (Kind.PERSONS.value, Kind.CASES.value, *_FORMS.values())
"""How measures are written."""


def _unknown_measure(name: str) -> InvalidQuery:
    known = ", ".join(MEASURE_FORMS)
    return InvalidQuery(
        "UNKNOWN_MEASURE",
        f"There is no measure {name[:64]!r}; there are: {known}."
        + suggestion(name.partition("(")[0], Kind),
    )


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
    for group in query.grouped:
        touched.setdefault(group.dimension, set()).add(group.level)
    for part in query.where:
        dimension = model.dimension(part.dimension)
        levels = {dimension.level_of(node) for node in part.nodes}
        touched.setdefault(part.dimension, set()).update(levels)
    return {name: frozenset(levels) for name, levels in touched.items()}
