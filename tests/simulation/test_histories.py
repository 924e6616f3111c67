# SPDX-License-Identifier: Apache-2.0
"""Random histories of hub, agencies and analysts in which everything can fail.

After each operation, and once everything has come to its end, `checks.Witness` looks at
all databases and at all that was said.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.histories import Player, pasted, random_history
from tests.simulation.planted import release_unnoted
from tests.simulation.tracing import traced

SHORT: Final = 10
"""Histories in every run."""

CHUNKS: Final = 8

MANY: Final = int(os.environ.get("ACCORD_HISTORIES", "2000"))
"""Histories where there is more time."""

BUSY: Final = 11
"""A seed whose history has a restored copy, crashes and a full disk."""


def test_random_histories_keep_every_promise(player: Player) -> None:
    pasted(player.search(range(SHORT)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_thousands_of_histories_keep_every_promise(player: Player, chunk: int) -> None:
    pasted(player.search(range(SHORT + chunk, SHORT + MANY, CHUNKS)))


@pytest.mark.slow
def test_a_broken_promise_is_printed_as_a_short_history(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be pasted, and breaks the same promise again."""
    release_unnoted(monkeypatch)
    found = player.search(range(5))
    assert found is not None
    assert len(found.history) == 1
    promise, _, history = str(found).partition("\n")
    assert promise == "a release has no entry in the log, or several"
    again = player.trouble(ast.literal_eval(history))
    assert again == found


def test_a_history_is_the_same_every_time(player: Player) -> None:
    history = random_history(BUSY)
    assert traced(player, history) == traced(player, history)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_history_is_the_same_in_another_process(
    player: Player, tmp_path: Path
) -> None:
    """Also where sets and dictionaries have another order."""
    here = traced(player, random_history(BUSY))
    program = [sys.executable, "-m", "tests.simulation.tracing", str(BUSY)]
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [*program, str(tmp_path / hash_seed)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": _paths()},
        )
        assert there.stdout.strip() == here
        (tmp_path / hash_seed).rmdir()


def _paths() -> str:
    return os.pathsep.join(sys.path)
