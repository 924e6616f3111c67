# SPDX-License-Identifier: Apache-2.0
"""The names that a question in SQL can use: those that its agreement offers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from accord.v1 import analyst_pb2 as pb

_OF = re.compile(r"(?P<kind>[a-z]+)\((?P<name>[^:)]+)(:[^)]*)?\)")
"""A measure of something, such as ``mean(days_in_care)``."""

_ABOUT_DIMENSIONS = frozenset({"share", "values"})

_PERIODS = {
    "month": re.compile(r"\d{4}-(0[1-9]|1[0-2])"),
    "quarter": re.compile(r"\d{4}-Q[1-4]"),
    "year": re.compile(r"\d{4}"),
}
"""Names of periods, by the levels of every calendar."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Dimensions with their levels and values, and quantities, of one agreement."""

    agreement: str
    dimensions: Mapping[str, Mapping[str, tuple[str, ...]]]
    """For each name its levels, finest first, with their ordered values."""
    multi_valued: frozenset[str] = frozenset()
    quantities: frozenset[str] = frozenset()

    def values(self, dimension: str) -> list[str]:
        """Return the values of all levels, each once."""
        levels = self.dimensions[dimension].values()
        return list(dict.fromkeys(value for values in levels for value in values))

    def periods(self, dimension: str) -> Mapping[str, tuple[str, ...]]:
        """Return the calendar's periods by level, in order; empty for other dimensions.

        What a record holds that knows less, such as ``2026-??``, is no period.
        """
        levels = self.dimensions[dimension]
        if not levels or not levels.keys() <= _PERIODS.keys():
            return {}
        return {
            level: tuple(each for each in values if _PERIODS[level].fullmatch(each))
            for level, values in levels.items()
        }

    def level_with(self, dimension: str, values: tuple[str, ...]) -> str | None:
        """Return the coarsest level that has all *values*."""
        levels = self.dimensions[dimension]
        found = (
            name for name in reversed(list(levels)) if set(values) <= set(levels[name])
        )
        return next(found, None)


def offer_of(agreement: str, described: pb.DescribeAgreementResponse) -> Offer:
    """Return what an agreement offers, from its description.

    A dimension of which only shares are offered has no levels here.
    """
    matches = [_OF.fullmatch(measure) for measure in described.measures]
    named = [(match["kind"], match["name"]) for match in matches if match is not None]
    dimensions: dict[str, Mapping[str, tuple[str, ...]]] = {
        name: {} for kind, name in named if kind in _ABOUT_DIMENSIONS
    }
    for each in described.dimensions:
        dimensions[each.name] = {
            level.name: tuple(level.values) for level in each.levels
        }
    return Offer(
        agreement=agreement,
        dimensions=dimensions,
        multi_valued=frozenset(
            each.name for each in described.dimensions if each.multi_valued
        ),
        quantities=frozenset(each.name for each in described.quantities)
        | {name for kind, name in named if kind not in _ABOUT_DIMENSIONS},
    )
