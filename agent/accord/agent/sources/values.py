# SPDX-License-Identifier: Apache-2.0
"""Values of a database as the texts that mappings read.

Dates and times become ISO 8601, numbers plain decimals, truth values `true` and
`false`, nothing at all the empty text. What has no one form as a text, such as bytes
or lists, is refused with the name of its column; a value never stands in a message.
"""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from accord.core.errors import SourceError

_MOST_WHOLE = 2.0**53
"""Beyond it a binary fraction is no exact whole number."""


class _Formless(Exception):
    """A value of a type that has no text of its own."""


def _from_float(value: float) -> str:
    if value.is_integer() and abs(value) < _MOST_WHOLE:
        return str(int(value))
    return repr(value)


def _from_decimal(value: decimal.Decimal) -> str:
    return format(value, "f") if value.is_finite() else str(value)


def _from_moment(value: datetime.datetime) -> str:
    return value.isoformat(" ")


def _truth(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "true" if value else "false"


_FORMS: dict[type, Callable[[Any], str]] = {
    str: lambda value: value,
    type(None): lambda value: "",  # noqa: ARG005
    bool: _truth,
    int: str,
    float: _from_float,
    decimal.Decimal: _from_decimal,
    datetime.datetime: _from_moment,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: str,
    uuid.UUID: str,
    ipaddress.IPv4Address: str,
    ipaddress.IPv6Address: str,
    ipaddress.IPv4Interface: str,
    ipaddress.IPv6Interface: str,
}


def text_of(value: object) -> str:
    """Return the text of one value.

    Raises:
        _Formless: its type has none.
    """
    form = _FORMS.get(type(value))
    if form is None:
        raise _Formless
    return form(value)


def from_bit(value: object) -> object:
    """Return the number in a column of type BIT, which some drivers give as bytes."""
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def columns_of(
    rows: Sequence[Sequence[object]],
    names: Sequence[str],
    bits: Iterable[int],
    source: str,
) -> list[list[str]]:
    """Return rows, of which there is one, as columns of texts.

    Args:
        rows: as the driver gives them.
        names: of the columns, for messages.
        bits: places of columns of type BIT.
        source: name of the table, for messages.

    Raises:
        SourceError: SOURCE_TYPE.
    """
    packed = set(bits)
    columns: list[list[str]] = []
    for place, values in enumerate(zip(*rows, strict=True)):
        told = map(from_bit, values) if place in packed else values
        try:
            columns.append(
                [value if type(value) is str else text_of(value) for value in told]
            )
        except _Formless:
            raise SourceError(
                "SOURCE_TYPE",
                f"{source}: the column {names[place]!r} holds bytes, lists or another "
                "type that is no text, number, date or truth value. Read a view that "
                "turns it into one, or leave it out of the mapping.",
                column=names[place],
            ) from None
    return columns
