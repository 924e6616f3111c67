# SPDX-License-Identifier: Apache-2.0
"""Which agencies stand behind an answer, and a word of warning where some are missing.

An answer without an agency is no smaller copy of the whole: it is another series. So
what is missing goes wherever the numbers go, and whoever draws them or puts them beside
others is told, once for each release.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable
from typing import Any


class PartialCoverageWarning(UserWarning):
    """Numbers are drawn or put together that do not stand on the same agencies."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which agencies stand behind an answer."""

    answered: tuple[str, ...]
    missing: tuple[str, ...]
    """Parties of the agreement that did not take part."""
    cohort: str = ""
    """Name that the agreement gives to those who answered."""

    @property
    def is_complete(self) -> bool:
        """Whether every party of the agreement took part."""
        return not self.missing

    @property
    def share(self) -> str:
        """How many of how many, such as ``4 of 5``."""
        return f"{len(self.answered)} of {len(self.answered) + len(self.missing)}"

    def __str__(self) -> str:
        """Return a phrase such as ``4 of 5 agencies, without city-police``."""
        if self.is_complete:
            return f"{self.share} agencies"
        words = f"{self.share} agencies, without {', '.join(self.missing)}"
        return f"{words} (cohort {self.cohort})" if self.cohort else words

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "cohort": self.cohort,
            "answered": list(self.answered),
            "missing": list(self.missing),
            "share": self.share,
            "is_complete": self.is_complete,
        }


_TOLD: set[str] = set()
"""Releases about which somebody was warned in this process."""


def warn_of(sentence: str, releases: Iterable[str], *, above: int) -> None:
    """Warn, unless that was done for each of these releases already.

    Args:
        sentence: what to say.
        releases: ids of the releases with missing agencies that it is about.
        above: calls between the caller's and the line that the warning points to.
    """
    new = set(releases) - _TOLD
    if not new:
        return
    _TOLD.update(new)
    warnings.warn(sentence, PartialCoverageWarning, stacklevel=above + 2)
