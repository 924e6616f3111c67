# SPDX-License-Identifier: Apache-2.0
"""Answers that stored releases give for nothing, offered before anything is charged."""

from __future__ import annotations

import json

import pytest

import accord.client as accord
from accord.client.cli.options import notices
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import PURPOSE, Accord, AnalystHub, release

QUESTION = ("--by", "region", "--epsilon", "2", "--purpose", PURPOSE)
FINER = "6f2f6a0e-8d6c-4a6e-9d0f-0a4e6a1b2c3d"


@pytest.fixture
def hub(hub: AnalystHub) -> AnalystHub:
    """A hub with a stored release from which the answer follows, exactly enough."""
    hub.price.derivable_from = FINER
    hub.price.derivable_half_width = 40
    hub.derived = release(derived_from=FINER)
    return hub


@pytest.fixture
def run(run: Accord) -> Accord:
    """Run ``accord``, whose sentences may be broken into lines."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status, out, err = run(*arguments)
        return status, out, " ".join(err.split())

    return call


def was_asked(hub: AnalystHub) -> bool:
    return any(isinstance(each, pb.SubmitQueryRequest) for each in hub.requests)


def test_a_script_takes_what_is_exact_enough_and_is_told(
    hub: AnalystHub, run: Accord
) -> None:
    status, out, err = run("query", *QUESTION, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["release"]["derived_from"] == FINER
    assert found["charged"]["epsilon"] == 0
    assert not was_asked(hub)
    assert err == (
        f"The stored release {FINER} gives this for nothing, with ±40; asked anew it is"
        " ±52 for ε = 2. Taken; to ask anew: --new"
    )


def test_a_script_asks_anew_for_what_is_less_exact(
    hub: AnalystHub, run: Accord
) -> None:
    hub.price.derivable_half_width = 53
    status, _, err = run("query", *QUESTION)
    assert status == 0
    assert was_asked(hub)
    assert err.endswith("Asking anew; else: --derived")
    hub.requests.clear()
    status, out, _ = run("query", *QUESTION, "--derived", "--json")
    assert json.loads(out)["release"]["derived_from"] == FINER
    assert not was_asked(hub)


def test_what_is_within_the_error_that_was_asked_for_is_enough(
    hub: AnalystHub, run: Accord
) -> None:
    hub.price.derivable_half_width = 53
    asked = ("--by", "region", "--purpose", PURPOSE, "--error")
    assert "Taken" in run("query", *asked, "53")[2]
    assert not was_asked(hub)
    assert "Asking anew" in run("query", *asked, "52.5")[2]
    assert was_asked(hub)


@pytest.mark.parametrize("option", ["--new", "--complete"])
def test_who_wants_a_new_or_a_whole_answer_gets_one(
    hub: AnalystHub, run: Accord, option: str
) -> None:
    _, _, err = run("query", *QUESTION, option)
    assert "for nothing" not in err
    assert was_asked(hub)


def test_what_is_already_paid_for_is_not_offered_otherwise(
    hub: AnalystHub, run: Accord
) -> None:
    hub.price.from_archive = True
    assert "for nothing" not in run("query", *QUESTION)[2]
    assert was_asked(hub)


@pytest.mark.parametrize(("said", "takes"), [("\n", True), ("n\n", False)])
def test_whoever_sits_at_a_terminal_is_asked(
    hub: AnalystHub,
    run: Accord,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    takes: bool,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(type(notices), "is_terminal", property(lambda _: True))
    answered: list[bool] = []

    def confirm(_text: str, *, default: bool, err: bool) -> bool:
        assert err
        answered.append(default)
        return default if said == "\n" else False

    monkeypatch.setattr("typer.confirm", confirm)
    run("query", *QUESTION)
    assert answered == [True]
    assert was_asked(hub) is not takes


def test_what_does_not_follow_is_refused_and_nothing_is_asked(
    hub: AnalystHub, run: Accord
) -> None:
    hub.derived = None
    status, _, err = run("query", *QUESTION, "--derived")
    assert status == 4
    assert err == "Error: No stored release answers it."
    assert not was_asked(hub)


def test_a_price_says_what_there_is_for_nothing(hub: AnalystHub, run: Accord) -> None:
    out = run("price", *QUESTION)[1]
    assert f"for nothing with ±40: it follows from release {FINER}" in out
    found = json.loads(run("price", *QUESTION, "--json")[1])
    assert found["derivable_from"] == FINER
    assert found["derivable_half_width"] == 40
    hub.price.derivable_from = ""
    found = json.loads(run("price", *QUESTION, "--json")[1])
    assert found["derivable_from"] is None
    assert found["derivable_half_width"] is None


def test_a_program_says_that_it_takes_it(hub: AnalystHub) -> None:
    with accord.connect() as session:
        question = session.agreement("regional-trends").cases().by("region")
        paid = question.release(epsilon=2, purpose=PURPOSE)
        assert paid.derived_from == ""
        free = question.release(epsilon=2, purpose=PURPOSE, accept_derived=True)
        assert free.derived_from == FINER
        assert free.charged.epsilon == 0
        pending = question.release(
            epsilon=2, purpose=PURPOSE, accept_derived=True, wait=False
        )
        assert pending.done
        assert pending.result().derived_from == FINER
        hub.price.derivable_half_width = 60
        again = question.release(epsilon=2, purpose=PURPOSE, accept_derived=True)
        assert again.derived_from == ""
        question.derived(purpose=PURPOSE, error=45)
    request = hub.requests[-1]
    assert isinstance(request, pb.DeriveReleaseRequest)
    assert request.error == 45
