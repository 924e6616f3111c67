# SPDX-License-Identifier: Apache-2.0
"""What agreement, model and query fix about an answer before anybody touches a record.

The hub computes the terms to price and to ask; every agent computes them again and
refuses a requisition that says otherwise.
"""

from __future__ import annotations

import dataclasses
import datetime

from accord.core.agreement import Agreement
from accord.core.calendar import period_end
from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery
from accord.core.layout import Layout, lay_out
from accord.core.measure import Bounding, ComponentVector, component_vector
from accord.core.model import DataModel
from accord.core.placement import NoisePlan, Placement, plan_noise
from accord.core.privacy import Accounting, Loss, Mechanism, mechanism_class
from accord.core.query import Kind, Query


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Layout, declared vector and sensitivities of one query under one agreement."""

    layout: Layout
    vector: ComponentVector
    agencies: int
    """A: agencies that may know one person; what the noise is calibrated to."""
    last_day: datetime.date | None
    """Last day of registration that counts, where the edition ends one."""

    @property
    def bounding(self) -> Bounding:
        """How the bound on one person's groups is kept."""
        return self.vector.bounding

    @property
    def d1(self) -> int:
        """L1 sensitivity over all agencies, in stored integers."""
        return self.vector.d1(self.agencies)

    @property
    def d2_squared(self) -> int:
        """Square of the L2 sensitivity over all agencies."""
        return self.vector.d2_squared(self.agencies)

    @property
    def figure_scale(self) -> int | None:
        """Stored integer of one count in a figure; nothing of sums and means."""
        kind = self.layout.measure.kind
        return None if kind in (Kind.SUM, Kind.MEAN) else self.vector.slots[0].scale

    def loss(self, mechanism: Mechanism) -> Loss:
        """Return what a release with *mechanism* costs, rounded up."""
        return mechanism.loss(d1=self.d1, d2_squared=self.d2_squared)


def terms(
    agreement: Agreement,
    model: DataModel,
    query: Query,
    bounding: Bounding = Bounding.KEEP,
) -> Terms:
    """Return the terms of *query*, which is canonical under *model*.

    Raises:
        InvalidQuery: TOO_MANY_CELLS, OUTSIDE_EDITION, or BOUNDING_INVALID where
            groups cannot be weighed.
    """
    if bounding is Bounding.WEIGH and (
        query.measure.kind is not Kind.PERSONS
        or agreement.accounting is not Accounting.ZCDP
    ):
        raise InvalidQuery(
            "BOUNDING_INVALID",
            "A person's groups can be weighed only for the measure `persons` under an "
            "agreement with `accounting: zcdp`; ask with the bounding `keep`.",
        )
    return Terms(
        layout=lay_out(query, model),
        vector=component_vector(
            query, model, agreement.bounds, agreement.accounting, bounding
        ),
        agencies=agreement.person_in_at_most,
        last_day=period_end(query.edition) if model.edition_dimension else None,
    )


def mechanism_for(agreement: Agreement, found: Terms, at_most: Loss) -> Mechanism:
    """Return the least noise whose loss stays within *at_most*.

    Raises:
        InvalidQuery: the loss is in the wrong unit or too small.
    """
    chosen = mechanism_class(agreement.accounting)
    return chosen.for_loss(at_most, d1=found.d1, d2_squared=found.d2_squared)


def noise_plan(
    agreement: Agreement, found: Terms, mechanism: Mechanism, cohort_members: int
) -> NoisePlan:
    """Return who adds which noise to a release that *mechanism* prices.

    Args:
        agreement: says where noise comes from, and how many agencies may collude.
        found: the query's terms.
        mechanism: from `mechanism_for`.
        cohort_members: agencies of the cohort that answers.

    Raises:
        InvalidQuery: as `accord.core.placement.plan_noise`.
    """
    return plan_noise(
        Placement(agreement.noise),
        mechanism,
        members=cohort_members,
        colluding=agreement.form.protect.colluding_at_most,
        d1=found.d1,
        d2_squared=found.d2_squared,
        hub_rho_cap=agreement.hub_rho_cap,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Requisition:
    """What the hub asks of every member of one cohort."""

    query_id: str
    """UUID that the analyst's program chose for the submission."""
    query: Query
    agreement_version: int
    agreement_digest: str
    model_digest: str
    policy_digest: str
    """Of everything that the agreement's meaning depends on: `Policy.digest`."""
    cohort: str
    members: tuple[str, ...]
    """Sorted."""
    mechanism: Mechanism
    loss: Loss
    layout_digest: str
    purpose: str
    analyst: Analyst
    """The hub's claim."""
    issued_at: datetime.datetime
    expires_at: datetime.datetime
    bounding: Bounding = Bounding.KEEP
