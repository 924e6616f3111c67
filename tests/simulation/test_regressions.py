# SPDX-License-Identifier: Apache-2.0
"""Histories that broke a promise once, or that show what is known to be missing."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.histories import History, Player

NAMED: Final[dict[str, History]] = {
    "what was opened before a copy is not released again after it": (
        ("hold", "hotline", "up"),
        ("ask", 2, 1, 0, False),
        ("step", "hotline", "up"),
        ("step", "hotline", "up"),
        ("backup", "hub"),
        ("free", "hotline", "up"),
        ("restore", "hub", "all"),
    ),
    "what came from an archive that is lost is asked and paid for anew": (
        ("backup", "hub"),
        ("ask", 2, 1, 1, False),
        ("ask", 2, 1, 0, False),
        ("restore", "hub", "all"),
        ("start", "clinic"),
        ("start", "inspection"),
        ("reconcile",),
    ),
    "a disk that stays full until a question has expired": (
        ("hold", "police", "down"),
        ("ask", 1, 1, 0, False),
        ("step", "police", "down"),
        ("step", "police", "down"),
        ("full", "hub"),
        ("ask", 0, 0, 0, False),
        ("free", "police", "down"),
        ("wait", 3600),
        ("wait", 3600),
        ("wait", 60),
        ("crash", "hub", "after", 7),
        ("ask", 0, 0, 1, False),
        ("start", "hub"),
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_history_that_broke_a_promise_once(player: Player, name: str) -> None:
    player.play(NAMED[name])


@pytest.mark.xfail(
    reason="until agencies have seen the newest head of the log, a hub whose file was"
    " copied by other means after an opening, and put back, looks like the newest one"
)
def test_a_copied_file_does_not_publish_what_was_published_since(
    player: Player,
) -> None:
    """The same sum with other noise would tell more than was paid for."""
    player.play(
        (
            ("hold", "hotline", "up"),
            ("ask", 2, 1, 0, False),
            ("step", "hotline", "up"),
            ("step", "hotline", "up"),
            ("backup", "hub"),
            ("free", "hotline", "up"),
            ("restore", "hub", "database"),
        )
    )


@pytest.mark.xfail(
    reason="a hub knows an agency's steps from its last hello only, so that a whole"
    " directory that was copied and put back within one stream passes for the newest"
)
def test_a_whole_directory_that_was_copied_within_a_stream_is_noticed(
    player: Player,
) -> None:
    """What such an agency has revealed, it must not sign to have erased."""
    with player.world() as world:
        for operation in (
            ("hold", "police", "down"),
            ("ask", 0, 0, 1, False),
            ("step", "police", "down"),
            ("step", "police", "down"),
            ("backup", "police"),
            ("free", "police", "down"),
            ("restore", "police", "all"),
        ):
            world.do(operation)
        world.finish()
        assert not world.witness.lied()
