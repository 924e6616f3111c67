# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a log, in words; of each kind the first ones, and how many."""

from __future__ import annotations

import dataclasses
from typing import Final

MOST_OF_A_KIND: Final = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that cannot be."""

    code: str
    sentence: str


class Findings:
    """Gathers what was found."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._found: dict[str, list[Finding]] = {}
        self._more: dict[str, int] = {}

    def add(self, code: str, sentence: str) -> None:
        """Add one; beyond `MOST_OF_A_KIND` of one code they are counted."""
        found = self._found.setdefault(code, [])
        if len(found) < MOST_OF_A_KIND:
            found.append(Finding(code=code, sentence=sentence))
        else:
            self._more[code] = self._more.get(code, 0) + 1

    def all(self) -> tuple[Finding, ...]:
        """Return all, by kind in the order in which kinds were found."""
        listed = []
        for code, found in self._found.items():
            listed += found
            if code in self._more:
                rest = f"And {self._more[code]} more of this kind."
                listed.append(Finding(code=code, sentence=rest))
        return tuple(listed)
