# SPDX-License-Identifier: Apache-2.0
"""The whole way from sources to a new store, or as far as a report of what it would be.

The sources of one call are together everything that the mapping called so contributes:
they replace what an earlier call under the same mapping's name put there, and nothing
else. Whatever ends the program, the store that was there stays as it is until the new
one is complete, and the private files of the run are removed, at the latest by the
next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

from accord.agent.forgetting.taking_out import finish
from accord.agent.freezing import leaving_on
from accord.agent.intake.batches import RowBuilder
from accord.agent.intake.build import PartWriter, put_part, remove_part
from accord.agent.intake.chain import Chains
from accord.agent.intake.changes import Stamps
from accord.agent.intake.coders import coders
from accord.agent.intake.codes import Reason
from accord.agent.intake.coding import Coder
from accord.agent.intake.door import Door
from accord.agent.intake.following import (
    Earlier,
    Following,
    earlier_part,
    reading_of,
)
from accord.agent.intake.free_text import free_texts
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.origins import opened
from accord.agent.intake.parts import Followed, Part
from accord.agent.intake.progress import QUIET, Phase, Progress
from accord.agent.intake.report import Report
from accord.agent.intake.sandbox import sandbox
from accord.agent.intake.staging import Staging
from accord.agent.intake.striking import strike
from accord.agent.intake.workspace import workspace
from accord.agent.settings import Ingest
from accord.agent.sources.opening import with_header
from accord.agent.sources.table import Table
from accord.agent.state import AgentState
from accord.agent.store.erasing import end_consent
from accord.agent.store.leaving import Leaving
from accord.core.errors import SourceError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingest left behind."""

    report: Report
    parts: tuple[Part, ...]
    """All parts of the store, the new one among them."""


def check(
    state: AgentState,
    mapping: Mapping,
    sources: Sequence[Path],
    limits: Ingest,
    *,
    progress: Progress = QUIET,
) -> Report:
    """Do everything but store, and report it.

    Raises:
        DocumentError: the mapping names a column that a source lacks.
        SourceError: a source cannot be read.
        PreconditionFailed: the disk is full, or the limits are too tight.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    leaving = leaving_on(state.settings(), today)
    with (
        workspace(state) as folder,
        _staged(
            folder, mapping, sources, limits, state, leaving, progress=progress
        ) as staged,
    ):
        for batch in staged.staging.batches():
            staged.builder.build(batch)
        report = staged.builder.report
        report.persons = staged.builder.persons
        return report


def ingest(
    state: AgentState,
    mapping: Mapping,
    sources: Sequence[Path],
    limits: Ingest,
    now: datetime.datetime,
    *,
    everything: bool = False,
    progress: Progress = QUIET,
) -> Ingested:
    """Replace the part of the store that *mapping* fills, and build the store anew.

    Where the mapping says which column tells that a row changed, only cases that did
    are read, unless *everything* is asked for; the outcome is the same.

    Raises:
        Conflict: STORE_BUSY.
        DocumentError: the mapping names a column that a source lacks.
        SourceError: a source cannot be read, or SOURCE_NOTHING_KEPT.
        PreconditionFailed: the disk is full, or another part of the store was made
            with another version of the data model.
    """
    with state.exclusive(), workspace(state) as folder:
        finish(state, folder / "unfinished", limits, now)
        leaving = leaving_on(state.settings(), now.date())
        earlier = None if everything else earlier_part(state, mapping, leaving)
        with _staged(
            folder, mapping, sources, limits, state, leaving, earlier, progress=progress
        ) as staged:
            part = _write_part(folder / "part", staged, mapping, now)
        report = staged.builder.report
        if not part.rows:
            raise SourceError(
                "SOURCE_NOTHING_KEPT",
                f"{_none_of(report.read)} could be stored, so the store is unchanged. "
                "`accord-agent check` shows why.",
            )
        progress.begin(Phase.WRITE)
        parts = put_part(state, folder / "part", folder, limits, now)
        progress.advance(sum(each.rows for each in parts))
        end_consent(state, now.date())
    return Ingested(report=report, parts=parts)


def remove(
    state: AgentState, name: str, limits: Ingest, now: datetime.datetime
) -> tuple[Part, ...]:
    """Take a part out of the store; return those that are left.

    Raises:
        Conflict: STORE_BUSY.
        NotFound: PART_UNKNOWN.
        PreconditionFailed: the disk is full.
    """
    with state.exclusive(), workspace(state) as folder:
        finish(state, folder / "unfinished", limits, now)
        return remove_part(state, name, folder, limits, now)


def _none_of(rows: int) -> str:
    return f"None of the {rows} rows" if rows else "No row"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """Rows in order, and who codes them."""

    staging: Staging
    builder: RowBuilder
    following: Following | None
    """Where the mapping says which column tells that a row changed."""


def _write_part(
    target: Path, staged: _Staged, mapping: Mapping, now: datetime.datetime
) -> Part:
    builder, following = staged.builder, staged.following
    with PartWriter(target, staged.staging) as writer:
        for batch in staged.staging.batches():
            writer.add(builder.build(batch))
        builder.report.persons = builder.persons
        rows, persons = builder.report.kept, builder.persons
        followed: Followed | None = None
        if following is not None:
            if following.earlier is not None:
                rows, persons = writer.join(following.earlier.kept())
            followed = following.leave(
                target, [*builder.forgotten_cases, *builder.unsettled_cases]
            )
        part = Part(
            name=mapping.name,
            data_model=mapping.model.name,
            model_digest=mapping.model.digest,
            rows=rows,
            persons=persons,
            ingested_at=now,
            followed=followed,
            generation=staged.staging.pseudonyms.generation,
        )
        writer.finish(part)
    return part


@contextlib.contextmanager
def _staged(
    folder: Path,
    mapping: Mapping,
    sources: Sequence[Path],
    limits: Ingest,
    state: AgentState,
    leaving: Leaving,
    earlier: Earlier | None = None,
    *,
    progress: Progress,
) -> Iterator[_Staged]:
    """Read and order the sources, and prepare to code them."""
    chains = Chains.of(state)
    progress.begin(Phase.READ)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(opened(state, mapping, sources, folder))
        report = Report(
            mapping=mapping.name,
            files=tuple(source.name for source in found),
            counted=tuple(source.counted for source in found),
            dimensions=_mapped(mapping),
            names_persons=mapping.names_persons,
        )
        readable = [source.path for source in found if isinstance(source, Table)]
        readable += [] if earlier is None else earlier.files
        connection = stack.enter_context(sandbox(folder, readable, limits))
        staging = Staging(
            connection=connection,
            mapping=mapping,
            pseudonyms=chains.pseudonyms,
            progress=progress,
        )
        headed = [with_header(source, connection) for source in found]
        following: Following | None = None
        if mapping.form.source.changed is None:
            report.read = staging.load(headed)
        else:
            following = Following(
                stamps=Stamps(
                    connection=connection, mapping=mapping, store_keys=chains.store
                ),
                earlier=earlier,
                reading=reading_of(state, mapping, leaving),
            )
            following.load(staging, headed, report)
        strike(connection, mapping, headed, report)
        learned = _learned(staging, mapping, leaving.today)
        report.free_texts = free_texts(connection, mapping)
        absent, first = staging.order()
        report.note("", Reason.NO_PERSON, absent, first)
        report.refused += absent
        builder = RowBuilder(
            coders=learned,
            store_keys=chains.store,
            scope=mapping.name,
            persons_known=mapping.names_persons,
            report=report,
            door=Door.of(state, mapping.model, leaving, chains),
            follows=following is not None,
        )
        yield _Staged(staging=staging, builder=builder, following=following)


def _mapped(mapping: Mapping) -> tuple[str, ...]:
    model = mapping.model
    return (
        *(name for name in model.dimensions if name in mapping.form.dimensions),
        *(name for name in model.quantities if name in mapping.form.quantities),
    )


def _learned(staging: Staging, mapping: Mapping, today: datetime.date) -> list[Coder]:
    """Return the coders with their tables filled."""
    found = coders(mapping, today)
    for column, count, batches in staging.distinct():
        readers = [coder for coder in found if column in coder.inputs]
        for coder in readers:
            coder.prepare(column, count)
        for start, texts in batches:
            for coder in readers:
                coder.learn(column, start, texts)
    return found
