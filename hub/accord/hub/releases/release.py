# SPDX-License-Identifier: Apache-2.0
"""From an exact pooled sum to what analysts read.

The sum goes in, noise is added at once, and only noisy numbers leave: everything after
`add_noise` is arithmetic on what may be published. Estimates are not clipped or
rounded. Suppression looks at the noisy estimate, so it tells nothing new.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

from accord.core.agreement import Agreement
from accord.core.interval import half_width, standard_deviation
from accord.core.measure import Component
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
    mechanism: Mechanism
    cohort: str
    """The one that is published, not always the one that was asked."""
    at: dt.datetime
    unsafe: bool

    @property
    def loss(self) -> Loss:
        """What it costs."""
        return self.terms.loss(self.mechanism)


def make_noisy(published: Published, pooled: Iterable[SupportsIndex]) -> list[int]:
    """Return the pooled sum with its noise.

    Raises:
        InternalError: no noise could be trusted; nothing was drawn.
    """
    return add_noise(
        pooled,
        published.mechanism,
        d1=published.terms.d1,
        d2_squared=published.terms.d2_squared,
    )


def make_release(published: Published, noisy: Sequence[int]) -> analyst_pb2.Release:
    """Return the message of a noisy vector."""
    form = published.agreement.form
    layout = published.terms.layout
    vector = published.terms.vector
    question = query_to_message(published.query)
    cells = _Scale(published.mechanism, vector.cells, form.protect.suppress_below)
    persons = _Scale(published.mechanism, vector.persons, form.protect.suppress_below)
    dropped = _Scale(published.mechanism, vector.dropped, 0)
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
        ),
        level=half_width(published.mechanism).level,
        mechanism=mechanism_name(published.mechanism),
        noise_scale=float(published.mechanism.scale),
        groups_per_person=vector.groups,
        cases_per_group=vector.cells.bound,
        person_in_at_most=published.terms.agencies,
        suppress_below=form.protect.suppress_below,
        released_at=int(published.at.timestamp()),
        query_key=published.query.key(),
        person_losses=_person_losses(published),
        not_covered=not_covered(
            published.agreement,
            published.terms,
            edition=published.query.edition,
            unsafe=published.unsafe,
        ),
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
        self, mechanism: Mechanism, component: Component, suppress_below: int
    ) -> None:
        self._scale = component.scale
        self._half_width = half_width(mechanism).half_width
        self._sd = standard_deviation(mechanism) / component.scale
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
        match agreement.accounting:
            case Accounting.ZCDP:
                loss = Loss.from_rho(part)
            case Accounting.PURE:
                loss = Loss.from_epsilon(part)
        losses.append(
            analyst_pb2.PersonLoss(
                agencies=known_to, epsilon=float(epsilon_for(agreement, loss))
            )
        )
    return losses
