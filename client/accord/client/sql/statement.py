# SPDX-License-Identifier: Apache-2.0
"""From text to one parsed SELECT.

Length and nesting are capped before sqlglot sees the text: it recurses. Words that are
SQL and no question are refused by their tokens, which have exact places. Whatever is
left and was not foreseen is refused where the tree is read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

from accord.client.sql.error import SqlError

LONGEST = 4000
"""Characters of one question."""

DEEPEST = 8
"""Parentheses that may be open at once."""

_EXAMPLE = "Such as: SELECT region, COUNT(DISTINCT person) FROM cases GROUP BY region."

_PIECE = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|/\*.*?\*/|--[^\n]*|[(\[{]|[)\]}]", re.DOTALL
)
"""Strings, quoted names and comments, in which brackets do not count; brackets."""

_JOIN = (
    "There is one table, cases; nothing can be joined to it.",
    "Bring other tables to the answer, for instance in polars.",
)
_SETS = (
    "One question is one SELECT.",
    "Ask one after another, and put the answers together with accord.concat.",
)
_WINDOW = (
    "A window is computed over exact figures, before noise is added.",
    "Compute it over the rows of the answer.",
)
_ROWS = (
    "Rows cannot be picked by exact figures before noise is added.",
    "Ask for all of them, and pick from the answer.",
)
_TRUTH = (
    "Nothing is NULL here; what is not recorded has the value unknown.",
    "Write = 'unknown' or <> 'unknown'.",
)
_PATTERN = ("Values are not searched by a pattern.", "Name them: IN ('…', '…').")
_CAST = (
    "Values are not converted here.",
    "Write them as they stand in the agreement, such as '2026-03' for a month.",
)

_FILLED = (
    "Nothing is filled in later.",
    "Write the value itself, in single quotes.",
)

_REFUSED: dict[TokenType, tuple[str, str]] = {
    TokenType.HAVING: (
        "HAVING would filter on exact counts before noise is added.",
        "Leave it out, and filter the rows of the answer.",
    ),
    TokenType.LIMIT: _ROWS,
    TokenType.FETCH: _ROWS,
    TokenType.OFFSET: _ROWS,
    TokenType.QUALIFY: _ROWS,
    TokenType.TABLE_SAMPLE: _ROWS,
    TokenType.ORDER_BY: (
        "Rows come in the order of the public values.",
        "Leave ORDER BY out, and sort the rows of the answer.",
    ),
    TokenType.SORT_BY: (
        "Rows come in the order of the public values.",
        "Leave SORT BY out, and sort the rows of the answer.",
    ),
    TokenType.JOIN: _JOIN,
    TokenType.UNION: _SETS,
    TokenType.INTERSECT: _SETS,
    TokenType.EXCEPT: _SETS,
    TokenType.WITH: (
        "There is one table, cases; none can be made up with WITH.",
        "Write one SELECT from cases.",
    ),
    TokenType.OVER: _WINDOW,
    TokenType.WINDOW: _WINDOW,
    TokenType.PARTITION_BY: _WINDOW,
    TokenType.CASE: (
        "Values are not computed here.",
        "Filter with WHERE, or take a coarser level: LEVEL(dimension, 'level').",
    ),
    TokenType.LIKE: _PATTERN,
    TokenType.ILIKE: _PATTERN,
    TokenType.RLIKE: _PATTERN,
    TokenType.SIMILAR_TO: _PATTERN,
    TokenType.GLOB: _PATTERN,
    TokenType.IS: _TRUTH,
    TokenType.ISNULL: _TRUTH,
    TokenType.NOTNULL: _TRUTH,
    TokenType.NULL: _TRUTH,
    TokenType.PLACEHOLDER: _FILLED,
    TokenType.PARAMETER: _FILLED,
    TokenType.COLON: _FILLED,
    TokenType.FOR: (
        "Nothing is locked or changed here.",
        "Leave FOR and what follows out.",
    ),
    TokenType.ALL: (
        "What is meant by ALL is named here.",
        "Group by position, such as GROUP BY 1, 2.",
    ),
    TokenType.DISTINCT: (
        "Every row of an answer is a different one already.",
        "Leave DISTINCT after SELECT out; write COUNT(DISTINCT person) for persons.",
    ),
    TokenType.EXISTS: (
        "A question has no question inside.",
        "Write one SELECT from cases.",
    ),
    TokenType.DCOLON: _CAST,
    TokenType.HINT: (
        "Hints are not used: agencies decide how they look things up.",
        "Leave it out.",
    ),
    TokenType.INTO: (
        "An answer is returned and stored at the hub; it is put nowhere else.",
        "Leave INTO out.",
    ),
}

_INSIDE = frozenset({TokenType.DISTINCT, TokenType.ORDER_BY})
"""Words that belong to a function where they follow its parenthesis."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SELECT, and the text that it came from."""

    text: str
    select: exp.Select = dataclasses.field(repr=False)

    def error(
        self,
        node: exp.Expression,
        problem: str,
        hint: str,
        *,
        reason: str = "SQL_REFUSED",
    ) -> SqlError:
        """Return the error at the place where *node* begins."""
        places = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        start = min(places, default=0)
        return SqlError(reason, problem, hint, text=self.text, start=start)

    def allow(self, node: exp.Expression, *parts: str) -> None:
        """Refuse *node* if it has any part but those.

        Raises:
            SqlError: SQL_REFUSED.
        """
        for name, part in node.args.items():
            if name not in parts and part:
                raise self.error(
                    _node_in(part) or node,
                    "This part of SQL is not a part of questions.",
                    _EXAMPLE,
                )


def _node_in(part: Any) -> exp.Expression | None:  # noqa: ANN401 - sqlglot's
    first = part[0] if isinstance(part, list) else part
    return first if isinstance(first, exp.Expression) else None


def read_statement(text: str) -> Statement:
    """Return the one SELECT that *text* is.

    Raises:
        SqlError: SQL_TOO_LONG, SQL_TOO_DEEP, SQL_MALFORMED or SQL_REFUSED.
    """
    _check_size(text)
    tokens = _tokens(text)
    _check_tokens(text, tokens)
    try:
        parsed = sqlglot.parse_one(text)
    except RecursionError:
        raise _too_deep(text, 0) from None
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError) as error:
        # sqlglot's own sentences name its classes, and its places may lie outside
        raise SqlError(
            "SQL_MALFORMED",
            "This cannot be read as SQL.",
            _EXAMPLE,
            text=text,
            start=_place_of(error, tokens, len(text)),
        ) from None
    if not isinstance(parsed, exp.Select):
        raise _no_select(text, 0)
    return Statement(text=text, select=parsed)


def _check_size(text: str) -> None:
    if len(text) > LONGEST:
        raise SqlError(
            "SQL_TOO_LONG",
            f"A question in SQL has at most {LONGEST} characters.",
            "Name coarser values, or a range with BETWEEN.",
            text=text,
            start=LONGEST,
        )
    depth = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        depth += (piece in "([{") - (piece in ")]}")
        if depth > DEEPEST:
            raise _too_deep(text, match.start())


def _too_deep(text: str, start: int) -> SqlError:
    return SqlError(
        "SQL_TOO_DEEP",
        f"More than {DEEPEST} parentheses are open at once.",
        "Write the conditions next to each other, with AND between them.",
        text=text,
        start=start,
    )


def _tokens(text: str) -> list[Token]:
    try:
        return list(sqlglot.tokenize(text))
    except (SqlglotError, ValueError, LookupError) as error:
        raise SqlError(
            "SQL_MALFORMED",
            "A quotation mark or a comment is not closed, or a character has no "
            "meaning.",
            "A value stands in single quotes: 'norvale'.",
            text=text,
            start=_unclosed(text, error),
        ) from None


def _unclosed(text: str, error: Exception) -> int:
    rest = _PIECE.sub(lambda match: " " * len(match[0]), text)
    found = re.search(r"['\"]|/\*", rest)
    if found is not None:
        return found.start()
    start = getattr(error, "end", None)
    return start if isinstance(start, int) else len(text)


def _check_tokens(text: str, tokens: Sequence[Token]) -> None:
    if not tokens or tokens[0].token_type not in (TokenType.SELECT, TokenType.WITH):
        raise _no_select(text, tokens[0].start if tokens else 0)
    for before, token in zip([None, *tokens], tokens, strict=False):
        kind = token.token_type
        if before is not None and before.token_type == TokenType.SEMICOLON:
            problem, hint = _SETS
        elif kind == TokenType.SELECT and before is not None:
            problem, hint = (
                "A question has no question inside.",
                "Write one SELECT from cases.",
            )
        elif kind in _INSIDE and before and before.token_type == TokenType.L_PAREN:
            continue
        elif kind in _REFUSED:
            problem, hint = _REFUSED[kind]
        else:
            continue
        raise SqlError("SQL_REFUSED", problem, hint, text=text, start=token.start)


def _no_select(text: str, start: int) -> SqlError:
    return SqlError(
        "SQL_MALFORMED",
        "A question in SQL begins with SELECT.",
        _EXAMPLE,
        text=text,
        start=start,
    )


def _place_of(error: Exception, tokens: Sequence[Token], end: int) -> int:
    """Return the start of the token at which parsing stopped, or the end."""
    found = getattr(error, "errors", None) or [{}]
    line, column = found[0].get("line"), found[0].get("col")
    starts = (
        token.start for token in tokens if (token.line, token.col) == (line, column)
    )
    return next(starts, end)
