# SPDX-License-Identifier: Apache-2.0
"""A question that the agreement schedules: a real hub asks it by itself, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from accord.client.described import ReleaseSummary
from tests.federation.network import Network
from tests.federation.small_world import PURPOSE, THREE

pytestmark = pytest.mark.federation

BULLETIN = "{measure: persons, by: {gender: all}, epsilon: 0.5}"
AGREEMENT = "agreements/three.yaml"
CLAUSES = (
    ("\nversion: 1\n", "\nversion: 2\n"),
    ("\napproval:", f"\nbulletins: {{by-gender: {BULLETIN}}}\napproval:"),
)


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        version = running.decide(running.edit(AGREEMENT, *CLAUSES))
        running.wait_learned(version, THREE)
        yield running


def published(hub: accord.Hub, seconds: float = 60) -> list[ReleaseSummary]:
    """Return what was released, as soon as there is anything."""
    until = time.monotonic() + seconds
    while not (found := list(hub.releases("three"))) and time.monotonic() < until:
        time.sleep(0.2)
    return found


@pytest.mark.day
@pytest.mark.slow
def test_it_is_published_without_an_analyst_and_never_twice(network: Network) -> None:
    """Everybody reads it for nothing; a hub that starts again asks no second time."""
    with network.connect() as hub:
        (summary,) = published(hub)
        release = hub.release(summary.id)
        assert release.standing == "by-gender"
        assert release.by == ("gender",)
        again = (
            hub.agreement("three")
            .persons()
            .by("gender")
            .release(epsilon=0.5, purpose=PURPOSE)
        )
        assert again.from_archive
        assert again.id == release.id
        before = {a.name: a for a in hub.agreement("three").budget().accounts}
    network.hub.kill()
    network.start_hub()
    time.sleep(2)
    with network.connect() as hub:
        assert len(list(hub.releases("three"))) == 1
        after = {a.name: a for a in hub.agreement("three").budget().accounts}
    assert after == before
    assert after["agreement/three"].spent.epsilon > 0
    assert after["agreement/three/analysts"].spent.epsilon == 0
    assert after["agreement/three/analysts"].cap.rho < after["agreement/three"].cap.rho
