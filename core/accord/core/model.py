# SPDX-License-Identifier: Apache-2.0
"""The data model: which dimensions and quantities exist, with public domains.

Every dimension is a tree. Its *leaves* are the finest values that a record can
hold; an inner node has one more leaf, "not recorded finer", for sources that know
the year but not the month. ``unknown`` is the last leaf of every dimension. Leaves
are numbered in tree order, so that rolling up to any level never changes the order
of two leaves: bounding relies on that (`Dimension.roll_up` is monotone).

Domains come from the model alone, never from records: an empty value is a value.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated

import pydantic

from accord.core.calendar import MONTH, calendar_tree
from accord.core.canonical import bytes_digest
from accord.core.document import (
    DocumentError,
    ExactNumber,
    Problem,
    Strict,
    parse_document,
    problem_at,
    worded,
)
from accord.core.errors import InvalidQuery, suggestion

UNKNOWN = "unknown"
"""The value of a record that holds nothing usable for a dimension."""

MOST_LEAVES = 4096
"""Leaves that one dimension may have."""

Name = Annotated[
    str,
    pydantic.Field(max_length=63),
    worded(
        r"(?!(person|person_known|order_key)$)[a-z](?:_?[a-z0-9])*_?",
        "a name has lower-case letters, digits and single underscores; `person`, "
        "`person_known` and `order_key` are taken.",
    ),
]
ModelName = Annotated[
    str,
    pydantic.Field(max_length=63),
    worded(
        r"[a-z0-9][a-z0-9-]{0,62}",
        "a data model's name has lower-case letters, digits and hyphens, at most 63.",
    ),
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One finest value, with its ancestors."""

    path: tuple[str, ...]
    """Node names from the coarsest to the leaf itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A property of a case with a public, ordered domain."""

    name: str
    title: str
    levels: tuple[str, ...]
    """Names of the levels, finest first."""
    max_values: int
    """Most values that one case can hold; 1 for a single-valued dimension."""
    constant: bool
    """Whether it never differs between the cases of one person."""
    tree: tuple[Leaf, ...]
    """Leaves by code; the last one is ``unknown``."""
    _domains: Mapping[str, tuple[str, ...]] = dataclasses.field(repr=False)
    _roll_ups: Mapping[str, tuple[int, ...]] = dataclasses.field(repr=False)
    _spans: Mapping[str, range] = dataclasses.field(repr=False)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the leaves; the index is the code that stores keep."""
        return self._domains[self.levels[0]]

    @property
    def single(self) -> bool:
        """Whether a case holds exactly one value."""
        return self.max_values == 1

    def domain(self, level: str) -> tuple[str, ...]:
        """Return the ordered public values of *level*."""
        return self._domains[self.level(level)]

    def roll_up(self, level: str) -> tuple[int, ...]:
        """Return each leaf code's index in the level's domain; never decreasing."""
        return self._roll_ups[self.level(level)]

    def level(self, name: str) -> str:
        """Return *name* if it is a level of this dimension.

        Raises:
            InvalidQuery: UNKNOWN_LEVEL, with the levels that exist.
        """
        if name in self.levels:
            return name
        known = ", ".join(self.levels)
        raise InvalidQuery(
            "UNKNOWN_LEVEL",
            f"The dimension {self.name!r} has no level {name!r}; it has: {known}."
            + suggestion(name, self.levels),
            dimension=self.name,
        )

    def leaves_under(self, node: str) -> range:
        """Return the codes of the leaves under *node*, a value of any level.

        Raises:
            InvalidQuery: UNKNOWN_VALUE, with the nearest name that exists.
        """
        if (found := self._spans.get(node)) is None:
            raise InvalidQuery(
                "UNKNOWN_VALUE",
                f"The dimension {self.name!r} has no value of that name."
                + suggestion(node, self._spans),
                dimension=self.name,
            )
        return found

    def code(self, leaf: str) -> int:
        """Return the code of the leaf called *leaf*.

        An inner node's name stands for its "not recorded finer" leaf, which is what
        a source means that knows no more.

        Raises:
            InvalidQuery: UNKNOWN_VALUE.
        """
        return self.leaves_under(leaf)[-1]

    def level_of(self, node: str) -> str:
        """Return the coarsest level in whose domain *node* stands by its own name."""
        self.leaves_under(node)
        return next(
            level for level in reversed(self.levels) if node in self._domains[level]
        )

    def cover(self, codes: frozenset[int]) -> tuple[str, ...]:
        """Return the fewest nodes that hold exactly the leaves *codes*, in order."""
        nodes: list[str] = []
        position = 0
        by_start: dict[int, list[tuple[int, str]]] = {}
        for node, span in self._spans.items():
            by_start.setdefault(span.start, []).append((-len(span), node))
        while position < len(self.tree):
            if position not in codes:
                position += 1
                continue
            for size, node in sorted(by_start[position]):
                if codes.issuperset(self._spans[node]):
                    nodes.append(node)
                    position -= size
                    break
        return tuple(nodes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that a case can hold, with public bounds."""

    name: str
    title: str
    unit: str
    lower: Fraction
    upper: Fraction
    scale: int
    """Stored integers are the value times this."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DataModel:
    """All dimensions and quantities that agencies and analysts share."""

    name: str
    dimensions: Mapping[str, Dimension]
    quantities: Mapping[str, Quantity]
    digest: str
    """SHA-256 of the document's bytes, in hex."""

    def dimension(self, name: str) -> Dimension:
        """Return the dimension called *name*.

        Raises:
            InvalidQuery: UNKNOWN_DIMENSION, with the nearest name that exists.
        """
        found = self.dimensions.get(name)
        if found is None:
            known = ", ".join(sorted(self.dimensions))
            raise InvalidQuery(
                "UNKNOWN_DIMENSION",
                f"The data model {self.name!r} has no dimension {name!r}."
                + (suggestion(name, self.dimensions) or f" It has: {known}."),
                model=self.name,
            )
        return found


Month = Annotated[str, worded(MONTH, "a month is expected here, such as 2019-01.")]


class CalendarForm(Strict):
    """First and last month of a calendar dimension, as ``2019-01``."""

    first: Annotated[Month, pydantic.Field(alias="from")]
    last: Annotated[Month, pydantic.Field(alias="until")]


class DimensionForm(Strict):
    """A dimension as it is written in a document."""

    title: str
    calendar: CalendarForm | None = None
    levels: list[Name] | None = None
    values: list[str] | dict[str, list[str]] | None = None
    multi: Annotated[int, pydantic.Field(ge=2, le=64)] | None = None
    constant: bool = False


class QuantityForm(Strict):
    """A quantity as it is written in a document."""

    title: str
    unit: str
    bounds: Annotated[list[ExactNumber], pydantic.Field(min_length=2, max_length=2)]
    scale: Annotated[int, pydantic.Field(ge=1, le=10_000)] = 1


class DataModelForm(Strict):
    """A data model as it is written in a document."""

    data_model: ModelName
    title: str = ""
    dimensions: Annotated[dict[Name, DimensionForm], pydantic.Field(min_length=1)]
    quantities: dict[Name, QuantityForm] = {}


def load_model(text: str, source: str) -> DataModel:
    """Read a data model from its YAML text.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, DataModelForm, source=source)
    problems: list[Problem] = []
    dimensions: dict[str, Dimension] = {}
    for name, entry in form.dimensions.items():
        try:
            dimensions[name] = _dimension(name, entry)
        except ValueError as error:
            problems.append(problem_at(text, ("dimensions", name), str(error)))
    quantities = {name: _quantity(name, q) for name, q in form.quantities.items()}
    problems.extend(
        problem_at(text, ("quantities", name, "bounds"), sentence)
        for name, quantity in quantities.items()
        for sentence in _wrong_bounds(quantity)
    )
    problems.extend(
        problem_at(text, ("quantities", name), "a dimension has this name already.")
        for name in quantities
        if name in dimensions
    )
    if problems:
        raise DocumentError(source, problems)
    return DataModel(
        name=form.data_model,
        dimensions=dimensions,
        quantities=quantities,
        digest=bytes_digest(text.encode()),
    )


def _quantity(name: str, form: QuantityForm) -> Quantity:
    return Quantity(
        name=name,
        title=form.title,
        unit=form.unit,
        lower=form.bounds[0],
        upper=form.bounds[1],
        scale=form.scale,
    )


def _wrong_bounds(quantity: Quantity) -> list[str]:
    if quantity.lower >= quantity.upper:
        return ["the lower bound must be below the upper bound."]
    if max(abs(quantity.lower), abs(quantity.upper)) * quantity.scale >= 2**31 - 1:
        return ["bounds times scale must stay below 2147483647."]
    return []


def _dimension(name: str, form: DimensionForm) -> Dimension:
    levels, paths = _paths(form)
    tree = (*(Leaf(path=path) for path in paths), Leaf(path=(UNKNOWN,)))
    if len(tree) > MOST_LEAVES:
        message = f"the dimension has {len(tree)} leaves; at most {MOST_LEAVES} fit."
        raise ValueError(message)
    domains: dict[str, tuple[str, ...]] = {}
    roll_ups: dict[str, tuple[int, ...]] = {}
    for index, level in enumerate(levels):
        depth = len(levels) - index
        named = [leaf.path[:depth][-1] for leaf in tree]
        domain = tuple(dict.fromkeys(named))
        places = {value: place for place, value in enumerate(domain)}
        domains[level] = domain
        roll_ups[level] = tuple(places[value] for value in named)
    return Dimension(
        name=name,
        title=form.title,
        levels=levels,
        max_values=form.multi or 1,
        constant=form.constant,
        tree=tree,
        _domains=domains,
        _roll_ups=roll_ups,
        _spans=_spans(tree),
    )


def _spans(tree: Sequence[Leaf]) -> dict[str, range]:
    """Return the run of leaf codes under every node name; names must be unique."""
    owners: dict[str, tuple[str, ...]] = {}
    spans: dict[str, range] = {}
    for code, leaf in enumerate(tree):
        if leaf.path[-1] in spans:
            message = f"the value {leaf.path[-1]!r} stands in two places."
            raise ValueError(message)
        for depth in range(1, len(leaf.path) + 1):
            prefix = leaf.path[:depth]
            node = prefix[-1]
            if owners.setdefault(node, prefix) != prefix:
                message = f"the value {node!r} stands in two places."
                raise ValueError(message)
            start = spans[node].start if node in spans else code
            spans[node] = range(start, code + 1)
    return spans


def _paths(form: DimensionForm) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the levels, finest first, and the leaves' paths, coarsest node first."""
    if (form.calendar is None) == (form.values is None):
        message = "give either `calendar` or `levels` with `values`."
        raise ValueError(message)
    if form.calendar is not None:
        if form.levels is not None:
            message = "a calendar has the levels month, quarter and year by itself."
            raise ValueError(message)
        return ("month", "quarter", "year"), calendar_tree(
            form.calendar.first, form.calendar.last
        )
    values = form.values or []
    depth = 2 if isinstance(values, dict) else 1
    if form.levels is None or len(form.levels) != depth:
        message = f"`levels` must name {depth} level(s), the finest first."
        raise ValueError(message)
    paths: list[tuple[str, ...]]
    if isinstance(values, dict):
        paths = [
            (inner, leaf)
            for inner, leaves in values.items()
            for leaf in [*leaves, not_recorded_finer(inner)]
        ]
    else:
        paths = [(leaf,) for leaf in values]
    _check_names(itertools.chain.from_iterable(paths))
    return tuple(form.levels), paths


def not_recorded_finer(inner: str) -> str:
    """Return the name of the leaf under *inner* for records that know no more."""
    return f"{inner} ?"


_VALUE = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f]{0,62}[^\s\x00-\x1f])?")


def _check_names(names: itertools.chain[str]) -> None:
    for name in names:
        if name == UNKNOWN:
            message = "`unknown` is in every dimension by itself; leave it out."
            raise ValueError(message)
        if not _VALUE.fullmatch(name):
            message = f"the value name {name!r} must be 1 to 64 printable characters."
            raise ValueError(message)
