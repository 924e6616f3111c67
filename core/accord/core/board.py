# SPDX-License-Identifier: Apache-2.0
"""A governance board and its seats, as ``board.yaml``, and what it declares.

The board's keys are the root of all trust. A seat gives one of its members a say that
the others cannot outvote: nothing that an agreement guards with the seat becomes looser
without that member's signature.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated

import pydantic

from accord.core.agreement_form import Label, Line, Word
from accord.core.document import (
    DocumentError,
    Strict,
    parse_document,
    problem_at,
)
from accord.core.errors import suggestion
from accord.core.members import KeyText


class BoardMemberForm(Strict):
    """One person on the board."""

    name: Word
    organisation: Word | None = None
    key: KeyText


class BoardForm(Strict):
    """``board.yaml``."""

    board: Label
    threshold: Annotated[int, pydantic.Field(ge=1, le=100)]
    """Signatures that every decision needs."""
    members: Annotated[dict[Label, BoardMemberForm], pydantic.Field(min_length=1)]
    seats: dict[Word, Label] = {}
    """Who holds each seat."""

    def holder_of(self, key: str) -> str | None:
        """Return the member who has a public key."""
        return next((m for m, each in self.members.items() if each.key == key), None)


class DeclarationForm(Strict):
    """``emergencies/NAME.yaml``: an emergency under the agreement NAME."""

    emergency: Label
    reason: Line
    first: Annotated[datetime.date, pydantic.Field(alias="from")]
    until: datetime.date


def load_board(text: str, source: str) -> BoardForm:
    """Read ``board.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, BoardForm, source=source)
    problems = [
        problem_at(text, path, sentence)
        for path, sentence in board_contradictions(form)
    ]
    if problems:
        raise DocumentError(source, problems)
    return form


def load_declaration(text: str, source: str) -> DeclarationForm:
    """Read ``emergencies/NAME.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, DeclarationForm, source=source)
    if form.until < form.first:
        sentence = "the last day is before the first."
        raise DocumentError(source, [problem_at(text, ("until",), sentence)])
    return form


def board_contradictions(form: BoardForm) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what the entries of a board must not say together."""
    owners: dict[str, str] = {}
    for label, member in form.members.items():
        other = owners.setdefault(member.key, label)
        if other != label:
            yield (
                ("members", label, "key"),
                (
                    f"{other!r} has the same key: "
                    "two names with one key would count twice."
                ),
            )
    if form.threshold > len(form.members):
        yield ("threshold",), f"there are only {len(form.members)} members."
    for seat, holder in form.seats.items():
        if holder not in form.members:
            yield (
                ("seats", seat),
                f"{holder!r} is not on the board.{suggestion(holder, form.members)}",
            )
