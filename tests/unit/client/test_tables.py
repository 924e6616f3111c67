# SPDX-License-Identifier: Apache-2.0
"""Tables at a terminal of 80 columns: no word is torn, and what is copied is whole."""

from __future__ import annotations

import datetime
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from accord.client.budget import Account
from accord.client.described import ReleaseSummary
from accord.client.folding import fold
from accord.client.result import Cost
from accord.client.tables import (
    budget_table,
    records_table,
    releases_table,
    result_table,
)
from tests.unit.client.made import ID, made

KINDS = ("forced_labour", "sexual_exploitation", "criminal_exploitation", "unknown")
DIMENSIONS = ("exploitation_type", "country_of_exploitation", "registered_month")


def drawn(shown: RenderableType, width: int = 80) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, markup=False).print(shown)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def words(lines: list[str]) -> set[str]:
    """Return the words and parts of names that stand in a table."""
    return set(re.findall(r"\w[^\W_]+", " ".join(lines).replace("_", " ")))


def summary(agreement: str = "regional-trends") -> ReleaseSummary:
    return ReleaseSummary(
        id=ID,
        agreement=agreement,
        edition="2026-09",
        measure="share(means_of_control)",
        by=DIMENSIONS,
        where={"region": ("norvale",)},
        cost=Cost(epsilon=1.5, rho=0.03),
        released_at=datetime.datetime(2026, 9, 30, 12, tzinfo=datetime.UTC),
    )


def account(name: str, epsilon: float) -> Account:
    cost = Cost(epsilon=epsilon, rho=0)
    return Account(
        name=name, period="365 days", cap=cost, spent=cost, left=cost, left_share=1
    )


@given(
    st.text("ab_ ,/(ü漢", max_size=40).map(str.strip),
    st.integers(min_value=2, max_value=20),
)
def test_folding_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = list(fold(text, width))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    drawn("\n".join(lines), width)
    for word in re.findall(r"[^\s_,/(]+", text):
        if cell_len(word) < width - 1:
            assert any(word in line for line in lines)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_name_is_torn_in_an_answer(count: int) -> None:
    named = DIMENSIONS[:count]
    values = [(kind, "united_kingdom", "2026-09")[:count] for kind in KINDS]
    result = made(dict.fromkeys(values, 1469.0), named, whole_level=0.95)
    lines = drawn(result_table(result))
    for text in (*named, *(value for line in values for value in line)):
        assert {part for part in text.split("_") if "-" not in part} <= words(lines)
    if count == len(DIMENSIONS):
        assert [line for line in lines if "2026-09" in line]


@pytest.mark.parametrize("agreements", [("a",), ("regional-trends", "other")])
def test_a_release_is_listed_with_its_id_in_one_piece(
    agreements: tuple[str, ...],
) -> None:
    lines = drawn(releases_table([summary(name) for name in agreements]))
    assert len([line for line in lines if ID in line]) == len(agreements)
    assert {"exploitation", "registered", "norvale", "control"} <= words(lines)
    assert all(any(f"{name}: share" in line for line in lines) for name in agreements)


def test_records_are_not_torn_and_keep_ids_whole() -> None:
    record = {
        "id": ID,
        "measure": "share(means_of_control)",
        "by": ", ".join(DIMENSIONS),
        "purpose": "prevention planning",
    }
    lines = drawn(records_table("found", [record]))
    assert len([line for line in lines if ID in line]) == 1
    assert {"exploitation", "prevention", "planning", "measure"} <= words(lines)


def test_a_budget_says_thousands_in_digits() -> None:
    name = "agreement/a-long-name-of-an-agreement/analyst/somebody-with-a-long-name"
    caps = {name: 1000.0, "agreement/a": 12.25, "agreement/b": 999.7}
    lines = drawn(budget_table([account(*each) for each in caps.items()]))
    text = "\n".join(lines)
    assert "1,000" in text
    assert "12.2" in text
    assert "e+" not in text
    assert "somebody-with-a-long-name" in text
