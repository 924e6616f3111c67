# SPDX-License-Identifier: Apache-2.0
"""What lawyers need of an agreement, from its own values; always a draft."""

from accord.core.dossier.document import (
    Block,
    Bullets,
    Document,
    Heading,
    Paragraph,
    Table,
)
from accord.core.dossier.drafting import PARTS, Part, dossier
from accord.core.dossier.markdown import as_markdown

__all__ = [
    "PARTS",
    "Block",
    "Bullets",
    "Document",
    "Heading",
    "Paragraph",
    "Part",
    "Table",
    "as_markdown",
    "dossier",
]
