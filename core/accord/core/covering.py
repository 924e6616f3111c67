# SPDX-License-Identifier: Apache-2.0
"""Which values of which levels enough agencies cover, before anybody asks.

What `accord.core.coverage` decides on for one question, as a map to choose a question
by: made of signed remits and the agreement alone, so that it says nothing of records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from accord.core.agreement_form import ALL_VALUES
from accord.core.coverage import (
    Members,
    covering_cohorts,
    least_covering,
    sights,
    thin_values,
)
from accord.core.policy import Policy
from accord.core.query import PERSONS, GroupBy, Query


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CoveredValue:
    """One value and who covers it."""

    value: str
    agencies: tuple[str, ...]
    """Parties whose signed remits cover it, in the agreement's order."""
    enough: bool
    """Whether enough of them are in the largest cohort."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CoveredLevel:
    """One dimension at one level."""

    dimension: str
    level: str
    """Empty where a question only filters by the dimension."""
    values: tuple[CoveredValue, ...]
    roll_up: str
    """Finest level from this one on at which enough cover every value; or empty."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """What is covered: of one question, or of everything that may be asked for."""

    needed: int
    """Agencies that must cover every figure."""
    levels: tuple[CoveredLevel, ...]
    cohorts: tuple[str, ...] = ()
    """With a question: the cohorts whose answer may be published."""


def covering_of_query(policy: Policy, query: Query) -> Covering:
    """Return what of a question enough agencies cover, one dimension at a time.

    Values of two dimensions can each be covered while their combination is not:
    `Covering.cohorts` is empty then.
    """
    return Covering(
        needed=least_covering(policy),
        levels=tuple(_levels(policy, query)),
        cohorts=covering_cohorts(policy, query),
    )


def covering_of_agreement(policy: Policy) -> Covering:
    """Return for every level that may be asked for which values enough cover."""
    found: list[CoveredLevel] = []
    for name in policy.agreement.form.may_ask.group_by:
        for level in askable_levels(policy, name):
            alone = _alone(policy, name, level)
            found.extend(_levels(policy, alone))
    return Covering(needed=least_covering(policy), levels=tuple(found))


def askable_levels(policy: Policy, name: str) -> tuple[str, ...]:
    """Return the levels of a dimension that the agreement allows, finest first."""
    levels = policy.model.dimension(name).levels
    finest = policy.agreement.form.may_ask.group_by.get(name)
    if finest is None:
        return ()
    first = 0 if finest == ALL_VALUES else levels.index(finest)
    return levels[first:]


def _alone(policy: Policy, name: str, level: str) -> Query:
    return Query(
        agreement=policy.agreement.name,
        edition="",
        measure=PERSONS,
        group_by=(GroupBy(name, level),),
        where=(),
    )


def _levels(policy: Policy, query: Query) -> Iterator[CoveredLevel]:
    parties = policy.agreement.parties
    bits = {party: 1 << place for place, party in enumerate(parties)}
    cohort = next(iter(policy.agreement.cohorts.values()), ())
    largest = sum(bits[member] for member in cohort)
    least = least_covering(policy)

    def agencies(members: Members) -> tuple[str, ...]:
        return tuple(party for party in parties if members & bits[party])

    for sight in sights(policy, query):
        yield CoveredLevel(
            dimension=sight.dimension,
            level=sight.level or "",
            values=tuple(
                CoveredValue(
                    value=value,
                    agencies=agencies(members),
                    enough=(members & largest).bit_count() >= least,
                )
                for value, members in sight.covering.items()
            ),
            roll_up=_roll_up(policy, query, sight.dimension, sight.level),
        )


def _roll_up(policy: Policy, query: Query, name: str, level: str | None) -> str:
    """Return the finest allowed level from *level* on that is covered by itself."""
    if level is None:
        return ""
    own = tuple(part for part in query.where if part.dimension == name)
    levels = policy.model.dimension(name).levels
    for each in levels[levels.index(level) :]:
        rolled = dataclasses.replace(_alone(policy, name, each), where=own)
        if each in askable_levels(policy, name) and not thin_values(policy, rolled):
            return each
    return ""
