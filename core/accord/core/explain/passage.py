# SPDX-License-Identifier: Apache-2.0
"""One sentence about one clause, and how numbers are written in it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from accord.core.messages import sentence

SECTIONS: Final = (
    "who",
    "what",
    "protection",
    "cohorts",
    "spending",
    "comparison",
    "person",
    "review",
    "emergency",
    "linkage",
    "approval",
    "validity",
    "law",
)
"""Sections of an explanation, in their order."""

_HUNDREDTHS: Final = 100
_WHOLE_FROM: Final = 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One sentence for people, with the clause that it explains."""

    section: str
    """One of `SECTIONS`, or ``question``."""
    clause: str
    """Path of the clause in the agreement; the nearest one for what follows from it."""
    code: str
    """Message id."""
    values: tuple[tuple[str, str], ...] = ()

    def text(self, language: str = "en") -> str:
        """Return the sentence."""
        return sentence(self.code, language, **dict(self.values))

    def heading(self, language: str = "en") -> str:
        """Return the heading of the section that it stands in."""
        return sentence(f"explain.section.{self.section}", language)


def passage(section: str, clause: str, code: str, **values: object) -> Passage:
    """Return the passage whose sentence is ``explain.CODE``."""
    return Passage(
        section=section,
        clause=clause,
        code=f"explain.{code}",
        values=tuple(sorted((name, str(value)) for name, value in values.items())),
    )


def listed(words: Iterable[str]) -> str:
    """Return words as a list within a sentence."""
    return ", ".join(words)


def as_written(number: Fraction) -> str:
    """Return a number of the document as people write it."""
    return re.sub(r"e-0+", "e-", f"{float(number):g}")


def rounded_up(number: Fraction) -> str:
    """Return a loss to two decimals, never below it."""
    return f"{math.ceil(number * _HUNDREDTHS) / _HUNDREDTHS:g}"


def width(counts: Fraction) -> str:
    """Return a half-width in counts, never below it."""
    if counts >= _WHOLE_FROM:
        return str(math.ceil(counts))
    return f"{math.ceil(counts * _WHOLE_FROM) / _WHOLE_FROM:g}"


def percent(share: Fraction) -> str:
    """Return a share as a percentage."""
    return f"{float(share * _HUNDREDTHS):g} %"
