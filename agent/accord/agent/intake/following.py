# SPDX-License-Identifier: Apache-2.0
"""Ingests that go on from the part of an earlier one: only what changed is read anew.

What they leave is, bit for bit, what reading everything would have left. They go on
only where everything that decides what becomes of a row is as it was: mapping, data
model, keys, place of the source, version of the program. Else all rows are read.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.intake.build import CASES, PERSONS, case_rows, staying
from accord.agent.intake.chain import Chains
from accord.agent.intake.changes import MOST_SOUGHT, Stamps, since
from accord.agent.intake.codes import Reason
from accord.agent.intake.header import check_header
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.origins import place_of
from accord.agent.intake.parts import PARTS, Followed, parts_of
from accord.agent.intake.pieces import Piece, load_persons
from accord.agent.intake.pseudonym import VERSION, framed
from accord.agent.intake.report import Changes, Report
from accord.agent.intake.staging import Staging
from accord.agent.sources.table import Batch, Source, Stream
from accord.agent.state import AgentState
from accord.agent.store.leaving import Leaving
from accord.core._version import __version__

STAMPS = "stamps.parquet"

_FEW = 4
"""At most one row in so many is asked for by its case."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The part that an earlier ingest left."""

    folder: Path
    ingested_at: datetime.datetime
    leaving: Leaving
    """What of it has left since."""
    mapping: Mapping
    """As it was then, too."""

    @property
    def _ends(self) -> bool:
        consent = self.mapping.form.consent
        return consent is not None and consent.until is not None

    @property
    def files(self) -> list[Path]:
        """What of it is read."""
        return [self.folder / CASES, self.folder / STAMPS]

    def kept(self) -> Piece:
        """Return its cases that did not change."""
        rows = case_rows(self.folder / CASES)
        stays = staying(self.leaving, self.mapping.model, ends=self._ends)
        return Piece(
            cases=f"(FROM {rows} ANTI JOIN touched USING (case_key) WHERE {stays})",
            persons=load_persons(self.folder / PERSONS),
        )


def reading_of(state: AgentState, mapping: Mapping, leaving: Leaving) -> str:
    """Return the keyed hash of everything that decides what becomes of a row."""
    chains = Chains.of(state)
    decisive = (
        __version__,
        str(VERSION),
        mapping.form.model_dump_json(),
        mapping.model.digest,
        place_of(state, mapping),
        chains.pseudonyms.newest.digest(b"reading").hex(),
        f"{leaving.months} {leaving.registered}",
    )
    return chains.store.newest.digest(b"reading" + framed(decisive)).hex()


def earlier_part(
    state: AgentState, mapping: Mapping, leaving: Leaving
) -> Earlier | None:
    """Return the part to go on from, if there is one that fits."""
    part = parts_of(state.current).get(mapping.name)
    if part is None or part.followed is None:
        return None
    folder = (state.current / PARTS / mapping.name).resolve()
    same = part.followed.reading == reading_of(state, mapping, leaving)
    if not same or not (folder / STAMPS).is_file():
        return None
    return Earlier(
        folder=folder,
        ingested_at=part.ingested_at,
        leaving=leaving,
        mapping=mapping,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """One ingest that reads what changed."""

    stamps: Stamps
    earlier: Earlier | None
    """What it goes on from; nothing, everything is read."""
    reading: str

    def load(self, staging: Staging, sources: Sequence[Source], report: Report) -> None:
        """Fill ``raw`` with the rows of cases that changed, and note how many.

        Raises:
            DocumentError: the mapping names a column that a source lacks.
            SourceError: a source cannot be read to its end.
        """
        for source in sources:
            check_header(self.stamps.mapping, source.header, source.name)
        stream = _sought_by_case(sources)
        if self.earlier is None or stream is None:
            report.read = staging.load(sources)
            caseless = self._compare("raw", report)
            self.stamps.restrict()
        else:
            self.stamps.look(stream)
            caseless = self._compare("seen", report)
            report.read = self._load_cases(staging, stream, report.changes)
        rows, first = caseless
        report.note("", Reason.NO_CASE, rows, first)
        report.refused += rows

    def leave(
        self, folder: Path, restless: Sequence[npt.NDArray[np.uint64]]
    ) -> Followed:
        """Write the stamps into a part; return what else the next ingest needs.

        Args:
            folder: of the part.
            restless: keys of cases to be read anew each time: what becomes of them
                can change without any change of theirs, or no stamp is to be left.
        """
        self.stamps.without(restless)
        self.stamps.write(folder / STAMPS)
        return Followed(reading=self.reading)

    def _compare(
        self, origin: str, report: Report
    ) -> tuple[int, list[tuple[int, int]]]:
        caseless = self.stamps.take(origin)
        if self.earlier is None:
            report.changes = self.stamps.compare(None, None)
        else:
            report.changes = self.stamps.compare(
                self.earlier.files,
                since(self.earlier.ingested_at),
            )
        return caseless

    def _load_cases(
        self, staging: Staging, stream: Stream, changes: Changes | None
    ) -> int:
        """Ask for the changed cases; where that is no use, for all rows."""
        narrow = None if changes is None else _narrowed(stream, self.stamps, changes)
        read = 0
        if narrow is not None:
            read = staging.load([narrow])
            if self.stamps.restrict():
                return read
            # The texts of its cases do not lead back to what the database holds.
            self.stamps.connection.execute("DROP TABLE raw")
        read += staging.load([stream])
        self.stamps.restrict()
        return read


def _sought_by_case(sources: Sequence[Source]) -> Stream | None:
    """Return the one source that can be asked for single cases."""
    if len(sources) != 1:
        return None
    only = sources[0]
    return only if isinstance(only, Stream) and only.rows_of is not None else None


def _narrowed(stream: Stream, stamps: Stamps, changes: Changes) -> Stream | None:
    """Return the stream of changed cases, if asking for them is worth it."""
    if changes.anew > MOST_SOUGHT or changes.rows_anew * _FEW > changes.rows:
        return None
    seek = stream.rows_of
    if seek is None:
        return None
    cases = stamps.touched_cases()
    keys = stamps.mapping.case_columns
    if seek(keys, keys, cases) is None:
        return None

    def rows(names: Sequence[str]) -> Iterator[Batch]:
        yield from seek(names, keys, cases) or ()

    return dataclasses.replace(stream, rows=rows)
