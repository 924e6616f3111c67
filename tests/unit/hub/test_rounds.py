# SPDX-License-Identifier: Apache-2.0
"""Which cohort can be published, whatever comes in, in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accord.hub.rounds.round import Call, Round, publishable

ALL = ("a", "b", "c", "d", "e")
COHORTS = {"all": ALL, "most": ("a", "b", "c"), "rest": ("a", "d", "e")}
SIZE = 3


def a_round() -> Round:
    """Return a round that asks everybody."""
    return Round(
        Call(
            submission="s",
            payload_digest="p",
            layout_digest="l",
            size=SIZE,
            members=ALL,
            cohorts=COHORTS,
        )
    )


moves = st.lists(
    st.tuples(st.sampled_from(ALL), st.sampled_from(["answer", "refuse", "broken"])),
    max_size=12,
)


@given(moves, st.booleans())
def test_only_whole_cohorts_without_a_refuser_are_published(
    history: list[tuple[str, str]], late: bool
) -> None:
    round_ = a_round()
    first: dict[str, str] = {}
    for agency, move in history:
        first.setdefault(agency, move)
        if move == "refuse":
            round_.refuse(agency, "LOCAL_RULE")
        else:
            digest = "l" if move == "answer" else "other"
            round_.accept(agency, serial="1", layout_digest=digest, vector=[1, 2, 3])
    assert round_.answered == sorted(a for a, m in first.items() if m == "answer")
    assert round_.awaited == [a for a in ALL if a not in first]
    cohort = round_.complete(late=late)
    whole = [
        name
        for name, members in COHORTS.items()
        if all(first.get(agency) == "answer" for agency in members)
    ]
    unspoilt = [
        name
        for name, members in COHORTS.items()
        if all(first.get(agency, "answer") == "answer" for agency in members)
    ]
    if late:
        assert cohort == (whole[0] if whole else None)
    else:
        assert cohort == (unspoilt[0] if unspoilt[:1] == whole[:1] != [] else None)
    assert round_.is_hopeless(late=late) == (not unspoilt or (late and cohort is None))
    if cohort is not None:
        size = len(COHORTS[cohort])
        assert round_.pooled(cohort).tolist() == [size, 2 * size, 3 * size]


def test_the_first_answer_counts() -> None:
    round_ = a_round()
    for vector in ([1, 1, 1], [9, 9, 9]):
        assert round_.accept("a", serial="1", layout_digest="l", vector=vector) is None
    for agency in ("b", "c"):
        round_.accept(agency, serial="1", layout_digest="l", vector=[0, 0, 0])
    assert not round_.refuse("a", "LOCAL_RULE")
    assert round_.pooled("most").tolist() == [1, 1, 1]
    assert (
        round_.accept("stranger", serial="1", layout_digest="l", vector=[1, 1, 1])
        is None
    )
    round_.forget("a")
    assert round_.answered == ["b", "c"]
    assert "a" in round_.awaited


def test_only_cohorts_of_those_who_were_asked() -> None:
    assert publishable(COHORTS, ("a", "b", "c")) == {"most": ("a", "b", "c")}
    assert list(publishable(COHORTS, ALL)) == ["all", "most", "rest"]
