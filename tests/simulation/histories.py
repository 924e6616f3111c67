# SPDX-License-Identifier: Apache-2.0
"""Histories: lists of operations, drawn at random, played, made short, and printed.

A history that breaks a promise is printed as a list that can be pasted into
`tests.simulation.test_regressions` under a name.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.simulation.checks import Broken
from tests.simulation.template import FALLBACK, PARTIES, Template
from tests.simulation.world import PRICES, QUESTIONS, Operation, World

History = Sequence[Operation]

SIDES: Final = ("both", "agent", "hub")
DIRECTIONS: Final = ("up", "down")
WHEN: Final = ("before", "after")
WAITS: Final = (2, 60, 1800, 3600)
COPIES: Final = ("all", "database")
MOST_COMMITS: Final = 12

Draw = random.Random


def agency(draw: Draw) -> str:
    """Return one of the three that are in every question."""
    return draw.choice(FALLBACK)


def machine(draw: Draw) -> str:
    return "hub" if draw.random() < 0.5 else agency(draw)


def line(draw: Draw) -> tuple[str, str]:
    who = agency(draw) if draw.random() < 0.7 else draw.choice(PARTIES)
    return who, draw.choice(DIRECTIONS)


def ask(draw: Draw) -> Operation:
    question = draw.randrange(len(QUESTIONS))
    price = draw.randrange(len(PRICES))
    return ("ask", question, draw.randrange(2), price, draw.random() < 0.2)


SINGLE: Final[dict[str, tuple[int, Callable[[Draw], Operation]]]] = {
    "ask": (6, ask),
    "send": (2, lambda draw: ("send", draw.randrange(4))),
    "wait": (4, lambda draw: ("wait", draw.choice(WAITS))),
    "crash": (
        6,
        lambda draw: (
            "crash",
            machine(draw),
            draw.choice(WHEN),
            draw.randrange(MOST_COMMITS),
        ),
    ),
    "kill": (3, lambda draw: ("kill", machine(draw))),
    "start": (4, lambda draw: ("start", draw.choice(("hub", *PARTIES)))),
    "full": (2, lambda draw: ("full", machine(draw))),
    "room": (2, lambda draw: ("room", machine(draw))),
    "slow": (2, lambda draw: ("slow", machine(draw))),
    "quick": (3, lambda draw: ("quick", machine(draw))),
    "backup": (3, lambda draw: ("backup", agency(draw))),
    "restore": (3, lambda draw: ("restore", agency(draw), draw.choice(COPIES))),
    "confirm": (3, lambda draw: ("confirm", agency(draw))),
    "cut": (3, lambda draw: ("cut", agency(draw), draw.choice(SIDES))),
    "mend": (3, lambda draw: ("mend", agency(draw))),
    "hold": (4, lambda draw: ("hold", *line(draw))),
    "free": (4, lambda draw: ("free", *line(draw))),
    "step": (4, lambda draw: ("step", *line(draw))),
    "drop": (3, lambda draw: ("drop", *line(draw), draw.randrange(3))),
    "double": (3, lambda draw: ("double", *line(draw), draw.randrange(3))),
    "swap": (3, lambda draw: ("swap", *line(draw), draw.randrange(3))),
    "decide": (1, lambda _: ("decide",)),
    "revoke": (1, lambda draw: ("revoke", agency(draw))),
}
"""How often an operation comes by itself, and what it is done to."""


def _anything(draw: Draw, _who: str = "") -> list[Operation]:
    """Do a few things that have nothing to do with each other."""
    names = list(SINGLE)
    weights = [SINGLE[name][0] for name in names]
    chosen = draw.choices(names, weights, k=draw.randint(1, 4))
    return [SINGLE[name][1](draw) for name in chosen]


def _power_cut(draw: Draw) -> list[Operation]:
    """Ask, and let a machine die at any of the commits that follow."""
    who = machine(draw)
    when, commits = draw.choice(WHEN), draw.randrange(MOST_COMMITS)
    return [("crash", who, when, commits), ask(draw), ("start", who)]


def _halfway(draw: Draw) -> list[Operation]:
    """Hold one agency up between two rounds, let something happen, and go on."""
    who, direction = line(draw)
    steps = [("step", who, direction)] * draw.randint(0, 3)
    between = draw.choice((_anything, _too_late, _loss, _copy, _copy))
    question = ask(draw)
    return [
        ("hold", who, direction),
        question,
        *steps,
        *between(draw, who),
        ("free", who, direction),
    ]


def _too_late(draw: Draw, _who: str = "") -> list[Operation]:
    """Let the time of a question pass."""
    return [("wait", 3600)] * draw.randint(1, 2) + [("wait", 60)]


def _loss(draw: Draw, who: str = "") -> list[Operation]:
    """Lose a message of a line that may be held, and let time pass."""
    direction = draw.choice(DIRECTIONS)
    return [("drop", who or agency(draw), direction, 0), *_too_late(draw)]


def _copy(draw: Draw, who: str = "") -> list[Operation]:
    """Copy an agency's state, go on, and put the copy back."""
    who = who or agency(draw)
    between = draw.choice(([], [ask(draw)], [("free", who, "down")]))
    staff = [("confirm", who)] if draw.random() < 0.5 else []
    restored = ("restore", who, draw.choice(COPIES))
    return [("backup", who), *between, restored, *staff]


def _old_hub(draw: Draw) -> list[Operation]:
    """Copy the hub's state, go on, and put the copy back."""
    who, direction = line(draw)
    steps = [("step", who, direction)] * draw.randint(0, 3)
    before = [("hold", who, direction), ask(draw), *steps, ("free", who, direction)]
    place = draw.randrange(len(before) + 1)
    before.insert(place, ("backup", "hub"))
    middle = [ask(draw)] if draw.random() < 0.5 else []
    everybody = [("start", each) for each in PARTIES if each not in FALLBACK]
    accepted = [("accept", each) for each in FALLBACK]
    staff = [*everybody, ("reconcile",), *accepted]
    after = staff if draw.random() < 0.5 else []
    return [*before, *middle, ("restore", "hub", "all"), *after, ask(draw)]


def _together(draw: Draw) -> list[Operation]:
    """Let both analysts ask the same before there is an answer."""
    who = machine(draw)
    _, question, _, price, whole = ask(draw)
    other = draw.randrange(len(PRICES))
    return [
        ("slow", who),
        ("ask", question, 0, price, whole),
        ("ask", question, 1, other, draw.random() < 0.2),
        ("quick", who),
    ]


def _spending(draw: Draw) -> list[Operation]:
    """Ask until somebody's budget is at its end."""
    return [
        ("ask", question, draw.randrange(2), len(PRICES) - 1, False)
        for question in range(len(QUESTIONS))
    ]


def _no_room(draw: Draw) -> list[Operation]:
    """Ask while a disk is full."""
    who = machine(draw)
    wait = [("wait", draw.choice(WAITS))] if draw.random() < 0.5 else []
    return [("full", who), ask(draw), *wait, ("room", who)]


GESTURES: Final = (
    _anything,
    _power_cut,
    _power_cut,
    _halfway,
    _halfway,
    _copy,
    _old_hub,
    _together,
    _spending,
    _no_room,
)


def random_history(seed: int) -> list[Operation]:
    """Return a history, the same for the same seed."""
    draw = random.Random(seed)
    found: list[Operation] = []
    if draw.random() < 0.4:
        found += [("start", each) for each in PARTIES if each not in FALLBACK]
    for _ in range(draw.randint(1, 3)):
        found += draw.choice(GESTURES)(draw)
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A history that breaks a promise."""

    history: History
    promise: str

    def __str__(self) -> str:
        """Return what to paste."""
        lines = "\n".join(f"    {operation!r}," for operation in self.history)
        return f"{self.promise}\n[\n{lines}\n]"


class Player:
    """Plays histories, each in a world of its own."""

    def __init__(self, template: Template, folder: Path) -> None:
        self._template = template
        self._folder = folder
        self._number = itertools.count()

    @contextmanager
    def world(self) -> Iterator[World]:
        """Give a world in which everything is switched on."""
        folder = self._folder / f"world-{next(self._number)}"
        folder.mkdir()
        world = World(self._template, folder, seed=0)
        try:
            with world.ruled():
                world.begin()
                world.witness.look()
                yield world
        finally:
            shutil.rmtree(folder)

    def play(self, history: History) -> None:
        """Do all operations, and then what brings everything to its end.

        Raises:
            Broken: a promise was not kept.
        """
        with self.world() as world:
            for operation in history:
                world.do(operation)
                world.witness.look()
            world.finish()
            world.witness.end()

    def trouble(self, history: History) -> Failure | None:
        """Return what a history breaks, if it does."""
        try:
            self.play(history)
        except Broken as error:
            return Failure(tuple(history), str(error))
        except Exception as error:  # noqa: BLE001  # a mistake breaks promises too
            return Failure(tuple(history), f"{type(error).__name__}: {error}")
        return None

    def shortened(self, failure: Failure, *, most: int = 200) -> Failure:
        """Leave out whatever is not needed for any promise to be broken."""
        history, tried, size = list(failure.history), 0, len(failure.history) // 2
        while size:
            place = 0
            while place < len(history) and tried < most:
                shorter = history[:place] + history[place + size :]
                tried += 1
                found = self.trouble(shorter)
                if found is None:
                    place += size
                else:
                    failure, history = found, shorter
            size //= 2
        return failure

    def first_trouble(self, seeds: Iterable[int]) -> Failure | None:
        """Return the first broken promise of many random histories."""
        for seed in seeds:
            failure = self.trouble(random_history(seed))
            if failure is not None:
                return failure
        return None

    def search(self, seeds: Iterable[int]) -> Failure | None:
        """Return the same, made short."""
        found = self.first_trouble(seeds)
        return None if found is None else self.shortened(found)


def pasted(failure: Failure | None) -> None:
    """Fail with a history that can be pasted, if there is one."""
    assert failure is None, f"\n{failure}"
