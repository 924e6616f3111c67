# SPDX-License-Identifier: Apache-2.0
"""From files to a draft."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accord.agent.drafting.draft import Consent, Draft, Entry, Proposal
from accord.agent.drafting.looking import Sighting, sighting
from accord.agent.drafting.matching import Matching
from accord.agent.drafting.origins import Origin
from accord.agent.drafting.profiles import (
    NO_PROFILE,
    entries_of,
    person_of,
    profile,
    recognised,
)
from accord.agent.drafting.words import Words, shipped_words
from accord.agent.intake.mapping import CASES_ONLY, ROW_NUMBER
from accord.agent.state import AgentState
from accord.core.errors import InvalidQuery, SourceError, suggestion
from accord.core.model import DataModel


def draft_mapping(
    state: AgentState,
    origin: Origin,
    model: DataModel,
    *,
    profile_name: str | None = None,
    person: tuple[str, ...] | str | None = None,
) -> Draft:
    """Look at a source and draft its mapping.

    Args:
        state: of the agent; gives the private folder.
        origin: the source.
        model: what the mapping is into.
        profile_name: a known form of case files, or ``none``; else it is recognised.
        person: what the staff has said of it.

    Raises:
        SourceError: it cannot be read, or has nothing that fits the data model.
        InvalidQuery: DRAFT_PROFILE_UNKNOWN or PERSON_COLUMN_UNKNOWN.
        PreconditionFailed: the disk is full, or the limits are too tight.
    """
    if profile_name not in (None, NO_PROFILE):
        profile(profile_name)
    words = shipped_words()
    with sighting(state, origin, state.settings().ingest, words) as seen:
        _check_person(person, seen.header)
        return _drafted(seen, words, origin, model, profile_name, person)


def _drafted(
    seen: Sighting,
    words: Words,
    origin: Origin,
    model: DataModel,
    profile_name: str | None,
    person: tuple[str, ...] | str | None,
) -> Draft:
    chosen = profile_name or recognised(seen.header, model)
    chosen = None if chosen == NO_PROFILE else chosen
    entries: dict[str, Entry] = {}
    quantities: dict[str, tuple[str, bool]] = {}
    if chosen is not None:
        entries = entries_of(chosen, seen.header, model)
        quantities = {
            name: (entry.column, entry.decimal == ",")
            for name, entry in profile(chosen).quantities.items()
            if entry.column in seen.header and name in model.quantities
        }
    kinds: dict[str, str] = {}
    for column in seen.header:
        kind = words.person_kind(column)
        if kind is not None:
            kinds.setdefault(kind, column)
    consent = _consent(seen, words)
    reserved = frozenset() if consent is None else frozenset({consent.column})
    matching = Matching(seen, model, words, entries, reserved, quantities)
    matching.run(kinds.get("birth_date"))
    if not matching.entries:
        raise SourceError(
            "DRAFT_EMPTY",
            f"No column of {origin.shown_as} is like anything in the data model "
            f"{model.name!r}. Write the mapping by hand; docs/ref-mapping.md says how.",
        )
    cases = tuple(column for column in seen.header if words.is_case(column))[:1]
    return Draft(
        name=origin.part,
        header=seen.header,
        model=model,
        form=seen.form,
        profile=chosen,
        person=person,
        proposals=tuple(
            dict.fromkeys(
                Proposal(each) for each in _proposals(kinds, chosen, seen.header)
            )
        ),
        case=cases if person != CASES_ONLY else (),
        consent=consent,
        entries=matching.entries,
        quantities=matching.quantities,
        maybe=matching.maybe,
        unread=seen.unread,
        formless=seen.formless,
        hidden=seen.hidden,
    )


def _consent(seen: Sighting, words: Words) -> Consent | None:
    """Return the column that may say whether a record may be counted."""
    for column, look in seen.looks.items():
        if words.is_consent(column):
            codes = seen.values(column) or ()
            return Consent(column, () if look.is_free(len(codes)) else codes)
    return None


def _proposals(
    kinds: dict[str, str], chosen: str | None, header: Sequence[str]
) -> Iterator[tuple[str, ...] | str]:
    if chosen is not None and (person := person_of(chosen, header)) is not None:
        yield person
    if "number" in kinds:
        yield (kinds["number"],)
    names = [kinds[kind] for kind in ("given_name", "family_name") if kind in kinds]
    if not names and "whole_name" in kinds:
        names = [kinds["whole_name"]]
    if names and "birth_date" in kinds:
        yield (*names, kinds["birth_date"])
    elif names:
        yield tuple(names)
    yield ROW_NUMBER
    yield CASES_ONLY


def _check_person(person: tuple[str, ...] | str | None, header: Sequence[str]) -> None:
    if not isinstance(person, tuple):
        return
    for column in person:
        if column not in header:
            hint = suggestion(column, header) or f" It has: {', '.join(header[:30])}."
            raise InvalidQuery(
                "PERSON_COLUMN_UNKNOWN", f"The source has no column {column!r}.{hint}"
            )
