# SPDX-License-Identifier: Apache-2.0
"""Consent at the door: what the mapping says of it, and which rows it leaves out.

A row stays only where its code is one that was given for consent. Nothing is taken
for consent by default: no code, a code that nobody has named, and an end that cannot
be read leave the row out, each under a reason of its own.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from accord.agent.intake.codes import Reason
from accord.agent.intake.coding import Coded, Ids
from accord.agent.intake.consent_form import (
    ConsentEntry,
    OptOutEntry,
    consent_columns,
)
from accord.agent.intake.dates import ISO_DAY, Zone, day_number
from accord.agent.intake.mapping import fold
from accord.agent.store.leaving import CONSENT_UNTIL, NO_END, day_code

USUAL_NO = ("0", "false", "no", "f", "n")
"""Texts of an opt-out that did not happen, where the mapping names none."""


_ORDER = ("opt_out", "given", "until")


class ConsentCoder:
    """Leaves out rows without consent, and keeps the day on which it ends."""

    def __init__(
        self,
        consent: ConsentEntry | None,
        opt_out: OptOutEntry | None,
        today: datetime.date,
        zone: Zone = None,
    ) -> None:
        """Prepare the tables of the columns."""
        self.name = "consent"
        self._consent = consent
        self._opt_out = opt_out
        self._today = day_code(today)
        self._zone = zone
        self.inputs: tuple[str, ...] = tuple(
            dict.fromkeys(name for name, _ in consent_columns(consent, opt_out))
        )
        self._states: dict[tuple[str, str], npt.NDArray[np.int8]] = {}
        self._days = np.empty(0, np.uint16)

    def prepare(self, column: str, distinct: int) -> None:
        """Make room."""
        for role in self._roles(column):
            self._states[role, column] = np.zeros(distinct, np.int8)
            if role == "until":
                self._days = np.full(distinct, NO_END, np.uint16)

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Read codes as reasons, and ends as days."""
        roles = list(self._roles(column))
        for index, text in enumerate(texts, start):
            for role in roles:
                self._states[role, column][index] = self._read(role, text, index)

    def _roles(self, column: str) -> Iterator[str]:
        if self._consent is not None and column == self._consent.column:
            yield "given"
        if self._consent is not None and column == self._consent.until:
            yield "until"
        if self._opt_out is not None and column == self._opt_out.column:
            yield "opt_out"

    def _read(self, role: str, text: str, index: int) -> int:
        """Return the reason that a text is for leaving a row out, or 0."""
        if role == "given":
            return self._given(fold(text))
        if role == "opt_out":
            return self._opted_out(fold(text))
        return self._ends(text.strip(), index)

    def _given(self, code: str) -> int:
        entry = self._consent
        if entry is None or code in map(fold, entry.given):
            return 0
        if not code or code in map(fold, entry.not_given):
            return Reason.NO_CONSENT
        return Reason.CONSENT_UNCLEAR

    def _opted_out(self, code: str) -> int:
        entry = self._opt_out
        if entry is None:
            return 0
        if code in map(fold, entry.values):
            return Reason.OPTED_OUT
        known = map(fold, entry.no if entry.no is not None else USUAL_NO)
        return 0 if not code or code in known else Reason.CONSENT_UNCLEAR

    def _ends(self, text: str, index: int) -> int:
        if self._consent is None or not text:
            return 0
        number = day_number(text, self._consent.date or [ISO_DAY], self._zone)
        if number is None:
            return Reason.CONSENT_UNCLEAR
        code = day_code(
            datetime.date(number // 10_000, number // 100 % 100, number % 100)
        )
        self._days[index] = code
        return Reason.CONSENT_ENDED if code < self._today else 0

    def code(self, ids: Ids, rows: int) -> Coded:
        """Look the rows up; of several reasons the first one counts."""
        wrong = np.zeros(rows, np.int8)
        for place in sorted(self._states, key=lambda each: _ORDER.index(each[0])):
            found = self._states[place].take(ids[place[1]])
            wrong = np.where(wrong == 0, found, wrong)
        columns: dict[str, npt.NDArray[np.uint16]] = {}
        if self._consent is not None and self._consent.until is not None:
            columns[CONSENT_UNTIL] = self._days.take(ids[self._consent.until])
        return Coded(
            columns=columns,
            wrong=wrong if wrong.any() else None,
            recorded=np.ones(rows, np.bool_),
        )
