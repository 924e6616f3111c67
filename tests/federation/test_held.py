# SPDX-License-Identifier: Apache-2.0
"""Releases that people look at first: a real hub, agents, and typed commands."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeout
from pathlib import Path

import pytest

import accord.client as accord
from tests.contract.postgres import Cluster, postgres
from tests.federation.network import Network
from tests.federation.replicated import ReplicatedNetwork
from tests.federation.small_world import PURPOSE, THREE, SmallWorld, gender_of

__all__ = ["postgres"]

pytestmark = [pytest.mark.federation, pytest.mark.slow]

AGREEMENT = "agreements/three.yaml"
CLAUSES = (
    ("\nversion: 1\n", "\nversion: 2\n"),
    ("  at_most_dimensions:", "  sensitive: [gender]\n  at_most_dimensions:"),
    ("\napproval:", "\nreview: {reviewers: [rita]}\napproval:"),
)


def reviewed(network: Network) -> Network:
    """Let the board name a dimension sensitive, and a reviewer."""
    added = network.hub_command(
        "analyst", "add", "rita", "--organisation", "council", "--role", "reviewer"
    )
    network.tokens["rita"] = added["token"]
    version = network.decide(network.edit(AGREEMENT, *CLAUSES))
    network.wait_learned(version, THREE)
    return network


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield reviewed(running)


@pytest.fixture
def hub(network: Network) -> Iterator[accord.Hub]:
    with network.connect() as connection:
        yield connection


def ask(hub: accord.Hub, epsilon: float, *by: str) -> accord.Pending:
    """Ask by a sensitive dimension, until it is held."""
    question = hub.agreement("three").persons().by(*by)
    price = question.price(epsilon=epsilon, purpose=PURPOSE)
    assert price.reviewers == ("rita",)
    identifier = str(uuid.uuid4())
    with pytest.raises(accord.DeadlineExceeded) as caught:
        question.release(epsilon=epsilon, purpose=PURPOSE, submission_id=identifier)
    assert caught.value.reason == "RELEASE_HELD"
    return hub.submission(identifier)


def rounds(network: Network) -> list[object]:
    """Return how many questions each agency was asked."""
    sql = "SELECT count(*) FROM round"
    return [network.agent_rows(label, sql) for label in THREE]


@pytest.mark.day
@pytest.mark.slow
def test_what_is_let_go_is_what_the_reviewer_saw(
    network: Network, hub: accord.Hub, world: SmallWorld
) -> None:
    before = network.charged()
    pending = ask(hub, 3, "gender")
    assert pending.state == "held"
    paid = network.charged()
    assert paid["agreement/three"] > before.get("agreement/three", 0)
    network.hub.kill()
    network.start_hub()
    with network.connect("rita") as reviewer:
        (waiting,) = reviewer.reviews.waiting()
        assert (waiting.analyst, waiting.organisation) == ("ana", "observatory")
        _, figures = reviewer.reviews.look(waiting.id)
    truth = world.persons(THREE, lambda case: (gender_of(case),))
    for row in figures:
        assert row.estimate.estimate is not None
        assert row.estimate.sd is not None
        assert row.estimate.sd > 0
        off = row.estimate.estimate - truth.get(row.values, 0)
        assert abs(off) < 7 * row.estimate.sd
    done = network.analyst_command("review", "let-go", waiting.id, analyst="rita")
    assert done.code == 0, done.err
    network.hub.kill()
    network.start_hub()
    result = hub.release(pending.id)
    assert result.rows == figures.rows
    assert result.id == waiting.id
    assert network.charged() == paid
    assert not network.reserved()
    again = hub.agreement("three").persons().by("gender")
    assert again.release(epsilon=3, purpose=PURPOSE).from_archive


@pytest.mark.slow
def test_what_is_kept_back_is_not_asked_again(
    network: Network, hub: accord.Hub
) -> None:
    pending = ask(hub, 4, "gender", "district")
    listed = network.analyst_command("review", "list", "--json", analyst="rita").json()
    (waiting,) = listed["held"]
    assert waiting["purpose"] == PURPOSE
    shown = network.analyst_command("review", "show", waiting["id"], analyst="rita")
    assert "waits since" in shown.out
    assert f"accord review keep-back {waiting['id']} --reason" in shown.out
    kept = ("review", "keep-back", waiting["id"])
    missing = network.analyst_command(*kept, analyst="rita")
    assert missing.code == 2
    reason = ("--reason", "could-identify")
    for _ in range(2):
        done = network.analyst_command(*kept, *reason, "--json", analyst="rita").json()
        assert (done["let_go"], done["reason"]) == (False, "could-identify")
    opposite = network.analyst_command(
        "review", "let-go", waiting["id"], analyst="rita"
    )
    assert opposite.code == 4
    assert "A decision is final." in " ".join(opposite.err.split())
    with pytest.raises(accord.PreconditionFailed) as caught:
        hub.release(pending.id)
    assert caught.value.reason == "RELEASE_KEPT_BACK"
    assert "identify" not in caught.value.sentence
    paid, asked = network.charged(), rounds(network)
    for epsilon in (4, 5):
        question = hub.agreement("three").persons().by("gender", "district")
        with pytest.raises(accord.PreconditionFailed) as refused:
            question.release(epsilon=epsilon, purpose=PURPOSE)
        assert refused.value.reason == "RELEASE_KEPT_BACK"
    assert (network.charged(), rounds(network)) == (paid, asked)
    sql = "SELECT message, noisy FROM held WHERE id = ?"
    assert network.rows(sql, waiting["id"]) == [(None, None)]


def test_other_questions_are_not_held(hub: accord.Hub) -> None:
    found = hub.agreement("three").persons().by("district")
    assert found.price(epsilon=3, purpose=PURPOSE).reviewers == ()
    assert found.release(epsilon=3, purpose=PURPOSE, timeout=60).charged.epsilon > 0
    with pytest.raises(accord.NotFound) as caught:
        hub.reviews.look(str(uuid.uuid4()))
    assert caught.value.reason == "HELD_UNKNOWN"
    assert hub.reviews.waiting() == []


@pytest.mark.slow
def test_a_decision_at_one_hub_is_heard_at_another(
    original: Network, tmp_path: Path, postgres: Cluster
) -> None:
    """On PostgreSQL, while somebody waits; and both have the same bytes."""
    url = postgres.database(driver="postgresql")
    made = ReplicatedNetwork(original, tmp_path / "it", url, 2)
    with made.front, made.back, made.start(THREE), ThreadPoolExecutor(1) as pool:
        reviewed(made)
        one, other = made.replicas
        made.prefer(one)
        with made.connect() as hub:
            pending = ask(hub, 3, "gender")
            waiting = pool.submit(pending.wait, timeout=60)
            made.prefer(other)
            with made.connect("rita") as reviewer:
                (found,) = reviewer.reviews.waiting()
                _, figures = reviewer.reviews.look(found.id)
                with pytest.raises(FuturesTimeout):
                    waiting.result(1)
                reviewer.reviews.let_go(found.id)
            begun = time.monotonic()
            assert waiting.result(60).rows == figures.rows
            assert time.monotonic() - begun < 5  # a poll takes up to 20
        made.assert_books_agree(THREE)
