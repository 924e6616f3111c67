# SPDX-License-Identifier: Apache-2.0
"""Released numbers as data frames of whichever library is installed.

Nothing is rounded, and a suppressed cell has no number. Where a library lets a table
carry notes (pandas, Arrow) the provenance of a release travels in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

NUMBERS: Final = ("estimate", "lower", "upper", "sd", "whole_lower", "whole_upper")
"""Columns of an estimate, in order; ``suppressed`` and ``why`` follow."""

NOTES: Final = "accord"
"""Under this name a table carries where it comes from."""

Columns = Mapping[str, Sequence[Any]]


def polars_frame(columns: Columns) -> pl.DataFrame:
    """Return a polars frame; suppressed numbers are null."""
    try:
        import polars as pl
    except ImportError:
        raise missing("polars") from None
    kinds: dict[str, Any] = dict.fromkeys(columns, pl.String)
    kinds |= dict.fromkeys(NUMBERS, pl.Float64)
    return pl.DataFrame(dict(columns), schema={**kinds, "suppressed": pl.Boolean})


def pandas_frame(columns: Columns, notes: Mapping[str, Any]) -> pd.DataFrame:
    """Return a pandas frame with *notes* in its ``attrs``; suppressed is missing."""
    try:
        import pandas as pd
    except ImportError:
        raise missing("pandas") from None
    frame = pd.DataFrame(dict(columns))
    kinds: dict[str, str] = dict.fromkeys(NUMBERS, "float64")
    frame = frame.astype({**kinds, "suppressed": "bool"})
    frame.attrs[NOTES] = dict(notes)
    return frame


def arrow_table(columns: Columns, notes: Mapping[str, Any]) -> pa.Table:
    """Return an Arrow table with *notes* in its metadata; suppressed is null."""
    try:
        import pyarrow as pa
    except ImportError:
        raise missing("pyarrow", extra="arrow") from None
    kinds: dict[str, pa.DataType] = dict.fromkeys(columns, pa.string())
    kinds |= dict.fromkeys(NUMBERS, pa.float64())
    kinds["suppressed"] = pa.bool_()
    written = json.dumps(notes, ensure_ascii=False).encode()
    schema = pa.schema(list(kinds.items()), metadata={NOTES.encode(): written})
    return pa.table(dict(columns), schema=schema)


def missing(library: str, *, extra: str | None = None) -> ConfigurationError:
    """Return the error for a library that is not installed."""
    return ConfigurationError(
        "LIBRARY_MISSING",
        f"This needs {library}, which is not installed here; "
        f"run: pip install 'accord[{extra or library}]'",
        library=library,
    )
