# SPDX-License-Identifier: Apache-2.0
"""The simulation finds mistakes: each of these is planted in the product, and found.

First by a short history that is known to show it; where there is more time, by random
ones, of which few enough are needed.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.histories import History, Player
from tests.simulation.planted import PLANTED

ENOUGH: Final = 300
"""Random histories within which every mistake is found."""

ONE: Final = (("ask", 0, 0, 1, False),)

EVERYBODY: Final = (("start", "clinic"), ("start", "inspection"))

TOO_LATE: Final = (("wait", 3600), ("wait", 3600), ("wait", 60))

UNREVEALED: Final = (
    ("hold", "police", "up"),
    ("ask", 0, 0, 1, False),
    ("step", "police", "up"),
    ("step", "police", "up"),
    *TOO_LATE,
)
"""Everybody reveals, and the last seed never arrives."""

COPIED: Final = (
    ("hold", "police", "down"),
    ("ask", 0, 0, 1, False),
    ("step", "police", "down"),
    ("step", "police", "down"),
    ("backup", "police"),
    ("free", "police", "down"),
    ("restore", "police", "database"),
)
"""What an agency has revealed, a copy of its state does not know."""

FORGOTTEN: Final = (
    *EVERYBODY,
    ("ask", 0, 0, 1, False),
    ("backup", "hub"),
    ("ask", 1, 1, 1, False),
    ("restore", "hub", "database"),
    ("reconcile",),
)
"""The hub loses a release."""

KNOWN: Final[dict[str, History]] = {
    "charge_twice": ONE,
    "release_for_nothing": ONE,
    "give_back_what_was_opened": UNREVEALED,
    "believe_that_all_erased": (
        ("hold", "police", "down"),
        ("ask", 0, 0, 1, False),
        ("step", "police", "down"),
        ("step", "police", "down"),
        ("cut", "hotline", "both"),
        ("cut", "shelter", "both"),
        ("kill", "hub"),
        ("start", "hub"),
        ("wait", 60),
        ("step", "police", "down"),
        ("drop", "police", "down", 0),
        ("wait", 3600),
        ("wait", 3600),
        ("free", "police", "down"),
        ("wait", 60),
        ("wait", 60),
    ),
    "forget_followers": (
        ("hold", "police", "up"),
        ("ask", 0, 0, 1, False),
        ("ask", 0, 1, 1, False),
    ),
    "release_unnoted": ONE,
    "draw_again": (*ONE, ("ask", 0, 1, 1, False)),
    "open_two_cohorts": (
        *EVERYBODY,
        ("hold", "clinic", "down"),
        ("ask", 3, 0, 1, False),
        ("step", "clinic", "down"),
        ("step", "clinic", "down"),
        ("wait", 3600),
        ("wait", 1800),
        ("wait", 60),
    ),
    "open_before_it_is_committed": (
        ("hold", "police", "up"),
        ("ask", 0, 0, 1, False),
        ("step", "police", "up"),
        ("slow", "hub"),
        ("free", "police", "up"),
    ),
    "open_uncommitted": ONE,
    "no_caps_at_the_hub": (*ONE, ("ask", 1, 0, 1, False)),
    "no_caps_at_agencies": (
        *EVERYBODY,
        ("ask", 3, 0, 1, False),
        ("ask", 4, 1, 1, False),
    ),
    "reveal_unpaid": ONE,
    "no_fence": COPIED,
    "fence_forgets": COPIED,
    "erase_in_words": ONE,
    "keep_reservations": (
        ("hold", "police", "up"),
        ("ask", 0, 0, 1, False),
        ("step", "police", "up"),
        *TOO_LATE,
    ),
    "write_nothing_on_a_full_disk": (
        ("hold", "police", "up"),
        ("ask", 0, 0, 1, False),
        ("step", "police", "up"),
        ("full", "hub"),
        ("free", "police", "up"),
    ),
    "forget_what_waits": (
        ("hold", "police", "up"),
        ("ask", 0, 0, 1, False),
        ("kill", "hub"),
        ("start", "hub"),
    ),
    "show_other_figures": ONE,
    "open_one_vector_twice": ONE,
    "trust_an_old_copy": FORGOTTEN,
    "rebuild_nothing": FORGOTTEN,
}


RARE: Final = {"believe_that_all_erased", "open_two_cohorts", "trust_an_old_copy"}
"""Shown by long histories in one order only, or by a copy that nobody says is one."""


def test_every_planted_mistake_has_a_history() -> None:
    assert KNOWN.keys() == PLANTED.keys()


@pytest.mark.parametrize("name", KNOWN)
def test_a_planted_mistake_is_found(
    player: Player, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PLANTED[name](monkeypatch)
    assert player.trouble(KNOWN[name]) is not None


@pytest.mark.slow
@pytest.mark.parametrize("history", sorted(set(KNOWN.values()), key=repr))
def test_without_a_mistake_the_same_histories_are_kept(
    player: Player, history: History
) -> None:
    player.play(history)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [each for each in KNOWN if each not in RARE])
def test_random_histories_find_a_planted_mistake(
    player: Player, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PLANTED[name](monkeypatch)
    assert player.first_trouble(range(ENOUGH)) is not None
