# SPDX-License-Identifier: Apache-2.0
"""What units add to slots, written once more with names, sets and fractions.

Slow and plain on purpose: it knows the data model's names and shares nothing with the
kernel, its codes or its scales but the declaration that both are held to.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from accord.core.dimension import Dimension
from accord.core.measure import Bounding, ComponentVector
from accord.core.model import DataModel
from accord.core.query import Kind, Query

Cell = tuple[str, ...]
Amount = Fraction | int
EXTRA: Cell = ("extra",)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One case; the order of a unit's records is that of their keys."""

    person: int
    known: bool
    key: int
    leaves: Mapping[str, frozenset[str]]
    numbers: Mapping[str, int | None]
    """As stores hold them; nothing where it is not recorded."""


def rolled(dimension: Dimension, leaves: frozenset[str], level: str) -> set[str]:
    depth = len(dimension.levels) - dimension.levels.index(level)
    paths = {leaf.path[-1]: leaf.path for leaf in dimension.tree}
    return {paths[leaf][:depth][-1] for leaf in leaves}


def cells_of(record: Record, query: Query, model: DataModel) -> set[Cell]:
    for part in query.where:
        dimension = model.dimension(part.dimension)
        paths = [leaf.path for leaf in dimension.tree]
        held = [path for path in paths if path[-1] in record.leaves[part.dimension]]
        if not any(set(path) & set(part.nodes) for path in held):
            return set()
    axes = [
        rolled(model.dimension(g.dimension), record.leaves[g.dimension], g.level)
        for g in query.group_by
    ]
    return set(itertools.product(*axes))


def order_in(dimension: Dimension, level: str, value: str) -> int:
    return dimension.domain(level).index(value)


def reference(
    records: Sequence[Record], query: Query, model: DataModel, vector: ComponentVector
) -> dict[tuple[Cell, str], Fraction]:
    """Return what is stored in every entry that is not zero, by cell and slot.

    The two extra entries stand under the cell ``extra``.
    """
    units: dict[int, dict[Cell, list[Record]]] = {}
    for record in sorted(records, key=lambda each: (each.person, each.key)):
        if query.measure.kind is Kind.PERSONS and not record.known:
            continue
        for cell in cells_of(record, query, model):
            units.setdefault(record.person, {}).setdefault(cell, []).append(record)
    found: dict[tuple[Cell, str], Fraction] = {}
    for groups in units.values():
        for cell, slot, amount in unit_adds(groups, query, model, vector):
            found[cell, slot] = found.get((cell, slot), Fraction(0)) + amount
    return found


def unit_adds(
    groups: Mapping[Cell, Sequence[Record]],
    query: Query,
    model: DataModel,
    vector: ComponentVector,
) -> Iterator[tuple[Cell, str, Amount]]:
    """Yield what one unit adds."""

    def place(cell: Cell) -> list[int]:
        return [
            order_in(model.dimension(g.dimension), g.level, value)
            for g, value in zip(query.group_by, cell, strict=True)
        ]

    order = sorted(groups, key=lambda c: (min(r.key for r in groups[c]), place(c)))
    yield EXTRA, "persons", vector.persons.scale * groups[order[0]][0].known
    beyond = min(max(len(order) - vector.groups, 0), vector.dropped.bound)
    yield EXTRA, "dropped", beyond * vector.dropped.scale
    if vector.bounding is Bounding.WEIGH:
        m = max(len(order), vector.groups)
        weight = math.isqrt(vector.slots[0].scale ** 2 * vector.groups // m)
        yield from ((cell, "count", weight) for cell in order)
        return
    for cell in order[: vector.groups]:
        for slot, amount in slots_of(groups[cell], query, model, vector):
            yield cell, slot, amount


def slots_of(
    records: Sequence[Record], query: Query, model: DataModel, vector: ComponentVector
) -> Iterator[tuple[str, Amount]]:
    """Yield what one unit adds in one cell, as stored."""
    kind = query.measure.kind
    if kind is Kind.PERSONS:
        yield "count", vector.slots[0].scale
    elif kind is Kind.CASES:
        yield "count", vector.slots[0].scale * min(len(records), vector.cases)
    elif kind.of_quantity:
        for record in records[: vector.cases]:
            yield from of_quantity(record, query, model, vector)
    else:
        yield from of_dimension(records, query, model, vector)


def of_quantity(
    record: Record, query: Query, model: DataModel, vector: ComponentVector
) -> Iterator[tuple[str, Amount]]:
    quantity = model.quantity(query.measure.of)
    held = record.numbers[quantity.name]
    if held is None:
        yield "unknown", vector.slots[-1].scale
        return
    value = Fraction(held, quantity.scale)
    value = max(quantity.lower, min(quantity.upper, value))
    middle = (quantity.lower + quantity.upper) / 2
    match query.measure.kind:
        case Kind.SUM:
            yield "sum", value * vector.slots[0].scale
        case Kind.MEAN:
            yield "sum", (value - middle) * vector.slots[0].scale
            yield "count", vector.slots[1].scale
        case _:
            place = sum(edge <= value for edge in quantity.bins)
            yield quantity.bin_labels[place], vector.slots[place].scale


def of_dimension(
    records: Sequence[Record], query: Query, model: DataModel, vector: ComponentVector
) -> Iterator[tuple[str, Amount]]:
    measure = query.measure
    dimension = model.dimension(measure.of)
    told = False
    seen: list[str] = []
    for record in records:
        values = rolled(dimension, record.leaves[measure.of], measure.level)
        values -= {"unknown"}
        told = told or bool(values)
        if measure.kind is Kind.VALUES:
            values -= {"none"}
        ranked = sorted(values, key=lambda v: order_in(dimension, measure.level, v))
        seen += [value for value in ranked if value not in seen]
    one = vector.slots[0].scale
    seen = seen[: vector.values]
    if not told:
        yield "unknown", vector.slots[-1].scale
    elif measure.kind is Kind.SHARE:
        yield from ((slot, one) for slot in ("informed", *seen))
    else:
        yield str(len(seen)), one
