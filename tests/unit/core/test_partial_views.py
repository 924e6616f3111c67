# SPDX-License-Identifier: Apache-2.0
"""What is approved for the hub, which has everything, is approved for every agency."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from hypothesis import assume, event, given, settings, target
from hypothesis import strategies as st

from accord.core.approval import binding_role, check_change, missing, signers_wanted
from accord.core.errors import ConfigurationError
from accord.core.policy import PolicySet, load_policy_set
from tests.unit.core.small_policies import (
    AGREEMENT,
    BOARD,
    MEMBERS,
    MODEL,
    PARTIES,
    changed,
    key,
)

EVERYBODY = frozenset(
    {
        *map(key, ("alice", "bela", "chidi", "x", "y")),
        *(key(f"signs {each}") for each in (*PARTIES, "other")),
    }
)
NEW_PARTY = {"parties": [*PARTIES, "other"], "version": 2}
TWO_SEATS = changed(BOARD, seats={"survivors": "alice", "lawyer": "chidi"})
OTHER_MODEL = changed(MODEL, data_model="tiny-2")
PRESET: dict[str, Any] = {"preset": "strict", "title": "S", "because": ["law"]}
BY_PARTIES = changed(AGREEMENT, approval__signatories="parties")


def partial(full: PolicySet, agency: str) -> PolicySet:
    """Return what an agency holds of a set: its own agreements and what they need."""
    wanted = {"board.yaml", "members.yaml"}
    for name, agreement in full.agreements.items():
        if agency in agreement.parties:
            wanted |= {
                f"agreements/{name}.yaml",
                f"emergencies/{name}.yaml",
                f"models/{agreement.form.data_model}.yaml",
            }
            if agreement.preset is not None:
                wanted.add(f"presets/{agreement.preset.name}.yaml")
    return loaded(
        frozenset(
            (path, each) for path, each in full.documents.items() if path in wanted
        )
    )


def whole(
    *agreements: dict[str, Any],
    board: dict[str, Any] = BOARD,
    members: dict[str, Any] = MEMBERS,
    presets: tuple[dict[str, Any], ...] = (PRESET,),
    model: dict[str, Any] = MODEL,
    second: dict[str, Any] | None = OTHER_MODEL,
) -> PolicySet:
    """Return a set with two data models."""
    found: dict[str, Any] = {"board.yaml": board, "members.yaml": members}
    for each in (model, *([second] if second else [])):
        found[f"models/{each['data_model']}.yaml"] = each
    found |= {f"presets/{each['preset']}.yaml": each for each in presets}
    found |= {f"agreements/{each['agreement']}.yaml": each for each in agreements}
    return loaded(
        frozenset((path, json.dumps(each).encode()) for path, each in found.items())
    )


@functools.lru_cache(maxsize=1024)
def loaded(documents: frozenset[tuple[str, bytes]]) -> PolicySet:
    """Return a set that was read once."""
    return load_policy_set(dict(documents))


def changed_roles(before: PolicySet, after: PolicySet) -> set[str]:
    """Return the roles that get new metadata, as drafting would make them."""
    roles = set()
    for path in before.documents.keys() | after.documents.keys():
        if before.documents.get(path) == after.documents.get(path):
            continue
        name = path.removeprefix("agreements/").removesuffix(".yaml")
        for policies in (before, after):
            own = policies.agreements.get(name) if "agreements/" in path else None
            if own is not None or path in policies.documents:
                roles.add(binding_role(own) if own else "targets")
    if delegations(before) != delegations(after):
        roles.add("targets")
    return roles


def delegations(policies: PolicySet) -> list[tuple[str, frozenset[str | None], int]]:
    """Return who signs which agreement of parties."""
    known = policies.members.members
    return [
        (
            name,
            frozenset(known[party].signatory for party in agreement.parties),
            agreement.form.approval.quorum,
        )
        for name, agreement in sorted(policies.agreements.items())
        if agreement.form.approval.signatories == "parties"
    ]


def accepted_by_all(
    before: PolicySet, after: PolicySet, signed: dict[str, frozenset[str]]
) -> None:
    """Check that every agency, party or not, accepts a change."""
    for agency in MEMBERS["members"]:
        held, shown = partial(before, agency), partial(after, agency)
        assert missing(held, shown, signed) == (), agency
        check_change(held, shown, signed)


@pytest.mark.parametrize(
    ("before", "after", "signers", "lacks"),
    [
        (
            whole(AGREEMENT),
            whole(
                changed(
                    AGREEMENT,
                    approval__loosening_needs=["survivors", "lawyer"],
                    **NEW_PARTY,
                ),
                board=TWO_SEATS,
            ),
            {key("alice"), key("bela")},
            "lawyer",
        ),
        (
            whole(AGREEMENT),
            whole(changed(AGREEMENT, approval__quorum=3, **NEW_PARTY)),
            {key("alice"), key("bela")},
            "3",
        ),
        (
            whole(BY_PARTIES),
            whole(changed(BY_PARTIES, approval__quorum=3, **NEW_PARTY)),
            {key("alice"), key("signs work"), key("signs police")},
            "3",
        ),
    ],
    ids=["a new seat", "a higher quorum", "a higher quorum of parties"],
)
def test_what_a_newcomer_will_ask_for_is_asked_of_everybody(
    before: PolicySet, after: PolicySet, signers: set[str], lacks: str
) -> None:
    """Else the hub publishes what the new party never believes."""
    roles = ("targets", "agreement-trends")
    few = dict.fromkeys(roles, frozenset(signers))
    assert any(lacks in line for line in missing(before, after, few))
    all_of_them = dict.fromkeys(roles, EVERYBODY)
    assert missing(before, after, all_of_them) == ()
    accepted_by_all(before, after, all_of_them)


def test_a_seat_signs_what_a_newcomer_rests_on() -> None:
    """The text of the parties, and the documents of the network that come along."""
    before, after = whole(BY_PARTIES), whole(changed(BY_PARTIES, **NEW_PARTY))
    parties = frozenset({key("signs work"), key("signs police"), key("alice")})
    others = frozenset({key("bela"), key("chidi")})
    signed = {"targets": others, "agreement-trends": parties}
    assert missing(before, after, signed)
    signed["targets"] |= {key("alice")}
    assert missing(before, after, signed) == ()
    accepted_by_all(before, after, signed)
    assert set(signers_wanted(before, after)) == {"targets", "agreement-trends"}


def test_parties_move_to_a_data_model_that_only_others_had() -> None:
    """It is new to an agency that is not among those others, so the board signs too."""
    others = changed(
        AGREEMENT,
        agreement="figures",
        data_model="tiny-2",
        parties=["health", "hotline", "police", "other"],
        cohorts={"all": "everyone"},
    )
    before = whole(BY_PARTIES, others)
    moved = changed(BY_PARTIES, data_model="tiny-2", version=2)
    after = whole(moved, others)
    signed = {"agreement-trends": EVERYBODY}
    assert missing(partial(before, "work"), partial(after, "work"), signed)
    assert missing(before, after, signed)
    signed["targets"] = EVERYBODY
    assert missing(before, after, signed) == ()
    accepted_by_all(before, after, signed)


VALUES: dict[str, list[object]] = {
    "parties": [PARTIES, PARTIES[:4], [*PARTIES, "other"], [*PARTIES[1:], "other"]],
    "approval__quorum": [1, 2, 3],
    "approval__loosening_needs": [[], ["survivors"], ["lawyer"]],
    "approval__signatories": ["board", "parties"],
    "data_model": ["tiny-1", "tiny-2"],
    "extends": [..., "strict"],
    "purpose": [["planning"], ["planning", "research"]],
    "emergency": [
        ...,
        {
            "purpose": "crisis",
            "spend": {"epsilon": 3},
            "at_most": 30,
            "approvers": ["bela", "chidi"],
        },
    ],
}
SHARED: dict[str, list[Any]] = {
    "board": [
        BOARD,
        TWO_SEATS,
        TWO_SEATS,
        changed(BOARD, members__bela__key=key("x")),
        changed(BOARD, members__alice__key=key("x")),
        changed(BOARD, threshold=1, members__y={"name": "Y", "key": key("y")}),
    ],
    "members": [
        MEMBERS,
        changed(MEMBERS, members__work__lifetime__zcdp__epsilon=31),
        changed(MEMBERS, members__police__signatory=key("x")),
    ],
    "presets": [(PRESET,), (changed(PRESET, limits={"no_emergency": True}),)],
    "second": [OTHER_MODEL, changed(OTHER_MODEL, title="x")],
}
START = changed(AGREEMENT, cohorts={"all": "everyone"})


@st.composite
def sets(draw: st.DrawFn, version: int) -> PolicySet:
    """Draw a set of one or two agreements."""
    agreements = []
    for name in ("trends", "figures"):
        some = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2))
        paths = {*some, "parties", "approval__quorum", "approval__loosening_needs"}
        values = {path: draw(st.sampled_from(VALUES[path])) for path in sorted(paths)}
        wanted = changed(START, agreement=name, version=version, **values)
        if name == "trends" or draw(st.booleans()):
            agreements.append(wanted)
    fields = draw(st.lists(st.sampled_from(sorted(SHARED)), max_size=1))
    shared = {field: draw(st.sampled_from(SHARED[field])) for field in fields}
    try:
        return whole(*agreements, **shared)
    except ConfigurationError:
        assume(condition=False)
        raise


@given(data=st.data(), before=sets(1), after=sets(2))
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_no_agency_refuses_what_lacks_nothing_at_the_hub(
    data: st.DataObject, before: PolicySet, after: PolicySet
) -> None:
    """Whoever signs what; parties, newcomers and those who leave."""
    silent = st.sets(st.sampled_from(sorted(EVERYBODY)), max_size=4)
    signed = {
        role: EVERYBODY - data.draw(silent)
        for role in sorted(changed_roles(before, after))
    }
    approved = missing(before, after, signed) == ()
    target(float(approved))
    event("approved" if approved else "refused")
    if approved:
        accepted_by_all(before, after, signed)
