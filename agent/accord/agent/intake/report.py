# SPDX-License-Identifier: Apache-2.0
"""What an ingest did, in counts and row numbers: for the agency's own staff.

Holds no value of any record. It is shown on the screen of whoever runs the command and
goes nowhere else; exact counts of one agency must not reach the hub.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.intake.codes import Reason

FIRST_ROWS = 5
"""Rows that are named for each reason."""

SENTENCES = {
    Reason.UNKNOWN_CODE: "a code that the mapping does not place",
    Reason.OUT_OF_DOMAIN: "a value outside the data model's domain",
    Reason.NOT_A_DATE: "not a date of the form that the mapping says",
    Reason.NOT_A_NUMBER: "not a number",
    Reason.TOO_MANY_VALUES: "more values than the data model allows for one case",
    Reason.NO_PERSON: "all columns that identify the person are empty",
    Reason.CASE_CONFLICT: "rows of the same person and case that contradict each other",
    Reason.UNREADABLE: "a value that cannot be read, such as a formula's error",
    Reason.TOTAL_LINE: "a line of totals, which is no record",
    Reason.OPTED_OUT: "does not want to be counted",
    Reason.NO_CONSENT: "no consent",
    Reason.CONSENT_UNCLEAR: "a code for consent, or an end of it, that says neither",
    Reason.CONSENT_ENDED: "consent that has ended",
    Reason.FORGOTTEN: "of a person whom this agency has forgotten, or of their case",
    Reason.TOO_OLD: "older than this agency keeps records",
    Reason.NO_CASE: "no case id, without which changes cannot be followed",
}

COUNTED_ONLY = frozenset(
    {
        Reason.OPTED_OUT,
        Reason.NO_CONSENT,
        Reason.CONSENT_ENDED,
        Reason.FORGOTTEN,
        Reason.TOO_OLD,
    }
)
"""Nothing about such a row is to be put right, so none is pointed at."""


@dataclasses.dataclass(slots=True)
class Refusal:
    """Rows that were left out for one reason at one place."""

    rows: int = 0
    first: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    """File and row number of the first few."""

    def add(self, rows: int, places: list[tuple[int, int]]) -> None:
        """Count more rows; any of them may be named."""
        self.rows += rows
        self.first = heapq.nsmallest(FIRST_ROWS, [*self.first, *places])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How many cases a source shows, and how they differ from those of the part."""

    cases: int
    anew: int
    """New or changed, or so recent that they are read again."""
    gone: int
    rows: int
    """Rows of all cases."""
    rows_anew: int

    def as_json(self) -> dict[str, int]:
        """Return the counts for machines."""
        return {"in_source": self.cases, "read_anew": self.anew, "gone": self.gone}


@dataclasses.dataclass(slots=True, kw_only=True)
class Report:
    """Counts of one run over the sources of one mapping."""

    mapping: str
    files: tuple[str, ...]
    """Names of the sources."""
    counted: tuple[Callable[[int], int], ...] = ()
    """For each source, how its owner counts its rows."""
    dimensions: tuple[str, ...] = ()
    """What the mapping names, in the order of the data model."""
    read: int = 0
    kept: int = 0
    """Cases."""
    collapsed: int = 0
    """Rows that repeat a case exactly."""
    refused: int = 0
    """Rows left out, each once."""
    persons: int = 0
    """Distinct persons, or records that name none, among the cases."""
    names_persons: bool = True
    changes: Changes | None = None
    """How the source differs from what was read before, where that is followed."""
    refusals: dict[tuple[str, Reason], Refusal] = dataclasses.field(
        default_factory=dict
    )
    recorded: dict[str, int] = dataclasses.field(default_factory=dict)
    """Cases that say something on a dimension or quantity."""
    free_texts: list[str] = dataclasses.field(default_factory=list)
    """Columns that are read as lists of codes and look as if people write in them."""
    outside: dict[str, int] = dataclasses.field(default_factory=dict)
    """Numbers out of bounds, stored as not recorded."""

    def refuse(
        self,
        place: str,
        reason: Reason,
        file: npt.NDArray[Any],
        row: npt.NDArray[Any],
    ) -> None:
        """Note rows that are left out at *place*, a dimension or nothing."""
        order = np.lexsort((row, file))[:FIRST_ROWS]
        first = zip(file[order].tolist(), row[order].tolist(), strict=True)
        self.note(place, reason, len(row), list(first))

    def note(
        self, place: str, reason: Reason, rows: int, first: list[tuple[int, int]]
    ) -> None:
        """Note a number of rows of which the first few are known."""
        if reason in COUNTED_ONLY:
            first = []
        if rows:
            self.refusals.setdefault((place, reason), Refusal()).add(rows, first)

    def share_recorded(self, name: str) -> float:
        """Return which share of the cases says something on *name*."""
        return self.recorded.get(name, 0) / self.kept if self.kept else 0.0

    def rows_named(self, refusal: Refusal) -> str:
        """Return the first rows of a refusal in words."""
        several = len(self.files) > 1
        names = [
            f"{self.files[file]}:{row}" if several else str(row)
            for file, row in self._places(refusal)
        ]
        more = ", …" if names and refusal.rows > len(names) else ""
        return ", ".join(names) + more

    def _places(self, refusal: Refusal) -> Iterator[tuple[int, int]]:
        for file, row in refusal.first:
            yield file, self.counted[file](row) if self.counted else row

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "mapping": self.mapping,
            "sources": list(self.files),
            "rows": {
                "read": self.read,
                "cases": self.kept,
                "repeated": self.collapsed,
                "refused": self.refused,
            },
            **({} if self.changes is None else {"changes": self.changes.as_json()}),
            "persons" if self.names_persons else "records": self.persons,
            "refused": [
                {
                    "dimension": place or None,
                    "reason": reason.word,
                    "text": SENTENCES[reason],
                    "rows": refusal.rows,
                    "first_rows": [
                        {"source": self.files[file], "row": row}
                        for file, row in self._places(refusal)
                    ],
                }
                for (place, reason), refusal in sorted(self.refusals.items())
            ],
            "recorded": {
                name: round(self.share_recorded(name), 4) for name in self.dimensions
            },
            "out_of_bounds": dict(self.outside),
            **({"free_texts": self.free_texts} if self.free_texts else {}),
        }
