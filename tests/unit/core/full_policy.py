# SPDX-License-Identifier: Apache-2.0
"""An agreement in which every entry is written that can stand beside the others."""

from __future__ import annotations

import dataclasses
from typing import Any

from accord.core.board import BoardForm, DeclarationForm
from accord.core.policy import Policy
from tests.unit.core.small_policies import (
    AGREEMENT,
    MEMBERS,
    MODEL,
    changed,
    policy_set,
)

EMERGENCY: dict[str, Any] = {
    "emergency": "trends",
    "reason": "a border has closed",
    "from": "2026-05-01",
    "until": "2026-05-20",
}

PRESET: dict[str, Any] = {
    "preset": "careful",
    "title": "Careful partnerships",
    "because": ["a test needs one"],
    "protect": {"suppress_below": 5},
}

FULL: dict[str, Any] = changed(
    AGREEMENT,
    extends="careful",
    recipients__onward_sharing="aggregates",
    rounds={
        "every": "week",
        "on": "monday",
        "at": "06:00",
        "open": "2 hours",
        "deadline": "30 days",
    },
    may_ask__group_by={"age": "broad", "place": "all", "kind": "all"},
    may_ask__never_together=[["age", "kind"]],
    may_ask__hidden_values={"kind": ["b"]},
    may_ask__sensitive=["kind"],
    protect={
        "person_in_at_most": 3,
        "reason_for_fewer_agencies": "a study of overlaps",
        "groups_per_person": 3,
        "cases_per_group": 2,
        "drop_cap": 1,
        "at_least_agencies": 3,
        "covered_by_at_least": 3,
        "no_agency_above": "80 %",
        "suppress_below": 10,
        "colluding_at_most": 1,
        "noise": "shared",
        "hub_sees_at_most": {"epsilon": 6},
    },
    linkage={"health": "sketch"},
    spend__lifetime={"epsilon": 24},
    review={"releases": "automatic", "reviewers": ["office"]},
    emergency={
        "purpose": "crisis",
        "spend": {"epsilon": 4},
        "at_most": 30,
        "approvers": ["alice", "bela"],
    },
    approval__signatories="board",
    law={
        "health": {"regime": "gdpr", "basis": "article 9(2)(j)", "assessment": "A-17"},
        "police": {"regime": "police", "basis": "its own act"},
    },
    contacts={
        "breach": "+00 1234, day and night",
        "complaints": "office@example.org",
        "audit": "auditor@example.org",
    },
)

SIZED = changed(
    MEMBERS,
    members={
        label: {
            **member,
            "remit": {"description": f"the work of {label}", "persons_a_year": 500},
        }
        for label, member in MEMBERS["members"].items()
    },
)
"""Members who declare how many people a year they have cases of."""


def full_policy(*, declared: bool = False, **entries: object) -> Policy:
    """Return that agreement with entries changed, as `changed` has it."""
    found = policy_set(
        changed(FULL, **entries), members=SIZED, model=MODEL, presets=(PRESET,)
    ).policy("trends")
    assert found is not None
    declaration = DeclarationForm.model_validate(EMERGENCY) if declared else None
    return dataclasses.replace(found, emergency=declaration)


def full_board() -> BoardForm:
    """Return the board that governs it."""
    board = policy_set(FULL, members=SIZED, model=MODEL, presets=(PRESET,)).board
    assert board is not None
    return board
