# SPDX-License-Identifier: Apache-2.0
"""A coarser release from the stored integers of a finer one, suppressed cells included.

Nothing is stored and nothing is charged: it is arithmetic on what was released, and the
same each time. Suppression looks at the sums afresh; intervals are those of the law of
the summed noise (`accord.core.summed_noise`), which is wider the more cells there are.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from accord.core.derivation import Derivation
from accord.core.errors import InvalidQuery
from accord.core.interval import HalfWidth
from accord.core.measure import Bounding
from accord.core.messages import sentence
from accord.core.opened import OpenedNoise, half_width, standard_deviation
from accord.core.policy import Policy
from accord.core.privacy import mechanism_class
from accord.core.query import Query, finest_levels
from accord.core.summed_noise import summed_noise
from accord.core.terms import Terms, noise_plan, terms
from accord.core.whole_error import LARGEST_DROPPED_SHARE, dropped_share
from accord.rpc.codec import query_to_message
from accord.v1 import analyst_pb2

_SAME: Final = 1e-9
"""Relative difference of two standard deviations that are one."""

_ELSEWHERE: Final = analyst_pb2.Estimate(suppressed=True, why="not-derived")
"""Of what only the finer release can say."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finer:
    """A stored release that holds the answer to a question."""

    release: analyst_pb2.Release
    noisy: Sequence[int]
    query: Query
    """What it answers."""
    derivation: Derivation
    terms: Terms
    noise: OpenedNoise
    """In each of its entries."""

    @property
    def scale(self) -> int:
        """Stored integers of one count."""
        return self.terms.vector.slots[0].scale

    @property
    def is_kept_whole(self) -> bool:
        """Whether the bound left out so little that sums of its cells mean the same."""
        if self.derivation.is_exact:
            return True
        cells = sum(self.noisy[: self.terms.layout.n_cells]) / self.scale
        dropped = self.noisy[-1] / self.terms.vector.dropped.scale
        return dropped_share(cells, dropped) <= LARGEST_DROPPED_SHARE

    def law(self, count: int) -> OpenedNoise | None:
        """Return the law of the noise in a sum of so many entries, if it is known."""
        return summed_noise(self.noise, count)

    def half_width(self) -> float | None:
        """Return the largest half-width of a derived figure, in counts, if known."""
        law = self.law(self.derivation.most)
        return None if law is None else half_width(law).half_width / self.scale


def finer_of(
    policy: Policy,
    release: analyst_pb2.Release,
    noisy: Sequence[int],
    query: Query,
    derivation: Derivation,
) -> Finer | None:
    """Return a stored release with the law of its noise, if that can be told.

    It is computed from the release's own words, and has to have the deviation that
    stands in the release, and the figures: a version before may have stored counts at
    another scale.
    """
    agreement, model = policy.agreement, policy.model
    bounding = Bounding(release.bounding or Bounding.KEEP)
    try:
        found = terms(agreement, model, query, bounding)
        mechanism = mechanism_class(agreement.accounting)(
            scale=Fraction(release.noise_scale)
        )
        plan = noise_plan(agreement, found, mechanism, len(release.coverage.answered))
    except InvalidQuery:
        return None
    deviation = standard_deviation(plan.opened) / found.vector.dropped.scale
    if (
        len(noisy) != found.layout.size
        or not math.isclose(deviation, release.dropped.sd, rel_tol=_SAME)
        or not _shows(release, noisy, found.vector.slots[0].scale)
    ):
        return None
    return Finer(
        release=release,
        noisy=noisy,
        query=query,
        derivation=derivation,
        terms=found,
        noise=plan.opened,
    )


def _shows(release: analyst_pb2.Release, noisy: Sequence[int], scale: int) -> bool:
    """Tell whether what is shown is what is stored, at this scale."""
    return all(
        row.estimate.suppressed or row.estimate.estimate == stored / scale
        for row, stored in zip(release.rows, noisy, strict=False)
    )


def derived_release(
    policy: Policy, finer: Finer, question: Query
) -> analyst_pb2.Release:
    """Return the answer to a question from a finer release, or that release itself.

    Its id is made of the finer one's and the question, and stands for nothing in the
    archive or in the log: what can be looked up and proven is the finer release.
    """
    source = finer.release
    if finer.query.key() == question.key():
        return source
    derivation = finer.derivation
    asked = query_to_message(question)
    figures = _Figures(finer, policy.agreement.form.protect.suppress_below)
    totals = [0] * derivation.layout.n_cells
    for place, cell in enumerate(derivation.target):
        if cell >= 0:
            totals[cell] += finer.noisy[place]
    made = analyst_pb2.Release()
    made.CopyFrom(source)
    for field in ("by", "where", "rows", "definitions", "standing"):
        made.ClearField(field)
    made.by.extend(asked.group_by)
    made.where.extend(asked.where)
    made.rows.extend(
        analyst_pb2.Row(values=values, estimate=figures.estimate(total, count))
        for values, total, count in zip(
            derivation.layout.cells(), totals, derivation.summed, strict=True
        )
    )
    touched = finest_levels(question, policy.model)
    made.definitions.extend(e for e in source.definitions if e.dimension in touched)
    made.id = str(uuid.uuid5(uuid.UUID(source.id), question.key()))
    made.query_key = question.key()
    made.level = min(figures.interval(n).level for n in set(derivation.summed))
    made.derived_from = source.id
    made.whole_level = 0
    made.whole_withheld = sentence("derived.whole-withheld")
    made.not_covered.append(sentence("derived.bound", groups=finer.terms.vector.groups))
    if derivation.is_narrower:
        made.persons.CopyFrom(_ELSEWHERE)
        made.dropped.CopyFrom(_ELSEWHERE)
        made.dropped_share = 0
    _forget_whole(made)
    return made


def _forget_whole(release: analyst_pb2.Release) -> None:
    """Leave out intervals for the raw truth, which were made for other cells."""
    for each in (release.persons, release.dropped):
        each.ClearField("whole_lower")
        each.ClearField("whole_upper")


class _Figures:
    """Turns sums of stored integers into counts."""

    def __init__(self, finer: Finer, suppress_below: int) -> None:
        self._finer = finer
        self._suppress_below = suppress_below * finer.scale

        self._laws: dict[int, tuple[HalfWidth, float]] = {}

    def _law(self, count: int) -> tuple[HalfWidth, float]:
        if count not in self._laws:
            law = self._finer.law(count)
            if law is None:
                message = "only what has a law is derived"
                raise RuntimeError(message)
            sd = standard_deviation(law) / self._finer.scale
            self._laws[count] = half_width(law), sd
        return self._laws[count]

    def interval(self, count: int) -> HalfWidth:
        return self._law(count)[0]

    def estimate(self, total: int, count: int) -> analyst_pb2.Estimate:
        if self._suppress_below and total < self._suppress_below:
            return analyst_pb2.Estimate(suppressed=True, why="small")
        width, sd = self._law(count)
        scale = self._finer.scale
        return analyst_pb2.Estimate(
            estimate=total / scale,
            lower=(total - width.half_width) / scale,
            upper=(total + width.half_width) / scale,
            sd=sd,
        )
