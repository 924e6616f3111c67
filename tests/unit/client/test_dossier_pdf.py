# SPDX-License-Identifier: Apache-2.0
"""The PDF of a dossier: all of its text, in letters that its fonts have."""

from __future__ import annotations

import datetime
import io
import re

import pypdf
import pytest

from accord.client.policy.dossier_pdf import as_pdf
from accord.core.dossier import (
    PARTS,
    Bullets,
    Document,
    Heading,
    Paragraph,
    Part,
    Table,
    dossier,
)
from tests.unit.core.full_policy import full_board, full_policy

DAY = datetime.date(2026, 3, 1)


def read(content: bytes) -> pypdf.PdfReader:
    """Return the pages of a PDF."""
    return pypdf.PdfReader(io.BytesIO(content))


def squeezed(text: str) -> str:
    """Return text without blanks: lines break where the page ends."""
    return re.sub(r"\s+", "", text)


def drafted(part: Part) -> Document:
    """Return one part of the dossier of an agreement with every entry."""
    return dossier(full_policy(), full_board(), part, on=DAY)


@pytest.mark.parametrize("part", PARTS)
def test_every_word_is_on_a_page_and_the_mark_on_each(part: Part) -> None:
    """Headings, paragraphs, points and cells; Greek letters are words."""
    document = drafted(part)
    pages = [page.extract_text() for page in read(as_pdf(document)).pages]
    assert len(pages) > 1
    for page in pages:
        assert document.mark in page
    # What stands at the foot of pages would cut sentences in two.
    feet = re.compile(re.escape(document.mark) + r"\n\d+\n")
    whole = squeezed("".join(feet.sub("", f"{page}\n") for page in pages))
    for block in document.blocks:
        match block:
            case Heading() | Paragraph():
                texts = [block.text]
            case Bullets():
                texts = list(block.items)
            case Table():
                texts = [*block.names, *(cell for row in block.rows for cell in row)]
        for text in texts:
            if not re.search("[εδρ]", text):
                assert squeezed(text) in whole
    assert not re.search("[εδρ■]", whole)


def test_equal_documents_give_equal_bytes() -> None:
    """So that a dossier can be compared by its digest."""
    assert as_pdf(drafted(Part.ANNEX)) == as_pdf(drafted(Part.ANNEX))


def one(text: str) -> str:
    """Return the text of a document of one paragraph, as the PDF has it."""
    document = Document(title="t", mark="m", blocks=(Paragraph(text),))
    return " ".join(read(as_pdf(document)).pages[0].extract_text().split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at most ε = 3", "at most epsilon = 3"),
        ("ε (epsilon, the measure) x", "epsilon (the measure) x"),
        ("as ρ (rho) and δ (delta): y", "as rho and delta: y"),
        ("1 in 9 (δ, delta).", "1 in 9 (delta)."),
        ("±15 <b>&amp;", "±15 <b>&amp;"),
        ("Łódź Çelik", "?ódz Çelik"),
    ],
)
def test_letters_that_the_fonts_lack_are_written_as_words(
    text: str, shown: str
) -> None:
    """And nothing of a document is taken for markup."""
    assert shown in one(text)


def test_lost_letters_are_admitted() -> None:
    """The page says where to find them."""
    assert "Markdown form has them" in one("مأوى")
    assert "Markdown form has them" not in one("Zürich ε")
