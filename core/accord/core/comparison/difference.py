# SPDX-License-Identifier: Apache-2.0
"""What becomes possible under another version of an agreement, and what no longer is.

Not the texts are compared but what they mean: every class of requests (see `requests`),
and every clause that no request shows (see `shifts`). What `decide` says to a class is
the sum of what it says to its subject, purpose, measure and shape, so each of these is
asked about once; a property test compares with `decide` on every single class.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from accord.core.comparison.member_shifts import policy_shifts, same_coverage
from accord.core.comparison.orders import Way
from accord.core.comparison.requests import (
    RequestClass,
    Shape,
    Space,
    Status,
    limit_of,
    reasons_against,
    space_of,
    status_for,
)
from accord.core.comparison.shifts import Shift, shift
from accord.core.decide import Reason
from accord.core.policy import Policy
from accord.core.query import Kind

MOST_EXAMPLES: Final = 8
"""Classes that each side of a difference names; the others are counted."""

Pair: TypeAlias = tuple[Status, Status]
"""Before and after."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One class of requests whose status changed."""

    request: RequestClass
    before: Status
    after: Status
    limits: tuple[str, ...]
    """What limits the class, on the side on which it is limited."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Classes of requests that went one way."""

    count: int = 0
    examples: tuple[Example, ...] = ()
    """The shortest ones, as different as possible."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that one version allows and the other does not."""

    name: str
    before_version: int | None
    """Nothing where the agreement is new."""
    after_version: int | None
    """Nothing where it ends."""
    classes: int
    """Classes of requests that were compared."""
    newly_allowed: Changed
    no_longer_allowed: Changed
    shifts: tuple[Shift, ...]
    single_level: frozenset[str] = frozenset()
    """Dimensions with one level, which need not be told apart by it."""

    @property
    def loosens(self) -> bool:
        """Whether anything becomes possible, or it cannot be told that nothing does."""
        return self.newly_allowed.count > 0 or any(
            each.way is not Way.TIGHTER for each in self.shifts
        )


def compare(before: Policy | None, after: Policy | None) -> Difference:
    """Return what *after* allows and *before* does not, and the other way round.

    A new agreement is looser than none; one that ends is tighter.
    """
    policies = [policy for policy in (before, after) if policy is not None]
    space = space_of(policies)
    if before is not None and after is not None and _same_requests(before, after):
        changed = Changed(), Changed()
    else:
        changed = _Comparison(before, after, space).changed()
    return Difference(
        name=policies[-1].name if policies else "",
        before_version=before.agreement.form.version if before else None,
        after_version=after.agreement.form.version if after else None,
        classes=len(space),
        newly_allowed=changed[0],
        no_longer_allowed=changed[1],
        shifts=_all_shifts(before, after),
        single_level=frozenset(steps[0][0] for steps in space.steps if len(steps) == 1),
    )


def _all_shifts(before: Policy | None, after: Policy | None) -> tuple[Shift, ...]:
    if before is not None and after is not None:
        return policy_shifts(before, after)
    if after is not None:
        return (shift(Way.LOOSER, "agreement", "new", name=after.name),)
    if before is not None:
        return (shift(Way.TIGHTER, "agreement", "gone", name=before.name),)
    return ()


def _same_requests(before: Policy, after: Policy) -> bool:
    """Tell whether everything that `decide` looks at is the same, but for days."""
    old, new = before.agreement.form, after.agreement.form
    return (
        old.purpose == new.purpose
        and old.recipients == new.recipients
        and old.may_ask == new.may_ask
        and old.protect == new.protect
        and old.emergency == new.emergency
        and old.cohorts == new.cohorts
        and before.model.digest == after.model.digest
        and same_coverage(before, after)
    )


class _Comparison:
    """Two policies over one space, part by part."""

    def __init__(
        self, before: Policy | None, after: Policy | None, space: Space
    ) -> None:
        self._before = before
        self._after = after
        self._space = space
        self._origin = RequestClass(
            role=space.roles[0],
            organisation=space.organisations[0],
            purpose=space.purposes[0],
            measure=Kind.PERSONS.value,
            shape=Shape(()),
        )
        self._subjects = self._pairs(
            "recipients",
            [
                dataclasses.replace(self._origin, role=role, organisation=organisation)
                for role, organisation in itertools.product(
                    space.roles, space.organisations
                )
            ],
        )
        self._purposes = self._pairs(
            "purpose",
            [dataclasses.replace(self._origin, purpose=p) for p in space.purposes],
        )
        self._measures = self._pairs(
            "measure",
            [dataclasses.replace(self._origin, measure=m) for m in space.measures],
        )
        self._shapes = dict(self._pairs_of_shapes())

    def changed(self) -> tuple[Changed, Changed]:
        """Return what is newly allowed and what no longer is."""
        return (
            Changed(
                count=self._count(newly=True),
                examples=tuple(self._examples(newly=True)),
            ),
            Changed(
                count=self._count(newly=False),
                examples=tuple(self._examples(newly=False)),
            ),
        )

    def _pairs(
        self, part: str, requests: Sequence[RequestClass]
    ) -> dict[RequestClass, Pair]:
        return {
            request: (
                _part(self._before, request, part),
                _part(self._after, request, part),
            )
            for request in requests
        }

    def _pairs_of_shapes(self) -> Iterator[tuple[Shape, Pair]]:
        """Yield every shape that not both policies deny.

        A shape is denied where one of its steps alone is, so most need no decision.
        """
        steps = {
            step: [self._shape(policy, Shape((step,))) for policy in self._policies]
            for steps in self._space.steps
            for step in steps
        }
        for shape in self._space.shapes():
            pair = [
                Status.DENIED
                if any(steps[step][side] is Status.DENIED for step in shape.steps)
                else self._shape(policy, shape)
                for side, policy in enumerate(self._policies)
            ]
            if any(pair):
                yield shape, (pair[0], pair[1])

    @property
    def _policies(self) -> tuple[Policy | None, Policy | None]:
        return self._before, self._after

    def _shape(self, policy: Policy | None, shape: Shape) -> Status:
        return _part(policy, dataclasses.replace(self._origin, shape=shape), "shape")

    def _count(self, *, newly: bool) -> int:
        """Return how many classes went one way, from how often each pair occurs."""
        total = 0
        parts = (self._subjects, self._purposes, self._measures, self._shapes)
        tallies = [collections.Counter(part.values()).items() for part in parts]
        for chosen in itertools.product(*tallies):
            if _goes(_weakest(pair for pair, _ in chosen), newly=newly):
                number = 1
                for _, often in chosen:
                    number *= often
                total += number
        return total

    def _examples(self, *, newly: bool) -> Iterator[Example]:
        """Yield the shortest classes; one of every shape before a second of any."""
        found = 0
        shapes = sorted(self._shapes, key=_length)
        for _, alike in itertools.groupby(shapes, key=lambda shape: _length(shape)[0]):
            queues = [self._of_shape(shape, newly=newly) for shape in alike]
            while queues:
                waiting = []
                for queue in queues:
                    example = next(queue, None)
                    if example is None:
                        continue
                    yield example
                    found += 1
                    if found == MOST_EXAMPLES:
                        return
                    waiting.append(queue)
                queues = waiting

    def _of_shape(self, shape: Shape, *, newly: bool) -> Iterator[Example]:
        of_shape = self._shapes[shape]
        for measure, purpose, subject in itertools.product(
            self._measures, self._purposes, self._subjects
        ):
            pair = _weakest(
                (
                    of_shape,
                    self._measures[measure],
                    self._purposes[purpose],
                    self._subjects[subject],
                )
            )
            if _goes(pair, newly=newly):
                request = RequestClass(
                    role=subject.role,
                    organisation=subject.organisation,
                    purpose=purpose.purpose,
                    measure=measure.measure,
                    shape=shape,
                )
                yield Example(
                    request=request,
                    before=pair[0],
                    after=pair[1],
                    limits=self._limits(request, pair),
                )

    def _limits(self, request: RequestClass, pair: Pair) -> tuple[str, ...]:
        side = self._after if pair[1] is Status.LIMITED else self._before
        if Status.LIMITED not in pair or side is None:
            return ()
        reasons = reasons_against(side, request) or ()
        limits = {limit_of(reason) for reason in reasons}
        return tuple(sorted(limit for limit in limits if limit is not None))


def _part(policy: Policy | None, request: RequestClass, part: str) -> Status:
    """Return what one part of *request* alone would make of it."""
    reasons = reasons_against(policy, request) if policy is not None else None
    if reasons is None:
        return Status.DENIED
    return status_for([reason for reason in reasons if _part_of(reason) == part])


_PARTS: Final[Mapping[str, str]] = {
    "recipients.roles": "recipients",
    "recipients.organisations": "recipients",
    "purpose": "purpose",
    "emergency": "purpose",
    "may_ask.measures": "measure",
}


def _part_of(reason: Reason) -> str:
    """Return which part of a request a reason speaks against."""
    return _PARTS.get(reason.clause, "shape")


def _weakest(pairs: Iterable[Pair]) -> Pair:
    before, after = zip(*pairs, strict=True)
    return min(before), min(after)


def _goes(pair: Pair, *, newly: bool) -> bool:
    return pair[1] > pair[0] if newly else pair[1] < pair[0]


def _length(shape: Shape) -> tuple[int, bool, Shape]:
    return len(shape.steps), shape.named is not None, Shape(shape.steps)
