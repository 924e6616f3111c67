# SPDX-License-Identifier: Apache-2.0
"""From a SELECT to what a question says: measure, groups and filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from accord.client.sql.filtered import read_filtered
from accord.client.sql.names import Names
from accord.client.sql.offer import Offer, offer_of
from accord.client.sql.selected import check_table, read_selected
from accord.client.sql.statement import read_statement

__all__ = ["Translation", "offer_of", "translate"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a SELECT asks for."""

    measure: str
    """Its name, such as ``persons`` or ``mean(days_in_care)``."""
    groups: tuple[tuple[str, str], ...]
    """Dimension and level, as columns stand; an empty level is the finest."""
    filters: Mapping[str, tuple[str, ...]]


def translate(text: str, offer: Offer) -> Translation:
    """Return what *text* asks for.

    Args:
        text: one SELECT from the table ``cases``, at most 4,000 characters.
        offer: the names that can be used.

    Raises:
        SqlError: SQL_TOO_LONG, SQL_TOO_DEEP, SQL_MALFORMED, SQL_REFUSED, or what is
            wrong with a name: UNKNOWN_MEASURE, UNKNOWN_QUANTITY, UNKNOWN_DIMENSION,
            UNKNOWN_LEVEL, UNKNOWN_VALUE, DUPLICATE_DIMENSION, EMPTY_FILTER.
    """
    statement = read_statement(text)
    names = Names(statement=statement, offer=offer)
    check_table(names)
    statement.allow(statement.select, "expressions", "from_", "where", "group")
    measure, groups = read_selected(names)
    filters = read_filtered(names)
    return Translation(
        measure=measure,
        groups=tuple((group.dimension, group.level) for group in groups),
        filters=filters,
    )
