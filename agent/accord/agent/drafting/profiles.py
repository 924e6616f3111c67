# SPDX-License-Identifier: Apache-2.0
"""Known forms of case files, recognised by the names of their columns.

A profile is a shipped mapping. What it says of the columns that a source has is taken
over; the rest is drafted as for any other source. Whom it takes for a person is a
proposal only, since that is for the agency to say.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Final

from accord.agent.drafting.draft import Entry
from accord.agent.intake.mapping import DimensionEntry, MappingForm
from accord.core.document import parse_document
from accord.core.errors import InvalidQuery, suggestion
from accord.core.model import DataModel

PROFILES: Final[Mapping[str, str]] = {
    "htcds": "htcds-demo.yaml",
    "ctdc": "ctdc-2021.yaml",
    "uk-nrm": "uk-nrm.yaml",
}
NO_PROFILE = "none"

_LEAST_COLUMNS = 3
_LEAST_SHARE = 0.5


@functools.cache
def profile(name: str) -> MappingForm:
    """Return the mapping of a known form.

    Raises:
        InvalidQuery: DRAFT_PROFILE_UNKNOWN.
    """
    if name not in PROFILES:
        known = ", ".join([*PROFILES, NO_PROFILE])
        raise InvalidQuery(
            "DRAFT_PROFILE_UNKNOWN",
            f"There is no profile {name[:40]!r}; there is: {known}."
            + suggestion(name, PROFILES),
        )
    file = PROFILES[name]
    text = (importlib.resources.files("accord.policies") / "mappings" / file).read_text(
        "utf-8"
    )
    return parse_document(text, MappingForm, source=file)


def recognised(header: Sequence[str], model: DataModel) -> str | None:
    """Return the profile whose columns a source has."""
    scores: dict[str, float] = {}
    for name in PROFILES:
        form = profile(name)
        if form.data_model != model.name:
            continue
        columns = {
            column for entry in form.dimensions.values() for column in _of(entry)
        }
        found = columns & set(header)
        of_source = len(found) / max(len(header), 1)
        of_profile = len(found) / len(columns)
        if len(found) >= _LEAST_COLUMNS and max(of_source, of_profile) >= _LEAST_SHARE:
            scores[name] = max(of_source, of_profile)
    return max(scores, key=lambda name: scores[name], default=None)


def entries_of(name: str, header: Sequence[str], model: DataModel) -> dict[str, Entry]:
    """Return what a profile says of the columns that a source has."""
    found: dict[str, Entry] = {}
    for dimension, entry in profile(name).dimensions.items():
        here = set(_of(entry)) & set(header)
        if dimension not in model.dimensions or not here:
            continue
        if entry.birth_date and not {entry.birth_date, entry.at} <= here:
            continue
        dates = entry.date or entry.format or ()
        found[dimension] = Entry(
            column=entry.column,
            columns=tuple(column for column in entry.columns or () if column in here),
            flags={c: v for c, v in (entry.flags or {}).items() if c in here},
            birth_date=entry.birth_date,
            at=entry.at,
            codes={code: tuple(to) for code, to in (entry.codes or {}).items()},
            separator=entry.separator,
            forms=tuple(dates),
        )
    return found


def person_of(name: str, header: Sequence[str]) -> tuple[str, ...] | str | None:
    """Return whom a profile takes for a person, where the columns are there."""
    person = profile(name).person
    if isinstance(person, str):
        return person
    return tuple(person) if set(person) <= set(header) else None


def _of(entry: DimensionEntry) -> list[str]:
    named = [entry.column, entry.birth_date, entry.at]
    return [each for each in named if each] + [
        *(entry.columns or ()),
        *(entry.flags or ()),
    ]
