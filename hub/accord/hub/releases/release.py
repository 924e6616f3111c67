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
from accord.core.placement import NoisePlan
from accord.core.policy import Policy
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
    loss_of_person,
)
from accord.core.query import Query, finest_levels
from accord.core.terms import Terms
from accord.hub.questions.caveats import not_covered
from accord.hub.questions.pricing import cost_message, delta_of, epsilon_for
from accord.hub.releases.noise import add_noise
from accord.hub.releases.table import (
    PARTS,
    Table,
    denominator,
    slot_dimension,
    unit,
)
from accord.rpc.codec import query_to_message
from accord.v1 import analyst_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one release is about."""

    id: str
    policy: Policy
    """The agreement in force, with the data model and the members' remits."""
    query: Query
    terms: Terms
    plan: NoisePlan
    """Who added which noise."""
    cohort: str
    """The one that is published, not always the one that was asked."""
    at: dt.datetime
    unsafe: bool
    standing: str = ""
    """The agreement's bulletin that asked; empty where an analyst did."""

    @property
    def agreement(self) -> Agreement:
        """The agreement that permits it."""
        return self.policy.agreement

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
    vector = published.terms.vector
    measure = published.query.measure
    question = query_to_message(published.query)
    answered = published.agreement.cohorts[published.cohort]
    table = Table(
        model=published.policy.model,
        terms=published.terms,
        noise=published.plan.opened,
        noisy=noisy,
        suppress_below=form.protect.suppress_below,
    )
    whole = table.whole()
    return analyst_pb2.Release(
        id=published.id,
        agreement=published.agreement.name,
        agreement_version=form.version,
        edition=published.query.edition,
        measure=question.measure,
        by=question.group_by,
        where=question.where,
        rows=table.rows(),
        persons=table.persons(),
        dropped=table.dropped(),
        cost=cost_message(published.agreement, published.loss),
        delta=float(delta_of(published.agreement)),
        coverage=analyst_pb2.Coverage(
            answered=answered,
            missing=sorted(set(published.agreement.parties) - set(answered)),
            cohort=published.cohort,
        ),
        level=table.level,
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
            said_of_whole=whole is not None,
        ),
        noise_placement=published.plan.placement.value,
        hub_epsilon=float(_towards_hub(published)),
        colluding_at_most=published.plan.colluding,
        slot_dimension=slot_dimension(measure),
        parts=PARTS.get(measure.kind, ()),
        unit=unit(measure, published.policy.model),
        denominator=denominator(measure),
        bounding=vector.bounding.value,
        whole_level=0.0 if whole is None else whole.level,
        whole_withheld=table.whole_withheld(),
        dropped_share=table.dropped_share(),
        definitions=_definitions(published, answered),
        standing=published.standing,
    )


def mechanism_name(mechanism: Mechanism) -> str:
    """Return how releases call a noise."""
    match mechanism:
        case DiscreteGaussian():
            return "discrete-gaussian"
        case DiscreteLaplace():
            return "discrete-laplace"


def _definitions(
    published: Published, answered: Iterable[str]
) -> list[analyst_pb2.Definition]:
    """Return how agencies that answered record what the question touches."""
    known = published.policy.members.members
    touched = {*finest_levels(published.query, published.policy.model)}
    if published.query.measure.kind.of_quantity:
        touched.add(published.query.measure.of)
    return [
        analyst_pb2.Definition(agency=agency, dimension=name, text=text)
        for agency in answered
        if agency in known
        for name, text in sorted(known[agency].remit.definitions.items())
        if name in touched
    ]


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
