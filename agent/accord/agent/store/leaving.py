# SPDX-License-Identifier: Apache-2.0
"""Cases that leave by themselves as time goes by: consent that ended, and old ones.

Where consent has an end, the store has the last day of it for each case, in a column
that is no dimension and that no question can name.
"""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import Columns
from accord.core.calendar import period_end
from accord.core.dimension import UNKNOWN
from accord.core.errors import ConfigurationError
from accord.core.model import DataModel

CONSENT_UNTIL = "consent__until"
"""Days since 1970; a dimension's name cannot have two underscores."""

NO_END = 65_535
"""Consent that ends on no day."""

Flags = npt.NDArray[np.bool_]

_EPOCH = datetime.date(1970, 1, 1)


def day_code(day: datetime.date) -> int:
    """Return a day as the store writes it; what it cannot write has the nearest."""
    return min(max((day - _EPOCH).days, 0), NO_END - 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What leaves on a day."""

    today: datetime.date
    months: int | None = None
    """Cases that were registered so many months ago leave; none: they stay."""
    registered: str = "registered_month"
    """Calendar dimension that says when a case was registered."""

    def codes(self, model: DataModel) -> tuple[int, ...]:
        """Return the leaf codes of the periods whose cases are too old.

        Raises:
            ConfigurationError: RETENTION_DIMENSION.
        """
        if self.months is None:
            return ()
        dimension = model.dimensions.get(self.registered)
        if dimension is None or "year" not in dimension.levels or not dimension.single:
            raise ConfigurationError(
                "RETENTION_DIMENSION",
                f"[retention] in config.toml goes by {self.registered!r}, which is no "
                f"calendar dimension of the data model {model.name!r}: name one with "
                "`registered`.",
            )
        before = months_before(self.today, self.months)
        return tuple(
            code
            for code, leaf in enumerate(dimension.leaves)
            if leaf != UNKNOWN and period_end(leaf) < before
        )

    def flags(self, columns: Columns, model: DataModel | None) -> Flags | None:
        """Return which cases of a store leave; none where all of them stay.

        Args:
            columns: the store.
            model: by which its codes are read; none: only consent is looked at.
        """
        found: Flags | None = None
        if has_ends(columns):
            ended = columns.array(CONSENT_UNTIL) < day_code(self.today)
            found = ended if ended.any() else None
        codes = () if model is None else self.codes(model)
        if codes:
            old = np.isin(columns.array(self.registered), codes)
            if old.any():
                found = old if found is None else found | old
        return found


def has_ends(columns: Columns) -> bool:
    """Tell whether consent has an end in a store."""
    return any(form.name == CONSENT_UNTIL for form in columns.form.columns)


def months_before(day: datetime.date, months: int) -> datetime.date:
    """Return the first day of the month that lies so many months back."""
    number = max(day.year * 12 + day.month - 1 - months, 12)
    return datetime.date(number // 12, number % 12 + 1, 1)
