# SPDX-License-Identifier: Apache-2.0
"""Which bound a board might choose: from releases, by SDK and command."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import accord.client as accord
from accord.client import cli
from accord.client.advice import advise_bound, advise_from_archive
from accord.client.decode import result_of
from accord.rpc.command import run_command
from accord.testing import World, world
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import AnalystHub, estimate, release, serving


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with world(agencies=3) as running:
        yield running


@pytest.fixture(scope="module")
def serving_hub() -> Iterator[AnalystHub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(
    serving_hub: AnalystHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalystHub:
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("ACCORD_HUB", serving_hub.address)
    monkeypatch.setenv("ACCORD_TOKEN", serving_hub.token)
    monkeypatch.setenv("COLUMNS", "200")
    serving_hub.begin_anew()
    return serving_hub


def stored(dropped: float, **changes: object) -> pb.Release:
    """Return a release of two figures that add up to 200, of 130 persons."""
    shown = [
        pb.Row(values=["norvale"], estimate=estimate(120)),
        pb.Row(values=["eastmere"], estimate=estimate(80)),
    ]
    made = release(dropped=estimate(dropped, 40), **changes)
    del made.rows[:]
    made.rows.extend(shown)
    return made


def result(message: pb.Release) -> accord.Result:
    return result_of(message, charged=None, from_archive=True)


def test_noise_and_losses_by_bound() -> None:
    found = advise_bound([result(stored(10))])
    assert found.groups_per_person == 3
    one, two, three, four = found.choices[:4]
    assert three.half_width == pytest.approx(10.25)
    # Cells are stored 5 times with one group and 4 times with three; two entries more.
    assert one.half_width == pytest.approx(10.25 * math.sqrt(27 / 25 / (50 / 16)))
    assert (three.least_lost, three.most_lost) == (10, 10)
    assert (one.least_lost, one.most_lost) == (80, 80)
    assert (two.least_lost, two.most_lost) == (10, 45)
    assert (four.least_lost, four.most_lost) == (0, 10)
    assert three.most_error == pytest.approx(10.25 + 10 / 2)
    assert found.best is three
    assert [each.groups for each in found.maybe_better] == [2, 4, 5, 6]
    assert "and it is the one in force" in found.notes()[0]


def test_small_losses_lead_to_a_smaller_bound() -> None:
    few = stored(0)
    few.persons.CopyFrom(estimate(199, 40))
    found = advise_bound([result(few)])
    assert found.best.groups == 1
    assert "a bound of 1" in found.notes()[0]


@pytest.mark.parametrize(("why", "most"), [("small", 90), ("remits", None)])
def test_a_hidden_figure_is_at_most_the_limit(why: str, most: float | None) -> None:
    message = stored(10)
    hidden = pb.Estimate(suppressed=True, why=why)
    message.rows.append(pb.Row(values=["sudmark"], estimate=hidden))
    one = advise_bound([result(message)]).choices[0]
    assert (one.least_lost, one.most_lost) == (10, most)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"measure": "cases"}, "BOUND_NOT_KNOWN"),
        ({"bounding": "weigh"}, "BOUND_NOT_KNOWN"),
        ({"derived_from": "another"}, "BOUND_NOT_KNOWN"),
        ({"agreement": "other"}, "RELEASES_DIFFER"),
    ],
)
def test_releases_that_tell_nothing(changes: dict[str, str], reason: str) -> None:
    both = [result(stored(10)), result(stored(10, **changes))]
    with pytest.raises(accord.InvalidQuery) as caught:
        advise_bound(both)
    assert caught.value.reason == reason


def test_the_command(
    hub: AnalystHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = hub.store(stored(10))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["accord", "advise", "bound", *arguments])
        assert run_command(cli.app, unharmed="") == 0
        return capsys.readouterr().out

    out = run(name)
    assert "3 *" in out
    assert "Not ruled out as better by what was released: 2, 4, 5, 6." in out
    found = json.loads(run(name, "--json"))
    assert found["best"] == 3
    assert found["releases"] == [name]
    assert len(found["choices"]) == 8


def test_over_the_archive_of_a_federation(made: World) -> None:
    agreement = made.hub.agreement("world")
    with pytest.raises(accord.InvalidQuery, match="No release"):
        advise_from_archive(made.hub, "world")
    answer = agreement.persons().by("gender").release(epsilon=2, purpose="learning")
    found = advise_from_archive(made.hub, "world")
    assert found.releases == (answer.id,)
    assert found.best in found.choices
