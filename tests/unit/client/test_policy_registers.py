# SPDX-License-Identifier: Apache-2.0
"""Whoever signs is told everything that changes in the lists of people and agencies."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from accord.client.policy.registers import register_lines
from accord.core.members import kem_bytes
from tests.member_keys import other_keys
from tests.unit.core.small_policies import (
    AGREEMENT,
    BOARD,
    MEMBERS,
    PARTIES,
    changed,
    key,
    policy_set,
)

FEW = changed(AGREEMENT, parties=PARTIES[:3], cohorts={"all": "everyone"})
JOINING: dict[str, Any] = {
    "name": "Newcomer",
    "remit": {
        "description": "Everything",
        "covers": {"place": ["north"]},
        "persons_a_year": 400,
    },
    "lifetime": {"zcdp": {"epsilon": 1000, "delta": 1e-9}, "pure": {"epsilon": 999}},
}


def said(
    board: dict[str, Any] = BOARD,
    members: dict[str, Any] = MEMBERS,
    before: dict[str, Any] = BOARD,
    listed: dict[str, Any] = MEMBERS,
) -> list[str]:
    """Return the sentences about a change of the lists."""
    return register_lines(
        policy_set(FEW, board=before, members=listed),
        policy_set(FEW, board=board, members=members),
    )


OF_OTHER = "members__other__"
COVERED = changed(MEMBERS, **{f"{OF_OTHER}remit__covers": {"place": ["north"]}})
COUNTED = changed(MEMBERS, **{f"{OF_OTHER}remit__persons_a_year": 50})


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("name", "Another", "The agency other (other) is called Another"),
        ("remit__description", "All", "What other (other) is there for: All"),
        ("remit__covers", {"place": ["north"]}, "of these values only: north."),
        ("remit__persons_a_year", 50, "About 50 persons a year"),
        ("lifetime__zcdp__epsilon", 31.5, "it will be epsilon 31.5 at delta 1e-09"),
        ("lifetime__zcdp__delta", 1e-8, "at delta 1e-08"),
        ("lifetime__pure__epsilon", 11, "it was epsilon 30 at delta 1e-09 (zCDP) and"),
    ],
)
def test_an_agency_that_is_party_to_nothing_is_looked_at_too(
    entry: str, value: object, words: str
) -> None:
    """Every entry of it, in one sentence."""
    (line,) = said(members=changed(MEMBERS, **{f"{OF_OTHER}{entry}": value}))
    assert words in line


def test_an_agencys_keys_are_told_so_that_people_can_compare_them() -> None:
    """By their beginnings; of a key of 1,580 characters by its digest."""
    keys = {"key": key("x"), **other_keys("x")}
    lines = said(
        members=changed(MEMBERS, **{f"{OF_OTHER}{each}": keys[each] for each in keys})
    )
    digest = hashlib.sha256(kem_bytes(keys["kem"])).hexdigest()[:16]
    for begin in (keys["key"][8:24], keys["exchange"][7:23], digest):
        assert sum(f"begins {begin}." in line for line in lines) == 1
    assert len(lines) == 3
    assert max(map(len, lines)) < 200


def test_an_agency_without_a_key_against_later_computers_is_said_to_have_none() -> None:
    """When it loses it, and when it joins without one."""
    without = changed(MEMBERS, **{f"{OF_OTHER}kem": ...})
    (line,) = said(members=without)
    assert "no key that keeps its figures hidden from later computers" in line
    keyless = changed(without, **{f"{OF_OTHER}key": ..., f"{OF_OTHER}exchange": ...})
    lines = said(members=without, listed=keyless)
    assert line in lines
    assert said(members=MEMBERS, listed=keyless) != lines
    assert len(said(members=keyless)) == 3


def test_what_is_no_longer_said_is_told() -> None:
    """Saying nothing means every value, and no figure."""
    (line,) = said(listed=COVERED)
    assert "every value" in line
    (line,) = said(listed=COUNTED)
    assert "not said any more" in line


def test_a_joining_agency_comes_with_its_remit_and_lifetime() -> None:
    """So that nobody lets one in whose records may lose anything."""
    lines = said(members=changed(MEMBERS, members__newcomer=JOINING))
    assert lines[0] == "Newcomer (newcomer) becomes an agency of the network."
    text = " ".join(lines[1:])
    for words in ("Everything", "only: north", "About 400", "epsilon 1000", "999"):
        assert words in text


def test_a_member_of_the_board_does_not_become_somebody_else_unseen() -> None:
    """Neither by name nor by organisation."""
    (line,) = said(changed(BOARD, members__bela__name="Somebody Else"))
    assert line == "Bela on the board (bela) is called Somebody Else from now on."
    placed = changed(BOARD, members__bela__organisation="The police")
    (line,) = said(placed)
    assert "is of The police" in line
    (line,) = said(before=placed)
    assert "it was The police" in line
    joins = {"name": "Dina", "organisation": "Shelter", "key": key("dina")}
    first, second = said(changed(BOARD, members__dina=joins))
    assert first.startswith("Dina (dina) joins the board")
    assert "is of Shelter" in second
    (line,) = said(changed(BOARD, board="senate"))
    assert line == "The board council is called senate from now on."
