# SPDX-License-Identifier: Apache-2.0
"""A drawing of a release as SVG, where the libraries for it are installed."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from accord.client.coverage import PartialCoverageWarning
from accord.client.result import Result
from accord.core.errors import ConfigurationError, InvalidQuery


def drawing_of(result: Result) -> str:
    """Return the SVG, or nothing where it cannot be drawn.

    The page says itself which agencies stand behind it, so nobody is warned here.
    """
    from accord.client.chart import save

    try:
        with (
            warnings.catch_warnings(),
            tempfile.TemporaryDirectory(prefix="accord-brief-") as folder,
        ):
            warnings.simplefilter("ignore", PartialCoverageWarning)
            file = save(result.plot(), Path(folder) / "drawing.svg")
            return file.read_text(encoding="utf-8")
    except (ConfigurationError, InvalidQuery):
        return ""
