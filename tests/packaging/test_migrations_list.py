# SPDX-License-Identifier: Apache-2.0
"""A migration that somebody may have run cannot be changed without being found out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import migrations

KEPT = {"0001_a.py": ("11", False)}
DRAFTED = {"0001_a.py": ("11", True)}


@pytest.mark.parametrize(
    ("lines", "files", "history", "word"),
    [
        (KEPT, {}, [], "is gone"),
        (KEPT, {"0001_a.py": "22"}, [], "add a step that comes after"),
        (DRAFTED, {"0001_a.py": "22"}, [], "run `python -m tools.migrations list`"),
        (KEPT, {"0001_a.py": "11", "0002_b.py": "22"}, [], "is not listed"),
        # The file and its line were changed together, or taken away together.
        ({"0001_a.py": ("22", False)}, {"0001_a.py": "22"}, [KEPT], "has promised"),
        ({"0001_a.py": ("11", True)}, {"0001_a.py": "11"}, [KEPT], "has promised"),
        ({}, {}, [{}, KEPT], "has promised"),
    ],
)
def test_each_breach_is_named(
    lines: migrations.Lines,
    files: dict[str, str],
    history: list[migrations.Lines],
    word: str,
) -> None:
    (problem,) = migrations.problems(lines, files, history)
    assert word in problem


@pytest.mark.parametrize("history", [[], [KEPT], [DRAFTED], [{}]])
def test_what_is_as_it_was_is_no_breach(history: list[migrations.Lines]) -> None:
    assert list(migrations.problems(KEPT, {"0001_a.py": "11"}, history)) == []


def test_drafts_are_listed_anew_and_promises_are_not() -> None:
    lines = {"0001_a.py": ("11", False), "0002_b.py": ("22", True)}
    files = {"0001_a.py": "99", "0002_b.py": "33", "0003_c.py": "44"}
    assert migrations.listed(lines, files, keep=False) == {
        "0001_a.py": ("11", False),
        "0002_b.py": ("33", True),
        "0003_c.py": ("44", True),
    }
    kept = migrations.listed(lines, files, keep=True)
    assert {name for name, line in kept.items() if not line[1]} == set(files)


def test_a_list_is_read_as_it_is_written() -> None:
    lines = {"0001_a.py": ("11", False), "0002_b.py": ("22", True)}
    assert migrations.parse(migrations.rendered(lines)) == lines


def test_promises_of_earlier_commits_are_found(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    path = tmp_path / "versions.sha256"
    assert migrations.history_of(path, tmp_path) == []  # no repository at all
    git("init", "--quiet")
    for lines in (DRAFTED, KEPT, {"0001_a.py": ("22", False)}):
        path.write_text(migrations.rendered(lines), encoding="utf-8")
        git("add", path.name)
        git("commit", "--quiet", "--message", "x")
    history = migrations.history_of(path, tmp_path)
    assert history[1:] == [KEPT, DRAFTED]
    lines = migrations.parse(path.read_text(encoding="utf-8"))
    (problem,) = migrations.problems(lines, {"0001_a.py": "22"}, history)
    assert "has promised" in problem
