# SPDX-License-Identifier: Apache-2.0
"""Crude rates: counts per so many people of a public reference population.

The population is the analyst's own table and is taken as exact. Both intervals of a
figure are divided as they are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from accord.client.derive.figure import UNKNOWN, check_counts, values_of
from accord.client.derive.table import Derived
from accord.client.result import Result, Row
from accord.core.errors import InvalidQuery


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One rate; no numbers where the count is suppressed or has no population."""

    cell: Mapping[str, str]
    rate: float | None
    lower: float | None
    upper: float | None
    sd: float | None
    whole_lower: float | None
    whole_upper: float | None
    population: float | None
    why: str

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        return self.rate is None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        numbers = dataclasses.asdict(self)
        del numbers["cell"]
        return {**self.cell, **numbers}

    def __str__(self) -> str:
        """Return the rate in words."""
        name = ", ".join(self.cell.values())
        if self.rate is None:
            return f"{name}: – ({self.why})"
        return f"{name}: {self.rate:.3g} ({self.lower:.3g} … {self.upper:.3g})"


def rates(
    result: Result,
    population: Mapping[str, float],
    *,
    over: str,
    per: float = 100_000,
) -> Derived[Rate]:
    """Return counts per population.

    Args:
        result: a release of counts.
        population: persons for every value of *over* but ``unknown``.
        over: the dimension that has a population, such as ``region``.
        per: rates are per so many persons.

    Raises:
        InvalidQuery: NOT_COUNTS, UNKNOWN_DIMENSION, POPULATION_MISSING,
            POPULATION_OUT_OF_RANGE
    """
    check_counts(result.measure)
    for value in values_of(result, over):
        if value == UNKNOWN:
            continue
        if value not in population:
            raise InvalidQuery(
                "POPULATION_MISSING",
                f"The population of {over} = {value} is not given.",
            )
        if not (math.isfinite(population[value]) and population[value] > 0):
            raise InvalidQuery(
                "POPULATION_OUT_OF_RANGE",
                f"The population of {over} = {value} must be above 0.",
            )
    if not (math.isfinite(per) and per > 0):
        raise InvalidQuery("POPULATION_OUT_OF_RANGE", "A rate is per more than 0.")
    place = result.dimensions.index(over)
    return Derived(
        kind="rate",
        title=f"{result.title()}, per {per:,.0f} people",
        items=tuple(
            _rate(result, row, population.get(row.values[place]), per) for row in result
        ),
        level=result.level,
        releases=(result.id,),
        notes=(
            (
                f"{result.measure.capitalize()} per {per:,.0f} people, crude: adjusted "
                "for nothing. The population is taken as exact."
            ),
            *result.footnotes(),
        ),
    )


def _rate(result: Result, row: Row, population: float | None, per: float) -> Rate:
    shown = row.estimate
    by = None if population is None else per / population

    def divided(number: float | None) -> float | None:
        return None if number is None or by is None else number * by

    why = "suppressed" if shown.suppressed else ""
    return Rate(
        cell=dict(zip(result.dimensions, row.values, strict=True)),
        rate=divided(shown.estimate),
        lower=divided(shown.lower),
        upper=divided(shown.upper),
        sd=divided(shown.sd),
        whole_lower=divided(shown.whole_lower),
        whole_upper=divided(shown.whole_upper),
        population=population,
        why="no-population" if by is None else why,
    )
