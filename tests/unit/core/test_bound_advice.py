# SPDX-License-Identifier: Apache-2.0
"""What releases under one bound tell about other bounds, against invented people."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from accord.core.bound_advice import (
    LARGEST_BOUND,
    Evidence,
    best_of,
    ceiling_at_one,
    expected,
    known_losses,
    lost_at,
)

PEOPLE = st.lists(st.integers(1, 20), min_size=1, max_size=60)
"""Groups of each person."""

BOUNDS = range(1, LARGEST_BOUND + 1)


def lost(people: list[int], bound: int) -> int:
    return sum(max(0, groups - bound) for groups in people)


def exact(people: list[int], bound: int, *, hidden: int | None = 0) -> Evidence:
    """Return what a release without noise would tell, or one that hides figures.

    Args:
        people: groups of each.
        bound: of the release.
        hidden: how much more the hidden figures could be than they are.
    """
    counted = sum(min(groups, bound) for groups in people)
    return Evidence(
        groups=bound,
        persons=len(people),
        dropped=lost(people, bound),
        counted=None if hidden is None else counted + hidden,
        hidden=hidden != 0,
    )


@given(
    PEOPLE,
    st.lists(st.integers(1, LARGEST_BOUND), min_size=1),
    st.none() | st.integers(0, 20),
)
def test_the_truth_lies_between_least_and_most(
    people: list[int], bounds: list[int], hidden: int | None
) -> None:
    evidence = [exact(people, bound, hidden=hidden) for bound in bounds]
    known, ceiling = known_losses(evidence), ceiling_at_one(evidence)
    for bound in BOUNDS:
        least, most = lost_at(bound, known, ceiling)
        assert (most is None) == (hidden is None and bound < min(bounds))
        assert least <= lost(people, bound) + 1e-9
        if most is not None:
            assert lost(people, bound) <= most + 1e-9
        if bound in bounds:
            assert least == most


@given(PEOPLE, st.integers(1, LARGEST_BOUND), st.integers(1, 100))
def test_the_best_bound_is_chosen_or_not_ruled_out(
    people: list[int], bound: int, figures: int
) -> None:
    choices = expected([exact(people, bound)], lambda at: 9 * math.sqrt(at), figures)
    best, rivals = best_of(choices)
    true = {at: 9 * math.sqrt(at) + lost(people, at) / figures for at in BOUNDS}
    least = min(true, key=lambda at: (true[at], at))
    assert least in {best.groups, *(each.groups for each in rivals)}
    assert best.most_error is not None
    assert true[best.groups] <= best.most_error + 1e-9


@given(
    st.lists(
        st.builds(
            Evidence,
            groups=st.integers(1, LARGEST_BOUND),
            persons=st.floats(-100, 100),
            dropped=st.floats(-100, 100),
            counted=st.none() | st.floats(-100, 100),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_noise_makes_no_loss_negative_or_rising(evidence: list[Evidence]) -> None:
    known = known_losses(evidence)
    losses = [known[groups] for groups in sorted(known)]
    assert losses == sorted(losses, reverse=True)
    assert min(losses) >= 0


def test_hidden_figures_leave_smaller_bounds_unknown() -> None:
    evidence = [exact([1, 2, 9], 3, hidden=None)]
    known = known_losses(evidence)
    assert ceiling_at_one(evidence) is None
    assert lost_at(2, known) == (6, None)
    assert lost_at(3, known) == (6, 6)
    assert lost_at(5, known) == (0, 6)


def test_a_bound_of_one_tells_its_losses_by_dropped_alone() -> None:
    noisy = Evidence(groups=1, persons=100, dropped=7, counted=130)
    assert known_losses([noisy]) == {1: 7}


def test_small_figures_are_hidden_and_still_tell_a_limit() -> None:
    evidence = [exact([1, 2, 9], 3, hidden=4)]
    known, ceiling = known_losses(evidence), ceiling_at_one(evidence)
    assert ceiling == lost([1, 2, 9], 1) + 4
    assert lost_at(1, known, ceiling) == (6, 13)
    assert lost_at(2, known, ceiling) == (6, 9.5)
