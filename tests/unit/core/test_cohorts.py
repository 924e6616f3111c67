# SPDX-License-Identifier: Apache-2.0
"""Cohorts whose answers together would give one party away."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.cohorts import singled_out

PARTIES = "abcde"
COHORTS = st.lists(st.sets(st.sampled_from(PARTIES), min_size=1), max_size=6)


@pytest.mark.parametrize(
    ("cohorts", "parties"),
    [
        (["abcde"], ""),
        (["abcde", "abc"], ""),
        (["abcde", "abcd"], "e"),
        (["abc", "abcd"], "d"),
        (["abc", "bde", "abcde"], "b"),
        (["abc", "ade", "bcde"], "a"),
        (["ab", "bc", "ca"], "abc"),
        ([], ""),
    ],
)
def test_known_cases(cohorts: list[str], parties: str) -> None:
    """Pairs that differ by one, and combinations that no pair shows."""
    assert "".join(singled_out(cohorts)) == parties


@given(COHORTS)
def test_it_agrees_with_the_rank_test(cohorts: list[set[str]]) -> None:
    """A party is given away exactly if its unit vector adds nothing to the rank."""
    rows = [[float(party in cohort) for party in PARTIES] for cohort in cohorts]
    matrix = np.array(rows).reshape(-1, len(PARTIES))
    rank = np.linalg.matrix_rank(matrix) if rows else 0
    expected = [
        party
        for party, unit in zip(PARTIES, np.eye(len(PARTIES)), strict=True)
        if np.linalg.matrix_rank(np.vstack([matrix, unit])) == rank
    ]
    assert list(singled_out(cohorts)) == expected


@given(COHORTS)
def test_fewer_cohorts_give_nobody_more_away(cohorts: list[set[str]]) -> None:
    """Leaving a cohort out only helps."""
    everything = set(singled_out(cohorts))
    for fewer in itertools.combinations(cohorts, max(len(cohorts) - 1, 0)):
        assert set(singled_out(fewer)) <= everything
