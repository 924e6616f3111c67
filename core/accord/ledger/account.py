# SPDX-License-Identifier: Apache-2.0
"""What the ledger takes and gives: lines, limits, entries, balances.

Amounts are exact integers of billionths. Floats and booleans are refused, and so is
whatever would not fit a 64-bit integer when added up.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Final

LARGEST_TOTAL: Final = 2**62
"""No account ever holds more, so that one more amount cannot overflow 64 bits."""

LONGEST_WINDOW: Final = 200 * 366 * 86_400
"""Seconds; a sliding window longer than two centuries is a mistake in units."""

LONGEST_NAME: Final = 300

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_LATEST: Final = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


class Unit(enum.StrEnum):
    """What an account counts."""

    NANO_RHO = "nano-rho"
    """Billionths of the zCDP parameter."""

    NANO_EPSILON = "nano-epsilon"
    """Billionths of pure epsilon."""


class State(enum.StrEnum):
    """Where an entry stands; only ``reserved`` can change."""

    RESERVED = "reserved"
    CHARGED = "charged"
    RETURNED = "returned"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most ``cap`` in any period of that length."""

    seconds: int
    cap: int

    def __post_init__(self) -> None:
        """Refuse what is not a length and an amount.

        Raises:
            TypeError: not an integer.
            ValueError: out of range.
        """
        _require_integer("seconds of a window", self.seconds, 1, LONGEST_WINDOW)
        _require_integer("cap of a window", self.cap, 0, LARGEST_TOTAL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """An amount on an account."""

    account: str
    unit: Unit
    amount: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An amount asked of an account, and the limits that hold for it now."""

    account: str
    unit: Unit
    amount: int
    lifetime_cap: int | None = None
    """Most that the account may ever hold; ``None`` where only windows limit it."""

    windows: tuple[Window, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be kept exactly.

        Raises:
            TypeError: an amount or cap that is not an integer.
            ValueError: an amount, cap or name out of range.
        """
        require_account(self.account)
        object.__setattr__(self, "unit", Unit(self.unit))
        _require_integer("amount of a line", self.amount, 1, LARGEST_TOTAL - 1)
        if self.lifetime_cap is not None:
            _require_integer("lifetime cap", self.lifetime_cap, 0, LARGEST_TOTAL)

    @property
    def posting(self) -> Posting:
        """The line without its limits: what makes an entry the same entry."""
        return Posting(account=self.account, unit=self.unit, amount=self.amount)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One release as the ledger holds it."""

    id: str
    state: State
    reserved_at: dt.datetime
    """When it counts for sliding windows; never earlier than entries before it."""

    settled_at: dt.datetime | None
    """When it was charged or given back."""

    height: int
    """Number of the event that reserved it."""

    postings: tuple[Posting, ...]
    """In order of account and unit."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WindowBalance:
    """How full one sliding window is."""

    window: Window
    used: int

    @property
    def left(self) -> int:
        """What it still holds; 0 where the cap was lowered below what is used."""
        return max(0, self.window.cap - self.used)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds at a moment."""

    spent: int
    """Charged, over its lifetime."""

    reserved: int
    """Reserved and neither charged nor given back yet."""

    lifetime_cap: int | None
    windows: tuple[WindowBalance, ...]

    @property
    def used(self) -> int:
        """What counts against the lifetime cap."""
        return self.spent + self.reserved

    @property
    def left(self) -> int:
        """The largest amount that would be granted now."""
        cap = LARGEST_TOTAL if self.lifetime_cap is None else self.lifetime_cap
        return min([max(0, cap - self.used), *(each.left for each in self.windows)])


def require_account(name: str) -> None:
    """Refuse a name that is empty, overlong or not printable.

    Raises:
        ValueError: it is one of these.
    """
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        sentence = f"an account's name is 1 to {LONGEST_NAME} printable characters"
        raise ValueError(sentence)


def require_id(entry: str) -> None:
    """Refuse an id that has other spellings, each of which would be another entry.

    Raises:
        ValueError: not a UUID in its canonical text form.
    """
    try:
        canonical = str(uuid.UUID(entry)) == entry
    except (ValueError, AttributeError, TypeError):
        canonical = False
    if not canonical:
        sentence = "the id of a ledger entry is a UUID in lower case with hyphens"
        raise ValueError(sentence)


def microseconds(moment: dt.datetime) -> int:
    """Return the exact microseconds since 1970.

    Raises:
        ValueError: the moment has no time zone, or lies before 1970 or after 9000.
    """
    if moment.tzinfo is None or not _EPOCH <= moment < _LATEST:
        sentence = "a moment in the ledger has a time zone and a year from 1970 to 8999"
        raise ValueError(sentence)
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> dt.datetime:
    """Return the moment (UTC) for microseconds since 1970."""
    return _EPOCH + count * _MICROSECOND


def shown(amount: int, unit: Unit) -> str:
    """Return an amount as people read it: ``0.0125 rho``, exact."""
    number = decimal.Decimal(amount).scaleb(-9)
    plain = f"{number:f}"
    return f"{plain.rstrip('0').rstrip('.')} {unit.removeprefix('nano-')}"


def _require_integer(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        sentence = f"the {name} has to be an integer, not a {type(value).__name__}"
        raise TypeError(sentence)
    if not least <= value <= most:
        sentence = f"the {name} has to lie between {least} and {most}"
        raise ValueError(sentence)
