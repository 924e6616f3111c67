# SPDX-License-Identifier: Apache-2.0
"""Questions that a draft of a mapping leaves to the staff."""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import KeyToken, ScalarToken, ValueToken

from accord.core.document import DocumentError, Problem
from accord.core.document_syntax import place_of

OPEN = "TODO"
"""Stands, without quotes, in a draft where a question is open."""


def refuse_open(text: str, source: str) -> None:
    """Raise if a mapping has a question that nobody has answered.

    Raises:
        DocumentError: one problem for each question.
    """
    if OPEN not in text:
        return
    try:
        problems = list(_open_questions(text))
    except YAMLError:
        return  # whoever reads it says what is wrong with it
    if problems:
        raise DocumentError(source, problems)


def _open_questions(text: str) -> Iterator[Problem]:
    is_key, key = False, ""
    for token in YAML(typ="rt").scan(text):
        if isinstance(token, (KeyToken, ValueToken)):
            is_key = isinstance(token, KeyToken)
        elif isinstance(token, ScalarToken):
            if is_key:
                key = str(token.value)
            elif token.value == OPEN and token.plain:
                yield _problem(place_of(token.start_mark), key)


def _problem(place: tuple[int, int], key: str) -> Problem:
    what = "which columns identify a person" if key == "person" else "what is meant"
    line, column = place
    return Problem(
        line=line,
        column=column,
        path="person" if key == "person" else "",
        sentence=f"a question of the draft is open here: say {what}, in the place of "
        f"{OPEN}; the comment beside it has what to choose from.",
    )
