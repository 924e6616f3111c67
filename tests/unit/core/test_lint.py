# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - a table is read by its columns
"""Every mistake of every document at once, each at its place, in plain words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from accord.core.errors import ConfigurationError
from accord.core.lint import Finding, errors, lint
from accord.core.lint_across import Severity
from accord.core.policy import load_policy_set
from tests.member_keys import other_keys
from tests.policies import shipped
from tests.unit.core.small_policies import (
    AGREEMENT,
    BOARD,
    MEMBERS,
    MODEL,
    changed,
    key,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "lint"
CLEAN = changed(
    AGREEMENT, spend__lifetime={"epsilon": 20}, valid__review_by="2026-12-31"
)
FLOOD: dict[str, Any] = {
    "purpose": "flood",
    "spend": {"epsilon": 2},
    "at_most": "20 days",
    "approvers": ["alice", "bela"],
}
DAILY = {"every": "day", "at": "06:00", "open": "2 hours", "deadline": "14 days"}
POLICE = MEMBERS["members"]["police"]
DECLARED = {"emergency": "trends", "reason": "The river", "from": "2026-06-01"}
PRESET: dict[str, Any] = {
    "preset": "strict",
    "title": "Strict",
    "because": ["For this test."],
    "protect": {"groups_per_person": 2},
}
WHOLE: dict[str, Mapping[str, Any]] = {
    "board.yaml": BOARD,
    "members.yaml": MEMBERS,
    "models/tiny-1.yaml": MODEL,
    "presets/strict.yaml": PRESET,
    "agreements/trends.yaml": CLEAN,
}


def linted(**documents: Mapping[str, Any] | bytes | None) -> tuple[Finding, ...]:
    """Return what is found in the clean set with documents replaced.

    ``agreement`` is the clean set's own; other names are paths, ``__`` for ``/``.
    """
    found: dict[str, Any] = dict(WHOLE)
    for name, document in documents.items():
        path = {
            "agreement": "agreements/trends.yaml",
            "board": "board.yaml",
            "members": "members.yaml",
            "model": "models/tiny-1.yaml",
            "preset": "presets/strict.yaml",
            "emergency": "emergencies/trends.yaml",
        }.get(name, f"{name.replace('__', '/')}.yaml")
        if document is None:
            found.pop(path)
        else:
            found[path] = document
    return lint(
        {
            path: each if isinstance(each, bytes) else json.dumps(each).encode()
            for path, each in found.items()
        }
    )


def said(found: tuple[Finding, ...], path: str, entry: str, words: str) -> bool:
    """Tell whether something is found at a place, in such words."""
    return any(
        each.path == path and each.entry == entry and words in each.sentence
        for each in found
    )


def test_a_clean_set_has_nothing_to_say() -> None:
    """And programs take it."""
    assert linted() == ()


@pytest.mark.parametrize(
    ("entries", "entry", "words"),
    [
        ({"purpose": ...}, "purpose", "missing"),
        ({"purpos": ["x"]}, "purpos", "'purpose'"),
        ({"agreement": "trend"}, "agreement", "called trends.yaml"),
        ({"parties": ["health", "hotline", "police", "shelter", "work", "wrk"]}, "parties.5", "not in members.yaml. Did you mean 'work'"),
        ({"parties": ["health", "hotline", "police", "shelter", "work", "work"]}, "parties", "twice"),
        ({"hub_operator": "work", "protect__noise": "hub", "protect__hub_sees_exact_pooled_sums": "accepted"}, "protect.noise", "exact sums"),
        ({"cohorts__some": ["health", "hotlin", "police"]}, "cohorts.some", "'hotline'"),
        ({"cohorts__some": ["health", "hotline", "hotline"]}, "cohorts.some", "twice"),
        ({"cohorts__some": ["health", "hotline"]}, "cohorts.some", "has 2 members"),
        ({"cohorts__other": "everyone"}, "cohorts.other", "same members"),
        ({"cohorts__other": ["health", "shelter", "work"]}, "cohorts", "own figures of 'health'"),
        ({"linkage": {"wrk": "sketch"}}, "linkage.wrk", "'work'"),
        ({"law": {"wrk": {"regime": "gdpr", "basis": "6(1)(e)"}}}, "law.wrk", "no"),
        ({"protect__person_in_at_most": 6}, "protect.person_in_at_most", "only 5"),
        ({"protect__person_in_at_most": "2 agencies"}, "protect.person_in_at_most", "reason_for_fewer"),
        ({"protect__covered_by_at_least": 6}, "protect.covered_by_at_least", "only 5 members"),
        ({"protect__no_agency_above": "10 %"}, "protect.no_agency_above", "equal share"),
        ({"protect__no_agency_above": "0 %"}, "protect.no_agency_above", "80 %"),
        ({"protect__noise": "hub"}, "protect.noise", "accepted"),
        ({"protect__hub_sees_exact_pooled_sums": "accepted"}, "protect.hub_sees_exact_pooled_sums", "noise: hub"),
        ({"protect__noise": "agents", "protect__hub_sees_at_most": {"epsilon": 6}}, "protect.hub_sees_at_most", "noise: shared"),
        ({"protect__colluding_at_most": 2}, "protect.colluding_at_most", "has 3 members"),
        ({"protect__colluding_at_most": "0 agencies"}, "protect.colluding_at_most", "greater than or equal to 1"),
        ({"spend__accounting": "pure", "spend__delta": ..., "protect__noise": "shared"}, "protect.noise", "say `agents`"),
        ({"protect__hub_sees_at_most": {"epsilon": 2}}, "protect.hub_sees_at_most", "say at least 2.22"),
        ({"rounds": {"every": "week", "at": "06:00", "open": "2 hours", "deadline": "21 days"}}, "rounds", "on: monday"),
        ({"rounds": DAILY | {"on": "monday"}}, "rounds.on", "every: week"),
        ({"rounds": DAILY | {"deadline": "2 days"}}, "rounds.deadline", "at least 3 days"),
        ({"rounds": DAILY | {"every": "week", "on": "sunday", "deadline": 20}}, "rounds.deadline", "at least 21 days"),
        ({"rounds": DAILY | {"deadline": "91 days"}}, "rounds.deadline", "90"),
        ({"rounds": DAILY | {"at": "24:00"}}, "rounds.at", "06:00"),
        ({"rounds": DAILY | {"open": "25 hours"}}, "rounds.open", "24"),
        ({"rounds": DAILY | {"open": "2 days"}}, "rounds.open", "such as `5 hours`"),
        ({"spend__delta": ...}, "spend", "delta"),
        ({"spend__accounting": "pure"}, "spend.delta", "no delta"),
        ({"spend__everyone": {"epsilon": 1, "every": 365}}, "spend.everyone", "cannot buy"),
        ({"spend__each_analyst": {"epsilon": 1, "every": 365}}, "spend.each_analyst", "cannot buy"),
        ({"spend__lifetime": {"epsilon": 1}}, "spend.lifetime", "cannot buy"),
        ({"spend__each_release_at_most": {"epsilon": 1e-12}}, "spend.each_release_at_most", "so little"),
        ({"review": {"releases": "human"}}, "review", "reviewers"),
        ({"may_ask__sensitive": ["age"]}, "may_ask.sensitive", "reviewers"),
        ({"may_ask__sensitive": ["aeg"], "review": {"reviewers": ["alice"]}}, "may_ask.sensitive.0", "'age'"),
        ({"retention": {"questions": 800}}, "retention.questions", "give `releases` as well"),
        ({"retention": {"releases": 800, "questions": 799}}, "retention.questions", "800 days or more"),
        ({"retention": {"releases": 30, "questions": 364}}, "retention.questions", "365 days or more"),
        ({"retention": {"releases": 0}}, "retention.releases", "1"),
        ({"retention": {"log": 1}}, "retention.log", "questions"),
        ({"may_ask__measures": ["person"]}, "may_ask.measures.0", "'persons'"),
        ({"may_ask__measures": ["mean(days)"]}, "may_ask.measures.0", "no quantity"),
        ({"may_ask__group_by": {"aeg": "all"}}, "may_ask.group_by.aeg", "'age'"),
        ({"may_ask__group_by": {"age": "brod"}}, "may_ask.group_by.age", "'broad'"),
        ({"may_ask__never_together": [["age", "plac"]]}, "may_ask.never_together.0.1", "'place'"),
        ({"may_ask__never_together": [["age", "age"]]}, "may_ask.never_together.0", "twice"),
        ({"may_ask__hidden_values": {"plac": ["north"]}}, "may_ask.hidden_values.plac", "'place'"),
        ({"may_ask__hidden_values": {"place": ["norht"]}}, "may_ask.hidden_values.place.0", "'north'"),
        ({"may_ask__hidden_values": {"place": ["north", "south"]}}, "may_ask.hidden_values.place", "every value"),
        ({"emergency": {**FLOOD, "purpose": "planning"}}, "emergency.purpose", "of its own"),
        ({"emergency": {**FLOOD, "spend": {"epsilon": 1}}}, "emergency.spend", "cannot buy"),
        ({"emergency": {**FLOOD, "approvers": ["alice", "alice"]}}, "emergency.approvers", "two different"),
        ({"emergency": {**FLOOD, "approvers": ["alice", "bella"]}}, "emergency.approvers.1", "'bela'"),
        ({"approval": {"quorum": 6, "signatories": "parties"}}, "approval.quorum", "only 5"),
        ({"approval__loosening_needs": ["survivor"]}, "approval.loosening_needs.0", "'survivors'"),
        ({"valid__until": "2025-12-31"}, "valid.until", "before the first"),
        ({"valid__review_by": "2028-12-31"}, "valid.review_by", "within"),
        ({"valid__review_by": ...}, "valid.review_by", "looks at the agreement again"),
        ({"data_model": "tiny-2"}, "data_model", "'tiny-1'"),
        ({"extends": "strct"}, "extends", "'strict'"),
        ({"extends": "strict"}, "protect.groups_per_person", ""),
    ],
)  # fmt: skip
def test_an_agreement_says_what_is_wrong_with_it(
    entries: dict[str, Any], entry: str, words: str
) -> None:
    """The sentence stands at the entry to change; programs refuse the set too."""
    agreement = changed(CLEAN, **entries)
    found = errors(linted(agreement=agreement))
    assert said(found, "agreements/trends.yaml", entry, words)
    documents = {**WHOLE, "agreements/trends.yaml": agreement}
    with pytest.raises(ConfigurationError):
        load_policy_set({p: json.dumps(d).encode() for p, d in documents.items()})


def test_shares_that_are_too_small_are_said_with_the_most_that_is_possible() -> None:
    """In the largest cohort; with what it names the agreement is believed."""

    def found(most: float, **entries: object) -> bool:
        rich = {"epsilon": 1000, "every": 365}
        agreement = changed(
            CLEAN,
            spend__each_release_at_most={"epsilon": most},
            spend__each_analyst=rich,
            spend__everyone=rich,
            spend__lifetime={"epsilon": 1000},
            **entries,
        )
        return said(
            linted(agreement=agreement),
            "agreements/trends.yaml",
            "spend.each_release_at_most",
            "allow at most ε = 156.7, or let `noise` be `shared`",
        )

    assert found(900, protect__noise="agents")
    assert found(157, protect__noise="agents")
    assert not found(156.7, protect__noise="agents")
    assert not found(900, protect__noise="shared")


OTHER_AGREEMENT = changed(
    CLEAN,
    agreement="other",
    parties=["health", "hotline", "police", "shelter"],
    cohorts={"four": "everyone"},
)


@pytest.mark.parametrize(
    ("documents", "path", "entry", "words"),
    [
        ({"board": changed(BOARD, threshold=4)}, "board.yaml", "threshold", "only 3"),
        ({"board": changed(BOARD, members__bela__key=key("alice"))}, "board.yaml", "members.bela.key", "same key"),
        ({"board": changed(BOARD, seats__survivors="alise")}, "board.yaml", "seats.survivors", "'alice'"),
        ({"members": None}, "members.yaml", "", "is missing"),
        ({"members": changed(MEMBERS, members__work__lifetime=...)}, "members.yaml", "members.work.lifetime", "could tell more"),
        ({"members": changed(MEMBERS, members__work__lifetime__pure=...)}, "members.yaml", "members.work.lifetime.pure", "could tell more"),
        ({"members": changed(MEMBERS, members__work__lifetime__zcdp={"epsilon": 1, "delta": 1e-9})}, "members.yaml", "members.work.lifetime", "cannot buy"),
        ({"members": changed(MEMBERS, members__work__lifetime__zcdp={"epsilon": 2, "delta": 1e-12})}, "members.yaml", "members.work.lifetime", "cannot buy"),
        ({"members": changed(MEMBERS, members__work__key=key("agent police"))}, "members.yaml", "members.work.key", "same key"),
        ({"members": changed(MEMBERS, members__work__exchange=POLICE["exchange"])}, "members.yaml", "members.work.exchange", "same key"),
        ({"members": changed(MEMBERS, members__work__kem=POLICE["kem"])}, "members.yaml", "members.work.kem", "same key"),
        ({"members": changed(MEMBERS, members__work__exchange=...)}, "members.yaml", "members.work.key", "`exchange` is missing"),
        ({"members": changed(MEMBERS, members__work__key=...)}, "members.yaml", "members.work.exchange", "the line `key`"),
        ({"members": changed(MEMBERS, members__work__key=..., members__work__exchange=...)}, "members.yaml", "members.work.kem", "the line `key`"),
        ({"members": changed(MEMBERS, members__work__exchange="x25519:12")}, "members.yaml", "members.work.exchange", "64 hex"),
        ({"members": changed(MEMBERS, members__work__kem="mlkem768:AAAA")}, "members.yaml", "members.work.kem", "1580"),
        ({"members": changed(MEMBERS, members__work__remit__covers={"plac": ["x"]})}, "members.yaml", "members.work.remit.covers.plac", "'place'"),
        ({"members": changed(MEMBERS, members__work__remit__covers={"place": ["norht"]})}, "members.yaml", "members.work.remit.covers.place.0", "'north'"),
        ({"model": changed(MODEL, dimensions__place__levels=["a", "b"])}, "models/tiny-1.yaml", "dimensions.place", "level"),
        ({"model": changed(MODEL, data_model="tiny-2")}, "models/tiny-1.yaml", "data_model", "called tiny-1.yaml"),
        ({"preset": changed(PRESET, because=[])}, "presets/strict.yaml", "because", "at least 1"),
        ({"preset": changed(PRESET, preset="other")}, "presets/strict.yaml", "preset", "called strict.yaml"),
        ({"emergency": {**DECLARED, "until": "2026-06-02"}}, "emergencies/trends.yaml", "emergency", "no `emergency` clause"),
        ({"emergency": {**DECLARED, "until": "2026-06-21"}, "agreement": changed(CLEAN, emergency=FLOOD)}, "emergencies/trends.yaml", "until", "at most 20 days"),
        ({"emergency": {**DECLARED, "until": "2026-05-21"}, "agreement": changed(CLEAN, emergency=FLOOD)}, "emergencies/trends.yaml", "until", "before the first"),
        ({"emergencies__trend": {**DECLARED, "emergency": "trend", "until": "2026-06-02"}}, "emergencies/trend.yaml", "emergency", "'trends'"),
        ({"agreements__other": OTHER_AGREEMENT}, "agreements/other.yaml", "cohorts", "all of trends"),
        ({"agreements__other": OTHER_AGREEMENT}, "agreements/trends.yaml", "cohorts", "own figures of 'work'"),
        ({"agreements__Other": b"x: 1"}, "agreements/Other.yaml", "", "a policy is called"),
        ({"agreement": b"\xff\xfe"}, "agreements/trends.yaml", "", "UTF-8"),
        ({"agreement": b"a: [1"}, "agreements/trends.yaml", "", "not valid YAML"),
        ({"agreement": b"a: &x 1"}, "agreements/trends.yaml", "", "anchors"),
        ({"agreement": b"a: *x"}, "agreements/trends.yaml", "", "aliases"),
        ({"agreement": b"a: !x 1"}, "agreements/trends.yaml", "", "tags"),
        ({"agreement": b"a: 1\na: 2"}, "agreements/trends.yaml", "", "twice"),
        ({"agreement": b"- a"}, "agreements/trends.yaml", "", "named entries"),
    ],
)  # fmt: skip
def test_a_set_says_what_is_wrong_with_it(
    documents: dict[str, Any], path: str, entry: str, words: str
) -> None:
    """Over all documents."""
    assert said(errors(linted(**documents)), path, entry, words)


@pytest.mark.parametrize(
    ("documents", "path", "entry", "words"),
    [
        ({"board": None}, "members.yaml", "", "nobody can sign"),
        ({"members": changed(MEMBERS, hub=...)}, "members.yaml", "hub", "accord-hub keys"),
        ({"members": changed(MEMBERS, members__work__key=..., members__work__exchange=..., members__work__kem=...)}, "members.yaml", "members.work", "cannot join yet"),
        ({"members": changed(MEMBERS, members__work__signatory=...), "agreement": changed(CLEAN, approval__signatories="parties")}, "members.yaml", "members.work", "`signatory`"),
        ({"agreement": changed(CLEAN, spend__lifetime=...)}, "agreements/trends.yaml", "spend", "no `lifetime`"),
        ({"agreement": changed(CLEAN, valid__review_by="2027-01-03")}, "agreements/trends.yaml", "valid.review_by", "later than a year"),
        ({"agreement": changed(CLEAN, protect__covered_by_at_least=2)}, "agreements/trends.yaml", "protect.covered_by_at_least", "fewer than 3"),
        ({"agreement": changed(CLEAN, protect__no_agency_above="80 %")}, "agreements/trends.yaml", "protect.no_agency_above", "persons_a_year"),
        ({"agreement": changed(CLEAN, review={"reviewers": ["rita", "ravi"]})}, "agreements/trends.yaml", "review.reviewers", "nobody looks at anything"),
        ({"agreement": changed(CLEAN, review={"releases": "human", "reviewers": ["rita"]})}, "agreements/trends.yaml", "review.reviewers", "only rita may"),
        ({"agreement": changed(CLEAN, may_ask__sensitive=["age"], review={"reviewers": ["rita", "rita"]})}, "agreements/trends.yaml", "review.reviewers", "only rita may"),
    ],
)  # fmt: skip
def test_what_is_no_mistake_can_be_worth_a_thought(
    documents: dict[str, Any], path: str, entry: str, words: str
) -> None:
    """Warnings, and no errors beside them; programs take the set."""
    found = linted(**documents)
    assert errors(found) == ()
    assert said(found, path, entry, words)
    assert {each.severity for each in found} == {Severity.WARNING}


@pytest.mark.parametrize(
    "entries",
    [
        {"review": {"releases": "human", "reviewers": ["rita", "ravi"]}},
        {"may_ask__sensitive": ["age"], "review": {"reviewers": ["rita", "ravi"]}},
    ],
)
def test_two_reviewers_who_look_at_something_are_enough(
    entries: dict[str, Any],
) -> None:
    assert linted(agreement=changed(CLEAN, **entries)) == ()


def test_agreements_that_share_no_member_give_nobody_away() -> None:
    """Rows over different parties cannot be subtracted."""
    others = ["p", "q", "r"]
    entry = MEMBERS["members"]["other"]
    members = changed(
        MEMBERS,
        **{
            f"members__{name}": {
                **entry,
                "key": key(f"agent {name}"),
                **other_keys(key(f"agent {name}")),
            }
            for name in others
        },
    )
    other = changed(
        CLEAN, agreement="other", parties=others, cohorts={"all": "everyone"}
    )
    assert linted(members=members, agreements__other=other) == ()


def test_three_agreements_give_away_what_no_two_of_them_do() -> None:
    """The rank test is over all cohorts of agreements that are connected."""
    first = changed(CLEAN, cohorts={"all": "everyone"})
    second = changed(first, agreement="second", parties=["health", "hotline", "police"])
    third = changed(first, agreement="third", parties=["police", "shelter", "work"])
    assert errors(linted(agreement=first, agreements__second=second)) == ()
    assert errors(linted(agreement=first, agreements__third=third)) == ()
    found = errors(
        linted(agreement=first, agreements__second=second, agreements__third=third)
    )
    assert {each.path for each in found} == {
        f"agreements/{name}.yaml" for name in ("trends", "second", "third")
    }
    assert all("own figures of 'police'" in each.sentence for each in found)


def test_mistakes_of_form_do_not_hide_the_others() -> None:
    """In one document, and behind broken documents that it depends on."""
    agreement = changed(
        CLEAN,
        version="one",
        parties=["health", "hotline", "Po lice", "shelter", "wrok"],
        may_ask__measures=[1, "person"],
        spend__everyone__epsilon=1,
        protect__no_agency_above="lots",
        valid=...,
    )
    members = changed(MEMBERS, members__work__name=...)
    model = changed(MODEL, dimensions__place__multi=1)
    found = errors(linted(agreement=agreement, members=members, model=model))
    assert {(each.path, each.entry) for each in found} == {
        ("agreements/trends.yaml", "may_ask.measures.0"),
        ("agreements/trends.yaml", "parties.2"),
        ("agreements/trends.yaml", "parties.4"),
        ("agreements/trends.yaml", "protect.no_agency_above"),
        ("agreements/trends.yaml", "spend.everyone"),
        ("agreements/trends.yaml", "valid"),
        ("agreements/trends.yaml", "version"),
        ("members.yaml", "members.work.name"),
        ("models/tiny-1.yaml", "dimensions.place.multi"),
    }


def test_what_a_missing_preset_would_fill_in_is_not_called_missing() -> None:
    """One mistake is one sentence."""
    agreement = changed(CLEAN, extends="strct", protect=...)
    (found,) = errors(linted(agreement=agreement))
    assert found.entry == "extends"
    good = changed(CLEAN, extends="strict", protect=...)
    assert linted(agreement=good) == ()


def _places(tree: object, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every entry of a document as `changed` calls it."""
    for name, below in tree.items() if isinstance(tree, Mapping) else ():
        yield "__".join((*above, str(name)))
        yield from _places(below, (*above, str(name)))


@pytest.mark.parametrize("damage", [..., "x", [7]])
@pytest.mark.slow
def test_what_programs_refuse_lint_refuses_and_nothing_else(damage: object) -> None:
    """Over every entry of an agreement and of a board."""
    for path in ("agreements/trends.yaml", "board.yaml"):
        document = WHOLE[path]
        for place in _places(document):
            damaged = {**WHOLE, path: changed(document, **{place: damage})}
            texts = {p: json.dumps(d).encode() for p, d in damaged.items()}
            try:
                load_policy_set(texts)
            except ConfigurationError:
                assert errors(lint(texts)), (path, place)
            else:
                assert not errors(lint(texts)), (path, place)


@pytest.mark.parametrize("name", ["agreement", "set"])
def test_the_words_are_those_that_somebody_read(name: str) -> None:
    """Golden files; ``ACCORD_GOLDEN=write`` writes them anew."""
    folder = GOLDEN / name
    documents = shipped() | {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*.yaml"))
    }
    text = "".join(f"{each.severity}: {each}\n" for each in lint(documents))
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ACCORD_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
