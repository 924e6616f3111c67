# SPDX-License-Identifier: Apache-2.0
"""Presets: what the law or the custom of a field asks of every agreement under it.

An agreement that extends a preset has its values where it says nothing itself, and may
only tighten them. Presets are policies like any other: boards sign the file, so that a
new version of the program cannot change what an agreement means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic

from accord.core.agreement_form import (
    Agencies,
    Cap,
    Days,
    Delta,
    Line,
    Linkage,
    NoisePlacement,
    Percent,
    PeriodicCap,
    PresetName,
    Word,
)
from accord.core.calendar import Period
from accord.core.canonical import bytes_digest
from accord.core.document import Strict, parse_document, plain_document
from accord.core.model import Name
from accord.core.privacy import Accounting
from accord.core.query import MOST_GROUPED


class PresetEditions(Strict):
    """Snapshots: no more often, no sooner."""

    every: Period | None = None
    embargo: Days | None = None


class PresetRecipients(Strict):
    """What recipients may do with figures."""

    onward_sharing: Literal["none", "aggregates"] | None = None


class PresetMayAsk(Strict):
    """Questions: none beyond these."""

    measures: list[str] | None = None
    at_most_dimensions: Annotated[int, pydantic.Field(ge=0, le=MOST_GROUPED)] | None = (
        None
    )
    never_together: list[list[Name]] | None = None
    sensitive: list[Name] | None = None


class PresetProtect(Strict):
    """Protection: no less."""

    groups_per_person: Annotated[int, pydantic.Field(ge=1, le=64)] | None = None
    at_least_agencies: Agencies | None = None
    covered_by_at_least: Agencies | None = None
    no_agency_above: Percent | None = None
    suppress_below: Annotated[int, pydantic.Field(ge=0, le=1000)] | None = None
    colluding_at_most: Agencies | None = None
    noise: NoisePlacement | None = None


class PresetSpend(Strict):
    """Spending: no more."""

    accounting: Accounting | None = None
    delta: Delta | None = None
    each_release_at_most: Cap | None = None
    each_analyst: PeriodicCap | None = None
    everyone: PeriodicCap | None = None
    lifetime: Cap | None = None


class PresetReview(Strict):
    """Review: no less."""

    releases: Literal["automatic", "human"] | None = None


class PresetRetention(Strict):
    """Keeping: no longer."""

    releases: Annotated[Days, pydantic.Field(ge=1)] | None = None
    questions: Annotated[Days, pydantic.Field(ge=1)] | None = None


class PresetApproval(Strict):
    """Signatures: no fewer."""

    quorum: Annotated[int, pydantic.Field(ge=1)] | None = None
    loosening_needs: list[Word] | None = None


class PresetLimits(Strict):
    """What no agreement under the preset may say, and what it must."""

    purposes_never: list[Word] = []
    dimensions_never: list[Name] = []
    finest: dict[Name, Name] = {}
    """By dimension: no agreement may allow a finer level."""
    linkage_at_most: Linkage | None = None
    every_party_states_law: bool = False
    every_party_assessed: bool = False
    no_emergency: bool = False


class PresetForm(Strict):
    """``presets/NAME.yaml``: entries of an agreement, and limits of its own."""

    preset: PresetName
    title: Word
    because: Annotated[list[Line], pydantic.Field(min_length=1)]
    """Why, with sources; boards read it."""
    editions: PresetEditions = PresetEditions()
    recipients: PresetRecipients = PresetRecipients()
    may_ask: PresetMayAsk = PresetMayAsk()
    protect: PresetProtect = PresetProtect()
    spend: PresetSpend = PresetSpend()
    review: PresetReview = PresetReview()
    retention: PresetRetention = PresetRetention()
    approval: PresetApproval = PresetApproval()
    limits: PresetLimits = PresetLimits()


PRESET_SECTIONS = (
    "editions",
    "recipients",
    "may_ask",
    "protect",
    "spend",
    "review",
    "retention",
    "approval",
)
"""Entries of an agreement that a preset can have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A preset as it was read."""

    form: PresetForm
    digest: str
    """SHA-256 of the document's bytes, in hex."""
    text: str

    @property
    def name(self) -> str:
        """Name by which agreements extend it."""
        return self.form.preset

    def entries(self) -> Mapping[str, object]:
        """Return the entries that hold where an agreement says nothing."""
        content = plain_document(self.text, self.name)
        return {name: content[name] for name in PRESET_SECTIONS if name in content}


def load_preset(text: str, source: str) -> Preset:
    """Read a preset.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, PresetForm, source=source)
    return Preset(form=form, digest=bytes_digest(text.encode()), text=text)
