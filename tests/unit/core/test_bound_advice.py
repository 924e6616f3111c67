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
    expected,
    known_losses,
    lost_at,
)

PEOPLE = st.lists(st.integers(1, 20), min_size=1, max_size=60)
"""Groups of each person."""

BOUNDS = range(1, LARGEST_BOUND + 1)


def lost(people: list[int], bound: int) -> int:
    return sum(max(0, groups - bound) for groups in people)


def exact(people: list[int], bound: int, *, hidden: bool = False) -> Evidence:
    """Return what a release without noise would tell."""
    counted = sum(min(groups, bound) for groups in people)
    return Evidence(
        groups=bound,
        persons=len(people),
        dropped=lost(people, bound),
        counted=None if hidden else counted,
    )


@given(PEOPLE, st.lists(st.integers(1, LARGEST_BOUND), min_size=1), st.booleans())
def test_the_truth_lies_between_least_and_most(
    people: list[int], bounds: list[int], hidden: bool
) -> None:
    known = known_losses(exact(people, bound, hidden=hidden) for bound in bounds)
    for bound in BOUNDS:
        least, most = lost_at(bound, known)
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
    known = known_losses([exact([1, 2, 9], 3, hidden=True)])
    assert lost_at(2, known) == (6, None)
    assert lost_at(3, known) == (6, 6)
    assert lost_at(5, known) == (0, 6)
