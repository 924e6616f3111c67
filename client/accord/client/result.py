# SPDX-License-Identifier: Apache-2.0
"""A published answer as an analyst reads it.

Numbers are as they were released: nothing is rounded, clipped or made to add up.
Frames are made only when asked for, with whichever library is installed.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from accord.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

NUMBERS = ("estimate", "lower", "upper", "sd")
"""Columns of an estimate, in order; ``suppressed`` follows."""

_MOST_NAMED = 4
"""Filter values that a title names one by one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Privacy loss: as epsilon at the agreement's delta, and as rho under zCDP."""

    epsilon: float
    rho: float

    def as_json(self) -> dict[str, float]:
        """Return the documented form."""
        return {"epsilon": self.epsilon, "rho": self.rho}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which agencies stand behind an answer."""

    answered: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """Return a phrase such as ``4 of 5 agencies, without police``."""
        total = len(self.answered) + len(self.missing)
        phrase = f"{len(self.answered)} of {total} agencies"
        return (
            f"{phrase}, without {', '.join(self.missing)}" if self.missing else phrase
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with its error, in counts; all ``None`` where it is suppressed."""

    estimate: float | None
    lower: float | None
    upper: float | None
    """Bounds of the interval for what the bounded records add up to."""
    sd: float | None
    suppressed: bool

    def as_json(self) -> dict[str, float | bool | None]:
        """Return the documented form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell of the answer."""

    values: tuple[str, ...]
    """In the order of ``Result.by``."""
    estimate: Estimate


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
    charged: Cost
    """What this ask cost; zero for a repeat."""
    from_archive: bool

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows in layout order."""
        return iter(self.rows)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table by columns: dimensions, numbers, ``suppressed``."""
        table: dict[str, list[Any]] = {
            name: [row.values[index] for row in self.rows]
            for index, name in enumerate(self.by)
        }
        for number in NUMBERS:
            table[number] = [getattr(row.estimate, number) for row in self.rows]
        table["suppressed"] = [row.estimate.suppressed for row in self.rows]
        return table

    def to_polars(self) -> pl.DataFrame:
        """Return a polars frame; suppressed numbers are null."""
        try:
            import polars as pl
        except ImportError:
            raise _missing("polars") from None
        kinds: dict[str, Any] = dict.fromkeys(self.by, pl.String)
        kinds |= dict.fromkeys(NUMBERS, pl.Float64)
        return pl.DataFrame(self.columns(), schema={**kinds, "suppressed": pl.Boolean})

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame; suppressed numbers are missing."""
        try:
            import pandas as pd
        except ImportError:
            raise _missing("pandas") from None
        frame = pd.DataFrame(self.columns())
        kinds: dict[str, str] = dict.fromkeys(NUMBERS, "float64")
        return frame.astype({**kinds, "suppressed": "bool"})

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table; suppressed numbers are null."""
        try:
            import pyarrow as pa
        except ImportError:
            raise _missing("pyarrow", extra="arrow") from None
        fields: list[tuple[str, pa.DataType]] = [
            *((name, pa.string()) for name in self.by),
            *((name, pa.float64()) for name in NUMBERS),
            ("suppressed", pa.bool_()),
        ]
        return pa.table(self.columns(), schema=pa.schema(fields))

    def as_json(self) -> dict[str, Any]:
        """Return the documented form for machines (``docs/ref-json.md``)."""
        rows = [
            dict(zip(self.by, row.values, strict=True)) | row.estimate.as_json()
            for row in self.rows
        ]
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
            "coverage": dataclasses.asdict(self.coverage),
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
        }
        return {
            "release": release,
            "charged": self.charged.as_json(),
            "from_archive": self.from_archive,
        }

    def footnotes(self) -> list[str]:
        """Return what has to be read with the numbers, as sentences."""
        provenance = (
            f"{self.coverage}; edition {self.edition}; "
            f"agreement {self.agreement} version {self.agreement_version}; "
            f"release {self.id}."
        )
        meaning = (
            f"Intervals hold the bounded total with probability {self.level:.1%}. "
            f"A person counts in at most {self.groups_per_person} cells per agency; "
            f"{_spread(self.dropped)} cells were left out for that."
        )
        notes = [provenance, meaning, _charged(self)]
        if any(row.estimate.suppressed for row in self.rows):
            notes.append(
                f"– : suppressed, because the noisy estimate is below "
                f"{self.suppress_below}."
            )
        return [*notes, *self.not_covered]

    def __repr__(self) -> str:
        """Return one line, as a Python prompt shows it."""
        return f"<Result: {self.title()}; {len(self)} rows; release {self.id}>"

    def _repr_html_(self) -> str:
        """Draw the table for a notebook."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self._head())
        body = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for cells in (display_cells(row) for row in self.rows)
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.footnotes())
        return (
            f"<table><caption>{html.escape(self.title())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
        )

    def title(self) -> str:
        """Return the question in one line."""
        text = self.measure
        if self.by:
            text += " by " + ", ".join(self.by)
        if self.where:
            parts = (f"{name} = {_shortened(v)}" for name, v in self.where.items())
            text += " where " + " and ".join(parts)
        return text

    def _head(self) -> Sequence[str]:
        return [*self.by, "estimate", "interval", "sd"]


def display_cells(row: Row) -> list[str]:
    """Return one row as people read it: whole numbers, a dash where suppressed.

    Only what is displayed is rounded; intervals are rounded outwards.
    """
    shown = row.estimate
    if shown.estimate is None or shown.lower is None or shown.upper is None:
        return [*row.values, "–", "–", "–"]
    lower, upper = math.floor(shown.lower), math.ceil(shown.upper)
    return [
        *row.values,
        _number(shown.estimate),
        f"{lower:,} … {upper:,}",
        f"{shown.sd:,.1f}",
    ]


def _shortened(values: Sequence[str]) -> str:
    """Return filter values in one line, as first and last where there are many."""
    if len(values) <= _MOST_NAMED:
        return " | ".join(values)
    return f"{values[0]} … {values[-1]} ({len(values)} values)"


def _spread(shown: Estimate) -> str:
    if shown.estimate is None or shown.upper is None:
        return "an unknown number of"
    return f"{shown.estimate:,.0f} ± {shown.upper - shown.estimate:,.0f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _charged(result: Result) -> str:
    paid = f"The release cost ε = {result.cost.epsilon:.3g}"
    if result.delta:
        paid += f" (δ = {result.delta:g})"
    if result.from_archive:
        return f"{paid}; this repeat was free."
    return f"{paid}."


def _missing(library: str, *, extra: str | None = None) -> ConfigurationError:
    return ConfigurationError(
        "LIBRARY_MISSING",
        f"This needs {library}, which is not installed here; "
        f"run: pip install 'accord[{extra or library}]'",
        library=library,
    )
