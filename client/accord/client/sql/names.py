# SPDX-License-Identifier: Apache-2.0
"""Dimensions, levels, quantities and values by the names that an agreement offers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from sqlglot import exp

from accord.client.sql.error import SqlError
from accord.client.sql.offer import Offer
from accord.client.sql.statement import Statement
from accord.core.errors import suggestion

TABLE = "cases"
PERSON = "person"

_MOST_LISTED = 12
"""Names in one message."""

PARTS_OF_DATES = (exp.Year, exp.Quarter, exp.Month, exp.DateTrunc, exp.TimestampTrunc)
"""Functions with which other systems coarsen times."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leveled:
    """A dimension, at one level; an empty level is the finest one."""

    dimension: str
    level: str = ""

    def __str__(self) -> str:
        """Return it as it is written in SQL."""
        if not self.level:
            return self.dimension
        return f"LEVEL({self.dimension}, '{self.level}')"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Reads names of a statement."""

    statement: Statement
    offer: Offer

    def leveled(self, node: exp.Expression) -> Leveled:
        """Return the dimension, with its level, that *node* names.

        Raises:
            SqlError: UNKNOWN_DIMENSION, UNKNOWN_LEVEL or SQL_REFUSED.
        """
        if isinstance(node, exp.Column):
            return Leveled(self.dimension(node))
        if is_called(node, "LEVEL"):
            return self._of_level(node)
        if isinstance(node, PARTS_OF_DATES):
            column = node.find(exp.Column)
            name = "registered_month" if column is None else column.name
            raise self.statement.error(
                node,
                "A coarser time is a level of its dimension.",
                f"Write LEVEL({name}, 'year'), or the name of another level.",
            )
        raise self.statement.error(
            node,
            "Here only a dimension can stand, or one at a coarser level.",
            "Write its name, or LEVEL(name, 'level').",
        )

    def _of_level(self, node: exp.Expression) -> Leveled:
        parts = node.expressions
        if len(parts) != 2 or not is_text(parts[1]):  # noqa: PLR2004 - name and level
            raise self.statement.error(
                node,
                "LEVEL takes a dimension and the name of one of its levels.",
                "Such as LEVEL(registered_month, 'quarter').",
            )
        dimension, level = self.dimension(parts[0]), str(parts[1].this)
        levels = self.offer.dimensions[dimension]
        # of a dimension that is offered in shares alone the levels are not known here
        if levels and level not in levels:
            raise self.statement.error(
                parts[1],
                f"{dimension} is not offered at that level.",
                f"There are: {listed(levels)}.{suggestion(level, levels)}",
                reason="UNKNOWN_LEVEL",
            )
        return Leveled(dimension, level)

    def dimension(self, node: exp.Expression) -> str:
        """Return the name of a dimension.

        Raises:
            SqlError: UNKNOWN_DIMENSION or SQL_REFUSED.
        """
        name = self.column(node)
        if name in self.offer.dimensions:
            return name
        if name == PERSON:
            raise self.statement.error(
                node,
                "Persons are counted, never listed, grouped by or picked.",
                "person stands only in COUNT(DISTINCT person).",
            )
        if name in self.offer.quantities:
            raise self.statement.error(
                node,
                f"{name} is a quantity: it has no values to group by or to filter.",
                f"Measure it, as in AVG({name}).",
            )
        raise self._unknown(node, name, self.offer.dimensions, "dimension")

    def quantity(self, node: exp.Expression) -> str:
        """Return the name of a quantity.

        Raises:
            SqlError: UNKNOWN_QUANTITY or SQL_REFUSED.
        """
        name = self.column(node)
        if name in self.offer.quantities:
            return name
        if name in self.offer.dimensions:
            raise self.statement.error(
                node,
                f"{name} is a dimension: it has values, and no sum or average.",
                f"Group by it, or ask for SHARE({name}).",
            )
        raise self._unknown(node, name, self.offer.quantities, "quantity")

    def column(self, node: exp.Expression) -> str:
        """Return the name that stands alone, in lower case unless it is quoted.

        Raises:
            SqlError: SQL_REFUSED.
        """
        if not isinstance(node, exp.Column) or not isinstance(
            node.this, exp.Identifier
        ):
            raise self.statement.error(
                node,
                "Nothing is computed here, before noise is added.",
                "Write one name, and compute with the answers.",
            )
        if node.args.get("table") is not None and self._name(node.args["table"]) == (
            TABLE
        ):
            self.statement.allow(node, "this", "table")
        else:
            self.statement.allow(node, "this")
        return self._name(node.this)

    def value(self, node: exp.Expression, dimension: str) -> str:
        """Return the value of any level that *node* names.

        Raises:
            SqlError: UNKNOWN_VALUE or SQL_REFUSED.
        """
        text = self.text(node)
        known = self.offer.values(dimension)
        # of a dimension that is offered in shares alone the hub knows the values
        if text in known or not known:
            return text
        near = suggestion(text, known)
        raise self.statement.error(
            node,
            f"The agreement offers no value of that name in {dimension}.",
            (near or f" There are: {listed(known)}.").strip(),
            reason="UNKNOWN_VALUE",
        )

    def text(self, node: exp.Expression) -> str:
        """Return a text in single quotes.

        Raises:
            SqlError: SQL_REFUSED.
        """
        if is_text(node):
            return str(node.this)
        quoted = isinstance(node, exp.Column) and node.this.args.get("quoted")
        raise self.statement.error(
            node,
            "Double quotes are for names." if quoted else "A value is a text.",
            "Write it in single quotes, such as 'norvale' or '2026-03'.",
        )

    def _name(self, node: exp.Expression) -> str:
        name = str(node.this)
        return name if node.args.get("quoted") else name.lower()

    def _unknown(
        self, node: exp.Expression, name: str, known: Iterable[str], kind: str
    ) -> SqlError:
        names = sorted(known)
        reasons = {"dimension": "UNKNOWN_DIMENSION", "quantity": "UNKNOWN_QUANTITY"}
        others = f" There are: {listed(names)}." if names else " There is none."
        return self.statement.error(
            node,
            f"The agreement offers no {kind} of that name.",
            (suggestion(name, names) or others).strip(),
            reason=reasons[kind],
        )


def is_called(node: exp.Expression, name: str) -> bool:
    """Tell whether *node* calls the function of that name, which SQL does not have."""
    return isinstance(node, exp.Anonymous) and str(node.this).upper() == name


def is_text(node: exp.Expression) -> bool:
    """Tell whether *node* is a text in single quotes."""
    return isinstance(node, exp.Literal) and bool(node.args.get("is_string"))


def listed(names: Iterable[str]) -> str:
    """Return the first names, in words."""
    found = list(names)
    shown = ", ".join(found[:_MOST_LISTED])
    return shown if len(found) <= _MOST_LISTED else f"{shown}, …"
