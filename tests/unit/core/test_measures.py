# SPDX-License-Identifier: Apache-2.0
"""Names, slots, bins and declared bounds of sums, means, quantiles, shares, values."""

from __future__ import annotations

import dataclasses
import datetime
from fractions import Fraction

import pytest

from accord.core.coverage import thin_values
from accord.core.decide import Analyst, Ask, decide, needs_review
from accord.core.document import DocumentError
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.explain import explain_query
from accord.core.layout import lay_out
from accord.core.measure import (
    FINE_SCALE,
    LEAST_CELL_SCALE,
    Bounding,
    Bounds,
    component_vector,
    scales,
)
from accord.core.model import load_model
from accord.core.policy import Policy
from accord.core.privacy import Accounting
from accord.core.query import PERSONS, Query, canonical_query, parse_measure
from accord.core.terms import terms
from tests.unit.core.small_policies import AGREEMENT, MEMBERS, MODEL, changed, policy

TEXT = """
data_model: small-1
dimensions:
  place: {title: Place, levels: [place], values: [north, south]}
  gender: {title: Gender, levels: [gender], values: [woman, man]}
  means:
    title: Means
    levels: [fine, broad]
    values: {force: [threat, violence], debt: [bondage, fees], other: [none]}
    multi: 3
quantities:
  days: {title: Days, unit: days, bounds: [0, 730], bins: [30, 90]}
  children: {title: Children, unit: children, bounds: [0, 15]}
  change: {title: Change, unit: points, bounds: [-2.5, 1], scale: 2}
"""
SMALL = load_model(TEXT, "small.yaml")
BOUNDS = Bounds(groups_per_person=3, cases_per_group=2, drop_cap=4)


def ask(
    measure: str,
    groups: tuple[str, ...] = (),
    where: dict[str, list[str]] | None = None,
) -> Query:
    return canonical_query(
        agreement="trends",
        edition="2026-09",
        measure=measure,
        group_by=[(name, None) for name in groups],
        where=where or {},
        model=SMALL,
    )


@pytest.mark.parametrize(
    ("name", "canonical", "family"),
    [
        ("persons", "persons", "persons"),
        ("mean(days)", "mean(days)", "mean(days)"),
        ("share(means)", "share(means)", "share(means)"),
        ("share(means:fine)", "share(means)", "share(means)"),
        ("values(means:broad)", "values(means:broad)", "values(means)"),
    ],
)
def test_measures_have_one_name(name: str, canonical: str, family: str) -> None:
    """The finest level goes without saying; agreements list no level."""
    found = parse_measure(name, SMALL)
    assert (found.name, found.family) == (canonical, family)
    assert parse_measure(canonical, SMALL) == found
    assert ask(name).key() == ask(canonical).key()


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("people", "UNKNOWN_MEASURE", "persons, cases, sum(…)"),
        ("meen(days)", "UNKNOWN_MEASURE", "mean"),
        ("mean", "UNKNOWN_MEASURE", "mean(…)"),
        ("persons(place)", "UNKNOWN_MEASURE", "persons"),
        ("mean(days:fine)", "UNKNOWN_MEASURE", "mean(…)"),
        ("mean(day)", "UNKNOWN_QUANTITY", "days"),
        ("mean(place)", "UNKNOWN_QUANTITY", "children"),
        ("share(mean)", "UNKNOWN_DIMENSION", "means"),
        ("share(means:brood)", "UNKNOWN_LEVEL", "broad"),
    ],
)
def test_a_measure_that_cannot_be_is_refused(name: str, reason: str, said: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        ask(name)
    assert caught.value.reason == reason
    assert said in caught.value.sentence


def test_a_dimension_is_not_shown_twice() -> None:
    with pytest.raises(InvalidQuery) as caught:
        ask("share(means)", ("means",))
    assert caught.value.reason == "DUPLICATE_DIMENSION"


@pytest.mark.parametrize(
    ("measure", "slots"),
    [
        ("persons", ("count",)),
        ("sum(days)", ("sum", "unknown")),
        ("mean(days)", ("sum", "count", "unknown")),
        ("quantile(days)", ("0-30", "30-90", "90+", "unknown")),
        ("share(gender)", ("informed", "woman", "man", "unknown")),
        (
            "share(means:broad)",
            ("informed", "force", "debt", "other", "unknown"),
        ),
        ("values(means)", ("0", "1", "2", "3", "unknown")),
        ("values(gender)", ("0", "1", "unknown")),
    ],
)
def test_every_cell_has_the_slots_of_its_measure(
    measure: str, slots: tuple[str, ...]
) -> None:
    layout = lay_out(ask(measure, ("place",)), SMALL)
    assert layout.slots == slots
    assert layout.n_cells == 3
    assert layout.size == 3 * len(slots) + 2
    vector = component_vector(ask(measure, ("place",)), SMALL, BOUNDS, Accounting.ZCDP)
    assert len(vector.slots) == len(slots)
    assert len(scales(vector, layout)) == layout.size


def test_a_filter_narrows_what_a_share_shows() -> None:
    """As it narrows an axis: of several values, all of them stay."""
    one = lay_out(ask("share(gender)", where={"gender": ["woman"]}), SMALL)
    assert one.slots == ("informed", "woman", "unknown")
    several = lay_out(ask("share(means:broad)", where={"means": ["force"]}), SMALL)
    assert several.slots == ("informed", "force", "debt", "other", "unknown")


def test_digests_and_keys_tell_measures_apart() -> None:
    names = ["sum(days)", "mean(days)", "mean(children)", "share(means)"]
    names += ["share(means:broad)", "values(means)", "persons", "cases"]
    asked = [ask(name) for name in names]
    assert len({query.key() for query in asked}) == len(names)
    assert len({lay_out(query, SMALL).digest() for query in asked}) == len(names)


def test_bins_come_from_the_model_or_are_ten_of_one_width() -> None:
    assert list(SMALL.quantity("days").bins) == [30, 90]
    children = SMALL.quantity("children")
    assert list(children.bins) == [2, 3, 4, 6, 8, 9, 10, 12, 14]
    assert children.bin_labels[0] == "0-2"
    assert children.bin_labels[-1] == "14+"
    assert list(SMALL.quantity("change").bins) == [
        -2,
        Fraction(-3, 2),
        -1,
        Fraction(-1, 2),
        0,
        Fraction(1, 2),
    ]


@pytest.mark.parametrize("bins", ["[90, 30]", "[0, 30]", "[30, 730]", "[30, 30]", "[]"])
def test_bins_that_are_none_are_refused(bins: str) -> None:
    with pytest.raises(DocumentError):
        load_model(TEXT.replace("[30, 90]", bins), "small.yaml")


@pytest.mark.parametrize(("accounting", "scale"), [("zcdp", 8), ("pure", 20)])
def test_counts_are_stored_at_a_scale_and_the_extra_entries_once(
    accounting: str, scale: int
) -> None:
    """Larger than 4, as up to four groups that were left out of one person count."""
    query = ask("cases", ("place",))
    vector = component_vector(query, SMALL, BOUNDS, Accounting(accounting))
    assert vector.slots[0].largest == 2 * scale
    assert vector.d1(2) == 2 * (3 * 2 * scale + 1 + 4)
    assert vector.d2_squared(2) == 4 * (3 * 4 * scale**2 + 1 + 16)


def test_the_declared_norms_of_each_measure() -> None:
    """C1 and C2² as the module's table has them, in units of U."""

    def norms(measure: str) -> tuple[int, int, int]:
        vector = component_vector(
            ask(measure, ("place",)), SMALL, BOUNDS, Accounting.ZCDP
        )
        return vector.slots[-1].largest, vector.cell_d1, vector.cell_d2_squared

    assert norms("sum(days)") == (2 * 730, 2 * 730, (2 * 730) ** 2)
    assert norms("sum(children)") == (2 * 75, 2 * 75, (2 * 75) ** 2)
    assert norms("mean(days)") == (2 * 1032, 4 * 730, 2 * (2 * 730) ** 2)
    assert norms("quantile(days)") == (2 * 64, 2 * 64, (2 * 64) ** 2)
    assert norms("share(means)") == (128, 4 * 64, 4 * 64**2)
    assert norms("values(means)") == (64, 64, 64**2)


def test_terms_say_what_one_count_is_stored_as() -> None:
    found = policy()

    def scale(measure: str, bounding: Bounding = Bounding.KEEP) -> int | None:
        query = dataclasses.replace(ask(measure, ("place",)), agreement="trends")
        return terms(found.agreement, SMALL, query, bounding).figure_scale

    assert scale("persons") == LEAST_CELL_SCALE
    assert scale("persons", Bounding.WEIGH) == FINE_SCALE
    assert scale("share(means)") == FINE_SCALE
    assert scale("mean(days)") is None
    assert scale("sum(days)") is None


def test_groups_are_weighed_only_where_the_promise_holds() -> None:
    found = policy()
    agreement, model = found.agreement, found.model
    query = Query(
        agreement="trends", edition="2026-Q1", measure=PERSONS, group_by=(), where=()
    )
    weighed = terms(agreement, model, query, Bounding.WEIGH)
    assert weighed.bounding is Bounding.WEIGH
    assert weighed.layout == terms(agreement, model, query).layout
    cases = dataclasses.replace(query, measure=parse_measure("cases", model))
    with pytest.raises(InvalidQuery) as caught:
        terms(agreement, model, cases, Bounding.WEIGH)
    assert caught.value.reason == "BOUNDING_INVALID"
    spend = {k: v for k, v in AGREEMENT["spend"].items() if k != "delta"}
    pure = policy(changed(AGREEMENT, spend={**spend, "accounting": "pure"}))
    with pytest.raises(InvalidQuery):
        terms(pure.agreement, pure.model, query, Bounding.WEIGH)


def asked(found: Policy, measure: str, *groups: str) -> Ask:
    query = canonical_query(
        agreement="trends",
        edition="2026-Q1",
        measure=measure,
        group_by=[(name, None) for name in groups],
        where={},
        model=found.model,
    )
    analyst = Analyst(id="a", organisation="university", roles=frozenset({"analyst"}))
    return Ask(
        query=query,
        analyst=analyst,
        purpose="planning",
        day=datetime.date(2026, 3, 1),
    )


def codes(found: Policy, measure: str, *groups: str) -> list[str]:
    return [r.code for r in decide(found, asked(found, measure, *groups)).reasons]


QUANTITIES = {"days": {"title": "Days", "unit": "days", "bounds": [0, 90]}}
SHARES = changed(
    AGREEMENT,
    may_ask__measures=["persons", "mean(days)", "share(age)", "share(place)"],
)
WITH_DAYS = changed(MODEL, quantities=QUANTITIES)


def test_a_share_is_limited_as_its_dimension_is() -> None:
    """Level, number, combination, hidden values, review: as if it were grouped by."""
    found = policy(SHARES, model=WITH_DAYS)
    assert codes(found, "share(age:broad)") == []
    assert codes(found, "share(age)") == ["deny.level"]
    assert codes(found, "values(age:broad)") == ["deny.measure"]
    assert codes(found, "mean(days)", "place") == []
    apart = policy(
        changed(SHARES, may_ask__never_together=[["age", "place"]]), model=WITH_DAYS
    )
    assert codes(apart, "share(age:broad)", "place") == ["deny.together"]
    few = policy(changed(SHARES, may_ask__at_most_dimensions=1), model=WITH_DAYS)
    assert codes(few, "share(age:broad)", "place") == ["deny.dimensions"]
    hidden = policy(
        changed(SHARES, may_ask__hidden_values={"place": ["north"]}), model=WITH_DAYS
    )
    assert codes(hidden, "share(place)") == ["deny.hidden-value"]
    sensitive = policy(
        changed(SHARES, may_ask__sensitive=["place"], review={"reviewers": ["ann"]}),
        model=WITH_DAYS,
    )
    query = asked(sensitive, "share(place)").query
    assert needs_review(sensitive.agreement, query)
    assert not needs_review(sensitive.agreement, asked(sensitive, "mean(days)").query)


def test_enough_agencies_must_cover_what_a_share_shows() -> None:
    members = changed(MEMBERS)
    for party in ("police", "work", "health"):
        members["members"][party]["remit"]["covers"] = {"place": ["south"]}
    found = policy(SHARES, members=members, model=WITH_DAYS)
    query = asked(found, "share(place)").query
    assert [(t.dimension, t.values) for t in thin_values(found, query)] == [
        ("place", ("north",))
    ]
    assert codes(found, "share(place)") == ["deny.coverage"]
    assert codes(found, "mean(days)") == []


@pytest.mark.parametrize("measure", ["mean(days)", "share(age:broad)"])
def test_an_explained_price_is_that_of_counts(measure: str) -> None:
    """Within ±15 cases or persons, whatever the integers that they are stored as."""
    spend = AGREEMENT["spend"] | {
        "each_release_at_most": {"epsilon": 10},
        "each_analyst": {"epsilon": 10, "every": 90},
    }
    found = policy(changed(SHARES, spend=spend), model=WITH_DAYS)
    plain = explain_query(found, asked(found, "persons")).cost
    finer = explain_query(found, asked(found, measure)).cost
    assert plain
    assert finer
    assert 14 < plain.half_width <= 15
    assert 14 < finer.half_width <= 15
    assert finer.loss.nano_rho > plain.loss.nano_rho


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("mean(dayz)", "no quantity"),
        ("share(plaice)", "no such dimension"),
        ("share(kind)", "group_by"),
        ("share(age:broad)", "share(age)"),
        ("median(days)", "no measure"),
    ],
)
def test_an_agreement_names_measures_that_its_model_has(
    measure: str, said: str
) -> None:
    wrong = changed(AGREEMENT, may_ask__measures=["persons", measure])
    with pytest.raises(ConfigurationError) as caught:
        policy(wrong, model=WITH_DAYS)
    assert said in str(caught.value)
