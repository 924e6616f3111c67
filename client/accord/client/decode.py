# SPDX-License-Identifier: Apache-2.0
"""From the wire's messages to what an analyst holds."""

from __future__ import annotations

import datetime

from accord.client.budget import Account
from accord.client.coverage import Coverage
from accord.client.result import Cost, Definition, Estimate, Result, Row
from accord.v1 import analyst_pb2 as pb


def cost_of(message: pb.Cost) -> Cost:
    """Return a cost."""
    return Cost(epsilon=message.epsilon, rho=message.rho)


def estimate_of(message: pb.Estimate) -> Estimate:
    """Return an estimate; a suppressed one has no numbers.

    An interval of whole errors from 0 to 0 is the wire's way to say that there is none.
    """
    if message.suppressed:
        return Estimate(
            estimate=None,
            lower=None,
            upper=None,
            sd=None,
            suppressed=True,
            why=message.why or "small",
        )
    whole = message.whole_lower != 0 or message.whole_upper != 0
    return Estimate(
        estimate=message.estimate,
        lower=message.lower,
        upper=message.upper,
        sd=message.sd,
        suppressed=False,
        whole_lower=message.whole_lower if whole else None,
        whole_upper=message.whole_upper if whole else None,
    )


def result_of(
    release: pb.Release, *, charged: pb.Cost | None, from_archive: bool
) -> Result:
    """Return the release with what this ask was charged for it.

    A release that was made before a field was known reads as what it was then: its
    bound was kept, and its unit is what it counts.
    """
    return Result(
        id=release.id,
        agreement=release.agreement,
        agreement_version=release.agreement_version,
        edition=release.edition,
        measure=release.measure,
        by=tuple(group.dimension for group in release.by),
        levels=tuple(group.level for group in release.by),
        where={part.dimension: tuple(part.values) for part in release.where},
        rows=tuple(
            Row(
                values=tuple(row.values),
                estimate=estimate_of(row.estimate),
                parts=tuple(estimate_of(part) for part in row.parts),
            )
            for row in release.rows
        ),
        persons=estimate_of(release.persons),
        dropped=estimate_of(release.dropped),
        cost=cost_of(release.cost),
        delta=release.delta,
        coverage=Coverage(
            answered=tuple(release.coverage.answered),
            missing=tuple(release.coverage.missing),
            cohort=release.coverage.cohort,
        ),
        level=release.level,
        mechanism=release.mechanism,
        noise_scale=release.noise_scale,
        groups_per_person=release.groups_per_person,
        cases_per_group=release.cases_per_group,
        person_in_at_most=release.person_in_at_most,
        suppress_below=release.suppress_below,
        released_at=datetime.datetime.fromtimestamp(release.released_at, datetime.UTC),
        query_key=release.query_key,
        person_losses={loss.agencies: loss.epsilon for loss in release.person_losses},
        not_covered=tuple(release.not_covered),
        noise_placement=release.noise_placement,
        hub_epsilon=release.hub_epsilon,
        colluding_at_most=release.colluding_at_most,
        charged=cost_of(charged) if charged is not None else Cost(epsilon=0.0, rho=0.0),
        from_archive=from_archive,
        slot_dimension=release.slot_dimension,
        parts=tuple(release.parts),
        unit=release.unit or release.measure,
        denominator=release.denominator,
        bounding=release.bounding or "keep",
        whole_level=release.whole_level,
        whole_withheld=release.whole_withheld,
        dropped_share=release.dropped_share,
        definitions=tuple(
            Definition(agency=each.agency, dimension=each.dimension, text=each.text)
            for each in release.definitions
        ),
        derived_from=release.derived_from,
        standing=release.standing,
    )


def account_of(message: pb.Account) -> Account:
    """Return an account with its one limit."""
    nano = 1e9
    return Account(
        name=message.name,
        period=message.period,
        cap=Cost(epsilon=message.cap_epsilon, rho=message.cap.nano_rho / nano),
        spent=Cost(epsilon=message.spent_epsilon, rho=message.spent.nano_rho / nano),
        left=Cost(epsilon=message.left_epsilon, rho=message.left.nano_rho / nano),
        left_share=_share(message),
    )


def _share(message: pb.Account) -> float:
    cap = message.cap.nano_rho + message.cap.nano_epsilon
    left = message.left.nano_rho + message.left.nano_epsilon
    return left / cap if cap else 0.0
