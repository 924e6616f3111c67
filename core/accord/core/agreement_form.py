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

LEAST_HONEST = 2
"""Members of a cohort beyond those who may collude: one alone could be subtracted."""

PRESETS = (
    "us_vsp",
    "us_health",
    "uk_partner",
    "eu_statistics",
    "police",
    "public_release",
    "crisis",
)
"""The presets that are shipped; a board's own may have other names."""

PresetName = Annotated[
    str,
    worded(r"[a-z][a-z0-9_]{0,62}", "a preset is called like us_vsp or uk_partner."),
]
Linkage = Literal["none", "sketch", "overlap", "token"]
"""Least first: not at all, noisy sketches, tables of overlap, tokens of persons."""

Label = Annotated[
    str,
    worded(
        LABEL,
        "a label has lower-case letters, digits and hyphens, begins with a letter and "
        "has at most 63 characters.",
    ),
]
Word = Annotated[str, pydantic.Field(min_length=1, max_length=100)]
Line = Annotated[str, pydantic.Field(min_length=1, max_length=500)]
Count = Annotated[int, pydantic.Field(ge=1, le=1000, strict=True)]
PositiveDecimal = Annotated[
    ExactNumber,
    pydantic.Field(gt=0, le=1000),
    pydantic.WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1000}),
]
Delta = Annotated[
    ExactNumber,
    pydantic.Field(gt=0, lt=Fraction(1, 1000)),
    pydantic.WithJsonSchema(
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001}
    ),
]


def _counted(value: object, words: tuple[str, ...]) -> object:
    """Read ``5 agencies`` as 5; leave anything else to the form."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,6}) ([a-z]+)", value.strip())
        if match and match[2] in words:
            return int(match[1])
        message = f"expected a number of {words[-1]}, such as `5 {words[-1]}`."
        raise ValueError(message)
    return value


def _for_editors(
    words: str, example: str, least: int, most: int
) -> pydantic.WithJsonSchema:
    """Describe a number that may be written with its unit."""
    return pydantic.WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": least, "maximum": most},
                {"type": "string", "pattern": f"^[0-9]{{1,6}} ({words})$"},
            ],
            "examples": [example],
        }
    )


Agencies = Annotated[
    Count,
    pydantic.BeforeValidator(lambda v: _counted(v, ("agency", "agencies"))),
    _for_editors("agency|agencies", "5 agencies", 1, 1000),
]
Days = Annotated[
    int,
    pydantic.Field(ge=0, le=36_500, strict=True),
    pydantic.BeforeValidator(lambda v: _counted(v, ("day", "days"))),
    _for_editors("day|days", "30 days", 0, 36_500),
]
Hours = Annotated[
    int,
    pydantic.Field(ge=1, le=24, strict=True),
    pydantic.BeforeValidator(lambda v: _counted(v, ("hour", "hours"))),
    _for_editors("hour|hours", "2 hours", 1, 24),
]
ClockTime = Annotated[
    str,
    worded(
        r"([01][0-9]|2[0-3]):[0-5][0-9]",
        'a time of day is written "06:00", in UTC, from 00:00 to 23:59.',
    ),
]
Weekday = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]
NoisePlacement = Literal["shared", "agents", "hub"]
"""Who adds the noise: agencies and hub, the agencies alone, the hub alone."""


def _percent(value: object) -> object:
    """Read ``80 %`` as 4/5; leave anything else to be refused in words."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?) ?%", value.strip())
        if match and 0 < Fraction(match[1]) <= _WHOLE:
            return Fraction(match[1]) / _WHOLE
    if isinstance(value, Fraction):
        return value
    message = "expected a percentage, such as `80 %`."
    raise ValueError(message)


_WHOLE = 100

Percent = Annotated[
    Fraction,
    pydantic.BeforeValidator(_percent),
    pydantic.WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})? ?%$",
            "examples": ["80 %"],
        }
    ),
]


class Editions(Strict):
    """When snapshots are frozen."""

    every: Period
    embargo: Days = 0


class Recipients(Strict):
    """Who may ask, and what they may do with what they get."""

    roles: Annotated[list[Label], pydantic.Field(min_length=1)]
    organisations: Annotated[list[Label], pydantic.Field(min_length=1)]
    onward_sharing: Literal["none", "aggregates"] = "none"


class MayAsk(Strict):
    """What may be asked."""

    measures: Annotated[list[str], pydantic.Field(min_length=1)]
    group_by: dict[Name, Name]
    """Finest level by dimension."""
    at_most_dimensions: Annotated[int, pydantic.Field(ge=0, le=MOST_GROUPED)]
    never_together: list[Annotated[list[Name], pydantic.Field(min_length=2)]] = []
    """Dimensions that one question must not touch at once."""
    hidden_values: dict[Name, Annotated[list[str], pydantic.Field(min_length=1)]] = {}
    """Values that no question may name, and no answer shows at their own level."""
    sensitive: list[Name] = []
    """Dimensions whose figures a person looks at before they are published."""


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
    covered_by_at_least: Agencies | None = None
    """Members whose signed remits must cover every figure; unsaid, the number above."""
    no_agency_above: Percent | None = None
    """Most that one member may have of a figure, by the remits' persons a year."""
    suppress_below: Annotated[int, pydantic.Field(ge=0, le=1000)] = 10
    colluding_at_most: Agencies = 1
    """Agencies that may tell each other, or leave out their own noise, before a person
    is less protected towards the hub."""
    noise: NoisePlacement | None = None
    """Unsaid, `shared` with zcdp accounting and `agents` with pure."""
    hub_sees_exact_pooled_sums: Literal["accepted"] | None = None
    hub_sees_at_most: HubSees | None = None
    """Of one release; unsaid, four times the rho that it costs."""


class Rounds(Strict):
    """When agencies' machines are awake, where they are not always."""

    every: Literal["day", "week"]
    on: Weekday | None = None
    """Day of the week; only with `every: week`."""
    at: ClockTime
    """UTC."""
    open: Hours
    deadline: Annotated[Days, pydantic.Field(ge=1, le=90)]
    """Then a listed fallback cohort answers, or nobody."""


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


class Emergency(Strict):
    """A clause for a crisis: off until its approvers sign that there is one."""

    purpose: Word
    """Only asks for it are paid from the clause's own budget."""
    spend: Cap
    """For as long as the clause is on."""
    at_most: Annotated[Days, pydantic.Field(ge=1, le=90)]
    """Days that one declaration may last."""
    approvers: Annotated[list[Label], pydantic.Field(min_length=2)]
    """Members of the board; any two of them declare it."""


class Review(Strict):
    """Whether somebody looks at noisy figures before they are published."""

    releases: Literal["automatic", "human"] = "automatic"
    reviewers: list[Label] = []


class Retention(Strict):
    """How long the hub keeps content; what was spent, and all hashes, for ever."""

    releases: Annotated[Days, pydantic.Field(ge=1)] | None = None
    """What was published. A repeat after that is a new question, and paid anew."""
    questions: Annotated[Days, pydantic.Field(ge=1)] | None = None
    """Who asked what, and what the log says of it."""


BulletinName = Annotated[
    str,
    worded(
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "a bulletin's name has lower-case letters, digits and hyphens, begins with a "
        "letter and has at most 40 characters.",
    ),
]


class Bulletin(Strict):
    """A question that the hub asks by itself, with every edition of its calendar."""

    measure: Word
    by: dict[Name, Name] = {}
    """Level by dimension; `all` for the finest."""
    where: dict[Name, Annotated[list[str], pydantic.Field(min_length=1)]] = {}
    """Wanted values by dimension."""
    every: Period | None = None
    """Unsaid, with every edition."""
    epsilon: PositiveDecimal
    purpose: Word | None = None
    """Unsaid, the agreement's first."""


class Approval(Strict):
    """Whose signatures a change needs."""

    quorum: Annotated[int, pydantic.Field(ge=1)]
    signatories: Literal["board", "parties"] = "board"
    """Who signs: the network's board, or the agreement's own parties."""
    loosening_needs: list[Word] = []
    """Seats without which nothing becomes looser."""


Regime = Literal["vawa", "hipaa", "gdpr", "uk-dpa", "police", "none"]


class Law(Strict):
    """What one party says of the law that it is under; for the dossier."""

    regime: Regime
    basis: Line
    assessment: Line | None = None
    """Reference of its impact assessment."""


class Contacts(Strict):
    """Whom to call; for the dossier."""

    breach: Line
    complaints: Line
    audit: Line | None = None


class Valid(Strict):
    """First and last day, both included, and when the board looks again."""

    first: Annotated[datetime.date, pydantic.Field(alias="from")]
    until: datetime.date
    review_by: datetime.date


class AgreementForm(Strict):
    """An agreement as it is written in a document."""

    agreement: Label
    extends: PresetName | None = None
    """A preset that the agreement starts from and can only tighten."""
    version: Annotated[int, pydantic.Field(ge=1)]
    purpose: Annotated[list[Word], pydantic.Field(min_length=1)]
    hub_operator: Label
    parties: Annotated[list[Label], pydantic.Field(min_length=LEAST_COHORT)]
    cohorts: dict[Label, Literal["everyone"] | list[Label]] = {"all": "everyone"}
    recipients: Recipients
    data_model: ModelName
    editions: Editions
    rounds: Rounds | None = None
    """When agencies can be reached; unsaid, always."""
    may_ask: MayAsk
    protect: Protect
    linkage: dict[Label, Linkage] = {}
    """How far each party takes part in linking persons; unsaid, not at all."""
    spend: Spend
    review: Review = Review()
    retention: Retention = Retention()
    """Unsaid, for ever."""
    bulletins: dict[BulletinName, Bulletin] = {}
    """Questions that the hub asks by itself."""
    emergency: Emergency | None = None
    approval: Approval
    valid: Valid
    law: dict[Label, Law] = {}
    contacts: Contacts | None = None

    @property
    def holds_answers(self) -> bool:
        """Whether people look at answers, or at some, before they are published."""
        return self.review.releases == "human" or bool(self.may_ask.sensitive)

    @property
    def noise(self) -> NoisePlacement:
        """Who adds the noise, said or by the way to account."""
        if self.protect.noise is not None:
            return self.protect.noise
        return "shared" if self.spend.accounting is Accounting.ZCDP else "agents"
