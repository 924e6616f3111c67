# SPDX-License-Identifier: Apache-2.0
"""Figures that add up and are not negative, beside the released ones.

Released figures stay as they are; this is a reading of them for tables whose readers
expect totals. Cells are moved by weighted least squares (the weight of a figure is one
over its noise variance) until they agree with each other and with coarser releases, and
none is below zero. Only what truly adds up is moved: cases over dimensions of which a
case has one value, and persons over those that are the same in all records of a person.

The interval of a moved figure is the released one, cut at zero. It covers as well as
the released one does, and is never wider.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.client.least_squares import Measurement, nonnegative_least_squares
from accord.core.errors import InvalidQuery

if TYPE_CHECKING:
    from accord.client.result import Estimate, Result
    from accord.client.session import Description

FAR: Final = 3.0
"""Standard deviations above which a correction is not explained by noise."""


class ConsistencyWarning(UserWarning):
    """A figure had to be moved further than its noise explains."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One figure, released and moved; all ``None`` where it is suppressed."""

    values: tuple[str, ...]
    estimate: float | None
    lower: float | None
    upper: float | None
    raw: float | None
    sd: float | None

    @property
    def correction(self) -> float | None:
        """By how much it was moved."""
        if self.estimate is None or self.raw is None:
            return None
        return self.estimate - self.raw

    @property
    def is_far(self) -> bool:
        """Whether it was moved by more than `FAR` standard deviations."""
        moved = self.correction
        return moved is not None and abs(moved) > FAR * (self.sd or 0.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Consistent:
    """The cells of a release, and the totals of coarser ones, that add up."""

    result: Result
    """As it was released."""
    cells: tuple[Moved, ...]
    totals: Mapping[str, tuple[Moved, ...]]
    """Of every coarser release by its id, and of ``persons`` where these add up."""

    @property
    def moved(self) -> tuple[Moved, ...]:
        """All figures that were moved at all, cells first."""
        every = [*self.cells, *(each for rows in self.totals.values() for each in rows)]
        return tuple(each for each in every if each.correction)

    def notes(self) -> list[str]:
        """Return what was done and what has to be read with it."""
        moved = self.moved
        figures = len(self.cells) + sum(len(rows) for rows in self.totals.values())
        said = (
            f"Adjusted figures, not the released ones: {len(moved)} of {figures} moved"
        )
        if moved:
            most = max(moved, key=lambda each: abs(each.correction or 0.0))
            said += f", {_named(most)} the most, by {most.correction:+,.4g}"
        found = [
            f"{said}.",
            "Intervals are those of the released figures, cut at zero.",
        ]
        if any(each.estimate is None for each in self.cells):
            found.append(
                "Suppressed figures stay empty, so what is shown adds up to less than "
                "its totals."
            )
        far = [_named(each) for each in moved if each.is_far]
        if far:
            found.append(
                f"Moved by more than {FAR:g} standard deviations, so more than noise "
                f"is at work (the bound on one person, for one): {', '.join(far)}."
            )
        return found

    def columns(self) -> dict[str, list[Any]]:
        """Return the cells by columns, released figures beside moved ones."""
        table: dict[str, list[Any]] = {
            name: [each.values[place] for each in self.cells]
            for place, name in enumerate(self.result.dimensions)
        }
        for name in ("estimate", "lower", "upper", "raw", "sd", "correction"):
            table[name] = [getattr(each, name) for each in self.cells]
        return table

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "release": self.result.id,
            "by": list(self.result.dimensions),
            "cells": [_json(each) for each in self.cells],
            "totals": {
                name: [_json(each) for each in rows]
                for name, rows in self.totals.items()
            },
            "notes": self.notes(),
        }

    def __repr__(self) -> str:
        """Return the notes, as a Python prompt shows them."""
        return "\n".join([f"<Consistent: {self.result.title()}>", *self.notes()])


def consistent(
    result: Result, described: Description, coarser: Sequence[Result] = ()
) -> Consistent:
    """Return the figures of *result* so that they add up and none is negative.

    A `ConsistencyWarning` names figures that were moved further than noise explains.

    Args:
        result: a release of cases or persons.
        described: its agreement; says which dimensions add up.
        coarser: releases of the same by fewer dimensions, whose figures are totals.

    Raises:
        InvalidQuery: NOT_ADDITIVE, RELEASES_DIFFER
    """
    _check_additive(result, described)
    for other in coarser:
        _check_coarser(result, other)
    place_of = {row.values: place for place, row in enumerate(result)}
    measured = [
        _measurement([place_of[row.values]], row.estimate)
        for row in result
        if not row.estimate.suppressed
    ]
    covered: dict[str, list[tuple[tuple[str, ...], list[int], Estimate]]] = {}
    for other in coarser:
        kept = [result.dimensions.index(name) for name in other.dimensions]
        below: dict[tuple[str, ...], list[int]] = {}
        for values, place in place_of.items():
            below.setdefault(tuple(values[k] for k in kept), []).append(place)
        covered[other.id] = [
            (row.values, below.get(row.values, []), row.estimate) for row in other
        ]
    if result.measure == "persons":
        everything = list(place_of.values())
        covered["persons"] = [((), everything, result.persons)]
    measured += [
        _measurement(places, shown)
        for rows in covered.values()
        for _, places, shown in rows
        if not shown.suppressed and places
    ]
    found = nonnegative_least_squares(len(place_of), measured)
    made = Consistent(
        result=result,
        cells=tuple(
            _moved(row.values, row.estimate, found[place])
            for place, row in enumerate(result)
        ),
        totals={
            name: tuple(
                _moved(values, shown, sum(found[place] for place in places))
                for values, places, shown in rows
            )
            for name, rows in covered.items()
        },
    )
    far = [_named(each) for each in made.moved if each.is_far]
    if far:
        warnings.warn(
            f"Moved by more than {FAR:g} standard deviations: {', '.join(far)}. More "
            "than noise is at work there; use the released figures.",
            ConsistencyWarning,
            stacklevel=3,
        )
    return made


def _check_additive(result: Result, described: Description) -> None:
    if result.measure not in {"persons", "cases"}:
        raise InvalidQuery(
            "NOT_ADDITIVE",
            f"Figures of {result.measure} do not add up, so they cannot be made to; "
            "only cases and some counts of persons do.",
        )
    if described.summary.name != result.agreement:
        raise InvalidQuery(
            "RELEASES_DIFFER",
            f"Release {result.id} is of the agreement {result.agreement}, not of "
            f"{described.summary.name}.",
        )
    known = {each.name: each for each in described.dimensions}
    for name in result.by:
        dimension = known.get(name)
        if dimension is None or dimension.multi_valued:
            raise InvalidQuery(
                "NOT_ADDITIVE",
                f"A case can have several values of {name}, and counts in each: its "
                "figures do not add up.",
            )
        if result.measure == "persons" and not dimension.constant:
            raise InvalidQuery(
                "NOT_ADDITIVE",
                f"A person can have several values of {name} over time and counts in "
                "each, so persons do not add up over it: ask for cases, or for the "
                "coarser figure by itself.",
            )


def _check_coarser(result: Result, other: Result) -> None:
    levels = dict(zip(result.by, result.levels, strict=True))
    same = (
        (other.agreement, other.agreement_version, other.edition, other.measure)
        == (result.agreement, result.agreement_version, result.edition, result.measure)
        and dict(other.where) == dict(result.where)
        and set(other.coverage.answered) == set(result.coverage.answered)
    )
    fewer = len(other.by) < len(result.by) and all(
        levels.get(name) == level
        for name, level in zip(other.by, other.levels, strict=True)
    )
    if not same or not fewer:
        raise InvalidQuery(
            "RELEASES_DIFFER",
            f"Release {other.id} ({other.title()}) is no total of {result.id} "
            f"({result.title()}): it must be of the same question, edition and "
            "agencies, by fewer dimensions at the same levels.",
        )
    if other.derived_from:
        raise InvalidQuery(
            "RELEASES_DIFFER",
            f"Release {other.id} was derived from a finer one and tells nothing new.",
        )


def _measurement(places: Sequence[int], shown: Estimate) -> Measurement:
    if shown.estimate is None or not shown.sd:
        raise InvalidQuery(
            "NOT_ADDITIVE", "A figure without noise cannot be weighed against others."
        )
    return Measurement(tuple(places), shown.estimate, 1 / shown.sd**2)


def _moved(values: tuple[str, ...], shown: Estimate, to: float) -> Moved:
    if shown.estimate is None or shown.lower is None or shown.upper is None:
        return Moved(
            values=values, estimate=None, lower=None, upper=None, raw=None, sd=None
        )
    return Moved(
        values=values,
        estimate=to,
        lower=max(0.0, shown.lower),
        upper=max(0.0, shown.upper),
        raw=shown.estimate,
        sd=shown.sd,
    )


def _json(each: Moved) -> dict[str, Any]:
    return {
        **dataclasses.asdict(each),
        "values": list(each.values),
        "correction": each.correction,
    }


def _named(each: Moved) -> str:
    return ", ".join(each.values) or "the total"
