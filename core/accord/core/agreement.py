# SPDX-License-Identifier: Apache-2.0
"""A sharing agreement as a board writes it, and the members that it names.

The forms here are the language; `accord.core.decide` says what they allow. A document
that parses is complete: every number that a decision needs is in it or has the default
stated here, and every cross-check between its entries has passed.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Literal

import pydantic

from accord.core.calendar import Period
from accord.core.canonical import bytes_digest, digest
from accord.core.document import (
    DocumentError,
    ExactNumber,
    Strict,
    parse_document,
    problem_at,
    worded,
)
from accord.core.errors import suggestion
from accord.core.measure import Bounds
from accord.core.model import DataModel, ModelName, Name
from accord.core.privacy import Accounting
from accord.core.query import MOST_GROUPED, Measure

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement that passed every check, with its exact bytes' digest."""

    form: AgreementForm
    digest: str
    """SHA-256 of the document's bytes, in hex."""
    text: str
    """The document itself, as boards read it."""

    @property
    def name(self) -> str:
        """Name by which queries call it."""
        return self.form.agreement

    @property
    def parties(self) -> tuple[str, ...]:
        """All parties, in the document's order."""
        return tuple(self.form.parties)

    @property
    def cohorts(self) -> Mapping[str, tuple[str, ...]]:
        """Permitted cohorts by name, members sorted; the largest come first."""
        named = {
            name: tuple(sorted(self.parties if members == EVERYONE else members))
            for name, members in self.form.cohorts.items()
        }
        return dict(sorted(named.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def person_in_at_most(self) -> int:
        """A: agencies that may know one person; all parties unless said otherwise."""
        return self.form.protect.person_in_at_most or len(self.parties)

    @property
    def bounds(self) -> Bounds:
        """Bounds on one person's contribution in one agency."""
        protect = self.form.protect
        return Bounds(
            groups_per_person=protect.groups_per_person,
            cases_per_group=protect.cases_per_group,
            drop_cap=protect.drop_cap,
        )

    @property
    def accounting(self) -> Accounting:
        """The one way to account."""
        return self.form.spend.accounting

    def archive_digest(self, model: DataModel) -> str:
        """Return the digest that, with the query key, identifies stored releases.

        It covers what changes an answer to one query: data model, parties, cohorts
        and the protect-clauses; not caps, recipients or dates.
        """
        protect = self.form.protect.model_dump(mode="json")
        return digest(
            {
                "model": model.digest,
                "protect": protect,
                "person_in_at_most": self.person_in_at_most,
                "cohorts": {name: list(who) for name, who in self.cohorts.items()},
                "accounting": self.accounting.value,
                "editions": self.form.editions.model_dump(mode="json"),
            }
        )


def load_agreement(
    text: str, source: str, models: Mapping[str, DataModel]
) -> Agreement:
    """Read an agreement and check it against the data model that it names.

    Raises:
        DocumentError: with every problem found.
    """
    form = parse_document(text, AgreementForm, source=source)
    problems = [
        problem_at(text, path, sentence)
        for path, sentence in _contradictions(form, models)
    ]
    if problems:
        raise DocumentError(source, problems)
    return Agreement(form=form, digest=bytes_digest(text.encode()), text=text)


Finding = tuple[Sequence[str | int], str]


def _contradictions(
    form: AgreementForm, models: Mapping[str, DataModel]
) -> Iterator[Finding]:
    yield from _about_parties(form)
    yield from _about_protection(form)
    yield from _about_spending(form)
    yield from _about_dates(form)
    model = models.get(form.data_model)
    if model is None:
        known = ", ".join(sorted(models)) or "none"
        yield (
            ("data_model",),
            "there is no such data model here."
            + (suggestion(form.data_model, models) or f" Known: {known}."),
        )
    else:
        yield from _about_questions(form, model)


def _about_parties(form: AgreementForm) -> Iterator[Finding]:
    if len(set(form.parties)) != len(form.parties):
        yield ("parties",), "a party stands here twice."
    if form.hub_operator in form.parties and form.protect.noise == "hub":
        yield (
            ("protect", "noise"),
            (
                "`hub` is not possible where the hub's operator is a party: it would "
                "learn the other parties' exact sums."
            ),
        )
    names = set(form.parties)
    seen: dict[frozenset[str], str] = {}
    for cohort, members in form.cohorts.items():
        path = ("cohorts", cohort)
        chosen = names if members == EVERYONE else set(members)
        for member in sorted(chosen - names):
            yield path, f"{member!r} is not a party.{suggestion(member, names)}"
        if members != EVERYONE and len(chosen) != len(members):
            yield path, "a member stands here twice."
        if len(chosen) < form.protect.at_least_agencies:
            least = form.protect.at_least_agencies
            yield path, f"it has {len(chosen)} members; `at_least_agencies` is {least}."
        if len(names - chosen) == 1:
            yield (
                path,
                (
                    "exactly one party sits out, so the difference to everyone's "
                    "answer would be that party's own; at least two must sit out, "
                    "or none."
                ),
            )
        other = seen.setdefault(frozenset(chosen), cohort)
        if other != cohort:
            yield path, f"it has the same members as the cohort {other!r}."


def _about_protection(form: AgreementForm) -> Iterator[Finding]:
    protect = form.protect
    agencies = protect.person_in_at_most
    if agencies is not None and agencies > len(form.parties):
        yield (
            ("protect", "person_in_at_most"),
            f"there are only {len(form.parties)} parties.",
        )
    fewer = agencies is not None and agencies < len(form.parties)
    if fewer and protect.reason_for_fewer_agencies is None:
        yield (
            ("protect", "person_in_at_most"),
            (
                "fewer than all parties needs a `reason_for_fewer_agencies`: people "
                "known to more agencies are protected less."
            ),
        )
    if protect.noise == "hub" and protect.hub_sees_exact_pooled_sums is None:
        yield (
            ("protect", "noise"),
            (
                "`hub` lets the hub see exact pooled sums; say "
                "`hub_sees_exact_pooled_sums: accepted` if that is meant."
            ),
        )
    if protect.noise != "hub" and protect.hub_sees_exact_pooled_sums is not None:
        yield (
            ("protect", "hub_sees_exact_pooled_sums"),
            "this goes only with `noise: hub`.",
        )


def _about_spending(form: AgreementForm) -> Iterator[Finding]:
    spend = form.spend
    if spend.accounting is Accounting.ZCDP and spend.delta is None:
        yield ("spend",), "`accounting: zcdp` needs a `delta`, such as 1e-9."
    if spend.accounting is Accounting.PURE and spend.delta is not None:
        yield ("spend", "delta"), "`accounting: pure` has no delta; leave it out."
    single = spend.each_release_at_most.epsilon
    larger: list[tuple[str, Fraction]] = [
        ("each_analyst", spend.each_analyst.epsilon),
        ("everyone", spend.everyone.epsilon),
    ]
    if spend.lifetime is not None:
        larger.append(("lifetime", spend.lifetime.epsilon))
    for entry, cap in larger:
        if cap < single:
            yield (
                ("spend", entry),
                (
                    "this cap cannot buy one release of the size that "
                    "`each_release_at_most` allows."
                ),
            )


def _about_dates(form: AgreementForm) -> Iterator[Finding]:
    valid = form.valid
    if valid.until < valid.first:
        yield ("valid", "until"), "the last day is before the first."
    if not valid.first <= valid.review_by <= valid.until:
        yield ("valid", "review_by"), "the review must fall within the validity."


def _about_questions(form: AgreementForm, model: DataModel) -> Iterator[Finding]:
    ask = form.may_ask
    for index, measure in enumerate(ask.measures):
        sentence = _wrong_measure(measure, model)
        if sentence:
            yield ("may_ask", "measures", index), sentence
    for name, level in ask.group_by.items():
        dimension = model.dimensions.get(name)
        path = ("may_ask", "group_by", name)
        if dimension is None:
            yield (
                path,
                f"the data model {model.name!r} has no such dimension."
                + suggestion(name, model.dimensions),
            )
        elif level != ALL_VALUES and level not in dimension.levels:
            known = ", ".join([*dimension.levels, ALL_VALUES])
            yield (
                path,
                f"it has no level {level!r}; it has: {known}."
                + suggestion(level, dimension.levels),
            )


_OF_QUANTITY = re.compile(r"(mean|sum)\(([a-z0-9_]+)\)")


def _wrong_measure(measure: str, model: DataModel) -> str | None:
    if measure in set(Measure):
        return None
    match = _OF_QUANTITY.fullmatch(measure)
    if match is None:
        known = [*Measure, "mean(…)", "sum(…)"]
        return f"there is no measure {measure!r}; there are: {', '.join(known)}."
    if match[2] not in model.quantities:
        return (
            f"the data model {model.name!r} has no quantity {match[2]!r}."
            + suggestion(match[2], model.quantities)
        )
    return None


class RemitForm(Strict):
    """What an agency is there for, in public."""

    description: Word


class LifetimeForm(Strict):
    """What an agency's records may ever lose, over all agreements."""

    zcdp: LifetimeZcdpForm
    pure: Cap


class LifetimeZcdpForm(Strict):
    """Lifetime cap of the zCDP account, as (epsilon, delta)."""

    epsilon: PositiveDecimal
    delta: Delta


class MemberForm(Strict):
    """One agency."""

    name: Word
    remit: RemitForm
    lifetime: LifetimeForm


class MembersForm(Strict):
    """The agencies of the network, as ``members.yaml``."""

    network: Label
    members: Annotated[dict[Label, MemberForm], pydantic.Field(min_length=1)]


def load_members(text: str, source: str) -> MembersForm:
    """Read ``members.yaml``.

    Raises:
        DocumentError: with every problem found.
    """
    return parse_document(text, MembersForm, source=source)
