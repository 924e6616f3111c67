# SPDX-License-Identifier: Apache-2.0
"""Values of clauses as people read them, in any language."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Collection
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

from accord.core.comparison.orders import Value
from accord.core.messages import sentence


@dataclasses.dataclass(frozen=True, slots=True)
class Phrase:
    """Words that depend on the language."""

    message: str
    values: tuple[tuple[str, str], ...] = ()

    def text(self, language: str = "en") -> str:
        """Return the words in *language*."""
        return sentence(self.message, language, **dict(self.values))


Shown: TypeAlias = str | Phrase
"""A name or number that is the same everywhere, or a phrase."""

NONE: Final = Phrase("compare.value.none")
EVERY_VALUE: Final = Phrase("compare.value.every")

NOT_AT_ALL: Final = Phrase("compare.value.not-at-all")

_UNSAID: Final = {
    "cap": Phrase("compare.value.no-limit"),
    "percent": Phrase("compare.value.no-limit"),
    "price": Phrase("compare.value.from-price"),
    "kept": Phrase("compare.value.for-ever"),
}
"""What holds where a clause with that unit is not there."""

COUNTED: Final = frozenset({"day", "agency", "signature"})
"""Units that are written out behind their number."""

_SMALLEST_WRITTEN_OUT = -4
"""Decimal exponent below which a number is written with an exponent."""


def words_of(shown: Shown, language: str = "en") -> str:
    """Return what is shown, in *language*."""
    return shown.text(language) if isinstance(shown, Phrase) else shown


def shown(value: Value, unit: str = "") -> Shown:
    """Return *value* as people read it.

    Args:
        value: what a clause holds.
        unit: one of `COUNTED`, ``percent``, ``cap``, ``price``, ``kept`` (days), or
            nothing.
    """
    if value is None or value == "":
        return _UNSAID.get(unit, NONE)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, int | Fraction):
        return _amount(Fraction(value), unit)
    return _listed(value)


def _amount(value: Fraction, unit: str) -> Shown:
    if unit == "percent":
        return f"{decimal_text(value * 100)} %"
    number = decimal_text(value)
    if unit == "kept":
        unit = "day"
    if unit in COUNTED:
        form = "one" if value == 1 else "many"
        return Phrase(f"compare.value.{unit}.{form}", (("number", number),))
    return number


def _listed(values: Collection[str]) -> Shown:
    return ", ".join(sorted(values)) if values else NONE


def decimal_text(number: Fraction) -> str:
    """Return an exact number without digits that say nothing: 0.5, 12, 1e-9."""
    context = decimal.Context(prec=30)
    exact = context.divide(Decimal(number.numerator), Decimal(number.denominator))
    short = exact.normalize(context)
    if short.adjusted() < _SMALLEST_WRITTEN_OUT:
        return f"{short:e}"
    return f"{short:f}"
