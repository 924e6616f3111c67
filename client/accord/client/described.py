# SPDX-License-Identifier: Apache-2.0
"""What a hub says of agreements and of stored releases, as values."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from accord.client.decode import cost_of
from accord.client.result import Cost
from accord.client.reviewed import Review, review_of
from accord.v1 import analyst_pb2 as pb


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSummary:
    """One line about an agreement."""

    name: str
    version: int
    purposes: tuple[str, ...]
    parties: tuple[str, ...]
    valid_from: str
    valid_until: str
    accounting: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DimensionDescription:
    """A dimension that may be asked for, with the values of each allowed level."""

    name: str
    title: str
    multi_valued: bool
    levels: dict[str, tuple[str, ...]]
    constant: bool = False
    """The same in every record of one person."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QuantityDescription:
    """A number that cases can hold, with its public bounds."""

    name: str
    title: str
    unit: str
    lower: float
    upper: float
    bins: tuple[str, ...]
    """Bins of its quantiles, in order."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that an agreement lets one ask."""

    summary: AgreementSummary
    measures: tuple[str, ...]
    dimensions: tuple[DimensionDescription, ...]
    editions: tuple[str, ...]
    document: str
    at_most_dimensions: int
    each_release_epsilon: float
    delta: float
    suppress_below: int
    review: Review
    """Which answers people look at before they are published."""
    quantities: tuple[QuantityDescription, ...] = ()
    remits: dict[str, str] = dataclasses.field(default_factory=dict)
    """What every agency is there for, by its signed remit."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self) | {"review": self.review.as_json()}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSummary:
    """One line about a stored release."""

    id: str
    agreement: str
    edition: str
    measure: str
    by: tuple[str, ...]
    where: dict[str, tuple[str, ...]]
    cost: Cost
    released_at: datetime.datetime

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            **dataclasses.asdict(self),
            "cost": self.cost.as_json(),
            "released_at": self.released_at.isoformat(),
        }


def description_of(response: pb.DescribeAgreementResponse) -> Description:
    """Return what the hub says of an agreement."""
    return Description(
        summary=summary_of(response.summary),
        measures=tuple(response.measures),
        dimensions=tuple(_dimension(message) for message in response.dimensions),
        editions=tuple(response.editions),
        document=response.document,
        at_most_dimensions=response.at_most_dimensions,
        each_release_epsilon=response.each_release_epsilon,
        delta=response.delta,
        suppress_below=response.suppress_below,
        review=review_of(response.document),
        quantities=tuple(
            QuantityDescription(
                name=each.name,
                title=each.title,
                unit=each.unit,
                lower=each.lower,
                upper=each.upper,
                bins=tuple(each.bins),
            )
            for each in response.quantities
        ),
        remits=dict(response.remits),
    )


def summary_of(message: pb.AgreementSummary) -> AgreementSummary:
    """Return one line about an agreement."""
    return AgreementSummary(
        name=message.name,
        version=message.version,
        purposes=tuple(message.purposes),
        parties=tuple(message.parties),
        valid_from=message.valid_from,
        valid_until=message.valid_until,
        accounting=message.accounting,
    )


def _dimension(message: pb.DimensionDescription) -> DimensionDescription:
    return DimensionDescription(
        name=message.name,
        title=message.title,
        multi_valued=message.multi_valued,
        constant=message.constant,
        levels={level.name: tuple(level.values) for level in message.levels},
    )


def release_summary_of(message: pb.ReleaseSummary) -> ReleaseSummary:
    """Return one line about a stored release."""
    return ReleaseSummary(
        id=message.id,
        agreement=message.agreement,
        edition=message.edition,
        measure=message.measure,
        by=tuple(group.dimension for group in message.by),
        where={part.dimension: tuple(part.values) for part in message.where},
        cost=cost_of(message.cost),
        released_at=datetime.datetime.fromtimestamp(message.released_at, datetime.UTC),
    )
