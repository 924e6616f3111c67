# SPDX-License-Identifier: Apache-2.0
"""Whom and what no source brings in any more, whatever its mapping says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from accord.agent.forgetting.listed import Forgotten, Refused
from accord.agent.intake.chain import Chains, Keys
from accord.agent.intake.coding import Coded
from accord.agent.intake.pseudonym import Pseudonyms
from accord.agent.state import AgentState
from accord.agent.store.leaving import Leaving
from accord.core.model import DataModel

if TYPE_CHECKING:
    from accord.agent.intake.coding import Flags


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The list of the forgotten, and the age from which records are not kept."""

    forgotten: Refused | None = None
    registered: str = ""
    """Dimension that says when a case was registered."""
    old: tuple[int, ...] = ()
    """Leaf codes of the periods that are too old."""

    @classmethod
    def of(
        cls, state: AgentState, model: DataModel, leaving: Leaving, chains: Chains
    ) -> Self:
        """Return the door of an agency on the day of *leaving*."""
        forgotten = Forgotten.of(state)
        return cls(
            forgotten=None if forgotten is None else Refused(forgotten, chains),
            registered=leaving.registered,
            old=leaving.codes(model),
        )

    def forgotten_rows(
        self, person: npt.NDArray[np.uint32], first: Pseudonyms
    ) -> Flags:
        """Return which rows are of a forgotten person.

        Args:
            person: ordinal of every row, ascending.
            first: the first pseudonym of each of the persons, from the first row's to
                the last row's.
        """
        if self.forgotten is None or not len(person):
            return np.zeros(len(person), np.bool_)
        gone = self.forgotten.persons_among(first)
        flags: Flags = gone.take(person.astype(np.intp) - int(person[0]))
        return flags

    @property
    def knows_cases(self) -> bool:
        """Whether cases of forgotten persons are known."""
        return self.forgotten is not None and self.forgotten.names_cases

    def forgotten_case_rows(self, keys: Keys, first: Pseudonyms) -> Flags:
        """Return which rows are of a case that a forgotten person had.

        Args:
            keys: of the case of every row, of generation 0.
            first: the first pseudonym of the person of every row.
        """
        if self.forgotten is None:
            return np.zeros(len(keys), np.bool_)
        return self.forgotten.cases_among(keys, first)

    def old_rows(self, coded: Mapping[str, Coded]) -> Flags:
        """Return which rows were registered too long ago."""
        rows = len(next(iter(coded.values())).recorded)
        if not self.old:
            return np.zeros(rows, np.bool_)
        found = coded[self.registered]
        old: Flags = np.isin(found.columns[self.registered], self.old)
        # What could not be placed has the first leaf, which says nothing.
        return old if found.wrong is None else old & (found.wrong == 0)


EVERYBODY = Door()
"""Keeps nobody out."""
