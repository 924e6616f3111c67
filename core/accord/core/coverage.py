# SPDX-License-Identifier: Apache-2.0
"""Which cohorts cover every figure of an answer, by signed public remits alone.

A figure that only one or two agencies can have cases in is theirs, however many took
part: noise protects persons, not an agency. A member covers a figure if, for each
dimension that the question touches, one of the values that its remit declares lies in
the figure and in the filter. Nothing here looks at records or at the edition, so that
hub and agencies come to the same result before anything is asked.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from accord.core.dimension import UNKNOWN, Dimension, Leaf
from accord.core.policy import Policy
from accord.core.query import Query

Members = int
"""A set of parties, one bit for each."""

_REMEMBERED = 512
"""Results kept of each kind; they depend on models, remits and filters alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One dimension of an answer: which members cover each value that has a cell."""

    dimension: str
    level: str | None
    """As it is grouped; nothing where it is only filtered."""
    covering: Mapping[str, Members]
    """By value; one entry called after the dimension where it is only filtered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Thin:
    """A dimension with values that too few members of the largest cohort cover."""

    dimension: str
    level: str | None
    values: tuple[str, ...]
    """Every such value, in order."""
    members: int
    """How many cover the least covered of them."""


def covering_cohorts(policy: Policy, query: Query) -> tuple[str, ...]:
    """Return the permitted cohorts whose answer to *query* may be published.

    In each of them every figure has enough covering members and, where the agreement
    limits it, none of them has more than that part of it by the remits' own figures.
    """
    combined = _combined(_sights(policy, query))
    return tuple(
        cohort
        for cohort in _covering(policy, combined)
        if _no_agency_dominates(policy, cohort, combined)
    )


def covered_cohorts(policy: Policy, query: Query) -> tuple[str, ...]:
    """Return the cohorts with enough covering members, dominated or not."""
    return _covering(policy, _combined(_sights(policy, query)))


def least_covering(policy: Policy) -> int:
    """Return the number of members that must cover every figure."""
    protect = policy.agreement.form.protect
    return protect.covered_by_at_least or protect.at_least_agencies


def thin_values(policy: Policy, query: Query) -> tuple[Thin, ...]:
    """Return the dimensions that alone lack covering members in the largest cohort."""
    cohorts = _cohort_masks(policy)
    least = least_covering(policy)
    largest = next(iter(cohorts.values()), 0)
    return tuple(
        Thin(
            dimension=sight.dimension,
            level=sight.level,
            values=tuple(
                value
                for value, members in sight.covering.items()
                if (members & largest).bit_count() < least
            ),
            members=min((m & largest).bit_count() for m in sight.covering.values()),
        )
        for sight in _sights(policy, query)
        if not _all_covered(sight.covering.values(), largest, least)
    )


def sights(policy: Policy, query: Query) -> list[Sight]:
    """Return every dimension that *query* touches, also where no remit limits it."""
    return _sights(policy, query, limited_only=False)


def _covering(policy: Policy, combined: Collection[Members]) -> tuple[str, ...]:
    least = least_covering(policy)
    return tuple(
        cohort
        for cohort, mask in _cohort_masks(policy).items()
        if _all_covered(combined, mask, least)
    )


def _all_covered(covering: Collection[Members], cohort: Members, least: int) -> bool:
    return all((members & cohort).bit_count() >= least for members in covering)


def _no_agency_dominates(
    policy: Policy, cohort: str, combined: Collection[Members]
) -> bool:
    """Tell whether no member of *cohort* has too large a part of a figure.

    A member that declares no figure could be any size, so it fails.
    """
    most = policy.agreement.form.protect.no_agency_above
    if most is None:
        return True
    mask = _cohort_masks(policy)[cohort]
    sizes = _sizes(policy)
    return all(_shared(sizes, members & mask, most) for members in combined)


def _shared(sizes: Sequence[int | None], members: Members, most: Fraction) -> bool:
    present = [size for bit, size in enumerate(sizes) if members >> bit & 1]
    known = [size for size in present if size is not None]
    return len(known) == len(present) and max(known) <= most * sum(known)


def _sizes(policy: Policy) -> list[int | None]:
    known = policy.members.members
    return [
        known[party].remit.persons_a_year if party in known else None
        for party in policy.agreement.parties
    ]


def _cohort_masks(policy: Policy) -> dict[str, Members]:
    bits = {party: 1 << bit for bit, party in enumerate(policy.agreement.parties)}
    return {
        cohort: sum(bits[member] for member in members)
        for cohort, members in policy.agreement.cohorts.items()
    }


def _combined(sights: Sequence[Sight]) -> set[Members]:
    """Return the distinct sets of members that cover a cell.

    Cells are combinations of values, but few sets of members differ, so that answers
    of any size cost no more than their dimensions.
    """
    combined = {-1}
    for sight in sights:
        distinct = set(sight.covering.values())
        combined = {members & each for members in combined for each in distinct}
    return combined


def _sights(policy: Policy, query: Query, *, limited_only: bool = True) -> list[Sight]:
    """Return every dimension that *query* touches and that some remit limits."""
    levels = {group.dimension: group.level for group in query.grouped}
    filters = {part.dimension: part.nodes for part in query.where}
    found = []
    for name in dict.fromkeys((*levels, *filters)):
        dimension = policy.model.dimension(name)
        remits = _remits(policy, dimension)
        if limited_only and all(remit is None for remit in remits):
            continue
        kept = (
            _mask(dimension, filters[name])
            if name in filters
            else (1 << len(dimension.tree)) - 1
        )
        covering = _covering_values(dimension, levels.get(name), kept, remits)
        found.append(Sight(dimension=name, level=levels.get(name), covering=covering))
    return found


@functools.lru_cache(maxsize=_REMEMBERED)
def _covering_values(
    dimension: Dimension,
    level: str | None,
    kept: int,
    remits: tuple[int | None, ...],
) -> Mapping[str, Members]:
    """Return for every value with a cell the members that cover it.

    A case with several values stands in cells that the filter does not name: there the
    remit must hold a value of the cell and one of the filter.
    """
    in_filter = _members(remits, kept)
    if level is None:
        return {dimension.name: in_filter}
    cells = dict(zip(dimension.domain(level), _cells(dimension, level), strict=True))
    if dimension.single:
        return {
            value: _members(remits, cell & kept)
            for value, cell in cells.items()
            if cell & kept
        }
    return {value: _members(remits, cell) & in_filter for value, cell in cells.items()}


@functools.lru_cache(maxsize=_REMEMBERED)
def _cells(dimension: Dimension, level: str) -> tuple[int, ...]:
    """Return the leaves of every value of *level*, one bit for each."""
    cells = [0] * len(dimension.domain(level))
    for code, place in enumerate(dimension.roll_up(level)):
        cells[place] |= 1 << code
    return tuple(cells)


def _members(remits: Sequence[int | None], leaves: int) -> Members:
    found = 0
    for bit, remit in enumerate(remits):
        if remit is None or remit & leaves:
            found |= 1 << bit
    return found


def _remits(policy: Policy, dimension: Dimension) -> tuple[int | None, ...]:
    """Return the leaves that each party covers; nothing where it covers them all.

    An agency that nobody knows covers none.
    """
    known = policy.members.members
    declared = [
        known[party].remit.covers.get(dimension.name) if party in known else []
        for party in policy.agreement.parties
    ]
    return tuple(
        None
        if values is None
        else with_unrefined(dimension, tuple(values))
        if values
        else 0
        for values in declared
    )


@functools.lru_cache(maxsize=_REMEMBERED)
def with_unrefined(dimension: Dimension, values: tuple[str, ...]) -> int:
    """Return the leaves under *values*, and those that may hide one of them.

    A record of which only the year is known may be of any month of it, and an unknown
    one anything; who covers a month has such records too. A value that the dimension
    does not have, because the remit is also for another data model, covers nothing.
    """
    leaves = _mask(dimension, [value for value in values if value in dimension])
    unrefined = 1 << dimension.code(UNKNOWN)
    for code, leaf in enumerate(dimension.tree):
        if _is_unrefined(leaf) and leaves & _mask(dimension, leaf.path[-2:-1]):
            unrefined |= 1 << code
    return leaves | unrefined


def _is_unrefined(leaf: Leaf) -> bool:
    if len(leaf.path) == 1:
        return False
    inner, name = leaf.path[-2:]
    return name in (f"{inner} ?", f"{inner}-??")


def _mask(dimension: Dimension, nodes: Sequence[str]) -> int:
    mask = 0
    for node in nodes:
        span = dimension.leaves_under(node)
        mask |= ((1 << len(span)) - 1) << span.start
    return mask
