# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a question in SQL, where, and what to write instead."""

from __future__ import annotations

from accord.core.errors import InvalidQuery

_BEFORE, _AFTER = 60, 20
"""Characters of a long line that are shown on both sides of the place."""

_MARGIN = "    "


class SqlError(InvalidQuery):
    """A question in SQL that is not asked; nothing was charged.

    As a text it has the line and a caret under the place. ``sentence`` is the same in
    one line.
    """

    def __init__(
        self, reason: str, problem: str, hint: str, *, text: str, start: int
    ) -> None:
        """Find line and column of *start*, an index into *text* or its end."""
        start = max(0, min(start, len(text)))
        before = text[:start]
        self.line = before.count("\n") + 1
        """Counted from 1, as `column` is."""
        self.column = start - (before.rfind("\n") + 1) + 1
        self.problem = problem
        self.hint = hint
        self.excerpt = _excerpt(text, start)
        """The line, and under it a caret."""
        super().__init__(
            reason,
            f"line {self.line}, column {self.column}: {problem} {hint}",
            line=str(self.line),
            column=str(self.column),
            hint=hint,
        )

    def __str__(self) -> str:
        """Return problem, excerpt and hint on lines of their own."""
        place = f"line {self.line}, column {self.column}"
        return f"{place}: {self.problem}\n\n{self.excerpt}\n\n{self.hint}"


def _excerpt(text: str, start: int) -> str:
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    left = max(first, start - _BEFORE)
    right = min(len(text) if last < 0 else last, start + _AFTER + _BEFORE)
    shown = "".join(char if char.isprintable() else " " for char in text[left:right])
    more = "…" if left > first else ""
    line = f"{_MARGIN}{more}{shown}".rstrip()
    return f"{line}\n{_MARGIN}{' ' * (len(more) + start - left)}^"
