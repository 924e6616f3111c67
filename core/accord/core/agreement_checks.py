# SPDX-License-Identifier: Apache-2.0
"""What the entries of an agreement must not say together.

Each check yields the path of the entry to change and one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from accord.core.agreement_form import ALL_VALUES, EVERYONE, AgreementForm
from accord.core.cohorts import singled_out
from accord.core.errors import suggestion
from accord.core.model import DataModel
from accord.core.privacy import Accounting
from accord.core.query import Measure

Finding = tuple[Sequence[str | int], str]
"""Path of an entry, and what is wrong with it."""


def contradictions(
    form: AgreementForm, models: Mapping[str, DataModel]
) -> Iterator[Finding]:
    """Yield every contradiction in *form*, against the data models that exist."""
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
    yield from _about_differences(form)


def _about_differences(form: AgreementForm) -> Iterator[Finding]:
    """Yield what the answers of several cohorts would give away together."""
    known: dict[frozenset[str], str] = {}
    for cohort, members in form.cohorts.items():
        chosen = frozenset(form.parties if members == EVERYONE else members)
        other = known.setdefault(chosen, cohort)
        if other != cohort:
            yield ("cohorts", cohort), f"it has the same members as {other!r}."
    for party in singled_out(known):
        sentence = (
            "the answers of these cohorts, added and subtracted, would give the own "
            f"figures of {party!r}; leave one of the cohorts out, or let at least two "
            "parties sit out together."
        )
        yield ("cohorts",), sentence


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
