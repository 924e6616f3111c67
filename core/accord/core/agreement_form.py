# SPDX-License-Identifier: Apache-2.0
"""The forms of an agreement: what its document can say, entry by entry.

Numbers have the bounds stated here; what entries mean together is checked in
`accord.core.agreement_checks`, and what they allow is in `accord.core.decide`.
"""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from typing import Annotated, Literal

import pydantic

from accord.core.calendar import Period
from accord.core.document import ExactNumber, Strict, worded
from accord.core.model import ModelName, Name
from accord.core.privacy import Accounting
from accord.core.query import MOST_GROUPED

LABEL = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
"""RFC 1034 label: how agencies, agreements and analysts are called."""

EVERYONE = "everyone"
"""In ``cohorts``: all parties."""

ALL_VALUES = "all"
"""In ``group_by``: the finest level."""

LEAST_COHORT = 3
"""Members that a cohort needs at least, so that nobody learns a partner's total."""

Label = Annotated[
    str,
    worded(
        LABEL,
        "a label has lower-case letters, digits and hyphens, begins with a letter and "
        "has at most 63 characters.",
    ),
]
Word = Annotated[str, pydantic.Field(min_length=1, max_length=100)]
Count = Annotated[int, pydantic.Field(ge=1, le=1000, strict=True)]
PositiveDecimal = Annotated[ExactNumber, pydantic.Field(gt=0, le=1000)]
Delta = Annotated[ExactNumber, pydantic.Field(gt=0, lt=Fraction(1, 1000))]


def _counted(value: object, words: tuple[str, ...]) -> object:
    """Read ``5 agencies`` as 5; leave anything else to the form."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,6}) ([a-z]+)", value.strip())
        if match and match[2] in words:
            return int(match[1])
        message = f"expected a number of {words[-1]}, such as `5 {words[-1]}`."
        raise ValueError(message)
    return value


Agencies = Annotated[
    Count, pydantic.BeforeValidator(lambda v: _counted(v, ("agency", "agencies")))
]
Days = Annotated[
    int,
    pydantic.Field(ge=0, le=36_500, strict=True),
    pydantic.BeforeValidator(lambda v: _counted(v, ("day", "days"))),
]


class Editions(Strict):
    """When snapshots are frozen."""

    every: Period
    embargo: Days = 0


class Recipients(Strict):
    """Who may ask."""

    roles: Annotated[list[Label], pydantic.Field(min_length=1)]
    organisations: Annotated[list[Label], pydantic.Field(min_length=1)]


class MayAsk(Strict):
    """What may be asked."""

    measures: Annotated[list[str], pydantic.Field(min_length=1)]
    group_by: dict[Name, Name]
    at_most_dimensions: Annotated[int, pydantic.Field(ge=0, le=MOST_GROUPED)]


class HubSees(Strict):
    """What the hub itself may learn of one person, as epsilon."""

    epsilon: PositiveDecimal


class Protect(Strict):
    """How a person and an agency are protected."""

    person_in_at_most: Agencies | None = None
    reason_for_fewer_agencies: Word | None = None
    groups_per_person: Annotated[int, pydantic.Field(ge=1, le=64)]
    cases_per_group: Annotated[int, pydantic.Field(ge=1, le=100)] = 1
    drop_cap: Annotated[int, pydantic.Field(ge=1, le=64)] = 1
    at_least_agencies: Annotated[int, pydantic.Field(ge=LEAST_COHORT)] = LEAST_COHORT
    suppress_below: Annotated[int, pydantic.Field(ge=0, le=1000)] = 10
    noise: Literal["shared", "agents", "hub"] = "shared"
    hub_sees_exact_pooled_sums: Literal["accepted"] | None = None
    hub_sees_at_most: HubSees | None = None


class Cap(Strict):
    """A cap without a period."""

    epsilon: PositiveDecimal


class PeriodicCap(Strict):
    """A cap over a sliding window of days."""

    epsilon: PositiveDecimal
    every: Annotated[Days, pydantic.Field(ge=1)]


class Spend(Strict):
    """What may be spent."""

    accounting: Accounting = Accounting.ZCDP
    delta: Delta | None = None
    each_release_at_most: Cap
    each_analyst: PeriodicCap
    everyone: PeriodicCap
    lifetime: Cap | None = None


class Approval(Strict):
    """Whose signatures a change needs."""

    quorum: Annotated[int, pydantic.Field(ge=1)]
    loosening_needs: list[Word] = []


class Valid(Strict):
    """First and last day, both included, and when the board looks again."""

    first: Annotated[datetime.date, pydantic.Field(alias="from")]
    until: datetime.date
    review_by: datetime.date


class AgreementForm(Strict):
    """An agreement as it is written in a document."""

    agreement: Label
    version: Annotated[int, pydantic.Field(ge=1)]
    purpose: Annotated[list[Word], pydantic.Field(min_length=1)]
    hub_operator: Label
    parties: Annotated[list[Label], pydantic.Field(min_length=LEAST_COHORT)]
    cohorts: dict[Label, Literal["everyone"] | list[Label]] = {"all": "everyone"}
    recipients: Recipients
    data_model: ModelName
    editions: Editions
    may_ask: MayAsk
    protect: Protect
    spend: Spend
    approval: Approval
    valid: Valid
