# SPDX-License-Identifier: Apache-2.0
"""What a document must not hold, whatever its entries mean.

A board must be able to trust that what it reads is what the program reads: nothing in
a document stands for text elsewhere, and nothing is invisible or changes how the text
around it is shown.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.tokens import (
    AliasToken,
    AnchorToken,
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    DirectiveToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
    TagToken,
)

DEEPEST_NESTING: Final = 32
"""Lists and named entries within each other."""

_DEEPER: Final = {
    FlowSequenceStartToken: 1,
    FlowMappingStartToken: 1,
    BlockSequenceStartToken: 1,
    BlockMappingStartToken: 1,
    FlowSequenceEndToken: -1,
    FlowMappingEndToken: -1,
    BlockEndToken: -1,
}

_FORBIDDEN: Final = {
    TagToken: "YAML tags (!…) are not allowed; write the value plainly.",
    AnchorToken: "YAML anchors (&…) are not allowed; repeat the text instead.",
    AliasToken: "YAML aliases (*…) are not allowed; repeat the text instead.",
    DirectiveToken: "YAML directives (%…) are not allowed.",
}

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Unicode categories: control and format characters, and separators of lines."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Join and part letters; Persian and the scripts of India are not written without."""

_LAYOUT: Final = _JOINERS | frozenset("\t\n\r")
"""Characters without a sign of their own that a text may have."""

_IN_VALUES: Final = _JOINERS | frozenset("\t\n")
"""Those of them that a value can have: line ends of a file are read as newlines."""

_MOST: Final = 20
"""Invisible characters that are named."""

Place: TypeAlias = tuple[int, int]
"""Line and column, counted from 1."""


def forbidden_syntax(text: str) -> list[tuple[Place, str]]:
    """Return what a document must not hold; stops where it is nested too deeply.

    Raises:
        YAMLError: it is no YAML.
    """
    found = list(itertools.islice(_invisible(text), _MOST))
    if found:
        return found
    depth = 0
    for token in YAML(typ="rt").scan(text):
        place = place_of(token.start_mark)
        if type(token) in _FORBIDDEN:
            found.append((place, _FORBIDDEN[type(token)]))
        if isinstance(token, ScalarToken):
            # A quoted text can name any character by its number.
            # In folded texts ruamel keeps a mark of its own where lines were folded.
            value = token.value.replace("\a", "") if token.style == ">" else token.value
            found.extend((place, _sentence(each)) for each in sorted(hidden_in(value)))
        depth += _DEEPER.get(type(token), 0)
        if depth > DEEPEST_NESTING:
            return [(place, "this is nested too deeply to be a document for people.")]
    return found


def hidden_in(value: str) -> set[str]:
    """Return the characters for which a text can be no value of a document."""
    return _of_a_kind(value) - _IN_VALUES


def place_of(mark: Any) -> Place:  # noqa: ANN401 - ruamel's marks are untyped
    """Return a place as people count."""
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _invisible(text: str) -> Iterator[tuple[Place, str]]:
    hidden = _of_a_kind(text) - _LAYOUT
    if not hidden:
        return
    for line, content in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(content, start=1):
            if character in hidden:
                yield (line, column), _sentence(character)


def _of_a_kind(text: str) -> set[str]:
    return {each for each in set(text) if unicodedata.category(each) in _INVISIBLE}


def _sentence(character: str) -> str:
    name = unicodedata.name(character, "a control character").lower()
    return (
        f"an invisible character (U+{ord(character):04X}, {name}) stands here; take it"
        " out: what people read must be all that the program reads."
    )
