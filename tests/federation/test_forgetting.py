# SPDX-License-Identifier: Apache-2.0
"""Persons are forgotten at an agency that answers, and the next answer lacks them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import accord.client as accord
from tests.federation.network import Network
from tests.federation.small_world import (
    PURPOSE,
    THREE,
    Case,
    SmallWorld,
    gender_of,
    province_of,
)
from tests.federation.test_questions import assert_plausible

pytestmark = [pytest.mark.federation, pytest.mark.slow]

MANY = 120


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield running


@pytest.fixture(scope="module")
def hub(network: Network) -> Iterator[accord.Hub]:
    with network.connect() as connection:
        yield connection


def by_gender(cases: Sequence[Case]) -> Mapping[tuple[str, ...], int]:
    return collections.Counter((gender_of(case),) for case in cases)


def by_province(cases: Sequence[Case]) -> Mapping[tuple[str, ...], int]:
    return collections.Counter((province_of(case),) for case in cases)


def ask(hub: accord.Hub, *dimensions: str, **levels: str) -> accord.Result:
    question = hub.agreement("three").cases().by(*dimensions, **levels)
    return question.release(epsilon=8, purpose=PURPOSE)


def test_the_next_answer_lacks_whom_a_running_agency_forgot(
    network: Network, hub: accord.Hub, world: SmallWorld, tmp_path: Path
) -> None:
    everybody = [case for label in THREE for case in world.cases[label]]
    before = ask(hub, "gender")
    assert_plausible(before, by_gender(everybody))
    persons = sorted({case.person for case in world.cases["alpha"]})[:MANY]
    named = tmp_path / "persons.txt"
    columns = ("given_name", "family_name", "birth_date")
    named.write_text(
        "\n\n".join(
            "\n".join(
                f"{name}: {text}" for name, text in zip(columns, one, strict=True)
            )
            for one in persons
        ),
        encoding="utf-8",
    )
    named.chmod(0o600)
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(network.blueprint.mappings["alpha"], encoding="utf-8")
    running = network.agents["alpha"].is_running
    receipt = network.agent_command(
        *("alpha", "forget", "--from", str(named), "--yes"),
        *("--mapping", str(mapping)),
        *("--model", str(network.model("small-v1"))),
    )
    assert receipt["searched"]["found"] == 0
    assert running
    assert network.agents["alpha"].is_running
    gone = [case for case in world.cases["alpha"] if case.person in set(persons)]
    for place in receipt["places"]:
        assert place["cases"][0] - place["cases"][1] == len(gone), place
        assert place["persons"][0] - place["persons"][1] == MANY
    left = [*everybody]
    for case in gone:
        left.remove(case)
    after = ask(hub, district="province")
    assert_plausible(after, by_province(left))
    # The noise is too small to have made the difference.
    deviations = [row.estimate.sd for row in after]
    assert all(each is not None for each in deviations)
    assert len(gone) > 7 * sum(each**2 for each in deviations if each) ** 0.5
    # What was released stays released: the same question has the same answer.
    again = ask(hub, "gender")
    assert [row.estimate for row in again] == [row.estimate for row in before]
