# SPDX-License-Identifier: Apache-2.0
"""What the demo says of the hub is true of the release that it says it of."""

from __future__ import annotations

import pytest

from accord.client.decode import result_of
from accord.client.demo.command import what_the_hub_held
from tests.unit.client.hub_double import partial, release


@pytest.mark.parametrize("placement", ["shared", "agents"])
def test_masked_vectors_are_told_by_number(placement: str) -> None:
    """Of those who answered."""
    for answer, number in ((release(), 5), (partial(), 3)):
        answer.noise_placement = placement
        told = what_the_hub_held(
            result_of(answer, charged=answer.cost, from_archive=False)
        )
        assert f"{number} masked vectors" in told
        assert "noise already" in told


@pytest.mark.parametrize("placement", ["hub", ""])
def test_nothing_is_claimed_where_the_hub_saw_exact_sums(placement: str) -> None:
    answer = release(noise_placement=placement)
    result = result_of(answer, charged=answer.cost, from_archive=False)
    assert what_the_hub_held(result) == ""


def test_nothing_is_claimed_of_a_repeat() -> None:
    """Nobody was asked for it."""
    assert (
        what_the_hub_held(result_of(release(), charged=None, from_archive=True)) == ""
    )
