# SPDX-License-Identifier: Apache-2.0
"""Runs docs/how-to-25-questions.md: every question is answered, with its error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accord.client.derive import Derived
from accord.client.result import Result

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to-25-questions.md"
BEGIN, *SECTIONS = re.split(
    r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
)
QUESTIONS = range(1, 26)

_BLOCK = re.compile(r"^```(python|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_BOUNDS = (
    ("lower", "upper"),
    ("lowest_bin", "highest_bin"),
    ("best_rank", "worst_rank"),
)


def blocks(text: str, language: str) -> list[str]:
    return [code for found, code in _BLOCK.findall(text) if found == language]


def section(number: int) -> str:
    return next(text for text in SECTIONS if text.startswith(f"{number}. "))


@pytest.fixture(scope="module")
def begun() -> Iterator[dict[str, Any]]:
    names: dict[str, Any] = {}
    (setup,) = blocks(BEGIN, "python")
    exec(compile(setup, str(PAGE), "exec"), names)  # noqa: S102  # the page itself
    yield names
    names["invented"].close()


def with_error(answer: object) -> int:
    """Return how many figures have an interval around them."""
    if isinstance(answer, Result):
        shown = [row.estimate for row in answer if row.estimate.estimate is not None]
        for each in shown:
            assert each.lower is not None
            assert each.upper is not None
            assert each.estimate is not None
            assert each.lower < each.upper
            assert each.lower <= each.estimate <= each.upper
        assert answer.level >= 0.95
        return len(shown)
    if isinstance(answer, Derived):
        rows = [each.as_json() for each in answer]
    else:
        rows = [
            each.as_json()
            for each in (answer if hasattr(answer, "__iter__") else [answer])
        ]
    return sum(
        any(
            row.get(low) is not None and row.get(high) is not None
            for low, high in _BOUNDS
        )
        or row.get("probability") is not None
        for row in rows
    )


def test_the_page_has_every_question_once() -> None:
    numbers = [int(text.split(".")[0]) for text in SECTIONS]
    assert numbers == list(QUESTIONS)
    listed = [
        int(number) for number in re.findall(r"^\| (\d+) \|", BEGIN, re.MULTILINE)
    ]
    assert listed == list(QUESTIONS)


@pytest.mark.parametrize("number", QUESTIONS)
def test_a_question_is_answered_with_its_error(
    begun: dict[str, Any], number: int
) -> None:
    names = dict(begun)
    for code in blocks(section(number), "python"):
        exec(compile(code, f"question {number}", "exec"), names)  # noqa: S102  # the page itself
    assert with_error(names["answer"]) > 0


@pytest.mark.parametrize(
    "number", [each for each in QUESTIONS if blocks(section(each), "sql")]
)
def test_sql_asks_the_same(begun: dict[str, Any], number: int) -> None:
    names = dict(begun)
    for code in blocks(section(number), "python"):
        exec(compile(code, f"question {number}", "exec"), names)  # noqa: S102  # the page itself
    known = {each.query_key for each in names.values() if isinstance(each, Result)}
    for text in blocks(section(number), "sql"):
        answer = names["hub"].sql(text, **names["ask"])
        assert answer.query_key in known
        assert answer.from_archive
