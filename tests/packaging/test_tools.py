# SPDX-License-Identifier: Apache-2.0
"""The tools of `make check` find what they are there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import documents, rules

GOOD = "# SPDX-License-Identifier: Apache-2.0\n"


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("core/accord/__init__.py", GOOD, "hides"),
        ("core/accord/core/long.py", GOOD + "x = 1\n" * 400, "split"),
        ("core/accord/core/helpers_util.py", GOOD, "says nothing"),
        ("core/accord/core/a.py", GOOD + "class QueryManager: ...\n", "says nothing"),
        ("core/accord/core/a.py", "x = 1\n", "SPDX"),
        ("docs/a.md", f"see {Path('/', 'home', 'me')}/x", "one machine"),
    ],
)
def test_rules_name_what_is_wrong(
    name: str, text: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "ROOT", tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    (problem,) = rules.problems_of(path)
    assert word in problem


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# A `name`, once\n[a](#a-name-once) [b](#gone) [c](gone.md) [d](page.md#x)"
    page.write_text(text, encoding="utf-8")
    found = list(documents.broken_links(page, text))
    assert len(found) == 3


def test_examples_that_are_not_what_they_claim_are_found() -> None:
    text = (
        "```python\nf(\n```\n```yaml\na: [\n```\n```toml\na =\n```\n```python\n1\n```"
    )
    found = list(documents.broken_examples(text))
    assert [problem.split()[-1] for problem in found] == ["python.", "yaml.", "toml."]


def test_commands_are_taken_from_blocks_and_spans() -> None:
    text = "```console\n$ make \\\n  test\n```\nand `make demo`.\n"
    assert [line.split() for line in documents.command_lines(text)] == [
        *(["make", "test"], ["make", "demo"])
    ]


@pytest.mark.parametrize("line", ["make tset", "FOO=1 make nothing && ls"])
def test_unknown_make_targets_are_found(line: str) -> None:
    assert documents.wrong_command(line) is not None


@pytest.mark.parametrize("line", ["make test", "ls make", "accord", "make -j2", "'"])
def test_other_lines_are_left_alone(line: str) -> None:
    assert documents.wrong_command(line) is None
