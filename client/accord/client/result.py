# SPDX-License-Identifier: Apache-2.0
"""A published answer as an analyst reads it.

Numbers are as they were released: nothing is rounded, clipped or made to add up.
Frames and drawings are made only when asked for, with whichever library is installed,
and say which agencies stand behind the numbers.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accord.client.citation import citation
from accord.client.coverage import Coverage, warn_of
from accord.client.display import display_cells, display_head
from accord.client.frames import NUMBERS, arrow_table, pandas_frame, polars_frame
from accord.client.notes import footnotes, title_of

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from accord.client.consistent import Consistent
    from accord.client.session import Description

PROVENANCE: Final = ("release", "edition", "cohort", "coverage")
"""Columns that say of every row where it comes from; on demand, before the others."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Privacy loss: as epsilon at the agreement's delta, and as rho under zCDP."""

    epsilon: float
    rho: float

    def as_json(self) -> dict[str, float]:
        """Return the documented form."""
        return {"epsilon": self.epsilon, "rho": self.rho}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with its error; all ``None`` where it is suppressed.

    In the unit of its release; parts of a figure are in counts, but for sums.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    """Bounds of the interval for what the bounded records add up to."""
    sd: float | None
    suppressed: bool
    whole_lower: float | None = None
    whole_upper: float | None = None
    """Bounds of the interval for what the records say without any bound; ``None``
    where it is withheld."""
    why: str = ""
    """Why there is no number: ``small``, ``denominator`` or ``no-information``."""

    def as_json(self) -> dict[str, float | bool | str | None]:
        """Return the documented form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell of the answer."""

    values: tuple[str, ...]
    """In the order of ``Result.dimensions``."""
    estimate: Estimate
    parts: tuple[Estimate, ...] = ()
    """In the order of ``Result.parts``: what the estimate was computed from."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """How one agency records a dimension, where agencies differ."""

    agency: str
    dimension: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Return the documented form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result:
    """A release together with what this ask was charged for it."""

    id: str
    agreement: str
    agreement_version: int
    edition: str
    measure: str
    by: tuple[str, ...]
    """Dimensions, in the order of the columns."""
    levels: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    persons: Estimate
    """Persons with at least one counted cell, per agency, added up."""
    dropped: Estimate
    """Cells that the bound on one person left out."""
    cost: Cost
    """What was paid for the release, once."""
    delta: float
    coverage: Coverage
    level: float
    """Level of the intervals that is attained, at least 0.95."""
    mechanism: str
    noise_scale: float
    groups_per_person: int
    cases_per_group: int
    person_in_at_most: int
    suppress_below: int
    released_at: datetime.datetime
    query_key: str
    person_losses: Mapping[int, float]
    """Epsilon of a person known to so many agencies."""
    not_covered: tuple[str, ...]
    noise_placement: str
    """Who added the noise: ``shared`` (agencies and hub), ``agents`` or ``hub``."""
    hub_epsilon: float
    """What the hub and ``colluding_at_most`` agencies together could learn of a person,
    at most; 0 where the hub saw exact sums."""
    colluding_at_most: int
    charged: Cost
    """What this ask cost; zero for a repeat."""
    from_archive: bool
    slot_dimension: str = ""
    """Name of the last of every row's values, where one cell has several figures."""
    parts: tuple[str, ...] = ()
    unit: str = ""
    """Of the estimates: ``persons``, ``cases``, ``share`` or the quantity's."""
    denominator: str = ""
    """What shares are of, in words."""
    bounding: str = "keep"
    """How the bound on one person was kept: ``keep`` or ``weigh``."""
    whole_level: float = 0.0
    """Level of ``whole_lower`` to ``whole_upper`` over the rows; 0 where withheld."""
    whole_withheld: str = ""
    """Why they are withheld, in words."""
    dropped_share: float = 0.0
    """Noisy share of counted groups that the bound left out."""
    definitions: tuple[Definition, ...] = ()
    derived_from: str = ""
    """Id of the finer release that this one was computed from."""
    standing: str = ""
    """Name of the agreement's standing question that asked this."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of every row's values: ``by``, and ``slot_dimension`` if there is."""
        return (*self.by, self.slot_dimension) if self.slot_dimension else self.by

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows in layout order."""
        return iter(self.rows)

    def columns(self, *, provenance: bool = False) -> dict[str, list[Any]]:
        """Return the table by columns: dimensions, numbers, ``suppressed``, ``why``.

        Args:
            provenance: say of every row from which release it is and who answered, so
                that rows of several releases can be told apart.
        """
        table: dict[str, list[Any]] = {}
        if provenance:
            said = (self.id, self.edition, self.coverage.cohort, self.coverage.share)
            for name, value in zip(PROVENANCE, said, strict=True):
                table[name] = [value] * len(self.rows)
        for index, name in enumerate(self.dimensions):
            table[name] = [row.values[index] for row in self.rows]
        for number in NUMBERS:
            table[number] = [getattr(row.estimate, number) for row in self.rows]
        table["suppressed"] = [row.estimate.suppressed for row in self.rows]
        table["why"] = [row.estimate.why for row in self.rows]
        return table

    def provenance(self) -> dict[str, Any]:
        """Return where the numbers come from, for what they are exported to."""
        return {
            "release": self.id,
            "agreement": self.agreement,
            "agreement_version": self.agreement_version,
            "edition": self.edition,
            "measure": self.measure,
            "unit": self.unit,
            "coverage": self.coverage.as_json(),
            "level": self.level,
            "whole_level": self.whole_level,
            "suppress_below": self.suppress_below,
            "epsilon": self.cost.epsilon,
            "noise_placement": self.noise_placement,
            "hub_epsilon": self.hub_epsilon,
        }

    def to_polars(self, *, provenance: bool = False) -> pl.DataFrame:
        """Return a polars frame; suppressed numbers are null.

        Such a frame carries no notes: ask for *provenance* where it is kept.
        """
        return polars_frame(self.columns(provenance=provenance))

    def to_pandas(self, *, provenance: bool = False) -> pd.DataFrame:
        """Return a pandas frame; ``attrs["accord"]`` says where it comes from."""
        return pandas_frame(self.columns(provenance=provenance), self.provenance())

    def to_arrow(self, *, provenance: bool = False) -> pa.Table:
        """Return an Arrow table; its metadata ``accord`` say where it comes from."""
        return arrow_table(self.columns(provenance=provenance), self.provenance())

    def export(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write a file, ``.csv``, ``.parquet`` or ``.xlsx`` by its name, with notes.

        Returns:
            The files that were written; notes of CSV are a second one.

        Raises:
            InvalidQuery: EXPORT_KIND_UNKNOWN
            ConfigurationError: EXPORT_UNWRITABLE, LIBRARY_MISSING
        """
        from accord.client import export

        return export.export(self, path)

    def to_csv(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write CSV with provenance in every row, and notes beside it."""
        from accord.client import export

        return export.to_csv(self, Path(path))

    def to_parquet(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write Parquet; its metadata ``accord`` say where it comes from."""
        from accord.client import export

        return export.to_parquet(self, Path(path))

    def to_excel(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write a workbook with figures and notes."""
        from accord.client import export

        return export.to_excel(self, Path(path))

    def citation(self) -> str:
        """Return one line that quotes this release."""
        return citation(self)

    def consistent(self, described: Description, *coarser: Result) -> Consistent:
        """Return figures that add up and are not negative; these here stay as they are.

        Args:
            described: the agreement (``agreement.describe()``).
            coarser: releases of the same by fewer dimensions; their figures are totals.

        Raises:
            InvalidQuery: NOT_ADDITIVE, RELEASES_DIFFER
        """
        from accord.client.consistent import consistent

        return consistent(self, described, coarser)

    def plot(
        self,
        kind: str | None = None,
        *,
        outlines: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        named_by: str = "name",
    ) -> alt.LayerChart | alt.FacetChart:
        """Draw estimates with their intervals; what is suppressed has no number.

        Args:
            kind: ``trend``, ``bars``, ``heatmap``, ``corridor`` or ``map``; chosen by
                the dimensions where it is not given.
            outlines: of regions, for a map: GeoJSON, or the file that has it.
            named_by: property of every outline with the region's name.

        Raises:
            ConfigurationError: LIBRARY_MISSING
            InvalidQuery: PICTURE_DOES_NOT_FIT, PICTURE_TOO_FULL, OUTLINES_NEEDED,
                OUTLINES_UNREADABLE, OUTLINES_UNNAMED
        """
        from accord.client.chart import chart

        if not self.coverage.is_complete:
            warn_of(
                f"Release {self.id} stands on {self.coverage}. It is another series "
                "than one of all agencies: say so beside the drawing, and draw no line "
                "from one to the other.",
                [self.id],
                above=1,
            )
        return chart([self], kind, outlines=outlines, named_by=named_by)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form for machines (``docs/ref-json.md``)."""
        rows = [self._row_json(row) for row in self.rows]
        release = {
            "id": self.id,
            "agreement": self.agreement,
            "agreement_version": self.agreement_version,
            "edition": self.edition,
            "measure": self.measure,
            "by": list(self.by),
            "levels": list(self.levels),
            "where": {name: list(values) for name, values in self.where.items()},
            "rows": rows,
            "persons": self.persons.as_json(),
            "dropped": self.dropped.as_json(),
            "cost": self.cost.as_json(),
            "delta": self.delta,
            "coverage": self.coverage.as_json(),
            "level": self.level,
            "mechanism": self.mechanism,
            "noise_scale": self.noise_scale,
            "groups_per_person": self.groups_per_person,
            "cases_per_group": self.cases_per_group,
            "person_in_at_most": self.person_in_at_most,
            "suppress_below": self.suppress_below,
            "released_at": self.released_at.isoformat(),
            "query_key": self.query_key,
            "person_losses": {str(a): e for a, e in self.person_losses.items()},
            "not_covered": list(self.not_covered),
            "noise_placement": self.noise_placement,
            "hub_epsilon": self.hub_epsilon,
            "colluding_at_most": self.colluding_at_most,
            "slot_dimension": self.slot_dimension,
            "parts": list(self.parts),
            "unit": self.unit,
            "denominator": self.denominator,
            "bounding": self.bounding,
            "whole_level": self.whole_level,
            "whole_withheld": self.whole_withheld,
            "dropped_share": self.dropped_share,
            "definitions": [each.as_json() for each in self.definitions],
            "derived_from": self.derived_from,
            "standing": self.standing,
        }
        return {
            "release": release,
            "charged": self.charged.as_json(),
            "from_archive": self.from_archive,
        }

    def _row_json(self, row: Row) -> dict[str, Any]:
        named = dict(zip(self.dimensions, row.values, strict=True))
        found: dict[str, Any] = {**named, **row.estimate.as_json()}
        if self.parts:
            parts = zip(self.parts, row.parts, strict=True)
            found["parts"] = {name: part.as_json() for name, part in parts}
        return found

    def footnotes(self) -> list[str]:
        """Return what has to be read with the numbers, as sentences."""
        return footnotes(self)

    def __repr__(self) -> str:
        """Return one line, as a Python prompt shows it."""
        return (
            f"<Result: {self.title()}; {len(self)} rows; {self.coverage}; "
            f"release {self.id}>"
        )

    def _repr_html_(self) -> str:
        """Draw the table for a notebook."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in display_head(self))
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for cells in (display_cells(self, row) for row in self.rows)
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.footnotes())
        return (
            f"<table><caption>{html.escape(self.title())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
        )

    def title(self) -> str:
        """Return the question in one line."""
        return title_of(self.measure, self.by, self.where)
