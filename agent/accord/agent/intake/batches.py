# SPDX-License-Identifier: Apache-2.0
"""From ordered source rows to the rows of the store, a run of persons at a time.

A row that a dimension cannot place is left out. Rows of one person and case that are
equal are one case; where they differ, all of them are left out, since nobody can tell
which one holds. Without a case id the coded content stands in for it, together with
its count among equal rows of the person, so neither the order of the source nor
another person's rows matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.intake.chain import Chain
from accord.agent.intake.codes import Reason
from accord.agent.intake.coding import Coded, Coder
from accord.agent.intake.door import EVERYBODY, Door
from accord.agent.intake.pseudonym import (
    Kind,
    Pseudonyms,
    case_keys,
    framed,
    framed_one,
    order_keys,
    sliced,
    subject,
)
from accord.agent.intake.report import Report
from accord.agent.intake.staging import Batch

Columns = dict[str, npt.NDArray[Any]]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Content = npt.NDArray[np.uint8]
"""For every row its person's ordinal and what the mapping reads, as bytes."""

ORDINAL_BYTES = 4
_WORD_BYTES = 8


def earlier_equals(rows: Content) -> npt.NDArray[np.uint32]:
    """Return for every row how many equal ones stand before it, the high byte first."""
    count, width = rows.shape
    words = np.zeros((count, -(-width // _WORD_BYTES) * _WORD_BYTES), np.uint8)
    words[:, :width] = rows
    keys = words.view(np.uint64)
    # The sort is stable, so equal rows stay in their order.
    order = np.lexsort(keys.T)
    keys = keys[order]
    place = np.arange(count)
    first = np.ones(count, np.bool_)
    np.any(keys[1:] != keys[:-1], axis=1, out=first[1:])
    begin = np.maximum.accumulate(np.where(first, place, 0))
    found = np.empty(count, ">u4")
    found[order] = place - begin
    return found


CASE_KEY = "case_key"
"""Column of a part, and of no store, by which the rows of a case are found again.

Parts have it whose mapping names case columns, unless they name no persons."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of the store, sorted; ordinals are dense and go on from batch to batch."""

    columns: Columns
    pseudonyms: Pseudonyms
    """Of the persons in this run, one each, in order."""


@dataclasses.dataclass(slots=True, kw_only=True)
class RowBuilder:
    """Codes batches in turn and keeps count."""

    coders: Sequence[Coder]
    store_keys: Chain
    scope: str
    """Name of the part: cases of different parts are different cases."""
    persons_known: bool
    report: Report
    door: Door = EVERYBODY
    """Keeps out who was forgotten, and what is too old."""
    follows: bool = False
    """Whether the next ingest goes on from the cases of this one."""
    persons: int = 0
    """Ordinals given so far."""
    forgotten_cases: list[npt.NDArray[np.uint64]] = dataclasses.field(
        default_factory=list
    )
    """Keys of cases with a row of a forgotten person, where they are followed."""
    unsettled_cases: list[npt.NDArray[np.uint64]] = dataclasses.field(
        default_factory=list
    )
    """Keys of cases that contradict themselves, until a row of them leaves by age."""

    def build(self, batch: Batch) -> Rows:
        """Return the rows of *batch* that stay."""
        coded = {coder.name: self._code(coder, batch) for coder in self.coders}
        rows = self._placed(coded, batch)
        content = self._content(coded, batch, rows)
        keys = self._order_keys(batch, rows, content)
        order = np.lexsort((keys, batch.person.take(rows)))
        rows, keys, content = rows[order], keys[order], content[order]
        stay = self._settled(batch, rows, keys, content)
        rows, keys = rows[stay], keys[stay]
        self._count(coded, rows)
        person = batch.person.take(rows)
        new = np.ones(len(person), np.bool_)
        np.not_equal(person[1:], person[:-1], out=new[1:])
        ordinal = (self.persons - 1 + np.cumsum(new)).astype(np.uint32)
        kept = person[new].astype(np.intp) - int(batch.person[0])
        self.persons += len(kept)
        columns: Columns = {
            "person": ordinal,
            "person_known": np.full(len(rows), self.persons_known, np.uint8),
            "order_key": keys,
        }
        for found in coded.values():
            for name, values in found.columns.items():
                columns[name] = values.take(rows)
        if self._keyed(batch):
            columns[CASE_KEY] = self._case_keys(batch, rows)
        return Rows(columns=columns, pseudonyms=batch.pseudonyms.take(kept, axis=0))

    def _code(self, coder: Coder, batch: Batch) -> Coded:
        return coder.code(batch.ids, len(batch.person))

    def _placed(self, coded: dict[str, Coded], batch: Batch) -> Indices:
        """Return the rows that every dimension could place; note the others."""
        gone = self._forgotten(batch)
        self._leave_out(Reason.FORGOTTEN, gone, batch)
        if self.follows and gone.any():
            self.forgotten_cases.append(self._case_keys(batch, np.flatnonzero(gone)))
        old = self.door.old_rows(coded) & ~gone
        self._leave_out(Reason.TOO_OLD, old, batch)
        kept_out = gone | old
        wrong = kept_out.copy()
        for name, found in coded.items():
            if found.wrong is None:
                continue
            unplaced = np.where(kept_out, 0, found.wrong)
            wrong |= unplaced > 0
            for number in np.unique(unplaced[unplaced > 0]):
                at = unplaced == number
                self.report.refuse(
                    name, Reason(int(number)), batch.file[at], batch.row[at]
                )
        self.report.refused += int(np.count_nonzero(wrong))
        return np.flatnonzero(~wrong)

    def _keyed(self, batch: Batch) -> bool:
        """Tell whether a part has the keys of its cases: to follow or forget them."""
        return self.follows or (self.persons_known and bool(batch.cases))

    def _forgotten(self, batch: Batch) -> Flags:
        """Return which rows are of forgotten persons, or of cases that were theirs."""
        gone = self.door.forgotten_rows(batch.person, batch.first)
        rows = np.flatnonzero(~gone)
        if not (self._keyed(batch) and self.door.knows_cases and len(rows)):
            return gone
        keys = self._first_case_keys(batch, rows)
        unnamed = [[""]] * len(batch.cases)
        nameless = case_keys(self.store_keys.first, self.scope, unnamed)
        place = batch.person.take(rows).astype(np.intp) - int(batch.person[0])
        whose = batch.first.take(place, axis=0)
        found = self.door.forgotten_case_rows(keys, whose) & (keys != nameless)
        gone[rows[found]] = True
        return gone

    def _leave_out(self, reason: Reason, rows: Flags, batch: Batch) -> None:
        self.report.refuse("", reason, batch.file[rows], batch.row[rows])

    def _content(self, coded: dict[str, Coded], batch: Batch, rows: Indices) -> Content:
        """Return the bytes of every row: its person, then what the mapping reads."""
        parts: list[npt.NDArray[Any]] = [batch.person.take(rows)]
        for coder in self.coders:
            if coder.inputs:
                columns = coded[coder.name].columns.values()
                parts.extend(values.take(rows) for values in columns)
        fixed = [
            part.astype(part.dtype.newbyteorder("<"), copy=False) for part in parts
        ]
        return np.hstack(
            [
                part.view(np.uint8).reshape(len(rows), part.dtype.itemsize)
                for part in fixed
            ]
        )

    def _order_keys(
        self, batch: Batch, rows: Indices, content: Content
    ) -> npt.NDArray[np.uint64]:
        """Return the order key of every row."""
        if not len(rows):
            return np.empty(0, np.uint64)
        place = batch.person.take(rows).astype(np.intp) - int(batch.person[0])
        pseudonyms = batch.first.take(place, axis=0)
        if not batch.cases:
            alone = self._by_content(pseudonyms, content)
            return self.store_keys.keys(order_keys(self.store_keys.first, alone))
        columns = [texts.take(rows).tolist() for texts in batch.cases]
        bare = np.array(
            [not any(map(str.strip, texts)) for texts in zip(*columns, strict=True)],
            np.bool_,
        )
        keys = np.empty(len(rows), np.uint64)
        if bare.any():
            alone = self._by_content(pseudonyms[bare], content[bare])
            keys[bare] = order_keys(self.store_keys.first, alone)
        named = np.flatnonzero(~bare)
        texts = [[column[index] for index in named.tolist()] for column in columns]
        messages = self._by_case(pseudonyms.take(named, axis=0), texts)
        keys[named] = order_keys(self.store_keys.first, messages)
        return self.store_keys.keys(keys)

    def _case_keys(self, batch: Batch, rows: Indices) -> npt.NDArray[np.uint64]:
        return self.store_keys.keys(self._first_case_keys(batch, rows))

    def _first_case_keys(self, batch: Batch, rows: Indices) -> npt.NDArray[np.uint64]:
        texts = [column.take(rows).tolist() for column in batch.cases]
        return case_keys(self.store_keys.first, self.scope, texts)

    def _by_case(
        self, pseudonyms: Pseudonyms, columns: Sequence[Sequence[str]]
    ) -> Iterator[bytes]:
        """Yield pseudonym and case id of every row."""
        prefix = subject(Kind.CASE, self.scope)
        whose = sliced(pseudonyms)
        if len(columns) == 1:
            for who, text in zip(whose, columns[0], strict=True):
                yield who + prefix + framed_one(text)
        else:
            for who, texts in zip(whose, zip(*columns, strict=True), strict=True):
                yield who + prefix + framed(texts)

    def _by_content(self, pseudonyms: Pseudonyms, content: Content) -> list[bytes]:
        """Return for every row pseudonym, content, and its count among equal ones."""
        prefix = np.frombuffer(subject(Kind.ROW, self.scope), np.uint8)
        return sliced(
            np.hstack(
                [
                    pseudonyms,
                    np.broadcast_to(prefix, (len(content), len(prefix))),
                    # Without the ordinal, which the pseudonym stands for.
                    content[:, ORDINAL_BYTES:],
                    earlier_equals(content).view(np.uint8).reshape(-1, 4),
                ]
            )
        )

    def _settled(
        self,
        batch: Batch,
        rows: Indices,
        keys: npt.NDArray[np.uint64],
        content: Content,
    ) -> Flags:
        """Return which rows stay where several have one person and case."""
        person = batch.person.take(rows)
        same = (person[1:] == person[:-1]) & (keys[1:] == keys[:-1])
        stay = np.ones(len(rows), np.bool_)
        if not same.any():
            return stay
        stay[1:] = ~same
        differs = np.flatnonzero(same)
        differs = differs[(content[differs] != content[differs + 1]).any(axis=1)]
        group = np.cumsum(stay)
        conflict = np.isin(group, np.unique(group[differs]))
        lost = rows[conflict]
        if self.follows and len(lost):
            self.unsettled_cases.append(self._case_keys(batch, lost))
        self.report.refuse("", Reason.CASE_CONFLICT, batch.file[lost], batch.row[lost])
        self.report.refused += len(lost)
        self.report.collapsed += int(np.count_nonzero(~stay & ~conflict))
        return stay & ~conflict

    def _count(self, coded: dict[str, Coded], rows: Indices) -> None:
        self.report.kept += len(rows)
        for name, found in coded.items():
            recorded = int(np.count_nonzero(found.recorded.take(rows)))
            self.report.recorded[name] = self.report.recorded.get(name, 0) + recorded
            if found.outside is not None and found.outside.any():
                outside = int(np.count_nonzero(found.outside.take(rows)))
                self.report.outside[name] = self.report.outside.get(name, 0) + outside
