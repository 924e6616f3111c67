# SPDX-License-Identifier: Apache-2.0
"""Which figures enough agencies cover by their signed remits, before anybody asks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from accord.client.frames import missing
from accord.v1 import analyst_pb2 as pb

if TYPE_CHECKING:
    import polars as pl

_MOST_NAMED = 6
"""Values that a line names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CoveredLevel:
    """One dimension at one level, with the agencies that cover each of its values."""

    dimension: str
    level: str
    """Empty where a question only filters by the dimension."""
    agencies: dict[str, tuple[str, ...]]
    """By value, those whose signed remits cover it."""
    thin: tuple[str, ...]
    """Values that too few agencies cover: they are refused."""
    roll_up: str
    """Finest level at which enough agencies cover every value; empty where none is."""

    def __str__(self) -> str:
        """Return a phrase such as ``region: enough agencies cover every value``."""
        name = f"{self.dimension}:{self.level}" if self.level else self.dimension
        if not self.thin:
            return f"{name}: enough agencies cover every value"
        more = len(self.thin) - _MOST_NAMED
        named = ", ".join(self.thin[:_MOST_NAMED]) + (f" and {more} more" * (more > 0))
        if self.roll_up:
            return f"{name}: too few cover {named}; ask by {self.roll_up} instead"
        return f"{name}: too few cover {named}; leave them out with a filter"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What is covered, of one question or of everything that may be asked for."""

    agreement: str
    needed: int
    """Agencies that must cover every figure."""
    levels: tuple[CoveredLevel, ...]
    cohorts: tuple[str, ...] | None
    """Of a question: the cohorts whose answer may be published; empty where none is."""

    def to_polars(self) -> pl.DataFrame:
        """Return one row for every value: dimension, level, value, agencies, enough."""
        try:
            import polars as pl
        except ImportError:
            raise missing("polars") from None
        rows = [
            (each.dimension, each.level, value, list(agencies), value not in each.thin)
            for each in self.levels
            for value, agencies in each.agencies.items()
        ]
        return pl.DataFrame(
            rows,
            schema={
                "dimension": pl.String,
                "level": pl.String,
                "value": pl.String,
                "agencies": pl.List(pl.String),
                "enough": pl.Boolean,
            },
            orient="row",
        )

    def lines(self) -> list[str]:
        """Return in sentences what is covered, and what to ask instead."""
        found = [f"Every figure needs {self.needed} agencies that cover it."]
        found += [f"{each}." for each in self.levels]
        if self.cohorts is not None:
            who = ", ".join(self.cohorts)
            found.append(
                f"The question may be answered by: {who}."
                if self.cohorts
                else "No cohort covers every figure of the question: it is refused."
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "agreement": self.agreement,
            "needed": self.needed,
            "levels": [
                {
                    "dimension": each.dimension,
                    "level": each.level or None,
                    "agencies": {
                        value: list(agencies)
                        for value, agencies in each.agencies.items()
                    },
                    "thin": list(each.thin),
                    "roll_up": each.roll_up or None,
                }
                for each in self.levels
            ],
            "cohorts": None if self.cohorts is None else list(self.cohorts),
        }

    def __repr__(self) -> str:
        """Return the lines, so that a notebook shows them."""
        return "\n".join([f"<Covered: {self.agreement}>", *self.lines()])


def covered_of(
    agreement: str, message: pb.GetCoverageResponse, *, of_question: bool
) -> Covered:
    """Return what a hub said.

    Args:
        agreement: its name.
        message: what it said.
        of_question: whether it was asked about one question.
    """
    return Covered(
        agreement=agreement,
        needed=message.needed,
        levels=tuple(
            CoveredLevel(
                dimension=each.dimension,
                level=each.level,
                agencies={value.value: tuple(value.agencies) for value in each.values},
                thin=tuple(v.value for v in each.values if not v.enough),
                roll_up=each.roll_up,
            )
            for each in message.levels
        ),
        cohorts=tuple(message.cohorts) if of_question else None,
    )
