# SPDX-License-Identifier: Apache-2.0
"""The data model: which dimensions and quantities exist, with public domains.

Domains come from the model alone, never from records: a value that nobody has is a
value too.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

import pydantic

from accord.core.calendar import MONTH, calendar_tree
from accord.core.canonical import bytes_digest
from accord.core.dimension import UNKNOWN, Dimension, dimension_of_paths
from accord.core.document import (
    DocumentError,
    ExactNumber,
    Strict,
    parse_document,
    problem_at,
    worded,
)
from accord.core.errors import InvalidQuery, suggestion

NOT_RECORDED = -(2**31)
"""What stores hold for a quantity that the case does not; no bounds reach it."""

DEFAULT_BINS = 10
"""Bins of equal width where a data model names no edges."""

MOST_BINS = 50
"""Bins that one quantity may have."""

Name = Annotated[
    str,
    pydantic.Field(max_length=63),
    worded(
        r"(?!(person|persons|person_known|order_key|part)$)[a-z](?:_?[a-z0-9])*",
        "a name has lower-case letters, digits and single underscores; `person`, "
        "`persons`, `person_known`, `order_key` and `part` are taken.",
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
class Quantity:
    """A number that a case can hold, with public bounds."""

    name: str
    title: str
    unit: str
    lower: Fraction
    upper: Fraction
    scale: int
    """Stored integers are the value times this."""
    bins: tuple[Fraction, ...]
    """Inner edges of the public bins, ascending; a value on an edge is above it."""

    @property
    def range(self) -> tuple[int, int]:
        """Least and largest integer that stores hold of it."""
        return round(self.lower * self.scale), round(self.upper * self.scale)

    @property
    def bin_labels(self) -> tuple[str, ...]:
        """Names of the bins, such as ``0-30``, ``30-90`` and ``90+``."""
        edges = [_decimal(edge) for edge in (self.lower, *self.bins)]
        between = [f"{low}-{high}" for low, high in itertools.pairwise(edges)]
        return (*between, f"{edges[-1]}+")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DataModel:
    """All dimensions and quantities that agencies and analysts share."""

    name: str
    dimensions: Mapping[str, Dimension]
    quantities: Mapping[str, Quantity]
    edition_dimension: str | None
    """The calendar dimension by which an edition ends, if there is one."""
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

    def quantity(self, name: str) -> Quantity:
        """Return the quantity called *name*.

        Raises:
            InvalidQuery: UNKNOWN_QUANTITY, with the nearest name that exists.
        """
        found = self.quantities.get(name)
        if found is None:
            known = ", ".join(sorted(self.quantities)) or "none"
            raise InvalidQuery(
                "UNKNOWN_QUANTITY",
                f"The data model {self.name!r} has no quantity {name!r}."
                + (suggestion(name, self.quantities) or f" It has: {known}."),
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
    bins: (
        Annotated[
            list[ExactNumber], pydantic.Field(min_length=1, max_length=MOST_BINS - 1)
        ]
        | None
    ) = None


class DataModelForm(Strict):
    """A data model as it is written in a document."""

    data_model: ModelName
    title: str = ""
    edition_dimension: Name | None = None
    dimensions: Annotated[dict[Name, DimensionForm], pydantic.Field(min_length=1)]
    quantities: dict[Name, QuantityForm] = {}


def load_model(text: str, source: str) -> DataModel:
    """Read a data model from its YAML text.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, DataModelForm, source=source)
    model, found = build_model(form, bytes_digest(text.encode()))
    if found:
        problems = [problem_at(text, path, sentence) for path, sentence in found]
        raise DocumentError(source, problems)
    return model


def build_model(
    form: DataModelForm, digest: str
) -> tuple[DataModel, list[tuple[tuple[str, ...], str]]]:
    """Return the model that *form* describes, and what is wrong with its entries.

    What is wrong is left out of the model.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    dimensions: dict[str, Dimension] = {}
    for name, entry in form.dimensions.items():
        try:
            dimensions[name] = _dimension(name, entry)
        except ValueError as error:
            found.append((("dimensions", name), str(error)))
    quantities = {name: _quantity(name, q) for name, q in form.quantities.items()}
    found.extend(
        (("quantities", name, "bounds"), sentence)
        for name, quantity in quantities.items()
        for sentence in _wrong_bounds(quantity)
    )
    found.extend(
        (("quantities", name, "bins"), sentence)
        for name, quantity in quantities.items()
        for sentence in _wrong_bins(quantity)
    )
    found.extend(
        (("quantities", name), "a dimension has this name already.")
        for name in quantities
        if name in form.dimensions
    )
    ending = form.edition_dimension
    if ending is not None and not _is_calendar(form.dimensions.get(ending)):
        sentence = "this must name a dimension with a `calendar`."
        found.append((("edition_dimension",), sentence))
    model = DataModel(
        name=form.data_model,
        dimensions=dimensions,
        quantities=quantities,
        edition_dimension=ending,
        digest=digest,
    )
    return model, found


def _is_calendar(form: DimensionForm | None) -> bool:
    return form is not None and form.calendar is not None and form.multi is None


def _quantity(name: str, form: QuantityForm) -> Quantity:
    return Quantity(
        name=name,
        title=form.title,
        unit=form.unit,
        lower=form.bounds[0],
        upper=form.bounds[1],
        scale=form.scale,
        bins=tuple(form.bins) if form.bins is not None else _equal_bins(form),
    )


def _equal_bins(form: QuantityForm) -> tuple[Fraction, ...]:
    """Return edges of bins of equal width, at numbers that a store can hold."""
    lower, upper = form.bounds
    step = (upper - lower) / DEFAULT_BINS
    edges = (
        Fraction(round((lower + number * step) * form.scale), form.scale)
        for number in range(1, DEFAULT_BINS)
    )
    return tuple(sorted({edge for edge in edges if lower < edge < upper}))


def _decimal(number: Fraction) -> str:
    return f"{float(number):.10g}"


def _wrong_bounds(quantity: Quantity) -> list[str]:
    if quantity.lower >= quantity.upper:
        return ["the lower bound must be below the upper bound."]
    if max(abs(quantity.lower), abs(quantity.upper)) * quantity.scale >= 2**31 - 1:
        return ["bounds times scale must stay below 2147483647."]
    return []


def _wrong_bins(quantity: Quantity) -> list[str]:
    edges = (quantity.lower, *quantity.bins, quantity.upper)
    if quantity.lower < quantity.upper and any(
        low >= high for low, high in itertools.pairwise(edges)
    ):
        return ["edges must ascend and lie between the bounds, without them."]
    return []


def _dimension(name: str, form: DimensionForm) -> Dimension:
    levels, paths = _paths(form)
    return dimension_of_paths(
        name=name,
        title=form.title,
        levels=levels,
        paths=paths,
        max_values=form.multi or 1,
        constant=form.constant,
    )


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
