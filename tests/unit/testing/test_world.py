# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.client.demo.casefiles import exact_counts
from accord.client.result import Result
from accord.core.document import DocumentError
from accord.core.errors import BudgetExhausted, InvalidQuery, NotFound, PolicyDenied
from accord.testing import World, world
from accord.testing.governance import example_agreement
from accord.testing.wire import INVENTED


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with world() as found:
        yield found


def figures(result: Result) -> list[tuple[tuple[str, ...], float | None]]:
    return [(row.values, row.estimate.estimate) for row in result.rows]


def test_an_answer_is_within_its_error_of_the_invented_cases(made: World) -> None:
    question = made.hub.agreement("world").persons().by("region")
    result = question.release(epsilon=10, purpose="learning")
    named = [case for case in made.cases() if case.client.given]
    exact = exact_counts(named, by=["region"])
    for row in result.rows:
        if not row.estimate.suppressed:
            # Eight standard deviations: one false alarm in 10^15 answers.
            assert row.estimate.estimate is not None
            assert row.estimate.sd is not None
            known = exact[row.values]
            assert (
                abs(row.estimate.estimate - known) < 8 * row.estimate.sd + 0.01 * known
            )
    assert {row.values[0] for row in result.rows} >= {"norvale", "port_calla"}


@pytest.mark.parametrize(
    "by", [["gender", "exploitation_type"], ["region", "source_type"], ["age_band"]]
)
def test_whole_intervals_hold_what_the_cases_say(by: list[str]) -> None:
    # A world of its own has one answer: it fails only after something was changed.
    with world(seed=7) as made:
        question = made.hub.agreement("world").persons().by(*by)
        result = question.release(epsilon=4, purpose="learning")
        named = [case for case in made.cases() if case.client.given]
    exact = exact_counts(named, by=list(result.dimensions))
    shown = [
        (row.values, row.estimate.whole_lower, row.estimate.whole_upper)
        for row in result
        if row.estimate.whole_lower is not None
    ]
    held = [low <= exact[values] <= high for values, low, high in shown if high]
    assert len(held) > 5
    assert sum(held) >= result.whole_level * len(held) - 1


def test_it_is_the_same_again_for_one_seed_and_another_for_another() -> None:
    found = []
    for seed in (1, 1, 2):
        with world(seed=seed, persons=500) as made:
            question = made.hub.agreement("world").persons().by("gender")
            found.append(figures(question.release(epsilon=2, purpose="learning")))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_everybody_is_told_that_nothing_is_real(made: World) -> None:
    assert "SYNTHETIC" in repr(made)
    question = made.hub.agreement("world").persons().by("cross_border")
    result = question.release(epsilon=2, purpose="learning")
    assert result.not_covered[0] == INVENTED
    assert made.hub.release(result.id).not_covered[0] == INVENTED


def test_a_question_is_paid_once_and_free_when_it_comes_again(made: World) -> None:
    agreement = made.hub.agreement("world")
    question = agreement.cases().by("source_type")
    assert not question.price(epsilon=2, purpose="learning").from_archive
    first = question.release(epsilon=2, purpose="learning")
    spent = [account.spent for account in agreement.budget().accounts]
    again = question.release(epsilon=2, purpose="learning")
    assert again.id == first.id
    assert again.from_archive
    assert [account.spent for account in agreement.budget().accounts] == spent
    assert question.price(epsilon=2, purpose="learning").from_archive
    assert first.id in {release.id for release in made.hub.releases()}


def test_what_is_wrong_is_refused_as_by_a_hub(made: World) -> None:
    persons = made.hub.agreement("world").persons()
    with pytest.raises(InvalidQuery, match="gender"):
        persons.by("gendre").release(epsilon=2, purpose="learning")
    with pytest.raises(PolicyDenied, match="purpose"):
        persons.release(epsilon=2, purpose="arrests")
    with pytest.raises(InvalidQuery) as refused:
        persons.release(epsilon=2, purpose="learning", submission_id="no uuid")
    assert refused.value.reason == "MESSAGE_INVALID"
    with pytest.raises(NotFound):
        made.hub.agreement("another").describe()


def test_it_answers_where_a_loop_runs_already(made: World) -> None:
    async def in_a_notebook() -> Result:
        question = made.hub.agreement("world").persons().by("victim_status")
        return question.release(epsilon=2, purpose="learning")

    assert asyncio.run(in_a_notebook()).rows


def test_it_answers_in_milliseconds(made: World) -> None:
    agreement = made.hub.agreement("world")
    agreement.persons().release(epsilon=2, purpose="learning")
    spent = []
    for value in ("woman", "man", "unknown", "transgender_woman", "non_conforming"):
        began = time.perf_counter()
        question = agreement.persons().by("region").where(gender=value)
        question.release(epsilon=2, purpose="learning")
        spent.append(time.perf_counter() - began)
    # Far above the tenth of a second that it takes on an idle machine.
    assert min(spent) < 1


def test_agencies_can_be_three_or_more_than_the_demo_has() -> None:
    with world(agencies=3, persons=300) as made:
        result = (
            made.hub.agreement("world").cases().release(epsilon=2, purpose="learning")
        )
        assert result.coverage.answered == tuple(sorted(made.agencies))
    with world(agencies=7, persons=300) as made:
        assert len(set(made.agencies)) == 7
    with pytest.raises(InvalidQuery) as refused:
        world(agencies=2)
    assert refused.value.reason == "WORLD_AGENCIES"


def test_another_agreement_can_be_tried(tmp_path: Path) -> None:
    text = example_agreement().replace("epsilon: 1000, every", "epsilon: 3, every")
    path = tmp_path / "tight.yaml"
    path.write_text(text.replace("epsilon: 20}", "epsilon: 3}"), encoding="utf-8")
    with world(persons=300, agreement=path) as made:
        persons = made.hub.agreement("world").persons()
        persons.release(epsilon=3, purpose="learning")
        with pytest.raises(BudgetExhausted):
            persons.by("gender").release(epsilon=3, purpose="learning")
    with pytest.raises(DocumentError):
        world(persons=300, agreement=text.replace("quorum: 1", "quorom: 1"))


def test_prices_errors_derived_answers_and_coverage_are_there(made: World) -> None:
    agreement = made.hub.agreement("world")
    fine = (
        agreement.cases()
        .by("region", "registered_month")
        .where(registered_month="2025")
        .release(epsilon=4, purpose="learning")
    )
    coarse = agreement.cases().by("region").where(registered_month="2025")
    price = coarse.price(epsilon=4, purpose="learning")
    assert price.derivable_from == fine.id
    derived = coarse.derived(purpose="learning")
    assert derived.derived_from == fine.id
    assert derived.not_covered[0] == INVENTED
    exact = agreement.persons().by("case_status").release(error=15, purpose="learning")
    shown = next(row.estimate for row in exact if row.estimate.upper is not None)
    assert shown.upper is not None
    assert shown.lower is not None
    assert shown.upper - shown.lower <= 30
    with pytest.raises(InvalidQuery, match="too little noise"):
        agreement.persons().release(error=0.01, purpose="learning")
    assert agreement.coverage().needed == 3


def test_what_has_ended_is_not_cancelled(made: World) -> None:
    question = made.hub.agreement("world").persons().by("age_band:broad")
    pending = question.release(epsilon=4, purpose="learning", wait=False)
    assert pending.state == "released"
    assert not pending.cancel()
    assert pending.result().rows
    assert made.hub.pending() == []


@pytest.mark.parametrize(
    "measure",
    [
        "sum(days_in_care)",
        "mean(days_in_care)",
        "quantile(days_in_care)",
        "share(exploitation_type)",
        "values(means_of_control)",
    ],
)
def test_every_measure_is_answered(made: World, measure: str) -> None:
    question = made.hub.agreement("world").measure(measure)
    result = question.release(epsilon=4, purpose="learning")
    assert any(row.estimate.estimate is not None for row in result)


def test_without_the_programs_of_hub_and_agent_one_is_told() -> None:
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "sys.modules['sqlalchemy'] = None\n"
        "from accord.core.errors import ConfigurationError\n"
        "try:\n    import accord.testing\n"
        "except ConfigurationError as error:\n    print(error.reason, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("LIBRARY_MISSING ")
    assert "pip install 'accord[demo]'" in done.stdout
