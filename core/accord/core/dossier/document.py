# SPDX-License-Identifier: Apache-2.0
"""A document of headings, paragraphs, lists and tables, without any layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from accord.core.messages import sentence


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """A heading below the title."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Bullets:
    """Points; numbered where their order matters."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Rows under one line of names."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block: TypeAlias = Heading | Paragraph | Bullets | Table


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One part of a dossier."""

    title: str
    mark: str
    """Stands on every page: a draft, and for whom."""
    blocks: tuple[Block, ...]


@dataclasses.dataclass(slots=True)
class Draft:
    """A document while it is written; sentences come by message id."""

    language: str
    blocks: list[Block] = dataclasses.field(default_factory=list)

    def say(self, code: str, **values: object) -> str:
        """Return the sentence ``dossier.CODE``."""
        return sentence(f"dossier.{code}", self.language, **values)

    def heading(self, code: str) -> None:
        """Begin a section."""
        self.blocks.append(Heading(self.say(code)))

    def paragraph(self, code: str, **values: object) -> None:
        """Write one paragraph."""
        self.blocks.append(Paragraph(self.say(code, **values)))

    def bullets(self, items: Iterable[str], *, numbered: bool = False) -> None:
        """Write points that are sentences already; none, no list."""
        found = tuple(items)
        if found:
            self.blocks.append(Bullets(found, numbered=numbered))

    def points(self, *codes: str, numbered: bool = False, **values: object) -> None:
        """Write points by message id."""
        self.bullets((self.say(each, **values) for each in codes), numbered=numbered)

    def table(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table whose column names are message ids."""
        self.blocks.append(
            Table(
                tuple(self.say(name) for name in names),
                tuple(tuple(row) for row in rows),
            )
        )
