# SPDX-License-Identifier: Apache-2.0
"""What is computed from releases: rows of one kind, with what has to be read with them.

Nothing here costs anything: released figures may be computed with for ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from accord.client.frames import missing

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 8
"""Rows that a Python prompt shows."""


class Line(Protocol):
    """One row of what was computed."""

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return names and values; numbers as they are."""
        ...


Item = TypeVar("Item", bound=Line)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Derived(Generic[Item]):
    """Rows computed from one release or several."""

    kind: str
    """Such as ``ratio``."""
    title: str
    items: tuple[Item, ...]
    level: float
    """Of every interval by itself."""
    releases: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the rows."""
        return iter(self.items)

    def __getitem__(self, place: int) -> Item:
        """Return the row at a place."""
        return self.items[place]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "kind": self.kind,
            "title": self.title,
            "level": self.level,
            "rows": [each.as_json() for each in self.items],
            "releases": list(self.releases),
            "notes": list(self.notes),
        }

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars frame; what is withheld is null."""
        try:
            import polars as pl
        except ImportError:
            raise missing("polars") from None
        rows = [each.as_json() for each in self.items]
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        """Return title, some rows and every note."""
        lines = [f"<{self.title}; {len(self)} rows>"]
        given = [each for each in self.items if not each.withheld]
        lines += [f"  {each}" for each in given[:_SHOWN]]
        if len(given) > _SHOWN:
            lines.append(f"  … {len(given) - _SHOWN} more")
        if withheld := len(self) - len(given):
            lines.append(f"  {withheld} withheld")
        return "\n".join([*lines, *(f"· {note}" for note in self.notes)])


NOISE_ONLY = (
    "Intervals are for noise alone: what the bound on one person left out is not in "
    "them."
)
"""Goes with every interval that was computed from released ones."""
