# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/, as the tests read them."""

from __future__ import annotations

import re

from tests.packaging.distributions import ROOT

DOCS = ROOT / "docs"
FIRST_CELL = re.compile(r"^\|\s*`(?P<name>[^`]+)`", re.MULTILINE)


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return a section of a page, up to the next heading of its level or above."""
    level = heading.split(" ", maxsplit=1)[0]
    body = text.split(f"\n{heading}\n", maxsplit=1)[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", body, maxsplit=1)[0]


def first_cells(text: str) -> list[str]:
    """Return the names in the first column of all tables."""
    return [match["name"] for match in FIRST_CELL.finditer(text)]
