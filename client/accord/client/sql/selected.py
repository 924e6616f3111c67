# SPDX-License-Identifier: Apache-2.0
"""What a question in SQL counts, and by what."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from accord.client.sql.measured import MEASURES, is_group, read_measure
from accord.client.sql.names import TABLE, Leveled, Names, listed


def check_table(names: Names) -> None:
    """Refuse every table but the one of cases.

    Raises:
        SqlError: SQL_REFUSED or SQL_MALFORMED.
    """
    statement = names.statement
    select = statement.select
    origin = select.args.get("from_")
    hint = f"Write FROM {TABLE}."
    if origin is None:
        raise statement.error(
            select, "It is not said from which table.", hint, reason="SQL_MALFORMED"
        )
    statement.allow(origin, "this")
    table = origin.this
    if not isinstance(table, exp.Table) or table.name.lower() != TABLE:
        raise statement.error(table, f"There is one table, {TABLE}.", hint)
    alias = table.args.get("alias")
    if alias is not None:
        raise statement.error(
            alias, f"The table is called {TABLE}, and by no other name.", hint
        )
    statement.allow(table, "this")
    if not isinstance(table.this, exp.Identifier):
        raise statement.error(table, f"There is one table, {TABLE}.", hint)
    for join in select.args.get("joins") or []:
        raise statement.error(
            join, f"There is one table, {TABLE}; nothing can be joined to it.", hint
        )


def read_selected(names: Names) -> tuple[str, tuple[Leveled, ...]]:
    """Return the measure by its name, and what is grouped by.

    Raises:
        SqlError: with what is wrong.
    """
    select = names.statement.select
    measures: list[tuple[exp.Expression, str]] = []
    groups: list[Leveled | None] = []
    for node in select.expressions:
        _refuse_other_names(names, node)
        if is_group(node):
            _add_group(names, node, groups)
        else:
            measures.append((node, read_measure(names, node)))
            groups.append(None)
    if not measures:
        raise names.statement.error(
            select.expressions[-1] if select.expressions else select,
            "Nothing is measured.",
            f"Add one of: {listed(MEASURES)}.",
        )
    if len(measures) > 1:
        raise names.statement.error(
            measures[1][0],
            "One question has one measure.",
            "Ask one after another; each answer is charged by itself.",
        )
    _check_grouped(names, groups)
    return measures[0][1], tuple(group for group in groups if group is not None)


def _refuse_other_names(names: Names, node: exp.Expression) -> None:
    if node.is_star and not isinstance(node, exp.Count):
        raise names.statement.error(
            node,
            "Records are not given out.",
            f"Name dimensions, and one of: {listed(MEASURES)}.",
        )
    if isinstance(node, exp.Alias):
        raise names.statement.error(
            node.args["alias"] if _is_node(node.args["alias"]) else node,
            "Columns of an answer keep their names: the dimension's, and estimate.",
            "Leave the other name out, and rename the columns of the answer.",
        )


def _is_node(part: object) -> bool:
    return isinstance(part, exp.Expression)


def _add_group(
    names: Names, node: exp.Expression, groups: list[Leveled | None]
) -> None:
    group = names.leveled(node)
    if any(each is not None and each.dimension == group.dimension for each in groups):
        raise names.statement.error(
            node,
            f"{group.dimension} is named twice.",
            "Choose one of its levels.",
            reason="DUPLICATE_DIMENSION",
        )
    groups.append(group)


def _check_grouped(names: Names, columns: Sequence[Leveled | None]) -> None:
    """Refuse a GROUP BY that does not name exactly the selected dimensions."""
    statement = names.statement
    selected = [column for column in columns if column is not None]
    places = ", ".join(
        str(number) for number, each in enumerate(columns, start=1) if each is not None
    )
    hint = f"Write GROUP BY {places}." if selected else "Leave GROUP BY out."
    clause = statement.select.args.get("group")
    grouped: list[Leveled] = []
    if clause is not None:
        statement.allow(clause, "expressions")
        for node in clause.expressions:
            found = _grouped(names, node, columns, hint)
            if found not in selected:
                raise statement.error(
                    node, f"{found} is grouped by, and not selected.", hint
                )
            if found in grouped:
                raise statement.error(
                    node,
                    f"{found} is grouped by twice.",
                    hint,
                    reason="DUPLICATE_DIMENSION",
                )
            grouped.append(found)
    for node, column in zip(statement.select.expressions, columns, strict=True):
        if column is not None and column not in grouped:
            raise statement.error(
                node, f"{column} is selected, and not grouped by.", hint
            )


def _grouped(
    names: Names, node: exp.Expression, columns: Sequence[Leveled | None], hint: str
) -> Leveled:
    if not isinstance(node, exp.Literal) or node.args.get("is_string"):
        return names.leveled(node)
    number = str(node.this)
    place = int(number) if number.isdecimal() and number.isascii() else 0
    found = columns[place - 1] if 0 < place <= len(columns) else None
    if found is None:
        raise names.statement.error(
            node, "No dimension is selected at this position.", hint
        )
    return found
