# SPDX-License-Identifier: Apache-2.0
"""Default deny, every reason named, and nothing permits more by forbidding more."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accord.core
from accord.core.board import DeclarationForm
from accord.core.decide import Analyst, Ask, decide, decide_cost
from accord.core.errors import PolicyDenied
from accord.core.members import load_members
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.query import canonical_query
from tests.unit.core.small_policies import AGREEMENT, MEMBERS, changed, policy
from tests.unit.core.test_agreement import TEXT, small_agreement
from tests.unit.core.test_model import small_model

ANALYST = Analyst(
    id="ann", organisation="university", roles=frozenset({"analyst", "reader"})
)
DAY = datetime.date(2026, 6, 1)


MEMBER = """
  {label}:
    name: {label}
    remit: {{description: What it does}}
    lifetime: {{zcdp: {{epsilon: 30, delta: 1e-9}}, pure: {{epsilon: 5}}}}"""


@functools.cache
def small_policy(text: str = TEXT) -> Policy:
    """Return an agreement under the small model, its parties without remits."""
    agreement = small_agreement(text)
    lines = [MEMBER.format(label=party) for party in agreement.parties]
    members = load_members("network: demo\nmembers:" + "".join(lines), "members.yaml")
    return Policy(agreement=agreement, model=small_model(), members=members)


def asked(
    group_by: list[tuple[str, str | None]] | None = None,
    where: dict[str, list[str]] | None = None,
    measure: str = "persons",
) -> Ask:
    """Return a question that differs from a permitted one as told."""
    query = canonical_query(
        agreement="trends",
        edition="2026-04",
        measure=measure,
        group_by=group_by or [],
        where=where or {},
        model=small_model(),
    )
    return Ask(query=query, analyst=ANALYST, purpose="service planning", day=DAY)


def clauses(ask: Ask) -> list[str]:
    """Return the clauses that deny *ask*."""
    return [r.clause for r in decide(small_policy(), ask).reasons]


@pytest.mark.parametrize(
    ("ask", "denied"),
    [
        (asked(), []),
        (asked([("registered_month", "quarter"), ("gender", None)]), []),
        (asked([("age_band", "broad")], {"age_band": ["0-17"]}), []),
        (asked([("registered_month", "month")]), ["may_ask.group_by.registered_month"]),
        (asked(where={"age_band": ["18-20"]}), ["may_ask.group_by.age_band"]),
        (asked([("exploitation", None)]), ["may_ask.group_by"]),
        (asked(measure="cases"), ["may_ask.measures"]),
        (
            asked(
                [("gender", None), ("age_band", "broad")],
                {"registered_month": ["2019"]},
            ),
            ["may_ask.at_most_dimensions"],
        ),
        (dataclasses.replace(asked(), purpose="curiosity"), ["purpose"]),
        (dataclasses.replace(asked(), day=datetime.date(2028, 1, 1)), ["valid.until"]),
        (dataclasses.replace(asked(), day=datetime.date(2027, 12, 31)), []),
        (dataclasses.replace(asked(), day=datetime.date(2025, 12, 31)), ["valid.from"]),
    ],
)
def test_a_denial_names_exactly_the_clauses_that_bind(
    ask: Ask, denied: list[str]
) -> None:
    """No more and no fewer."""
    assert clauses(ask) == denied


def test_a_stranger_is_denied_for_role_and_organisation() -> None:
    """Both are said at once."""
    stranger = Analyst(id="x", organisation="press", roles=frozenset({"editor"}))
    ask = dataclasses.replace(asked(), analyst=stranger)
    assert clauses(ask) == ["recipients.roles", "recipients.organisations"]


def test_a_denial_is_raised_with_sentences_and_codes() -> None:
    """The client rebuilds the error from these."""
    ask = dataclasses.replace(asked(measure="cases"), purpose="curiosity")
    with pytest.raises(PolicyDenied) as caught:
        decide(small_policy(), ask).require()
    assert caught.value.metadata["codes"] == "deny.purpose,deny.measure"
    assert "prevention planning" in caught.value.sentence


def test_the_cost_of_one_release_is_capped_inclusively() -> None:
    """Exactly the cap is allowed."""
    agreement = small_agreement()
    assert decide_cost(agreement, Fraction(3)) == ()
    (reason,) = decide_cost(agreement, Fraction(301, 100))
    assert "at most ε = 3" in reason.text()


def test_every_reason_code_has_a_sentence() -> None:
    """With each of its ways out, and no sentence under ``deny.`` is left over."""
    (folder,) = accord.core.__path__
    source = Path(folder, "decide.py").read_text()
    codes = set(re.findall(r'"(deny\.[a-z-]+)"', source))
    catalogue = Path(folder, "locale", "en", "LC_MESSAGES", "accord.po").read_text()
    known = re.findall(r'msgid "(deny\.[a-z-]+)(?:\.([a-z-]+))?"', catalogue)
    assert codes == {code for code, _ in known}
    ways = {way for _, way in known if way}
    assert ways == {way for way in ways if f'"{way}"' in source}
    with pytest.raises(LookupError):
        sentence("deny.nothing-of-the-kind")


OPEN = changed(
    AGREEMENT,
    purpose=["planning", "prevention"],
    recipients={"roles": ["analyst", "editor"], "organisations": ["university"]},
    may_ask={
        "measures": ["persons", "cases"],
        "group_by": {"age": "all", "place": "all", "kind": "all"},
        "at_most_dimensions": 3,
    },
    emergency={
        "purpose": "flood",
        "spend": {"epsilon": 4},
        "at_most": "20 days",
        "approvers": ["alice", "bela"],
    },
)
"""Everything is allowed, for tests that forbid one thing each."""

FLOOD = DeclarationForm.model_validate(
    {
        "emergency": "trends",
        "reason": "The river",
        "from": "2026-06-01",
        "until": "2026-06-20",
    }
)


def limited(
    *, declared: bool = False, members: dict[str, Any] = MEMBERS, **entries: object
) -> Policy:
    """Return the open agreement with entries changed."""
    found = policy(changed(OPEN, **entries), members=members)
    return dataclasses.replace(found, emergency=FLOOD if declared else None)


def posed(
    group_by: list[tuple[str, str | None]] | None = None,
    where: dict[str, list[str]] | None = None,
    *,
    purpose: str = "planning",
    measure: str = "persons",
    day: datetime.date = DAY,
    role: str = "analyst",
) -> Ask:
    """Return a question to the open agreement."""
    query = canonical_query(
        agreement="trends",
        edition="2026-Q1",
        measure=measure,
        group_by=group_by or [],
        where=where or {},
        model=limited().model,
    )
    analyst = Analyst(id="x", organisation="university", roles=frozenset({role}))
    return Ask(query=query, analyst=analyst, purpose=purpose, day=day)


def texts(found: Policy, ask: Ask) -> list[str]:
    """Return clause and sentence of every reason."""
    return [f"{r.clause}: {r.text()}" for r in decide(found, ask).reasons]


def test_forbidden_combinations_are_forbidden_however_they_are_asked() -> None:
    """A filter touches a dimension as a group does."""
    found = limited(may_ask__never_together=[["age", "place"]])
    assert decide(found, posed([("age", None), ("kind", None)])).permitted
    for ask in (
        posed([("age", None), ("place", None)]),
        posed([("age", None)], {"place": ["north"]}),
    ):
        (text,) = texts(found, ask)
        assert text.startswith("may_ask.never_together: ")
        assert "age, place" in text


@pytest.mark.parametrize(
    ("group_by", "where", "denied"),
    [
        ([], {}, None),
        ([], {"age": ["9-17"]}, "Leave them out of the filter"),
        ([], {"age": ["young"]}, None),
        ([("age", "fine")], {}, "9-17. Filter for the other values"),
        ([("age", "fine")], {"age": ["0-8", "18-20"]}, None),
        ([("age", "fine")], {"age": ["young"]}, "9-17. Filter for"),
        ([("age", "broad")], {}, None),
        ([("kind", None)], {}, "a. Ask by a coarser level"),
        ([("kind", None)], {"kind": ["b"]}, "a. Ask by a coarser level"),
        ([("place", None)], {"place": ["south", "unknown"]}, None),
    ],
)
def test_hidden_values_are_neither_named_nor_shown(
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
    denied: str | None,
) -> None:
    """A case with several values has cells beside the filter; no filter helps there."""
    hidden = {"age": ["9-17"], "kind": ["a"], "place": ["north"]}
    found = texts(limited(may_ask__hidden_values=hidden), posed(group_by, where))
    if denied is None:
        assert found == []
    else:
        (text,) = found
        assert denied in text


def test_a_hidden_group_hides_all_that_is_in_it() -> None:
    """Its finer values too, and the group at its own level."""
    found = limited(may_ask__hidden_values={"age": ["young"]})
    for ask in (
        posed([("age", "broad")]),
        posed([("age", "fine")]),
        posed(where={"age": ["0-8"]}),
    ):
        assert [r.code for r in decide(found, ask).reasons] == ["deny.hidden-value"]
    assert decide(found, posed([("age", "fine")], {"age": ["grown"]})).permitted


REMITS = changed(
    MEMBERS,
    members__police__remit={"description": "p", "covers": {"place": ["north"]}},
    members__shelter__remit={"description": "s", "covers": {"place": ["north"]}},
    members__work__remit={
        "description": "w",
        "covers": {"place": ["north"], "age": ["18-20"]},
    },
)


@pytest.mark.parametrize(
    ("least", "group_by", "where", "denied"),
    [
        (3, [("place", None)], {}, "south (2 agencies). Filter for the other values."),
        (3, [("place", None)], {"place": ["north"]}, None),
        (3, [], {"place": ["south"]}, "Ask for more values at once, or leave place"),
        (5, [("age", "fine")], {"age": ["grown"]}, "21+ (4 agencies). Ask by broad"),
        (5, [("age", "broad")], {"age": ["grown"]}, None),
    ],
)
def test_thin_coverage_is_denied_with_a_way_out(
    least: int,
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
    denied: str | None,
) -> None:
    """The sentence proposes what does help."""
    found = limited(members=REMITS, protect__covered_by_at_least=least)
    reasons = texts(found, posed(group_by, where))
    if denied is None:
        assert reasons == []
    else:
        assert reasons[0].startswith("protect.covered_by_at_least: ")
        assert denied in reasons[0]


def test_combinations_can_be_thin_where_no_dimension_is() -> None:
    """Those who have children and those in the south need not be the same."""
    members = changed(
        MEMBERS,
        members__police__remit={"description": "p", "covers": {"place": ["north"]}},
        members__shelter__remit={"description": "s", "covers": {"place": ["north"]}},
        members__work__remit={"description": "w", "covers": {"age": ["grown"]}},
        members__health__remit={"description": "h", "covers": {"age": ["grown"]}},
    )
    found = limited(members=members)
    assert decide(found, posed([("place", None)])).permitted
    (text,) = texts(found, posed([("place", None), ("age", "broad")]))
    assert "some combinations of age, place lie in those of fewer" in text


def test_a_large_agency_is_denied_as_dominant() -> None:
    """By the remits' own figures."""
    members = MEMBERS
    for party in AGREEMENT["parties"]:
        remit = {"description": party, "persons_a_year": 900 if party == "work" else 50}
        members = changed(members, **{f"members__{party}__remit": remit})
    found = limited(
        members=members, cohorts={"all": "everyone"}, protect__no_agency_above="80 %"
    )
    (text,) = texts(found, posed())
    assert text.startswith("protect.no_agency_above: ")
    assert "more than 80 %" in text


@pytest.mark.parametrize(
    ("day", "permitted"),
    [
        ("2026-05-31", False),
        ("2026-06-01", True),
        ("2026-06-20", True),
        ("2026-06-21", False),
    ],
)
def test_an_emergency_is_on_from_its_first_to_its_last_day(
    day: str, permitted: bool
) -> None:
    """Both included, UTC."""
    ask = posed(purpose="flood", day=datetime.date.fromisoformat(day))
    assert decide(limited(declared=True), ask).permitted is permitted
    reasons = decide(limited(), ask).reasons
    assert [(r.code, r.clause) for r in reasons] == [
        ("deny.emergency-off", "emergency")
    ]


def test_a_declaration_for_too_long_is_none() -> None:
    """Twenty days would fit; the clause allows nineteen."""
    ask = posed(purpose="flood")
    assert not decide(limited(declared=True, emergency__at_most=19), ask).permitted


def test_an_emergency_changes_nothing_for_other_purposes() -> None:
    """Nor does any other clause give way to it."""
    assert decide(limited(declared=True), posed()).permitted
    fewer = limited(declared=True, may_ask__measures=["cases"])
    assert not decide(fewer, posed(purpose="flood")).permitted


def test_sensitive_dimensions_and_human_review_need_somebody_to_look() -> None:
    """A permitted question can need review; the decision says so."""
    reviewers = {"reviewers": ["alice"]}
    sensitive = limited(may_ask__sensitive=["kind"], review=reviewers)
    assert decide(sensitive, posed([("kind", None)])).needs_review
    assert decide(sensitive, posed(where={"kind": ["a"]})).needs_review
    assert not decide(sensitive, posed([("age", None)])).needs_review
    human = limited(review={"releases": "human", **reviewers})
    assert decide(human, posed()).needs_review
    assert decide(human, posed()).permitted


def _set(path: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: changed(document, **{path: value})


def _without(path: str, *names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a change that takes names out of a list or of named entries."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        *above, last = path.split("__")
        copied = changed(document)
        node = copied
        for name in above:
            node = node[name]
        kept = node[last]
        node[last] = (
            {name: kept[name] for name in kept if name not in names}
            if isinstance(kept, dict)
            else [name for name in kept if name not in names]
        )
        return copied

    return change


def _coarser(document: dict[str, Any]) -> dict[str, Any]:
    group_by = document["may_ask"]["group_by"]
    limit = {"age": "broad"} if "age" in group_by else {}
    return changed(document, may_ask__group_by={**group_by, **limit})


RESTRICTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "measure": _without("may_ask__measures", "cases"),
    "dimension": _without("may_ask__group_by", "kind"),
    "level": _coarser,
    "dimensions": _set("may_ask__at_most_dimensions", 1),
    "together": _set("may_ask__never_together", [["age", "place"]]),
    "hidden": _set("may_ask__hidden_values", {"place": ["south"], "age": ["young"]}),
    "purpose": _without("purpose", "prevention"),
    "role": _without("recipients__roles", "editor"),
    "cohort": _without("cohorts", "some"),
    "covered": _set("protect__covered_by_at_least", 5),
    "members": _set("protect__at_least_agencies", 4),
    "dominance": _set("protect__no_agency_above", "30 %"),
    "emergency": _set("emergency", None),
    "shorter emergency": _set("emergency__at_most", 10),
    "begins later": _set("valid__from", "2026-06-15"),
    "ends earlier": _set("valid__until", "2026-06-25"),
    "review": _set("review", {"releases": "human", "reviewers": ["alice"]}),
}
"""Each only forbids; ``members`` goes with the small cohort left out."""

SIZED = changed(
    REMITS,
    **{
        f"members__{party}__remit": {
            **REMITS["members"][party]["remit"],
            "persons_a_year": size,
        }
        for party, size in zip(AGREEMENT["parties"], (10, 40, 15, 20, 25), strict=True)
    },
)


def restricted(which: tuple[str, ...]) -> Policy:
    """Return the open agreement under some restrictions."""
    document = changed(OPEN)
    for name in which:
        if name == "members":
            document = RESTRICTIONS["cohort"](document)
        if name == "shorter emergency" and document["emergency"] is None:
            continue
        document = RESTRICTIONS[name](document)
    document["valid"]["review_by"] = "2026-06-20"
    return dataclasses.replace(policy(document, members=SIZED), emergency=FLOOD)


NAMES = sorted(RESTRICTIONS)


@settings(deadline=None, max_examples=100)
@given(
    before=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    extra=st.sampled_from(NAMES),
    group_by=st.lists(
        st.sampled_from(
            [("age", "fine"), ("age", "broad"), ("place", None), ("kind", None)]
        ),
        unique_by=lambda each: each[0],
    ),
    where=st.fixed_dictionaries(
        {},
        optional={
            "age": st.sampled_from([["young"], ["grown"], ["0-8", "18-20"]]),
            "place": st.sampled_from([["north"], ["south"], ["south", "unknown"]]),
            "kind": st.sampled_from([["a"], ["b"]]),
        },
    ),
    measure=st.sampled_from(["persons", "cases"]),
    purpose=st.sampled_from(["planning", "prevention", "flood", "curiosity"]),
    role=st.sampled_from(["analyst", "editor", "reader"]),
    day=st.dates(datetime.date(2026, 5, 28), datetime.date(2026, 6, 28)),
)
def test_forbidding_more_never_permits_more(
    before: list[str],
    extra: str,
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
    measure: str,
    purpose: str,
    role: str,
    day: datetime.date,
) -> None:
    """One restriction more keeps every denial, and every review."""
    ask = posed(group_by, where, purpose=purpose, measure=measure, day=day, role=role)
    looser = decide(restricted(tuple(before)), ask)
    tighter = decide(restricted((*before, extra)), ask)
    assert looser.permitted or not tighter.permitted
    assert tighter.needs_review or not looser.needs_review


@pytest.mark.parametrize("which", NAMES)
def test_every_restriction_forbids_something(which: str) -> None:
    """Or the test above would prove nothing."""
    open_one, other = restricted(()), restricted((which,))
    shapes: list[list[tuple[str, str | None]]] = [
        [],
        [("age", "fine")],
        [("age", "broad"), ("kind", None)],
        [("kind", None)],
    ]
    asks = [
        posed(group_by, where, purpose=purpose, measure=measure, day=day, role=role)
        for group_by in shapes
        for where in ({}, {"place": ["north"]})
        for purpose in ("planning", "prevention", "flood")
        for measure in ("persons", "cases")
        for role in ("analyst", "editor")
        for day in (datetime.date(2026, 6, 2), datetime.date(2026, 6, 28))
    ]
    assert any(
        decide(open_one, ask).permitted
        and (not (after := decide(other, ask)).permitted or after.needs_review)
        for ask in asks
    ) or which in {"cohort", "members"}


def test_a_lower_cap_for_one_release_denies_more() -> None:
    """The price is decided apart from the question."""
    dear = limited(spend__each_release_at_most={"epsilon": 1}).agreement
    assert decide_cost(limited().agreement, Fraction(3, 2)) == ()
    assert decide_cost(dear, Fraction(3, 2)) != ()
