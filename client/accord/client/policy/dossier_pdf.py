# SPDX-License-Identifier: Apache-2.0
"""A part of a dossier as PDF, the same bytes for equal documents.

The fonts that every reader of PDF has know no Greek: the letters of the privacy figures
are written as words, and other letters without a place in those fonts lose their accent
or become a question mark, which the page then says.
"""

from __future__ import annotations

import io
import re
import unicodedata
from typing import Any, Final, assert_never
from xml.sax.saxutils import escape

from accord.core.dossier import (
    Block,
    Bullets,
    Document,
    Heading,
    Paragraph,
    Table,
)
from accord.core.errors import ConfigurationError
from accord.core.messages import sentence

_WORDS: Final = {"ε": "epsilon", "δ": "delta", "ρ": "rho"}
_GREEK: Final = re.compile(r"([εδρ]) \((epsilon|delta|rho)\b,?\s*")
_TWICE: Final = re.compile(r"([εδρ]), (epsilon|delta|rho)\b")
_ENCODING: Final = "cp1252"


def as_pdf(document: Document, language: str = "en") -> bytes:
    """Return *document* as PDF of A4 pages.

    Raises:
        ConfigurationError: LIBRARY_MISSING, where reportlab is not installed.
    """
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.units import mm
        from reportlab.platypus import SimpleDocTemplate
    except ImportError:
        raise ConfigurationError(
            "LIBRARY_MISSING",
            "PDF needs the library reportlab: install accord[client], or ask for"
            " --format markdown.",
        ) from None
    setting = _Setting()
    story = [
        setting.text(document.title, "Title"),
        setting.text(document.mark, "Mark"),
        *(part for block in document.blocks for part in setting.block(block)),
    ]
    if setting.lost:
        story.append(setting.text(sentence("dossier.pdf-letters", language), "Small"))
    mark = setting.plain(document.mark)

    def foot(canvas: Any, page: Any) -> None:  # noqa: ANN401  # reportlab's are untyped
        canvas.saveState()
        canvas.setFont("Helvetica", 7)
        canvas.drawString(20 * mm, 12 * mm, mark)
        canvas.drawRightString(190 * mm, 12 * mm, str(page.page))
        canvas.restoreState()

    content = io.BytesIO()
    SimpleDocTemplate(
        content,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=setting.plain(document.title),
        author="",
        creator="accord",
        lang=language,
        invariant=1,
    ).build(story, onFirstPage=foot, onLaterPages=foot)
    return content.getvalue()


class _Setting:
    """Sets blocks in type, and remembers whether letters got lost."""

    def __init__(self) -> None:
        from reportlab.lib import colors
        from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet

        self.lost = False
        self._grey = colors.HexColor("#888888")
        self._shade = colors.HexColor("#eeeeee")
        sheet = getSampleStyleSheet()
        self._styles: dict[str, Any] = {
            "Title": ParagraphStyle(
                "T", parent=sheet["Title"], alignment=0, fontSize=17, leading=21
            ),
            "Mark": ParagraphStyle(
                "M", parent=sheet["Normal"], fontName="Helvetica-Bold", spaceAfter=8
            ),
            "Heading": ParagraphStyle(
                "H", parent=sheet["Heading2"], fontSize=12, spaceBefore=10
            ),
            "Body": ParagraphStyle(
                "B", parent=sheet["Normal"], fontSize=9.5, leading=13, spaceAfter=5
            ),
            "Small": ParagraphStyle(
                "S", parent=sheet["Normal"], fontSize=8, leading=10, splitLongWords=1
            ),
            "Name": ParagraphStyle(
                "N",
                parent=sheet["Normal"],
                fontName="Helvetica-Bold",
                fontSize=8,
                leading=10,
            ),
        }

    def plain(self, text: str) -> str:
        """Return text in the letters that the fonts have."""
        text = _TWICE.sub(r"\2", _GREEK.sub(_words, text))
        for letter, word in _WORDS.items():
            text = text.replace(letter, word)
        text = re.sub(r"\b(epsilon|delta|rho) \(\)", r"\1", text)
        return "".join(self._letter(letter) for letter in text)

    def _letter(self, letter: str) -> str:
        try:
            letter.encode(_ENCODING)
        except UnicodeEncodeError:
            self.lost = True
            bare = unicodedata.normalize("NFKD", letter)[:1]
            return bare if bare.isascii() and bare.isprintable() and bare else "?"
        return letter

    def text(self, text: str, style: str) -> Any:  # noqa: ANN401  # reportlab's
        """Return one paragraph."""
        from reportlab.platypus import Paragraph as Set

        return Set(escape(self.plain(text)), self._styles[style])

    def block(self, block: Block) -> list[Any]:
        """Return what a block becomes."""
        match block:
            case Heading():
                return [self.text(block.text, "Heading")]
            case Paragraph():
                return [self.text(block.text, "Body")]
            case Bullets():
                return [self._bullets(block)]
            case Table():
                return [self._table(block)]
            case _:
                assert_never(block)

    def _bullets(self, block: Bullets) -> Any:  # noqa: ANN401  # reportlab's
        from reportlab.platypus import ListFlowable, ListItem

        items: list[Any] = [
            ListItem(self.text(item, "Body"), leftIndent=14) for item in block.items
        ]
        return ListFlowable(
            items,
            bulletType="1" if block.numbered else "bullet",
            bulletFontSize=8,
            leftIndent=14,
        )

    def _table(self, block: Table) -> Any:  # noqa: ANN401  # reportlab's
        from reportlab.lib.units import mm
        from reportlab.platypus import Table as Set
        from reportlab.platypus import TableStyle

        cells = [[self.text(name, "Name") for name in block.names]]
        cells.extend([self.text(cell, "Small") for cell in row] for row in block.rows)
        found = Set(
            cells,
            colWidths=[170 * mm / len(block.names)] * len(block.names),
            repeatRows=1,
            spaceBefore=3,
            spaceAfter=8,
        )
        found.setStyle(
            TableStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.4, self._grey),
                    ("BACKGROUND", (0, 0), (-1, 0), self._shade),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ]
            )
        )
        return found


def _words(match: re.Match[str]) -> str:
    """Write ``ε (epsilon, the measure`` as ``epsilon (the measure``."""
    return f"{_WORDS[match[1]]} ("
