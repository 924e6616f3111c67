# SPDX-License-Identifier: Apache-2.0
"""Answers that came in for one requisition, in memory only.

Nothing here is ever written anywhere: after a restart agencies are asked again, and
answer the same. A round knows which cohorts could still be published.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

LARGEST_ENTRY: Final = 2**52
"""No count of records is larger; a thousand of them fit 64 bits when added up."""

Vector = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the agencies of a cohort are asked, as a round needs it."""

    submission: str
    payload_digest: str
    layout_digest: str
    size: int
    """Length of the vectors."""
    members: tuple[str, ...]
    cohorts: Mapping[str, tuple[str, ...]]
    """Cohorts that may be published from these members, the largest first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """An answer that cannot be one to this call."""

    reason: str


class Round:
    """Who answered, who declined, who is awaited."""

    def __init__(self, call: Call) -> None:
        """Begin with nobody."""
        self.call = call
        self._answers: dict[str, Vector] = {}
        self._serials: dict[str, str] = {}
        self._refusals: dict[str, str] = {}

    @property
    def answered(self) -> list[str]:
        """Agencies whose answer is here."""
        return sorted(self._answers)

    @property
    def refused(self) -> dict[str, str]:
        """Agencies that declined, with their reasons."""
        return dict(sorted(self._refusals.items()))

    @property
    def awaited(self) -> list[str]:
        """Agencies that have said nothing yet."""
        return [
            agency
            for agency in self.call.members
            if agency not in self._answers and agency not in self._refusals
        ]

    def accept(
        self, agency: str, *, serial: str, layout_digest: str, vector: Sequence[int]
    ) -> Rejected | None:
        """Take an answer; a repeated one changes nothing.

        Only what any true answer must be is checked; no count is too odd.

        Args:
            agency: who answers.
            serial: serial number of the certificate that it answers under.
            layout_digest: what the vector is over.
            vector: one entry for each cell, and the two extra ones.
        """
        if agency not in self.awaited:
            return None
        rejected = self._reason_against(layout_digest, vector)
        if rejected is not None:
            self._refusals[agency] = rejected.reason
            return rejected
        self._answers[agency] = np.array(vector, dtype=np.int64)
        self._serials[agency] = serial
        return None

    def _reason_against(
        self, layout_digest: str, vector: Sequence[int]
    ) -> Rejected | None:
        if layout_digest != self.call.layout_digest or len(vector) != self.call.size:
            return Rejected("ANSWER_OF_OTHER_LAYOUT")
        if min(vector) < 0 or max(vector) > LARGEST_ENTRY:
            return Rejected("ANSWER_OUT_OF_RANGE")
        return None

    def refuse(self, agency: str, reason: str) -> bool:
        """Note that an agency declines; tell whether that is new."""
        if agency not in self.awaited:
            return False
        self._refusals[agency] = reason
        return True

    def forget(self, agency: str) -> None:
        """Drop an agency's answer, for an agency that was thrown out."""
        self._answers.pop(agency, None)

    def held(self, cohort: str) -> list[tuple[str, str]]:
        """Return the agencies of a complete cohort with their certificates' serials."""
        return [(agency, self._serials[agency]) for agency in self.call.cohorts[cohort]]

    @property
    def possible(self) -> list[str]:
        """Cohorts in which nobody declined, the largest first."""
        return [
            cohort
            for cohort, members in self.call.cohorts.items()
            if self._refusals.keys().isdisjoint(members)
        ]

    def complete(self, *, late: bool) -> str | None:
        """Return the cohort to publish now, if there is one.

        In time it is the largest possible one, once all of it has answered; afterwards
        the largest of which all have answered.
        """
        possible = self.possible
        for cohort in possible if late else possible[:1]:
            if all(agency in self._answers for agency in self.call.cohorts[cohort]):
                return cohort
        return None

    def is_hopeless(self, *, late: bool) -> bool:
        """Tell whether no cohort can be published any more."""
        return not self.possible or (late and self.complete(late=True) is None)

    def pooled(self, cohort: str) -> Vector:
        """Return the exact sum over a cohort, which must not leave this process."""
        total = np.zeros(self.call.size, dtype=np.int64)
        for agency in self.call.cohorts[cohort]:
            total += self._answers[agency]
        return total


def publishable(
    cohorts: Mapping[str, tuple[str, ...]], asked: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Return the cohorts all of whose members were asked, in the given order."""
    return {
        name: members for name, members in cohorts.items() if set(members) <= set(asked)
    }
