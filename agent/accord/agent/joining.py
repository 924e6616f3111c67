# SPDX-License-Identifier: Apache-2.0
"""The first day of an agent: a draft of its mapping, and where that lies.

The command, and the page for those without a terminal, take the same steps.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from accord.agent.drafting.asking import person_typed
from accord.agent.drafting.draft import Draft
from accord.agent.drafting.drafting import draft_mapping
from accord.agent.drafting.origins import Origin
from accord.agent.drafting.writing import written
from accord.agent.policies import (
    model_for_mapping,
    policies_of,
    read_document,
)
from accord.agent.state import AgentState
from accord.agent.store.durable import made_folder, write_new
from accord.core.errors import ConfigurationError, Conflict
from accord.core.model import DataModel, load_model

SAMPLE_MODEL = "cases-v1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the staff has said of a draft beforehand."""

    person: str | None = None
    profile: str | None = None
    model: Path | None = None


def draft_of(state: AgentState, origin: Origin, wishes: Wishes) -> Draft:
    """Draft a mapping of a source.

    Raises:
        SourceError: it cannot be read, or nothing in it fits the data model.
        InvalidQuery: DRAFT_PROFILE_UNKNOWN or PERSON_COLUMN_UNKNOWN.
        ConfigurationError: the data model cannot be read.
    """
    person = None if wishes.person is None else person_typed(wishes.person)
    return draft_mapping(
        state,
        origin,
        model_of(state, wishes.model),
        profile_name=wishes.profile,
        person=person,
    )


def model_of(state: AgentState, file: Path | None) -> DataModel:
    """Return the data model to draft for: named, of an agreement, or the sample.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if file is not None:
        return load_model(read_document(file), file.name)
    for _, model in policies_of(state).agreements():
        return model
    return model_for_mapping(state, SAMPLE_MODEL, None)


def typed_path(text: str) -> Path:
    """Return the path that somebody typed, who may write ``~`` for their folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)  # such as ~$cases.xlsx, Excel's mark of an open workbook


def mapping_place(state: AgentState, origin: Origin) -> Path:
    """Return where the mapping of a source lies that nobody gave another place."""
    return state.mappings / f"{origin.part}.yaml"


def write_draft(draft: Draft, file: Path) -> None:
    """Write a new mapping file; an old one is never overwritten.

    Raises:
        Conflict: MAPPING_EXISTS.
        ConfigurationError: MAPPING_NOT_WRITABLE.
    """
    try:
        made_folder(file.parent)
        write_new(file, written(draft).encode())
    except FileExistsError:
        raise Conflict(
            "MAPPING_EXISTS",
            f"{file} is there already and is not overwritten. Name another file with "
            "-o, or remove that one.",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            "MAPPING_NOT_WRITABLE", f"{file} cannot be written: {error.strerror}."
        ) from None
