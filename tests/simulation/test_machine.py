# SPDX-License-Identifier: Apache-2.0
"""Histories that hypothesis makes, and makes short when they break a promise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from tests.simulation.checks import Broken
from tests.simulation.histories import (
    COPIES,
    DIRECTIONS,
    MOST_COMMITS,
    SIDES,
    WAITS,
    WHEN,
    Failure,
    Player,
)
from tests.simulation.patching import Passed
from tests.simulation.template import FALLBACK, PARTIES
from tests.simulation.world import PRICES, QUESTIONS, Operation, World

AGENCIES = st.sampled_from(FALLBACK)
MACHINES = st.sampled_from(("hub", *FALLBACK))
PLACES = st.integers(0, 2)
WAYS = st.sampled_from(DIRECTIONS)


class Histories(stateful.RuleBasedStateMachine):
    """Every rule is one operation of `World`."""

    player: Player

    def __init__(self) -> None:
        super().__init__()
        self._stack: contextlib.ExitStack | None = contextlib.ExitStack()
        self._history: list[Operation] = []
        self.world: World = self._stack.enter_context(self.player.world())

    def _do(self, *operation: Passed) -> None:
        self._history.append(operation)
        self._kept(lambda: self.world.do(operation))

    def _kept(self, work: Callable[[], None]) -> None:
        """Break off at the first broken promise, with a short history to paste."""
        if self._stack is None:
            return
        try:
            work()
            self.world.witness.look()
        except Exception as error:
            self._stack.close()
            self._stack = None
            failure = Failure(tuple(self._history), str(error))
            raise Broken(str(self.player.shortened(failure))) from error

    @stateful.rule(
        question=st.integers(0, len(QUESTIONS) - 1),
        analyst=st.integers(0, 1),
        price=st.integers(0, len(PRICES) - 1),
        complete=st.booleans(),
    )
    def ask(self, question: int, analyst: int, price: int, complete: bool) -> None:
        self._do("ask", question, analyst, price, complete)

    @stateful.rule(number=st.integers(0, 3))
    def send(self, number: int) -> None:
        self._do("send", number)

    @stateful.rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        self._do("wait", seconds)

    @stateful.rule(
        name=MACHINES, when=st.sampled_from(WHEN), commits=st.integers(0, MOST_COMMITS)
    )
    def crash(self, name: str, when: str, commits: int) -> None:
        self._do("crash", name, when, commits)

    @stateful.rule(name=MACHINES)
    def kill(self, name: str) -> None:
        self._do("kill", name)

    @stateful.rule(name=st.sampled_from(("hub", *PARTIES)))
    def start(self, name: str) -> None:
        self._do("start", name)

    @stateful.rule(name=MACHINES, what=st.sampled_from(("full", "room")))
    def disk(self, name: str, what: str) -> None:
        self._do(what, name)

    @stateful.rule(name=MACHINES, what=st.sampled_from(("slow", "quick")))
    def threads(self, name: str, what: str) -> None:
        self._do(what, name)

    @stateful.rule(name=AGENCIES)
    def backup(self, name: str) -> None:
        self._do("backup", name)

    @stateful.rule(name=AGENCIES, what=st.sampled_from(COPIES))
    def restore(self, name: str, what: str) -> None:
        self._do("restore", name, what)

    @stateful.rule(name=AGENCIES)
    def confirm(self, name: str) -> None:
        self._do("confirm", name)

    @stateful.rule(name=AGENCIES, side=st.sampled_from(SIDES))
    def cut(self, name: str, side: str) -> None:
        self._do("cut", name, side)

    @stateful.rule(name=AGENCIES)
    def mend(self, name: str) -> None:
        self._do("mend", name)

    @stateful.rule(
        what=st.sampled_from(("hold", "free", "step")), name=AGENCIES, direction=WAYS
    )
    def line(self, what: str, name: str, direction: str) -> None:
        self._do(what, name, direction)

    @stateful.rule(
        what=st.sampled_from(("drop", "double", "swap")),
        place=PLACES,
        name=AGENCIES,
        direction=WAYS,
    )
    def message(self, what: str, name: str, direction: str, place: int) -> None:
        self._do(what, name, direction, place)

    @stateful.rule()
    def decide(self) -> None:
        self._do("decide")

    @stateful.rule(name=AGENCIES)
    def revoke(self, name: str) -> None:
        self._do("revoke", name)

    def teardown(self) -> None:
        """Bring everything to its end."""
        self._kept(self._end)
        if self._stack is not None:
            self._stack.close()

    def _end(self) -> None:
        self.world.finish()
        self.world.witness.end()


def _run(player: Player, examples: int, steps: int) -> None:
    kind = type("Histories", (Histories,), {"player": player})
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        deadline=None,
        database=None,
    )
    stateful.run_state_machine_as_test(kind, settings=settings)


def test_what_hypothesis_does_keeps_every_promise(player: Player) -> None:
    _run(player, examples=6, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_much_of_what_hypothesis_does_keeps_every_promise(player: Player) -> None:
    _run(player, examples=300, steps=30)
