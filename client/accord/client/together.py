# SPDX-License-Identifier: Apache-2.0
"""Several releases of one question, row under row: editions, or filters, side by side.

They stay what they are: nothing is added up, averaged or smoothed, and every row says
from which release it is and which agencies stand behind it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accord.client.coverage import warn_of
from accord.client.frames import arrow_table, pandas_frame, polars_frame
from accord.client.result import Result
from accord.core.errors import InvalidQuery

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Releases:
    """Results that have their columns in common; made by `concat`."""

    results: tuple[Result, ...]

    def __len__(self) -> int:
        """Return the number of releases."""
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        """Iterate over the releases, in the order in which they were given."""
        return iter(self.results)

    @property
    def same_agencies(self) -> bool:
        """Whether the same agencies stand behind all of them."""
        return len({frozenset(each.coverage.answered) for each in self.results}) == 1

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows by columns: provenance, dimensions, numbers."""
        tables = [each.columns(provenance=True) for each in self.results]
        return {
            name: [value for table in tables for value in table[name]]
            for name in tables[0]
        }

    def provenance(self) -> dict[str, Any]:
        """Return where the numbers come from, release by release."""
        return {"releases": [each.provenance() for each in self.results]}

    def to_polars(self) -> pl.DataFrame:
        """Return a polars frame; suppressed numbers are null."""
        return polars_frame(self.columns())

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame; ``attrs["accord"]`` says where it comes from."""
        return pandas_frame(self.columns(), self.provenance())

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table; its metadata ``accord`` say where it comes from."""
        return arrow_table(self.columns(), self.provenance())

    def citations(self) -> list[str]:
        """Return one line for each release that quotes it."""
        return [each.citation() for each in self.results]

    def export(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write one file of all, ``.csv``, ``.parquet`` or ``.xlsx`` by its name.

        Every row says from which release it is; the notes have every citation line.

        Returns:
            The files that were written; notes of CSV are a second one.

        Raises:
            InvalidQuery: EXPORT_KIND_UNKNOWN
            ConfigurationError: EXPORT_UNWRITABLE, LIBRARY_MISSING
        """
        from accord.client import export

        return export.export(self, path)

    def plot(self) -> alt.LayerChart | alt.FacetChart:
        """Draw all releases with their intervals, each under its edition and coverage.

        Raises:
            ConfigurationError: LIBRARY_MISSING
        """
        from accord.client.chart import chart

        partial = [each for each in self.results if not each.coverage.is_complete]
        if partial:
            warn_of(
                f"Not all agencies stand behind what is drawn: {_listed(partial)}. Say "
                "so beside the drawing.",
                [each.id for each in partial],
                above=1,
            )
        return chart(self.results)

    def __repr__(self) -> str:
        """Return one line for each release."""
        lines = [f"<{len(self)} releases: {self.results[0].title()}>"]
        return "\n".join([*lines, *(_named(each) for each in self.results)])


def concat(first: Result, *others: Result) -> Releases:
    """Put releases of one question under each other.

    Where they do not stand on the same agencies, a `PartialCoverageWarning` says so.

    Raises:
        InvalidQuery: RELEASES_DIFFER, they do not have measure, dimensions and levels
            in common.
    """
    together = Releases((first, *others))
    for other in others:
        if _columns_of(other) != _columns_of(first):
            raise InvalidQuery(
                "RELEASES_DIFFER",
                f"Release {other.id} ({other.title()}) has other columns than "
                f"{first.id} ({first.title()}); put only releases of one measure by "
                "the same dimensions and levels under each other.",
            )
    if not together.same_agencies:
        partial = [each.id for each in together if not each.coverage.is_complete]
        warn_of(
            f"These releases do not stand on the same agencies: {_listed(together)}. A "
            "difference between them can come from who is missing: do not read it as "
            "a trend.",
            partial or [each.id for each in together],
            above=1,
        )
    return together


def _columns_of(result: Result) -> tuple[object, ...]:
    return result.measure, result.by, result.levels


def _listed(results: Releases | list[Result]) -> str:
    return "; ".join(_named(each) for each in results)


def _named(result: Result) -> str:
    return f"edition {result.edition}, {result.coverage} (release {result.id})"
