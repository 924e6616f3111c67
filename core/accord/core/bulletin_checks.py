# SPDX-License-Identifier: Apache-2.0
"""Whether the questions that an agreement schedules can be asked and paid for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from accord.core.agreement_form import AgreementForm, Bulletin
from accord.core.bulletins import groups_of, kept_for_bulletins, valid_days
from accord.core.epsilon_delta import epsilon_to_rho_lower, epsilon_to_rho_tight
from accord.core.errors import InvalidQuery
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.privacy import nano_down, nano_up
from accord.core.query import canonical_query, parse_measure

_UNDECIDED: Final = "0000"
"""Stands for the edition, which does not matter to names."""


def bulletin_contradictions(
    form: AgreementForm, model: DataModel
) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield every bulletin that names what is not there, or that nobody could pay."""
    too_dear = False
    for name, bulletin in form.bulletins.items():
        path = ("bulletins", name)
        wrong = _wrong_question(form, model, bulletin)
        if wrong:
            yield path, wrong
        purposes = set(form.purpose)
        if form.emergency is not None:
            purposes.discard(form.emergency.purpose)
        if bulletin.purpose is not None and bulletin.purpose not in purposes:
            yield (*path, "purpose"), sentence("lint.bulletin-purpose")
        if bulletin.epsilon > form.spend.each_release_at_most.epsilon:
            too_dear = True
            yield (*path, "epsilon"), sentence("lint.bulletin-too-dear")
    if not too_dear and not _affordable(form):
        days = form.spend.everyone.every
        yield ("bulletins",), sentence("lint.bulletins-too-dear", days=days)


def _wrong_question(
    form: AgreementForm, model: DataModel, bulletin: Bulletin
) -> str | None:
    try:
        query = canonical_query(
            agreement=form.agreement,
            edition=_UNDECIDED,
            measure=bulletin.measure,
            group_by=groups_of(bulletin),
            where=bulletin.where,
            model=model,
        )
        family = parse_measure(bulletin.measure, model).family
    except InvalidQuery as error:
        return error.sentence
    if family not in form.may_ask.measures:
        return sentence("lint.bulletin-not-allowed", what=family)
    touched = [group.dimension for group in query.grouped]
    touched += [part.dimension for part in query.where]
    missing = [name for name in touched if name not in form.may_ask.group_by]
    if missing:
        return sentence("lint.bulletin-not-allowed", what=missing[0])
    return None


def _affordable(form: AgreementForm) -> bool:
    """Tell whether bulletins are paid for, in any window and for ever."""
    spend = form.spend
    amounts = {
        name: _cost(bulletin.epsilon, spend.delta)
        for name, bulletin in form.bulletins.items()
    }
    needed = kept_for_bulletins(form, spend.everyone.every, amounts)
    if spend.lifetime is not None:
        ever = kept_for_bulletins(form, valid_days(form), amounts)
        if ever > _cap(spend.lifetime.epsilon, spend.delta):
            return False
    return needed <= _cap(spend.everyone.epsilon, spend.delta)


def _cost(epsilon: Fraction, delta: Fraction | None) -> int:
    """Return what one bulletin costs at most; nothing where nothing can be bought."""
    if delta is None:
        return nano_up(epsilon)
    with contextlib.suppress(InvalidQuery):
        return epsilon_to_rho_tight(epsilon, delta)
    return 0


def _cap(epsilon: Fraction, delta: Fraction | None) -> int:
    if delta is None:
        return nano_down(epsilon)
    with contextlib.suppress(InvalidQuery):
        return epsilon_to_rho_lower(epsilon, delta)
    return 0
