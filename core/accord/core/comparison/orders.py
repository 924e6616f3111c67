# SPDX-License-Identifier: Apache-2.0
"""Which of two values of a clause is the looser one.

Comparing agreements and holding them to a preset use the same orders, so that what a
preset calls tighter is never what a board is told is looser.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Collection
from fractions import Fraction
from typing import Final, TypeAlias

Comparable: TypeAlias = int | Fraction | datetime.date
Value: TypeAlias = Comparable | str | Collection[str] | None
"""What a clause can hold: a number or a day, a word, several words, nothing."""


class Way(enum.StrEnum):
    """Where a change leads."""

    LOOSER = "looser"
    TIGHTER = "tighter"
    OTHER = "other"
    """Neither can be said; treated as looser wherever it matters."""


def reverse(way: Way) -> Way:
    """Return where the opposite change leads."""
    opposites = {Way.LOOSER: Way.TIGHTER, Way.TIGHTER: Way.LOOSER}
    return opposites.get(way, Way.OTHER)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number or a day; one direction is looser."""

    more: Way
    less: Way
    unsaid_is_most: bool = False
    """Whether a clause that is not there is like the largest number of all."""

    def way(self, before: Value, after: Value) -> Way | None:
        """Return where the change leads; nothing where there is none."""
        if before == after:
            return None
        if before is None or after is None:
            if not self.unsaid_is_most:
                return Way.OTHER
            return self.more if after is None else self.less
        return self.more if _larger(after, before) else self.less


@dataclasses.dataclass(frozen=True, slots=True)
class Rank:
    """One of few words, the tightest first."""

    words: tuple[str, ...]

    def way(self, before: Value, after: Value) -> Way | None:
        """Return where the change leads; nothing where there is none."""
        if before == after:
            return None
        if before not in self.words or after not in self.words:
            return Way.OTHER
        later = self.words.index(str(after)) > self.words.index(str(before))
        return Way.LOOSER if later else Way.TIGHTER


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """Words of which each has its own weight, in any order."""

    added: Way
    removed: Way

    def way(self, before: Value, after: Value) -> Way | None:
        """Return where the change leads; nothing where there is none."""
        first, second = _words(before), _words(after)
        ways = {self.added} if second - first else set()
        if first - second:
            ways.add(self.removed)
        if not ways:
            return None
        return next((w for w in (Way.LOOSER, Way.OTHER) if w in ways), Way.TIGHTER)


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    """Any change matters, and in no direction that could be told."""

    def way(self, before: Value, after: Value) -> Way | None:
        """Return where the change leads; nothing where there is none."""
        return None if before == after else Way.OTHER


Order: TypeAlias = Amount | Rank | Several | Fixed

MORE_IS_LOOSER: Final = Amount(more=Way.LOOSER, less=Way.TIGHTER)
LESS_IS_LOOSER: Final = Amount(more=Way.TIGHTER, less=Way.LOOSER)
CAP: Final = Amount(more=Way.LOOSER, less=Way.TIGHTER, unsaid_is_most=True)
FEWER_ARE_LOOSER: Final = Several(added=Way.TIGHTER, removed=Way.LOOSER)
MORE_ARE_LOOSER: Final = Several(added=Way.LOOSER, removed=Way.TIGHTER)
LINKAGE: Final = Rank(("none", "sketch", "overlap", "token"))
ACCOUNTING: Final = Rank(("pure", "zcdp"))
"""The same epsilon says more without a delta. A change from one to the other is never
tighter, though: what was spent stays behind in the other account."""


def _larger(one: Value, other: Value) -> bool:
    if isinstance(one, datetime.date) and isinstance(other, datetime.date):
        return one > other
    if isinstance(one, int | Fraction) and isinstance(other, int | Fraction):
        return one > other
    message = f"{type(one).__name__} and {type(other).__name__} have no order"
    raise TypeError(message)


def _words(value: Value) -> frozenset[str]:
    if value is None:
        return frozenset()
    if isinstance(value, str | int | Fraction | datetime.date):
        return frozenset({str(value)})
    return frozenset(value)
