# SPDX-License-Identifier: Apache-2.0
"""Which bound on one person's groups a board might choose, from past releases."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from accord.client.result import Result
from accord.core.bound_advice import Evidence, Expected, best_of, expected
from accord.core.errors import InvalidQuery
from accord.core.measure import ComponentVector
from accord.core.privacy import Accounting

if TYPE_CHECKING:
    from accord.client.session import Hub

MOST_RELEASES = 12
"""Stored releases of one table that are looked at, from the newest on."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BoundAdvice:
    """What bounds from 1 to 8 would lead to for one table."""

    title: str
    releases: tuple[str, ...]
    groups_per_person: int
    """The bound of the newest of these releases."""
    figures: int
    epsilon: float
    """Of the newest; the half-widths are at the same."""
    level: float
    persons: float
    choices: tuple[Expected, ...]
    best: Expected
    maybe_better: tuple[Expected, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "title": self.title,
            "releases": list(self.releases),
            "groups_per_person": self.groups_per_person,
            "figures": self.figures,
            "epsilon": self.epsilon,
            "level": self.level,
            "persons": self.persons,
            "choices": [dataclasses.asdict(each) for each in self.choices],
            "best": self.best.groups,
            "maybe_better": [each.groups for each in self.maybe_better],
        }

    def notes(self) -> list[str]:
        """Return what it says, and what is not known, in sentences."""
        most = self.best.most_error
        same = self.best.groups == self.groups_per_person
        said = [
            f"At the same ε = {self.epsilon:.3g} a bound of {self.best.groups} keeps "
            f"the error of a figure at about {most:.3g} or less"
            + (", and it is the one in force." if same else ".")
        ]
        if self.maybe_better:
            names = ", ".join(str(each.groups) for each in self.maybe_better)
            said.append(f"Not ruled out as better by what was released: {names}.")
        said.append(
            "Figures are noisy, and `dropped` counts at most `drop_cap` groups of one "
            "person: where people have more, more is lost than is shown."
        )
        said.append(
            "Losses are averaged over all figures; nobody knows which figures have "
            "them. Other tables can lead to another bound."
        )
        return said


def advise_bound(releases: Sequence[Result]) -> BoundAdvice:
    """Return what other bounds would lead to, for the table of *releases*.

    Nothing is asked and nothing is charged: only released figures are used.

    Args:
        releases: of `persons` by the same dimensions and filters; their bounds,
            editions and losses can differ. The newest says at which loss half-widths
            are given.

    Raises:
        InvalidQuery: BOUND_NOT_KNOWN where a release tells nothing about groups;
            RELEASES_DIFFER where they are of different tables.
    """
    if not releases:
        raise _tells_nothing("No release of `persons` by any dimension was found")
    newest = max(releases, key=lambda each: each.released_at)
    for each in releases:
        if not _tells(each):
            raise _tells_nothing(f"The release {each.id} does not tell")
        if _table(each) != _table(newest):
            raise InvalidQuery(
                "RELEASES_DIFFER",
                f"The releases {each.id} and {newest.id} are of different tables; ask "
                "for advice on each by itself.",
            )
    width = _half_width(newest)
    choices = expected(
        [_evidence(each) for each in releases],
        lambda groups: width * _growth(groups, newest),
        len(newest),
    )
    best, rivals = best_of(choices)
    return BoundAdvice(
        title=newest.title(),
        releases=tuple(each.id for each in releases),
        groups_per_person=newest.groups_per_person,
        figures=len(newest),
        epsilon=newest.cost.epsilon,
        level=newest.level,
        persons=max(0.0, newest.persons.estimate or 0.0),
        choices=choices,
        best=best,
        maybe_better=rivals,
    )


def advise_from_archive(hub: Hub, agreement: str) -> BoundAdvice:
    """Return `advise_bound` of the newest table that tells, from what is stored.

    Raises:
        InvalidQuery: BOUND_NOT_KNOWN where no stored release tells.
    """
    found: list[Result] = []
    for summary in hub.releases(agreement):
        if summary.measure != "persons" or not summary.by:
            continue
        release = hub.release(summary.id)
        if _tells(release) and (not found or _table(release) == _table(found[0])):
            found.append(release)
        if len(found) == MOST_RELEASES:
            break
    return advise_bound(found)


def _tells(release: Result) -> bool:
    return (
        release.measure == "persons"
        and bool(release.by)
        and release.bounding == "keep"
        and not release.derived_from
    )


def _tells_nothing(who: str) -> InvalidQuery:
    return InvalidQuery(
        "BOUND_NOT_KNOWN",
        f"{who} how many groups people have; that is told by an answer of `persons` by "
        "one dimension or more, bounded by leaving groups out.",
    )


def _table(release: Result) -> tuple[object, ...]:
    groups = frozenset(zip(release.by, release.levels, strict=True))
    filters = frozenset((name, frozenset(of)) for name, of in release.where.items())
    return release.agreement, groups, filters


def _evidence(release: Result) -> Evidence:
    figures = [row.estimate for row in release]
    shown = [each.estimate for each in figures if each.estimate is not None]
    hidden = [each for each in figures if each.estimate is None]
    # a figure is small where it is, with its noise, below the limit
    counted = math.fsum(shown) + len(hidden) * release.suppress_below
    return Evidence(
        groups=release.groups_per_person,
        persons=release.persons.estimate or 0.0,
        dropped=release.dropped.estimate or 0.0,
        counted=counted if all(each.why == "small" for each in hidden) else None,
        hidden=bool(hidden),
    )


def _half_width(release: Result) -> float:
    for row in release:
        lower, upper = row.estimate.lower, row.estimate.upper
        if lower is not None and upper is not None:
            return (upper - lower) / 2
    raise _tells_nothing(f"The release {release.id} shows no figure, and does not tell")


def _growth(groups: int, release: Result) -> float:
    """Return how much wider than the release's the noise at another bound is."""
    is_zcdp = bool(release.cost.rho)
    accounting = Accounting.ZCDP if is_zcdp else Accounting.PURE

    def noise(bound: int) -> float:
        """Return what is as many counts as the noise, at one cost."""
        vector = ComponentVector.of_counts(accounting, groups=bound, drop_cap=1)
        distance = math.sqrt(vector.d2_squared(1)) if is_zcdp else vector.d1(1)
        return distance / vector.slots[0].scale

    return noise(groups) / noise(release.groups_per_person)
