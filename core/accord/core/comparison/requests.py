# SPDX-License-Identifier: Apache-2.0
"""Classes of requests: all questions that an agreement's language can tell apart.

A class is a role, an organisation, a purpose, a measure, dimensions each at one level
and at most one hidden value that a filter names. Roles, organisations and purposes that
no agreement names are one class each, called "any other". Dimensions that no agreement
names are allowed by none and left out. Questions that touch one dimension at two levels
are allowed exactly if both of their classes are.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from accord.core.agreement_form import ALL_VALUES
from accord.core.decide import Analyst, Ask, Reason, decide
from accord.core.dimension import Dimension
from accord.core.errors import InvalidQuery
from accord.core.policy import Policy
from accord.core.query import (
    CASES,
    PERSONS,
    Filter,
    GroupBy,
    Measure,
    Query,
    parse_measure,
)

ANY_OTHER: Final = "?" * 101
"""Stands for every role, organisation and purpose without a name: no document can hold
a word that long."""

Step: TypeAlias = tuple[str, str]
"""A dimension and one of its levels."""


class Status(enum.IntEnum):
    """What a policy says to a class of requests."""

    DENIED = 0
    LIMITED = 1
    """Some questions of the class are allowed: about values that enough agencies cover,
    say, or while an emergency is declared."""
    ALLOWED = 2


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Shape:
    """What a question is about: dimensions at levels, and a hidden value it names."""

    steps: tuple[Step, ...]
    """Sorted."""
    named: tuple[str, str] | None = None
    """One of the dimensions, and a hidden value of it that a filter names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestClass:
    """All requests that the language of agreements does not tell apart."""

    role: str
    organisation: str
    purpose: str
    measure: str
    shape: Shape


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Every class of requests that two policies can differ in."""

    roles: tuple[str, ...]
    organisations: tuple[str, ...]
    purposes: tuple[str, ...]
    measures: tuple[str, ...]
    steps: tuple[tuple[Step, ...], ...]
    """By dimension, its levels."""
    named: tuple[tuple[Step, tuple[str, ...]], ...]
    """Hidden values by the step at which a filter names them."""
    at_most: int

    def shapes(self) -> Iterator[Shape]:
        """Yield every shape, the smallest first."""
        named = dict(self.named)
        for size in range(self.at_most + 1):
            for dimensions in itertools.combinations(self.steps, size):
                for steps in itertools.product(*dimensions):
                    yield Shape(steps)
                    for step in steps:
                        for value in named.get(step, ()):
                            yield Shape(steps, (step[0], value))

    def classes(self) -> Iterator[RequestClass]:
        """Yield every class."""
        for shape in self.shapes():
            for role, organisation, purpose, measure in itertools.product(
                self.roles, self.organisations, self.purposes, self.measures
            ):
                yield RequestClass(
                    role=role,
                    organisation=organisation,
                    purpose=purpose,
                    measure=measure,
                    shape=shape,
                )

    def __len__(self) -> int:
        """Return the number of classes, without going through them."""
        named = dict(self.named)
        plain = [1] + [0] * self.at_most
        naming = [0] * (self.at_most + 1)
        for steps in self.steps:
            values = sum(len(named.get(step, ())) for step in steps)
            for size in range(self.at_most, 0, -1):
                naming[size] += naming[size - 1] * len(steps)
                naming[size] += plain[size - 1] * values
                plain[size] += plain[size - 1] * len(steps)
        subjects = len(self.roles) * len(self.organisations)
        asked = len(self.purposes) * len(self.measures)
        return subjects * asked * (sum(plain) + sum(naming))


def space_of(policies: Sequence[Policy]) -> Space:
    """Return all classes in which *policies* can differ."""
    forms = [policy.agreement.form for policy in policies]
    names = sorted({name for form in forms for name in form.may_ask.group_by})
    levels = {
        name: sorted(
            {
                level
                for policy in policies
                if name in policy.model.dimensions
                for level in policy.model.dimension(name).levels
            }
        )
        for name in names
    }
    purposes = {purpose for form in forms for purpose in form.purpose}
    purposes |= {form.emergency.purpose for form in forms if form.emergency}
    return Space(
        roles=_and_any_other(role for f in forms for role in f.recipients.roles),
        organisations=_and_any_other(
            organisation for f in forms for organisation in f.recipients.organisations
        ),
        purposes=_and_any_other(purposes),
        measures=tuple(
            dict.fromkeys(
                [
                    PERSONS.name,
                    CASES.name,
                    *sorted({m for form in forms for m in form.may_ask.measures}),
                ]
            )
        ),
        steps=tuple(
            tuple((name, level) for level in levels[name])
            for name in names
            if levels[name]
        ),
        named=_named(policies, names),
        at_most=max((form.may_ask.at_most_dimensions for form in forms), default=0),
    )


def _and_any_other(names: Iterable[str]) -> tuple[str, ...]:
    return (*sorted(set(names)), ANY_OTHER)


def _named(
    policies: Sequence[Policy], names: Sequence[str]
) -> tuple[tuple[Step, tuple[str, ...]], ...]:
    hidden = {
        (name, value)
        for policy in policies
        for name, values in policy.agreement.form.may_ask.hidden_values.items()
        for value in values
        if name in names
    }
    found: dict[Step, set[str]] = {}
    for policy in policies:
        for name, value in hidden:
            dimension = policy.model.dimensions.get(name)
            if dimension is not None and _has(dimension, value):
                step = (name, dimension.level_of(value))
                found.setdefault(step, set()).add(value)
    return tuple((step, tuple(sorted(found[step]))) for step in sorted(found))


def _has(dimension: Dimension, value: str) -> bool:
    try:
        dimension.leaves_under(value)
    except InvalidQuery:
        return False
    return True


_BY_LIMIT: Final = {
    "deny.coverage": "coverage",
    "deny.dominance": "dominance",
    "deny.emergency-off": "emergency",
    "deny.hidden-value": "hidden",
}
"""Reasons that a filter, or a declared emergency, can take away."""


def limit_of(reason: Reason) -> str | None:
    """Return what limits a class for *reason*; nothing where it denies all of it."""
    if reason.code == "deny.hidden-value" and reason.way == "named":
        return None
    return _BY_LIMIT.get(reason.code)


def status_of(policy: Policy, request: RequestClass) -> Status:
    """Return what *policy* says to *request*, by `decide` on the day it begins."""
    return status_for(reasons_against(policy, request))


def status_for(reasons: Sequence[Reason] | None) -> Status:
    """Return the status that *reasons* make; nothing means that it cannot be asked."""
    if reasons is None or any(limit_of(reason) is None for reason in reasons):
        return Status.DENIED
    return Status.LIMITED if reasons else Status.ALLOWED


def reasons_against(policy: Policy, request: RequestClass) -> list[Reason] | None:
    """Return every reason of `decide`, or nothing where the data model has no such.

    An emergency counts as not declared: declaring one changes no agreement.
    """
    query = _query(policy, request)
    if query is None:
        return None
    ask = Ask(
        query=query,
        analyst=Analyst(
            id="", organisation=request.organisation, roles=frozenset({request.role})
        ),
        purpose=request.purpose,
        day=policy.agreement.form.valid.first,
    )
    undeclared = dataclasses.replace(policy, emergency=None)
    return list(decide(undeclared, ask).reasons)


def _query(policy: Policy, request: RequestClass) -> Query | None:
    model, groups = policy.model, []
    where: tuple[Filter, ...] = ()
    for name, level in request.shape.steps:
        dimension = model.dimensions.get(name)
        if dimension is None or level not in dimension.levels:
            return None
        if request.shape.named is not None and request.shape.named[0] == name:
            value = request.shape.named[1]
            if not _has(dimension, value) or dimension.level_of(value) != level:
                return None
            where = (Filter(name, (value,)),)
        else:
            groups.append(GroupBy(name, level))
    measure = _measure(policy, request.measure)
    if measure is None or measure.of in {name for name, _ in request.shape.steps}:
        return None
    return Query(
        agreement=policy.name,
        edition="",
        measure=measure,
        group_by=tuple(groups),
        where=where,
    )


def _measure(policy: Policy, name: str) -> Measure | None:
    """Return the measure at the finest level that *policy* allows of its dimension."""
    try:
        found = parse_measure(name, policy.model)
    except InvalidQuery:
        return None
    finest = policy.agreement.form.may_ask.group_by.get(found.of, ALL_VALUES)
    if found.kind.of_dimension and finest != ALL_VALUES:
        levels = policy.model.dimension(found.of).levels
        return dataclasses.replace(found, level=finest, finest=finest == levels[0])
    return found
