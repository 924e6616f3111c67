# SPDX-License-Identifier: Apache-2.0
"""From an opened sum to what analysts read.

The sum has the agencies' shares of the noise in it; the hub's own part, if the plan has
one, is added at once, and only that leaves: everything after `make_noisy` is arithmetic
on what may be published. Estimates are not clipped or rounded. Suppression looks at the
noisy estimate, so it tells nothing new. Intervals are for the noise of all the agencies
that answered, which is at least what was paid for.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import operator
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import SupportsIndex

from accord.core.agreement import Agreement
from accord.core.errors import InternalError
from accord.core.measure import Component
from accord.core.opened import OpenedNoise, half_width, standard_deviation
from accord.core.placement import NoisePlan
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
    loss_of_person,
)
from accord.core.query import Query
from accord.core.terms import Terms
from accord.hub.questions.caveats import not_covered
from accord.hub.questions.pricing import cost_message, delta_of, epsilon_for
from accord.hub.releases.noise import add_noise
from accord.rpc.codec import query_to_message
from accord.v1 import analyst_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one release is about."""

    id: str
    agreement: Agreement
    query: Query
    terms: Terms
    plan: NoisePlan
    """Who added which noise."""
    cohort: str
    """The one that is published, not always the one that was asked."""
    at: dt.datetime
    unsafe: bool

    @property
    def mechanism(self) -> Mechanism:
        """What it is priced by."""
        return self.plan.mechanism

    @property
    def loss(self) -> Loss:
        """What it costs."""
        return self.terms.loss(self.mechanism)


def make_noisy(
    published: Published, opened: Iterable[SupportsIndex], *, charged: Loss
) -> list[int]:
    """Return an opened sum with all its noise; the sum must then be forgotten.

    Args:
        published: has the plan of the noise.
        opened: with the agencies' shares in it.
        charged: what was reserved for the release.

    Raises:
        InternalError: LOSS_MISMATCH, it would cost more than that; or the noise cannot
            be trusted. Nothing was drawn.
    """
    loss = published.loss
    if loss.nano_rho > charged.nano_rho or loss.nano_epsilon > charged.nano_epsilon:
        raise InternalError(
            "LOSS_MISMATCH", "The release would cost what nobody reserved."
        )
    if published.plan.top_up is None:
        return [operator.index(entry) for entry in opened]
    return add_noise(
        opened,
        published.plan.top_up,
        d1=published.terms.d1,
        d2_squared=published.terms.d2_squared,
    )


def make_release(published: Published, noisy: Sequence[int]) -> analyst_pb2.Release:
    """Return the message of a noisy vector."""
    form = published.agreement.form
    layout = published.terms.layout
    vector = published.terms.vector
    question = query_to_message(published.query)
    noise = published.plan.opened
    cells = _Scale(noise, vector.slots[0], form.protect.suppress_below)
    persons = _Scale(noise, vector.persons, form.protect.suppress_below)
    dropped = _Scale(noise, vector.dropped, 0)
    answered = published.agreement.cohorts[published.cohort]
    return analyst_pb2.Release(
        id=published.id,
        agreement=published.agreement.name,
        agreement_version=form.version,
        edition=published.query.edition,
        measure=question.measure,
        by=question.group_by,
        where=question.where,
        rows=[
            analyst_pb2.Row(values=values, estimate=cells.estimate(noisy[place]))
            for place, values in enumerate(layout.cells())
        ],
        persons=persons.estimate(noisy[layout.n_cells]),
        dropped=dropped.estimate(noisy[layout.n_cells + 1]),
        cost=cost_message(published.agreement, published.loss),
        delta=float(delta_of(published.agreement)),
        coverage=analyst_pb2.Coverage(
            answered=answered,
            missing=sorted(set(published.agreement.parties) - set(answered)),
            cohort=published.cohort,
        ),
        level=half_width(noise).level,
        mechanism=mechanism_name(published.mechanism),
        noise_scale=float(published.mechanism.scale),
        groups_per_person=vector.groups,
        cases_per_group=vector.cases,
        person_in_at_most=published.terms.agencies,
        suppress_below=form.protect.suppress_below,
        released_at=int(published.at.timestamp()),
        query_key=published.query.key(),
        person_losses=_person_losses(published),
        not_covered=not_covered(
            published.agreement,
            published.terms,
            published.plan,
            edition=published.query.edition,
            unsafe=published.unsafe,
        ),
        noise_placement=published.plan.placement.value,
        hub_epsilon=float(_towards_hub(published)),
        colluding_at_most=published.plan.colluding,
    )


def mechanism_name(mechanism: Mechanism) -> str:
    """Return how releases call a noise."""
    match mechanism:
        case DiscreteGaussian():
            return "discrete-gaussian"
        case DiscreteLaplace():
            return "discrete-laplace"


class _Scale:
    """Turns stored integers of one component into counts."""

    def __init__(
        self, noise: OpenedNoise, component: Component, suppress_below: int
    ) -> None:
        self._scale = component.scale
        self._half_width = half_width(noise).half_width
        self._sd = standard_deviation(noise) / component.scale
        self._suppress_below = suppress_below * component.scale

    def estimate(self, noisy: int) -> analyst_pb2.Estimate:
        if self._suppress_below and noisy < self._suppress_below:
            return analyst_pb2.Estimate(suppressed=True)
        return analyst_pb2.Estimate(
            estimate=noisy / self._scale,
            lower=(noisy - self._half_width) / self._scale,
            upper=(noisy + self._half_width) / self._scale,
            sd=self._sd,
        )


def _towards_hub(published: Published) -> Fraction:
    """Return as epsilon what the hub learns; 0 where it saw exact sums."""
    known = published.plan.hub_loss
    if known is None:
        return Fraction(0)
    return epsilon_for(published.agreement, _loss(published.agreement, known))


def _loss(agreement: Agreement, amount: Fraction) -> Loss:
    match agreement.accounting:
        case Accounting.ZCDP:
            return Loss.from_rho(amount)
        case Accounting.PURE:
            return Loss.from_epsilon(amount)


def _person_losses(published: Published) -> list[analyst_pb2.PersonLoss]:
    """Return what a person known to one party, two, … all of them loses."""
    agreement, found = published.agreement, published.terms
    exact = published.mechanism.exact_loss(d1=found.d1, d2_squared=found.d2_squared)
    losses: list[analyst_pb2.PersonLoss] = []
    for known_to in range(1, len(agreement.parties) + 1):
        part = loss_of_person(
            agreement.accounting,
            exact,
            known_to=known_to,
            calibrated_to=found.agencies,
        )
        loss = _loss(agreement, part)
        losses.append(
            analyst_pb2.PersonLoss(
                agencies=known_to, epsilon=float(epsilon_for(agreement, loss))
            )
        )
    return losses
