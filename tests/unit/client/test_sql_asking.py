# SPDX-License-Identifier: Apache-2.0
"""Asking in SQL: by the command, and from Python over a whole federation."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import accord.client as accord
from accord.client import derive
from accord.testing import World, world
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2
from tests.unit.client.hub_double import PURPOSE, Accord, AnalystHub
from tests.unit.client.sql_offer import described

SELECT = (
    "SELECT LEVEL(registered_month, 'quarter'), region, COUNT(DISTINCT person) "
    "FROM cases WHERE gender <> 'unknown' GROUP BY 1, 2"
)
QUERY = common_pb2.Query(
    agreement="regional-trends",
    measure="persons",
    group_by=[
        common_pb2.Grouping(dimension="registered_month", level="quarter"),
        common_pb2.Grouping(dimension="region"),
    ],
    where=[common_pb2.Filter(dimension="gender", values=["female", "male"])],
)
SPENDING = ("--epsilon", "2", "--purpose", PURPOSE)


@pytest.fixture
def hub(hub: AnalystHub) -> AnalystHub:
    hub.offer = described()
    return hub


class TestCommand:
    @pytest.mark.parametrize("named", [(), ("-a", "regional-trends")])
    def test_a_price_and_an_answer(
        self, hub: AnalystHub, run: Accord, named: tuple[str, ...]
    ) -> None:
        assert run("price", SELECT, *SPENDING, *named)[0] == 0
        assert run("query", *SPENDING, *named, SELECT)[0] == 0
        sent = [each for each in hub.requests if hasattr(each, "query")]
        assert isinstance(sent[0], pb.PriceQueryRequest)
        assert isinstance(sent[-1], pb.SubmitQueryRequest)
        assert all(each.query == QUERY for each in sent)

    def test_an_edition_is_named_beside_it(self, hub: AnalystHub, run: Accord) -> None:
        assert run("price", SELECT, *SPENDING, "--edition", "2026-09")[0] == 0
        assert hub.requests[0].query.edition == "2026-09"

    @pytest.mark.parametrize("command", ["query", "price"])
    @pytest.mark.parametrize(
        "option",
        [("--measure", "cases"), ("--by", "region"), ("--where", "region=norvale")],
    )
    def test_options_that_say_the_same_are_refused(
        self, hub: AnalystHub, run: Accord, command: str, option: tuple[str, str]
    ) -> None:
        status, out, error = run(command, SELECT, *option, *SPENDING)
        assert (status, out) == (2, "")
        assert error == (
            "Error: The SELECT says what is counted, by what and where; leave "
            "--measure, --by and --where out.\n"
        )
        assert hub.requests == []

    def test_an_error_has_the_caret_on_its_own_line(
        self, hub: AnalystHub, run: Accord
    ) -> None:
        wrong = "SELECT COUNT(*)\nFROM cases\nWHERE regoin = 'norvale'"
        status, out, error = run("query", wrong, *SPENDING)
        assert (status, out) == (2, "")
        assert error == (
            "Error: line 3, column 7: The agreement offers no dimension of that name.\n"
            "\n"
            "    WHERE regoin = 'norvale'\n"
            "          ^\n"
            "\n"
            "Did you mean 'region'?\n"
        )
        assert hub.requests == []

    @pytest.mark.usefixtures("hub")
    def test_an_error_for_machines(self, run: Accord) -> None:
        wrong = "SELECT COUNT(*) FROM cases LIMIT 3"
        error = json.loads(run("query", wrong, *SPENDING, "--json")[2])["error"]
        assert error["reason"] == "SQL_REFUSED"
        assert error["metadata"]["line"] == "1"
        assert error["metadata"]["column"] == "28"
        assert "\n" not in error["text"]


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with world(agencies=3) as running:
        yield running


class TestOverAFederation:
    def test_the_answer_is_that_to_the_same_question(self, made: World) -> None:
        text = "SELECT gender, COUNT(DISTINCT person) FROM cases GROUP BY gender"
        answer = made.hub.sql(text, epsilon=2, purpose="learning")
        assert "gender" in answer.columns()
        question = made.hub.agreement("world").persons().by("gender")
        again = question.release(epsilon=2, purpose="learning")
        assert again.from_archive
        assert again.id == answer.id

    @pytest.mark.parametrize(
        ("function", "measure"),
        [
            ("SUM(days_in_care)", "sum(days_in_care)"),
            ("AVG(days_in_care)", "mean(days_in_care)"),
            ("SHARE(means_of_control)", "share(means_of_control)"),
            (
                "SHARE(LEVEL(citizenship, 'region_of_the_world'))",
                "share(citizenship:region_of_the_world)",
            ),
            ("VALUES_PER_PERSON(means_of_control)", "values(means_of_control)"),
        ],
    )
    def test_every_measure_is_answered(
        self, made: World, function: str, measure: str
    ) -> None:
        answer = made.hub.sql(
            f"SELECT {function} FROM cases", epsilon=1, purpose="learning"
        )
        assert answer.measure == measure
        assert len(answer) > 0

    def test_a_wanted_error_instead_of_a_loss(self, made: World) -> None:
        answer = made.hub.sql(
            "SELECT region, COUNT(*) FROM cases GROUP BY 1",
            error=90,
            purpose="learning",
        )
        shown = [row.estimate for row in answer if row.estimate.lower is not None]
        assert shown
        for each in shown:
            assert each.upper is not None
            assert each.lower is not None
            assert each.upper - each.lower <= 180

    def test_every_quantile_is_read_from_one_answer(self, made: World) -> None:
        answers = [
            made.hub.sql(f"SELECT {function} FROM cases", epsilon=1, purpose="learning")
            for function in ("MEDIAN(days_in_care)", "QUANTILE(days_in_care, 0.9)")
        ]
        assert answers[1].from_archive
        (median,) = derive.median(answers[0])
        (most,) = derive.quantile(answers[1], 0.9)
        assert median.part == 0.5
        assert most.part == 0.9
        assert answers[0].id == answers[1].id

    def test_names_come_from_the_agreement(self, made: World) -> None:
        with pytest.raises(accord.SqlError, match="Did you mean 'gender'") as caught:
            made.hub.sql_question(
                "SELECT gendre, COUNT(*) FROM cases GROUP BY 1", agreement="world"
            )
        assert caught.value.reason == "UNKNOWN_DIMENSION"

    def test_a_price_charges_nothing(self, made: World) -> None:
        question = made.hub.sql_question("SELECT COUNT(*) FROM cases")
        before = made.hub.agreement("world").budget()
        assert question.price(epsilon=1, purpose="learning").cells == 1
        assert made.hub.agreement("world").budget() == before


def test_two_agreements_need_a_name(hub: AnalystHub) -> None:
    hub.agreements = ["one", "two"]
    with accord.connect() as session, pytest.raises(accord.InvalidQuery) as caught:
        session.sql_question(SELECT)
    assert caught.value.reason == "AGREEMENT_NEEDED"
    assert "one, two" in caught.value.sentence
