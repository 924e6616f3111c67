# SPDX-License-Identifier: Apache-2.0
"""Whether an agreement keeps what the preset that it extends asks for.

Values have the same order as where agreements are compared with each other. The limits
of a preset are no values of an agreement; each has a check of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from accord.core.agreement_checks import Finding
from accord.core.agreement_form import ALL_VALUES, AgreementForm
from accord.core.comparison.clauses import CLAUSES, Clause, entry_of, value_of
from accord.core.comparison.orders import (
    ACCOUNTING,
    LINKAGE,
    MORE_ARE_LOOSER,
    MORE_IS_LOOSER,
    Amount,
    Rank,
    Several,
    Value,
    Way,
)
from accord.core.comparison.phrases import shown, words_of
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.preset import PresetForm

PRESET_CLAUSES: Final = (
    Clause("editions.every", Rank(("year", "quarter", "month"))),
    *(
        dataclasses.replace(clause, order=ACCOUNTING)
        if clause.path == "spend.accounting"
        else clause
        for clause in CLAUSES
        if clause.path != "editions.every"
    ),
    Clause("may_ask.measures", MORE_ARE_LOOSER),
    Clause("may_ask.at_most_dimensions", MORE_IS_LOOSER),
)
"""Clauses that a preset can have a value for."""


def loosenings_of(
    preset: PresetForm, form: AgreementForm, models: Mapping[str, DataModel]
) -> Iterator[Finding]:
    """Yield every entry of *form* that is looser than *preset* allows."""
    for clause in PRESET_CLAUSES:
        limit = _limit(preset, clause.path)
        if limit is None:
            continue
        found = value_of(form, clause.path)
        if clause.path == "spend.delta" and found is None:
            continue  # pure accounting has none: the guarantee never fails
        if clause.order.way(limit, found) in (Way.LOOSER, Way.OTHER):
            yield (
                clause.path.removesuffix(".epsilon").split("."),
                _clause_sentence(preset, clause, limit, found),
            )
    yield from _together(preset, form)
    yield from _never(preset, form)
    yield from _finest(preset, form, models)
    yield from _parties(preset, form)


def _limit(preset: PresetForm, path: str) -> Value:
    """Return the preset's value; unsaid coverage follows the number of agencies."""
    section = path.partition(".")[0]
    if section not in PresetForm.model_fields:
        return None
    protect = preset.protect
    if path == "protect.covered_by_at_least":
        return protect.covered_by_at_least or protect.at_least_agencies
    try:
        return entry_of(preset, path)
    except AttributeError:
        return None


def _clause_sentence(
    preset: PresetForm, clause: Clause, limit: Value, found: Value
) -> str:
    match clause.order:
        case Amount(more=Way.LOOSER):
            kind = "at-most"
        case Amount():
            kind = "at-least"
        case Several(added=Way.LOOSER):
            kind = "not-beyond"
        case Several():
            kind = "all-of"
        case _:
            kind = "as-tight"
    return _sentence(
        preset,
        kind,
        limit=words_of(shown(limit, clause.unit)),
        found=words_of(shown(found, clause.unit)),
    )


def _sentence(preset: PresetForm, kind: str, **values: str) -> str:
    return sentence(f"compare.preset.{kind}", preset=preset.preset, **values)


def _together(preset: PresetForm, form: AgreementForm) -> Iterator[Finding]:
    """Forbidding some of the dimensions together forbids all of them too."""
    forbidden = [frozenset(group) for group in form.may_ask.never_together]
    for group in preset.may_ask.never_together or ():
        if not any(mine <= set(group) for mine in forbidden):
            limit = ", ".join(group)
            yield (
                ("may_ask", "never_together"),
                _sentence(preset, "together", limit=limit),
            )


def _never(preset: PresetForm, form: AgreementForm) -> Iterator[Finding]:
    limits = preset.limits
    never = {_plain(purpose) for purpose in limits.purposes_never}
    for index, purpose in enumerate(form.purpose):
        if _plain(purpose) in never:
            yield (
                ("purpose", index),
                _sentence(preset, "purpose", found=purpose),
            )
    for name in form.may_ask.group_by:
        if name in limits.dimensions_never:
            yield (
                ("may_ask", "group_by", name),
                _sentence(preset, "dimension", found=name),
            )
    if form.emergency is None:
        return
    if limits.no_emergency:
        yield ("emergency",), _sentence(preset, "emergency")
    if _plain(form.emergency.purpose) in never:
        yield (
            ("emergency", "purpose"),
            _sentence(preset, "purpose", found=form.emergency.purpose),
        )


def _plain(words: str) -> str:
    """Return words as people compare them: no capitals, single spaces."""
    return " ".join(words.casefold().split())


def _finest(
    preset: PresetForm, form: AgreementForm, models: Mapping[str, DataModel]
) -> Iterator[Finding]:
    model = models.get(form.data_model)
    if model is None:
        return
    for name, limit in preset.limits.finest.items():
        dimension = model.dimensions.get(name)
        level = form.may_ask.group_by.get(name)
        if level is None or dimension is None:
            continue
        path = ("may_ask", "group_by", name)
        if limit not in dimension.levels:
            yield (
                path,
                _sentence(preset, "finest-unknown", dimension=name, limit=limit),
            )
            continue
        found = dimension.levels[0] if level == ALL_VALUES else level
        finer = dimension.levels[: dimension.levels.index(limit)]
        if found in finer:
            values = {"dimension": name, "limit": limit, "found": found}
            yield path, _sentence(preset, "finest", **values)


def _parties(preset: PresetForm, form: AgreementForm) -> Iterator[Finding]:
    limits = preset.limits
    for party, found in form.linkage.items():
        limit = limits.linkage_at_most
        if limit is not None and LINKAGE.way(limit, found) is Way.LOOSER:
            yield (
                ("linkage", party),
                _sentence(preset, "linkage", limit=limit, found=found),
            )
    for party in form.parties:
        law = form.law.get(party)
        if limits.every_party_states_law and law is None:
            yield ("law",), _sentence(preset, "law", found=party)
        if limits.every_party_assessed and (law is None or law.assessment is None):
            yield ("law", party), _sentence(preset, "assessment", found=party)
