# SPDX-License-Identifier: Apache-2.0
"""Rotating the keys for pseudonyms and order keys: what a command asks for."""

from __future__ import annotations

import dataclasses
import datetime

from accord.agent.forgetting.taking_out import finish
from accord.agent.intake.chain import generation_of_keys
from accord.agent.intake.parts import parts_of
from accord.agent.intake.workspace import workspace
from accord.agent.rotation.rewriting import Rotated, begin_rotation
from accord.agent.rotation.standing import edition_generation, rotatable
from accord.agent.settings import Ingest
from accord.agent.state import AgentState
from accord.agent.store.erasing import open_editions
from accord.agent.store.generations import edition_name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """What a rotation would write anew."""

    parts: tuple[str, ...]
    editions: tuple[str, ...]
    in_database: tuple[str, ...]
    """Editions that it would not reach."""


def affected(state: AgentState) -> Affected:
    """Return what lies here; nothing is changed."""
    here = open_editions(state)
    return Affected(
        parts=tuple(parts_of(state.current)),
        editions=tuple(edition_name(each) for each in here if rotatable(each)),
        in_database=tuple(edition_name(each) for each in here if not rotatable(each)),
    )


def rotate(state: AgentState, limits: Ingest, now: datetime.datetime) -> Rotated:
    """Make another pseudonym key and store key, and bring everything under them.

    A rotation that was killed is finished, and that is all then.

    Raises:
        Conflict: STORE_BUSY.
        ConfigurationError: KEYS_LOST, or a key cannot be made.
        PreconditionFailed: the disk is full.
        IntegrityError: a part or an edition is damaged.
    """
    with state.exclusive(), workspace(state) as folder:
        finished = finish(state, folder / "before", limits, now)
        if finished is not None:
            return finished
        for edition in filter(rotatable, open_editions(state)):
            edition_generation(edition)  # complains before anything has begun
        generation = generation_of_keys(state) + 1
        return begin_rotation(state, generation, folder / "out", limits, now)
