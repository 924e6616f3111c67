# SPDX-License-Identifier: Apache-2.0
"""Several agencies with stores of their own, and a hub that leads them through rounds.

A world is copied from a template that is made once in a run, so that tests are quick.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.answer import StoreAnswerer
from accord.agent.settings import Settings
from accord.agent.spending import account_of
from accord.agent.state import AgentState
from accord.core.measure import LEAST_CELL_SCALE
from accord.core.terms import Requisition
from accord.ledger import Balance, Unit, balance, verify
from accord.ledger.sqlite import transaction
from accord.trust.trusted import Trusted
from tests.policies import key
from tests.unit.agent.agencies import ingest_rows, new_state, row
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    OTHERS,
    Clock,
    Offer,
    repository,
    requisition,
    signed,
)
from tests.unit.agent.hub_rounds import HubRounds, Round

EVERYONE = tuple(sorted((AGENCY, *OTHERS)))

THREE = ("hotline", "police", "shelter")
"""The cohort `fallback`."""

REGIONS = ("north", "south", "west", "unknown")
"""Cells of a question by region, in order."""

PERSONS = {
    "clinic": (1, 0, 0),
    "hotline": (0, 2, 1),
    "inspection": (1, 0, 0),
    "police": (1, 1, 3),
    "shelter": (4, 0, 2),
}
"""By region, each person with one case."""


def seed_of(label: str) -> bytes:
    """Return the seed of an agency's keys, as `repository` lists it."""
    return b"a" * 32 if label == AGENCY else key(label).private_bytes_raw()


def expected(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the exact sum of a question by region."""
    total = np.zeros(len(REGIONS) + 2, np.int64)
    for label in labels:
        counts = PERSONS[label]
        total[: len(counts)] += LEAST_CELL_SCALE * np.array(counts)
        total[-2] += sum(counts)
    return total


def stored(folder: Path, label: str, persons: Sequence[int] = ()) -> AgentState:
    """Make an agency with its store, of the usual persons or of others."""
    state = new_state(folder)
    (state.keys / "agency.key").write_bytes(seed_of(label))
    ingest_rows(
        state,
        [
            row(first=f"{region}-{number}", number=f"{region}-{number}", region=region)
            for region, count in zip(REGIONS, persons or PERSONS[label], strict=False)
            for number in range(count)
        ],
    )
    return state


def joined(state: AgentState, label: str, text: str = AGREEMENT_TEXT) -> AgentState:
    """Let an agency believe its policies and freeze its editions."""
    offer = Offer(repository(text), Clock())
    Trusted(state.policies, label).pin(repository(text).root())
    answerer = StoreAnswerer(
        state, agency=label, settings=Settings(), clock=offer.clock
    )
    assert answerer.refresh(offer.fetch)
    assert answerer.editions()
    return state


class World:
    """Agencies, their clock, and a hub."""

    def __init__(self, states: dict[str, AgentState], text: str) -> None:
        self.text = text
        self.clock = Clock()
        self.states = states
        self.offer = Offer(repository(text), self.clock)
        self.answerers = {label: self.answerer(label) for label in states}
        self.hub = HubRounds(self.answerers, self.offer.fetch)

    def answerer(self, label: str, **settings: Any) -> StoreAnswerer:  # noqa: ANN401
        """Return another program that answers for the same agency."""
        return StoreAnswerer(
            self.states[label],
            agency=label,
            settings=Settings(**settings),
            clock=self.clock,
        )

    def asked(self, **changes: Any) -> Requisition:  # noqa: ANN401 - of any type
        """Return what an honest hub asks of everyone, under a new id."""
        return dataclasses.replace(requisition(text=self.text), **changes)

    def ready(
        self,
        asked: Requisition,
        cohort: str = "fallback",
        attempt: int = 1,
    ) -> Round:
        """Lead all agencies of a cohort through the first round."""
        labels = THREE if cohort == "fallback" else tuple(self.states)
        return self.hub.ready(signed(asked), cohort, labels, attempt)

    def whole(self, asked: Requisition, cohort: str = "fallback") -> Round:
        """Lead all agencies of a cohort through all rounds."""
        return self.hub.reveal(self.hub.mask(self.ready(asked, cohort)))

    def balance(self, label: str, unit: Unit = Unit.NANO_RHO) -> Balance:
        """Return what an agency's account holds, in a ledger that verifies."""
        with (
            self.states[label].ledger() as connection,
            transaction(connection) as tx,
        ):
            verify(tx)
            return balance(tx, account_of(label), unit, self.clock.now)

    def spent(self, label: str) -> tuple[int, int]:
        """Return what an agency has spent and what it has reserved."""
        held = self.balance(label)
        return held.spent, held.reserved


class Templates:
    """Makes worlds by copying; everything is ingested and frozen once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def world(
        self,
        folder: Path,
        labels: Sequence[str] = THREE,
        text: str = AGREEMENT_TEXT,
    ) -> World:
        """Return a world of its own in *folder*."""
        states = {}
        for label in labels:
            root = folder / label
            shutil.copytree(self._template(label, text), root, symlinks=True)
            states[label] = AgentState.open(root)
        return World(states, text)

    def _template(self, label: str, text: str) -> Path:
        name = f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        root = self._folder / name
        if not root.exists():
            joined(stored(root, label), label, text)
        return root
