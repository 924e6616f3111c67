# SPDX-License-Identifier: Apache-2.0
"""Drafts for counsel: marked, from the agreement's values, and the same each time."""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path

import pytest

from accord.core.dossier import (
    PARTS,
    Bullets,
    Document,
    Paragraph,
    Part,
    Table,
    as_markdown,
    dossier,
)
from tests.unit.core.full_policy import full_board, full_policy

AGENTS = {"protect__noise": "agents", "protect__hub_sees_at_most": ...}
HUB = {
    "protect__noise": "hub",
    "protect__hub_sees_exact_pooled_sums": "accepted",
    "protect__hub_sees_at_most": ...,
}
GOLDEN = Path(__file__).parents[2] / "golden" / "dossier"
DAY = datetime.date(2026, 3, 1)


def drafted(part: Part, **changes: object) -> str:
    """Return one part as Markdown."""
    policy = full_policy(**changes)  # type: ignore[arg-type]  # by name
    return as_markdown(dossier(policy, full_board(), part, on=DAY))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_reads_as_before(part: Part) -> None:
    """Golden files, so that somebody reads what lawyers will read."""
    text = drafted(part)
    path = GOLDEN / f"{part}.md"
    if os.environ.get("ACCORD_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_each_part_says_that_it_is_a_draft_and_of_what(part: Part) -> None:
    """The mark, the version and the digest of the text stand in every one."""
    text = drafted(part)
    agreement = full_policy().agreement
    assert "DRAFT FOR COUNSEL" in text
    assert agreement.digest in text
    assert f"version {agreement.form.version}" in text


def test_values_come_from_the_agreement() -> None:
    """Parties, law, contacts and purposes are its own."""
    assert "article 9(2)(j)" in drafted(Part.ASSESSMENT)
    assert "+00 1234, day and night" in drafted(Part.BREACH)
    changed = drafted(
        Part.BREACH, contacts={"breach": "desk 9", "complaints": "desk 8"}
    )
    assert "desk 9" in changed
    assert "+00 1234" not in changed


def test_what_is_missing_is_said() -> None:
    """No contacts and no law are holes that counsel has to see."""
    text = drafted(Part.BREACH, contacts=..., law=...)
    assert "names no contacts" in text
    assert "health; hotline; police; shelter; work" in text
    assert "not stated" in drafted(Part.RECORD, law=...)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "leave out its own part of the random error"),
        (AGENTS, "publish other figures than it opened"),
        (HUB, "exact sums of whole groups of parties in memory"),
        ({}, "Parties that work together with the hub"),
        ({"protect__no_agency_above": ...}, "Nothing limits how much of a figure"),
        ({}, "People known to more parties than the agreement counts on lose more"),
        ({}, "which parties cannot check"),
    ],
)
def test_open_risks_follow_the_agreement(
    changes: dict[str, object], sentence: str
) -> None:
    """What the software does not do under these clauses is never claimed."""
    assert sentence in drafted(Part.ASSESSMENT, **changes)


@pytest.mark.parametrize(
    "part", [Part.ASSESSMENT, Part.RECORD, Part.BREACH, Part.ORDERS]
)
def test_exact_sums_at_the_hub_are_admitted_exactly_where_it_has_them(
    part: Part,
) -> None:
    """Only where the hub adds all of the noise; no draft claims otherwise."""
    admitted = "exact sum of a group|exact sums of whole groups|opened exact sum"
    assert re.search(admitted, drafted(part, **HUB))
    for changes in ({}, AGENTS):
        assert not re.search(admitted, drafted(part, **changes))


def test_an_agreements_own_words_cannot_set_markdown() -> None:
    """Tables and emphasis come from us alone."""
    document = Document(
        title="a | b",
        mark="*x*",
        blocks=(
            Paragraph("[link](x) <b>\n# no heading"),
            Bullets(("one", "two"), numbered=True),
            Table(("n",), (("a|b\nc",),)),
        ),
    )
    assert as_markdown(document) == (
        "# a \\| b\n\n**\\*x\\***\n\n\\[link\\](x) \\<b\\> # no heading\n\n"
        "1. one\n2. two\n\n| n |\n|---|\n| a\\|b c |\n"
    )
