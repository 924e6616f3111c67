# SPDX-License-Identifier: Apache-2.0
"""A document as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from accord.core.dossier.document import Block, Bullets, Document, Heading, Paragraph
from accord.core.dossier.document import Table as TableBlock

_SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


def as_markdown(document: Document) -> str:
    """Return *document* as CommonMark with tables; the same for equal documents."""
    parts = [f"# {_escaped(document.title)}", f"**{_escaped(document.mark)}**"]
    parts.extend(_block(block) for block in document.blocks)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"## {_escaped(block.text)}"
        case Paragraph():
            return _escaped(block.text)
        case Bullets():
            return "\n".join(
                f"{f'{number}.' if block.numbered else '-'} {_escaped(item)}"
                for number, item in enumerate(block.items, 1)
            )
        case TableBlock():
            return "\n".join(_lines(block))
        case _:
            assert_never(block)


def _lines(table: TableBlock) -> Iterator[str]:
    yield _row(table.names)
    yield "|" + "---|" * len(table.names)
    yield from (_row(row) for row in table.rows)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, agreements' own words too."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
