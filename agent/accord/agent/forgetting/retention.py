# SPDX-License-Identifier: Apache-2.0
"""What is older than this agency keeps records: which cases and which editions."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

from accord.agent.forgetting.part import (
    Condition,
    count_leaving,
    without_old,
)
from accord.agent.forgetting.receipt import Kind, Receipt, keep_receipt
from accord.agent.forgetting.survey import Held
from accord.agent.forgetting.taking_out import finish, rewrite_parts
from accord.agent.freezing import leaving_on
from accord.agent.intake.parts import PARTS, Part, parts_of
from accord.agent.intake.workspace import workspace
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.erasing import (
    delete_old_editions,
    end_consent,
    old_editions,
)
from accord.agent.store.generations import edition_name
from accord.core.errors import PreconditionFailed
from accord.core.model import DataModel

Models = Callable[[Part], DataModel]
"""Finds the data model by which a part is coded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What would go."""

    parts: dict[str, int]
    """Cases by part: too old, or with a consent that has ended."""
    editions: tuple[str, ...]


def due(
    state: AgentState, settings: Settings, now: datetime.datetime, models: Models
) -> Due:
    """Return what would go; nothing is changed.

    Raises:
        PreconditionFailed: RETENTION_MODEL.
    """
    leaving = leaving_on(settings, now.date())
    with workspace(state) as folder:
        parts = {
            name: count_leaving(
                (state.current / PARTS / name).resolve(),
                folder / f"work-{number}",
                settings.ingest,
                without_old(leaving, _model(models, part)),
            )
            for number, (name, part) in enumerate(parts_of(state.current).items())
        }
    return Due(
        parts=parts, editions=tuple(map(edition_name, old_editions(state, leaving)))
    )


def apply(
    state: AgentState, settings: Settings, now: datetime.datetime, models: Models
) -> Receipt:
    """Let go what is due.

    Raises:
        Conflict: STORE_BUSY.
        PreconditionFailed: RETENTION_MODEL, or the disk is full.
    """
    leaving = leaving_on(settings, now.date())
    before = parts_of(state.current)

    def condition(name: str) -> Condition:
        return without_old(leaving, _model(models, before[name]))

    with state.exclusive(), workspace(state) as folder:
        finish(state, folder / "before", settings.ingest, now)
        before = parts_of(state.current)
        work = folder / "out"
        work.mkdir(mode=0o700)
        rewrite_parts(state, work, settings.ingest, now, condition)
        after = parts_of(state.current)
        deleted = delete_old_editions(state, leaving)
        end_consent(state, now.date())
        return keep_receipt(
            state,
            Receipt(
                kind=Kind.RETENTION,
                at=now.isoformat(),
                places=tuple(
                    (_held(name, part), _held(name, after.get(name)))
                    for name, part in before.items()
                ),
                deleted=deleted,
            ),
        )


def _held(name: str, part: Part | None) -> Held:
    return Held(
        kind="part",
        name=name,
        cases=0 if part is None else part.rows,
        persons=0 if part is None else part.persons,
    )


def _model(models: Models, part: Part) -> DataModel:
    """Return the model of a part, which must be the one that it was made with."""
    model = models(part)
    if model.digest != part.model_digest:
        raise PreconditionFailed(
            "RETENTION_MODEL",
            f"The part {part.name!r} of the store was ingested with another version of "
            f"the data model {part.data_model!r}, so nobody can tell how old its cases "
            "are. Ingest its mapping again; what is too old stays out then.",
            part=part.name,
        )
    return model
