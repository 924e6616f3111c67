# SPDX-License-Identifier: Apache-2.0
"""Nothing that a seat guards becomes looser without it, whichever way it is tried."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

import accord.core
from accord.core.approval import (
    board_needs,
    check_change,
    loosened,
    missing,
    seats_needed,
    signers_wanted,
)
from accord.core.comparison.difference import compare
from accord.core.errors import ConfigurationError, PolicyDenied
from accord.core.policy import PolicySet
from tests.member_keys import other_keys
from tests.unit.core.small_policies import (
    AGREEMENT,
    BOARD,
    MEMBERS,
    MODEL,
    PARTIES,
    changed,
    key,
    policy_set,
)

SEAT = key("alice")
OTHERS = frozenset({key("bela"), key("chidi")})
EVERYBODY = OTHERS | {SEAT}
LOOSER = {"spend__each_release_at_most": {"epsilon": 3}, "version": 2}
TIGHTER = {"spend__each_release_at_most": {"epsilon": 1}, "version": 2}
START = policy_set(AGREEMENT)


def refused(
    after: PolicySet,
    signers: Iterable[str] = OTHERS,
    before: PolicySet = START,
    **roles: Iterable[str],
) -> str:
    """Return the reason for which a change is refused, or ``accepted``."""
    signed = {name.replace("_", "-"): frozenset(keys) for name, keys in roles.items()}
    signed = {"targets": frozenset(signers)} | signed
    sentences = missing(before, after, signed)
    if not sentences:
        check_change(before, after, signed)
        return "accepted"
    with pytest.raises(PolicyDenied) as caught:
        check_change(before, after, signed)
    assert caught.value.sentence == " ".join(sentences)
    return caught.value.reason


def test_tightening_needs_the_quorum_alone() -> None:
    """Two board members; the seat need not be one of them."""
    after = policy_set(changed(AGREEMENT, **TIGHTER))
    assert refused(after) == "accepted"
    assert refused(after, [key("bela")]) == "POLICY_SIGNATURES_MISSING"
    assert refused(after, [key("bela"), key("x")]) == "POLICY_SIGNATURES_MISSING"


def test_loosening_needs_the_seat() -> None:
    """Whoever else signs."""
    after = policy_set(changed(AGREEMENT, **LOOSER))
    assert refused(after, [*OTHERS, key("x")]) == "POLICY_SEAT_MISSING"
    assert refused(after, [SEAT, key("bela")]) == "accepted"
    assert refused(after, [SEAT]) == "POLICY_SIGNATURES_MISSING"
    assert seats_needed(START, after) == {"trends": ("survivors",)}
    assert list(loosened(START, after)) == ["trends"]


def test_when_machines_are_awake_needs_no_seat() -> None:
    """Nobody's protection depends on it: the quorum decides."""
    clause = {"every": "day", "at": "06:00", "open": 2, "deadline": 14}
    later = clause | {"at": "18:00", "deadline": 7}
    first = policy_set(changed(AGREEMENT, rounds=clause, version=2))
    second = policy_set(changed(AGREEMENT, rounds=later, version=3))
    third = policy_set(changed(AGREEMENT, version=4))
    for before, after in ((START, first), (first, second), (second, third)):
        assert refused(after, OTHERS, before) == "accepted"
        assert seats_needed(before, after) == {}


def test_the_seat_signs_the_metadata_that_bind_the_text() -> None:
    """Its signature of something else does not count."""
    after = policy_set(changed(AGREEMENT, **LOOSER))
    assert refused(after, agreement_trends=EVERYBODY) == "POLICY_SEAT_MISSING"


@pytest.mark.parametrize(
    ("version", "reason"),
    [(2, "POLICY_ROLLBACK"), (3, "POLICY_VERSION_REUSED"), (4, "accepted")],
)
def test_a_changed_agreement_has_a_higher_version(version: int, reason: str) -> None:
    """Also when everybody signs."""
    before = policy_set(changed(AGREEMENT, version=3))
    entries = TIGHTER | {"version": version}
    after = policy_set(changed(AGREEMENT, **entries))
    assert refused(after, EVERYBODY, before) == reason


WAYS_ROUND: dict[str, PolicySet] = {
    "another name": policy_set(changed(AGREEMENT, agreement="figures", **LOOSER)),
    "another name beside it": policy_set(
        AGREEMENT, changed(AGREEMENT, agreement="figures")
    ),
    "the seat dropped": policy_set(
        changed(AGREEMENT, approval__loosening_needs=[], version=2)
    ),
    "a lower quorum": policy_set(changed(AGREEMENT, approval__quorum=1, version=2)),
    "other signatories": policy_set(
        changed(AGREEMENT, approval__signatories="parties", version=2)
    ),
    "another data model": policy_set(
        changed(AGREEMENT, data_model="tiny-2", version=2),
        model=changed(MODEL, data_model="tiny-2"),
    ),
    "a changed data model": policy_set(
        AGREEMENT, model=changed(MODEL, dimensions__age__title="x")
    ),
    "a higher lifetime": policy_set(
        AGREEMENT,
        members=changed(MEMBERS, members__work__lifetime__zcdp__epsilon=31),
    ),
    "a foreign agent": policy_set(
        AGREEMENT, members=changed(MEMBERS, members__work__key=key("x"))
    ),
    "an agency's key for the masks": policy_set(
        AGREEMENT,
        members=changed(MEMBERS, members__work__exchange=other_keys("x")["exchange"]),
    ),
    "an agency's key against later computers": policy_set(
        AGREEMENT, members=changed(MEMBERS, members__work__kem=other_keys("x")["kem"])
    ),
    "no key against later computers": policy_set(
        AGREEMENT, members=changed(MEMBERS, members__work__kem=...)
    ),
    "a foreign hub": policy_set(
        AGREEMENT, members=changed(MEMBERS, hub__key=key("x"))
    ),
    "another party": policy_set(
        changed(AGREEMENT, parties=[*PARTIES, "other"], version=2)
    ),
    "the seat to another member": policy_set(
        AGREEMENT, board=changed(BOARD, seats={"survivors": "bela"})
    ),
    "the seat gone": policy_set(
        changed(AGREEMENT, approval__loosening_needs=[], version=2),
        board=changed(BOARD, seats={}),
    ),
    "the seat's key replaced": policy_set(
        AGREEMENT, board=changed(BOARD, members__alice__key=key("x"))
    ),
    "the key replaced and loosened at once": policy_set(
        changed(AGREEMENT, **LOOSER),
        board=changed(BOARD, members__alice__key=key("x")),
    ),
    "no board at all": policy_set(
        changed(AGREEMENT, approval__loosening_needs=[], version=2), board=None
    ),
    "somebody sent away": policy_set(
        AGREEMENT, board=changed(BOARD, members__chidi=...)
    ),
    "somebody replaced": policy_set(
        AGREEMENT, board=changed(BOARD, members__chidi__key=key("x"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", sorted(WAYS_ROUND))
@pytest.mark.parametrize("more", [frozenset[str](), frozenset({key("x")})])
def test_there_is_no_way_round_the_seat(way: str, more: frozenset[str]) -> None:
    """Not with all other keys of the board, and one that the change brings along."""
    after = WAYS_ROUND[way]
    parties = {key(f"signs {party}") for party in PARTIES}
    if way == "the seat's key replaced" and more:
        return  # that is how a lost key is recovered
    signers = OTHERS | more | parties
    assert refused(after, signers, agreement_trends=signers) == "POLICY_SEAT_MISSING"


def test_removing_is_tightening_and_forgets_nothing() -> None:
    """An agreement that comes back needs every seat of the board, named or not."""
    empty = policy_set()
    assert refused(empty) == "accepted"
    unguarded = changed(AGREEMENT, approval__loosening_needs=[])
    again = policy_set(unguarded)
    assert refused(again, before=empty) == "POLICY_SEAT_MISSING"
    assert refused(again, EVERYBODY, empty) == "accepted"
    assert seats_needed(empty, again) == {"trends": ("survivors",)}


def test_an_agreement_without_seats_is_loosened_by_its_quorum() -> None:
    """As long as it stays with its parties."""
    plain = changed(
        AGREEMENT,
        agreement="plain",
        approval__loosening_needs=[],
        parties=PARTIES[1:],
        cohorts={"all": "everyone"},
    )
    before = policy_set(plain)
    looser = changed(plain, **LOOSER)
    assert refused(policy_set(looser), before=before) == "accepted"
    wider = changed(looser, parties=PARTIES)
    assert refused(policy_set(wider), before=before) == "POLICY_SEAT_MISSING"


def test_a_new_seat_that_a_new_agreement_names_signs_too() -> None:
    """By the key that the change gives it."""
    board = changed(BOARD, seats={"survivors": "alice", "lawyer": "bela"})
    new = changed(AGREEMENT, agreement="new", approval__loosening_needs=["lawyer"])
    after = policy_set(AGREEMENT, new, board=board)
    assert refused(after, [SEAT, key("chidi")]) == "POLICY_SEAT_MISSING"
    assert refused(after, [SEAT, key("bela")]) == "accepted"


def test_a_preset_that_changed_needs_the_seat() -> None:
    """It limits what later versions may say."""
    preset: dict[str, Any] = {"preset": "strict", "title": "S", "because": ["law"]}
    extending = changed(AGREEMENT, extends="strict")
    before = policy_set(extending, presets=(preset,))
    relaxed = changed(preset, limits={"no_emergency": True})
    after = policy_set(extending, presets=(relaxed,))
    assert refused(after, before=before) == "POLICY_SEAT_MISSING"
    assert refused(after, EVERYBODY, before) == "accepted"
    dropped = policy_set(changed(AGREEMENT, version=2), presets=(preset,))
    assert refused(dropped, before=before) == "POLICY_SEAT_MISSING"


EMERGENCY = {
    "purpose": "crisis",
    "spend": {"epsilon": 3},
    "at_most": 30,
    "approvers": ["bela", "chidi"],
}


def test_who_declares_an_emergency_is_not_replaced_past_the_seat() -> None:
    """Names on the board stand for keys; declaring is not loosening."""
    crisis = changed(AGREEMENT, emergency=EMERGENCY)
    before = policy_set(crisis)
    board = changed(BOARD, members__bela__key=key("x"), members__chidi__key=key("y"))
    after = policy_set(crisis, board=board)
    assert refused(after, before=before) == "POLICY_SEAT_MISSING"
    assert refused(after, EVERYBODY, before) == "accepted"
    declared = PolicySet(
        **{
            field: getattr(before, field)
            for field in ("board", "members", "models", "presets", "agreements")
        },
        documents=dict(before.documents)
        | {
            "emergencies/trends.yaml": b"emergency: trends\nreason: flood\n"
            b"from: 2026-02-01\nuntil: 2026-02-10\n"
        },
        emergencies={},
    )
    assert refused(declared, [], before) == "accepted"


def test_an_approvers_name_is_not_given_to_another_key_of_the_board() -> None:
    """Nobody leaves the board, and yet others declare the emergency."""
    crisis = changed(AGREEMENT, emergency=EMERGENCY)
    four = changed(BOARD, members__dina={"name": "Dina", "key": key("dina")})
    swapped = changed(
        four, members__bela__key=key("dina"), members__dina__key=key("bela")
    )
    before, after = policy_set(crisis, board=four), policy_set(crisis, board=swapped)
    assert refused(after, [*OTHERS, key("dina")], before) == "POLICY_SEAT_MISSING"
    assert refused(after, EVERYBODY, before) == "accepted"


def test_the_version_in_force_says_how_many_sign() -> None:
    """Not the one that lowers the number."""
    before = policy_set(changed(AGREEMENT, approval__quorum=3))
    after = policy_set(changed(AGREEMENT, version=2))
    assert refused(after, [SEAT, key("bela")], before) == "POLICY_SIGNATURES_MISSING"
    assert refused(after, EVERYBODY, before) == "accepted"


def test_a_seat_that_nobody_holds_approves_nothing() -> None:
    """An agency that was never shown the board refuses what is looser."""
    before = policy_set(AGREEMENT, board=None)
    after = policy_set(changed(AGREEMENT, **LOOSER), board=None)
    assert refused(after, EVERYBODY, before) == "POLICY_SEAT_MISSING"


def test_the_key_in_force_holds_the_seat_while_it_is_handed_on() -> None:
    """Its holder may loosen and hand on at once; the next one may not yet."""
    board = changed(BOARD, members__alice__key=key("x"))
    after = policy_set(changed(AGREEMENT, **LOOSER), board=board)
    assert refused(after, [SEAT, key("bela")]) == "accepted"
    assert refused(after, OTHERS | {key("x")}) == "POLICY_SEAT_MISSING"


# The parties' own agreement

PARTIES_SIGN = changed(AGREEMENT, approval__signatories="parties")


def test_the_parties_own_quorum_signs_their_agreement() -> None:
    """The board's keys do not count for it; the seat still does."""
    before = policy_set(PARTIES_SIGN)
    two = {key("signs police"), key("signs work")}
    tighter = policy_set(changed(PARTIES_SIGN, **TIGHTER))
    assert refused(tighter, [], before, agreement_trends=two) == "accepted"
    assert (
        refused(tighter, EVERYBODY, before, agreement_trends=EVERYBODY)
        == "POLICY_SIGNATURES_MISSING"
    )
    looser = policy_set(changed(PARTIES_SIGN, **LOOSER))
    assert (
        refused(looser, EVERYBODY, before, agreement_trends=two)
        == "POLICY_SEAT_MISSING"
    )
    assert refused(looser, [], before, agreement_trends=[*two, SEAT]) == "accepted"


def test_the_seat_sees_everything_that_a_new_agreement_of_parties_rests_on() -> None:
    """It signs the text and the documents of the network, which come along."""
    after = policy_set(AGREEMENT, changed(PARTIES_SIGN, agreement="own"))
    two = {key("signs police"), key("signs work")}
    signed = [*two, SEAT]
    assert refused(after, OTHERS, agreement_own=signed) == "POLICY_SEAT_MISSING"
    assert refused(after, EVERYBODY, agreement_own=two) == "POLICY_SEAT_MISSING"
    assert refused(after, EVERYBODY, agreement_own=signed) == "accepted"


def test_the_board_does_not_replace_the_parties_keys_alone() -> None:
    """A loosening document of the network needs the parties' quorum and the seat."""
    before = policy_set(PARTIES_SIGN)
    members = changed(
        MEMBERS,
        members__work__signatory=key("x"),
        members__police__signatory=key("y"),
    )
    after = policy_set(PARTIES_SIGN, members=members)
    fresh = {key("x"), key("y")}
    assert refused(after, EVERYBODY | fresh, before) == "POLICY_SIGNATURES_MISSING"
    old = {key("signs work"), key("signs police")}
    assert refused(after, [*old, SEAT], before) == "accepted"
    mixed = policy_set(changed(PARTIES_SIGN, **TIGHTER), members=members)
    assert (
        refused(mixed, EVERYBODY, before, agreement_trends=[*old, SEAT])
        == "POLICY_SIGNATURES_MISSING"
    )


def test_signers_wanted_are_those_whose_signatures_count() -> None:
    """With all of them, every change is approved."""
    before = policy_set(PARTIES_SIGN)
    for after in (
        policy_set(changed(PARTIES_SIGN, **LOOSER)),
        policy_set(changed(AGREEMENT, **LOOSER)),
        policy_set(PARTIES_SIGN, changed(PARTIES_SIGN, agreement="more")),
        *WAYS_ROUND.values(),
    ):
        for start in (before, START):
            wanted = signers_wanted(start, after)
            lacks = missing(start, after, wanted)
            versions = [line for line in lacks if "version" in line]
            gone = [line for line in lacks if "board.yaml" in line]
            assert list(lacks) == [*versions, *gone] or lacks == tuple(versions + gone)
    assert signers_wanted(START, START) == {}


# The board


def test_a_seat_is_handed_on_by_its_holder() -> None:
    """To another member or another key."""
    for board in (
        changed(BOARD, seats={"survivors": "bela"}),
        changed(BOARD, members__alice__key=key("x")),
        changed(BOARD, seats={}),
    ):
        agreement = changed(
            AGREEMENT,
            **(
                {}
                if board["seats"]
                else {"approval__loosening_needs": [], "version": 2}
            ),
        )
        after = policy_set(agreement, board=board)
        assert refused(after, [SEAT, key("bela")]) == "accepted"
        assert refused(after) == "POLICY_SEAT_MISSING"
        assert board_needs(START, after)


def test_a_lost_key_of_a_seat_is_replaced_by_all_others_and_the_new_key() -> None:
    """And by nothing less; the seat stays."""
    fresh = key("new")
    for board in (
        changed(BOARD, members__alice__key=fresh),
        changed(
            BOARD,
            members__alice=...,
            members__dina={"name": "Dina", "key": fresh},
            seats={"survivors": "dina"},
        ),
    ):
        after = policy_set(AGREEMENT, board=board)
        assert refused(after, OTHERS | {fresh}) == "accepted"
        assert refused(after, OTHERS) == "POLICY_SEAT_MISSING"
        assert refused(after, [key("bela"), fresh]) == "POLICY_SEAT_MISSING"
        looser = policy_set(changed(AGREEMENT, **LOOSER), board=board)
        assert refused(looser, OTHERS | {fresh}) == "POLICY_SEAT_MISSING"
        tighter = policy_set(changed(AGREEMENT, **TIGHTER), board=board)
        assert refused(tighter, OTHERS | {fresh}) == "POLICY_SEAT_MISSING"
        lower = policy_set(AGREEMENT, board=changed(board, threshold=1))
        assert refused(lower, OTHERS | {fresh}) == "POLICY_SEAT_MISSING"


def test_others_are_not_sent_away_before_a_key_is_called_lost() -> None:
    """Nor is a board of one ever all others."""
    four = changed(BOARD, members__dina={"name": "Dina", "key": key("dina")})
    before = policy_set(AGREEMENT, board=four)
    for board in (BOARD, changed(four, members__dina__key=key("x"))):
        after = policy_set(AGREEMENT, board=board)
        assert refused(after, before=before) == "POLICY_SEAT_MISSING"
        assert refused(after, EVERYBODY, before) == "accepted"
    alone = changed(BOARD, members__bela=..., members__chidi=..., threshold=1)
    single = changed(AGREEMENT, approval__quorum=1)
    lost = changed(alone, members__alice__key=key("x"))
    assert (
        refused(
            policy_set(single, board=lost),
            [key("x")],
            policy_set(single, board=alone),
        )
        == "POLICY_SEAT_MISSING"
    )


def test_a_few_do_not_fill_the_board_to_be_a_quorum() -> None:
    """A member more, or a lower threshold, needs the quorum of every agreement."""
    three = changed(AGREEMENT, approval__quorum=3)
    before = policy_set(three)
    for board in (
        changed(BOARD, members__dina={"name": "Dina", "key": key("dina")}),
        changed(BOARD, threshold=1),
    ):
        after = policy_set(three, board=board)
        assert refused(after, before=before) == "POLICY_SIGNATURES_MISSING"
        assert refused(after, EVERYBODY, before) == "accepted"
        assert refused(policy_set(AGREEMENT, board=board)) == "accepted"


def test_a_founding_is_accepted_and_says_what_it_lacks() -> None:
    """An agency confirmed the fingerprint; the board still wants every signature."""
    check_change(None, START, {})
    assert len(missing(None, START, {})) == 2
    assert missing(None, START, {"targets": EVERYBODY}) == ()
    assert signers_wanted(None, START)["targets"] >= EVERYBODY
    assert board_needs(None, START) == ()


# Random sequences

RICH = changed(
    AGREEMENT,
    purpose=["planning", "research"],
    may_ask__measures=["persons", "cases"],
    may_ask__hidden_values={"place": ["north"]},
)
VALUES: dict[str, list[object]] = {
    "purpose": [["planning", "research"], ["research"], ["planning", "press"]],
    "recipients__roles": [["analyst"], ["analyst", "x"]],
    "may_ask__measures": [["persons", "cases"], ["cases"]],
    "may_ask__group_by": [
        {"age": "all", "place": "all", "kind": "all"},
        {"age": "broad", "place": "all"},
        {"place": "all"},
    ],
    "may_ask__at_most_dimensions": [0, 1, 2, 3],
    "may_ask__never_together": [[], [["age", "place"]]],
    "may_ask__hidden_values": [{}, {"place": ["north"]}],
    "protect__covered_by_at_least": [..., 1, 4],
    "spend__everyone": [{"epsilon": 12, "every": 365}, {"epsilon": 99, "every": 1}],
    "approval__quorum": [1, 2],
    "approval__loosening_needs": [[], ["survivors"]],
    "approval__signatories": ["board", "parties"],
    "agreement": ["trends", "figures"],
    "parties": [PARTIES, [*PARTIES, "other"]],
}
BOARDS: list[dict[str, Any] | None] = [
    BOARD,
    changed(BOARD, seats={}),
    changed(BOARD, seats={"survivors": "bela"}),
    changed(BOARD, members__alice__key=key("x")),
    changed(BOARD, members__chidi=...),
    changed(BOARD, members__chidi=..., members__alice__key=key("x")),
    changed(BOARD, members__chidi=..., seats={"survivors": "bela"}),
    changed(BOARD, threshold=1, members__x={"name": "X", "key": key("x")}),
    None,
]
THIN = changed(MEMBERS, members__work__remit__covers={"place": ["north"]})
ATTACKERS = frozenset(
    {key("bela"), key("x"), *(key(f"signs {party}") for party in PARTIES)}
)
"""All keys but the seat's and that of one honest member, Chidi."""
WITH_CHIDI = ATTACKERS - {key("x")} | {key("chidi")}
"""All keys that exist but the seat's."""


@st.composite
def edits(draw: st.DrawFn) -> dict[str, object]:
    """Draw a few entries to change at once, and how the version goes on."""
    paths = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2))
    values = {path: draw(st.sampled_from(VALUES[path])) for path in paths}
    return values | {"version": draw(st.sampled_from([1, 1, 1, 0]))}


STEPS = st.one_of(
    *(st.tuples(st.just("agreement"), edits()) for _ in range(5)),
    st.tuples(st.just("board"), st.sampled_from(BOARDS)),
    st.tuples(st.just("members"), st.sampled_from([MEMBERS, THIN])),
    st.tuples(st.just("model"), st.sampled_from([MODEL, changed(MODEL, title="x")])),
    st.tuples(st.just("remove"), st.none()),
    st.tuples(st.just("both"), edits()),
)


def carried_out(
    steps: list[tuple[str, Any]], signers: frozenset[str]
) -> tuple[PolicySet, int]:
    """Return where a sequence of attempts leads, and how many were accepted."""
    parts: dict[str, Any] = {"board": BOARD, "members": MEMBERS, "model": MODEL}
    agreement: dict[str, Any] | None = RICH
    standing, accepted = policy_set(RICH), 0
    for kind, value in steps:
        tried, trial = dict(parts), agreement
        if kind in parts:
            tried[kind] = value
        elif kind == "remove":
            trial = None
        else:
            trial = agreement or changed(RICH, version=20)
            version = trial["version"] + value["version"]
            trial = changed(trial, **(value | {"version": version}))
        beside = [agreement] if kind == "both" and agreement else []
        try:
            after = policy_set(*beside, *([trial] if trial else []), **tried)
            roles = ("targets", "agreement-trends", "agreement-figures")
            check_change(standing, after, dict.fromkeys(roles, signers))
        except (ConfigurationError, PolicyDenied):
            continue
        accepted += after.documents != standing.documents
        standing, parts, agreement = after, tried, trial
    return standing, accepted


@given(
    steps=st.lists(STEPS, min_size=1, max_size=15),
    signers=st.sampled_from([ATTACKERS, WITH_CHIDI]),
)
@settings(max_examples=60)
def test_no_sequence_of_accepted_changes_gets_past_the_seat(
    steps: list[tuple[str, Any]], signers: frozenset[str]
) -> None:
    """No request is allowed in the end that was not, and the seat is nobody else's."""
    start = policy_set(RICH)
    standing, accepted = carried_out(steps, signers)
    target(accepted)
    assert standing.board is not None
    assert standing.board.seats["survivors"] == "alice"
    assert standing.board.members["alice"].key == SEAT
    assert set(standing.agreements) <= set(start.agreements)
    for name in standing.agreements:
        found = compare(start.policy(name), standing.policy(name))
        assert found.newly_allowed.count == 0
        assert not found.loosens


def test_sequences_that_only_tighten_are_accepted_one_by_one() -> None:
    """So that the test above does not pass because everything is refused."""
    steps: list[tuple[str, Any]] = [
        ("agreement", {"purpose": ["research"], "version": 1}),
        ("agreement", {"may_ask__at_most_dimensions": 1, "version": 1}),
        ("members", THIN),
        ("agreement", {"purpose": ["planning", "research"], "version": 1}),
        ("agreement", {"may_ask__measures": ["cases"], "version": 1}),
        ("remove", None),
        ("agreement", {"may_ask__measures": ["cases"], "version": 1}),
    ]
    assert carried_out(steps, WITH_CHIDI)[1] == 5


def test_nothing_to_check_takes_no_time() -> None:
    """Agencies check at every refresh; the same documents are the common case."""
    again = PolicySet(
        **{
            name: getattr(START, name)
            for name in ("board", "members", "models", "presets", "agreements")
        },
        documents=dict(START.documents),
        emergencies=START.emergencies,
    )
    best = 1.0
    for _ in range(5):
        begin = time.perf_counter()
        check_change(START, again, {})
        best = min(best, time.perf_counter() - begin)
    assert best < 0.001


def test_every_sentence_is_used_and_exists() -> None:
    """Of both catalogues, as far as ids stand in the code."""
    (folder,) = accord.core.__path__
    sources = [Path(folder, "approval.py"), Path(folder, "board_changes.py")]
    text = "".join(path.read_text() for path in sources)
    catalogue = Path(folder, "locale", "en", "LC_MESSAGES", "approval.po")
    for message in re.findall(r'msgid "approval\.([a-z-]+)"', catalogue.read_text()):
        stem = re.sub(r"-(board|parties)$", "", message)
        assert f'"{message}"' in text or f'f"{stem}-' in text
