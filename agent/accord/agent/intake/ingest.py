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

from accord.agent.intake.batches import RowBuilder
from accord.agent.intake.build import PartWriter, put_part, remove_part
from accord.agent.intake.coders import coders
from accord.agent.intake.codes import Reason
from accord.agent.intake.coding import Coder
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.parts import Part
from accord.agent.intake.pseudonym import KeyedHash
from accord.agent.intake.report import Report
from accord.agent.intake.sandbox import sandbox
from accord.agent.intake.staging import Staging
from accord.agent.intake.striking import strike
from accord.agent.intake.workspace import workspace
from accord.agent.settings import Ingest
from accord.agent.sources.opening import open_file, with_header
from accord.agent.sources.table import Table
from accord.agent.state import AgentState
from accord.core.errors import SourceError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingest left behind."""

    report: Report
    parts: tuple[Part, ...]
    """All parts of the store, the new one among them."""


def check(
    state: AgentState, mapping: Mapping, sources: Sequence[Path], limits: Ingest
) -> Report:
    """Do everything but store, and report it.

    Raises:
        DocumentError: the mapping names a column that a source lacks.
        SourceError: a source cannot be read.
        PreconditionFailed: the disk is full, or the limits are too tight.
    """
    with (
        workspace(state) as folder,
        _staged(folder, mapping, sources, limits, state) as (staging, builder),
    ):
        for batch in staging.batches():
            builder.build(batch)
        builder.report.persons = builder.persons
        return builder.report


def ingest(
    state: AgentState,
    mapping: Mapping,
    sources: Sequence[Path],
    limits: Ingest,
    now: datetime.datetime,
) -> Ingested:
    """Replace the part of the store that *mapping* fills, and build the store anew.

    Raises:
        Conflict: STORE_BUSY.
        DocumentError: the mapping names a column that a source lacks.
        SourceError: a source cannot be read, or SOURCE_NOTHING_KEPT.
        PreconditionFailed: the disk is full, or another part of the store was made
            with another version of the data model.
    """
    with state.exclusive(), workspace(state) as folder:
        with _staged(folder, mapping, sources, limits, state) as (staging, builder):
            part = _write_part(folder, staging, builder, mapping, now)
        report = builder.report
        if not report.kept:
            raise SourceError(
                "SOURCE_NOTHING_KEPT",
                f"None of the {report.read} rows could be stored, so the store is "
                "unchanged. `accord-agent check` shows why.",
            )
        parts = put_part(state, part, folder, limits, now)
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
        return remove_part(state, name, folder, limits, now)


def _write_part(
    folder: Path,
    staging: Staging,
    builder: RowBuilder,
    mapping: Mapping,
    now: datetime.datetime,
) -> Path:
    target = folder / "part"
    with PartWriter(target, staging) as writer:
        for batch in staging.batches():
            writer.add(builder.build(batch))
        builder.report.persons = builder.persons
        writer.finish(
            Part(
                name=mapping.name,
                data_model=mapping.model.name,
                model_digest=mapping.model.digest,
                rows=builder.report.kept,
                persons=builder.persons,
                ingested_at=now,
            )
        )
    return target


@contextlib.contextmanager
def _staged(
    folder: Path,
    mapping: Mapping,
    sources: Sequence[Path],
    limits: Ingest,
    state: AgentState,
) -> Iterator[tuple[Staging, RowBuilder]]:
    """Read and order the sources, and prepare to code them."""
    key, store_key = KeyedHash(state.pseudonym_key()), KeyedHash(state.store_key())
    opened = [
        source
        for number, path in enumerate(sources)
        for source in open_file(path, mapping.form.source, folder, number)
    ]
    report = Report(
        mapping=mapping.name,
        files=tuple(source.name for source in opened),
        counted=tuple(source.counted for source in opened),
        dimensions=_mapped(mapping),
        names_persons=mapping.names_persons,
    )
    readable = [source.path for source in opened if isinstance(source, Table)]
    with sandbox(folder, readable, limits) as connection:
        staging = Staging(connection=connection, mapping=mapping)
        headed = [with_header(source, connection) for source in opened]
        report.read = staging.load(headed)
        strike(connection, mapping, headed, report)
        learned = _learned(staging, mapping)
        absent, first = staging.order(key)
        report.note("", Reason.NO_PERSON, absent, first)
        report.refused += absent
        yield (
            staging,
            RowBuilder(
                coders=learned,
                store_key=store_key,
                scope=mapping.name,
                persons_known=mapping.names_persons,
                report=report,
            ),
        )


def _mapped(mapping: Mapping) -> tuple[str, ...]:
    model = mapping.model
    return (
        *(name for name in model.dimensions if name in mapping.form.dimensions),
        *(name for name in model.quantities if name in mapping.form.quantities),
    )


def _learned(staging: Staging, mapping: Mapping) -> list[Coder]:
    """Return the coders with their tables filled."""
    found = coders(mapping)
    for column, count, batches in staging.distinct():
        readers = [coder for coder in found if column in coder.inputs]
        for coder in readers:
            coder.prepare(column, count)
        for start, texts in batches:
            for coder in readers:
                coder.learn(column, start, texts)
    return found
