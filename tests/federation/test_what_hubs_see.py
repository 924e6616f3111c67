# SPDX-License-Identifier: Apache-2.0
"""What a hub holds of a question is random to it until a whole cohort has opened it.

A question of 12,832 cells is held in each stage; meanwhile the hub's database, its
memory and all that it was told are searched and put to a test of their bytes. The same
test rejects one agency's figures without their masks, and what all of them agreed to
open, so that it would notice.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

import accord.client as accord
from accord.agent.settings import Settings
from accord.core.opened import GaussianSum, cumulative, standard_deviation
from accord.core.privacy import DiscreteGaussian
from accord.core.terms import noise_plan
from accord.secagg.masks import WORD, self_key, unmasked
from tests.federation.asked import terms_of
from tests.federation.canaries import files_in
from tests.federation.malicious_hub import UNIFORM, Words, looks_uniform
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import RECEIPTS, MessageRelay
from tests.federation.small_world import PURPOSE, THREE, SmallWorld, gender_of

pytestmark = [pytest.mark.federation, pytest.mark.stat]

CLOCKS = 0.05
"""By how much two programs may differ about a quarter of a second."""

RECOGNISED = 64
"""Bytes by which a vector is recognised."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A question that the hub has all masked vectors of, and no seed."""

    network: Network
    relay: MessageRelay
    submission: str
    agreement: str

    @property
    def stored(self) -> dict[str, bytes]:
        """Return the vectors in the hub's database, by agency."""
        sql = "SELECT agency, vector FROM round_receipts WHERE submission = ?"
        return dict(self.network.rows(sql, self.submission))

    def told(self, label: str) -> bytes:
        """Return the vector that went over the wire."""
        (masked,) = self.relay.of(label, "masked", query_id=self.submission)
        content: bytes = masked.vector
        return content

    def exact(self, world: SmallWorld, label: str) -> npt.NDArray[np.int64]:
        """Return what the agency counted, but for the last two entries."""
        _, _, found = terms_of(self.network, self.submission)
        truth = world.persons(
            (label,), lambda case: (case.district, gender_of(case), "unknown")
        )
        scale = found.vector.slots[0].scale
        counts = [scale * truth.get(cell, 0) for cell in found.layout.cells()]
        assert sum(counts) == scale * sum(truth.values())
        return np.array(counts, np.int64)


@pytest.fixture(params=["three", "shared"])
def held(
    request: pytest.FixtureRequest,
    network: Network,
    relay: MessageRelay,
    hub: accord.Hub,
) -> Iterator[Held]:
    """Return a question on its way; whatever a test does, it is answered afterwards."""
    for label in THREE:
        assert network.agents[label].is_running
    relay.hold(THREE, RECEIPTS)
    # a finer question each time: a repeat is served from the archive
    number = network.rows("SELECT count(*) FROM submissions")[0][0]
    pending = (
        hub.agreement(request.param)
        .persons()
        .by("parish", "district", "gender")
        .release(epsilon=1 + number / 16, purpose=PURPOSE, wait=False)
    )
    found = Held(
        network=network,
        relay=relay,
        submission=pending.id,
        agreement=request.param,
    )
    wait_until(lambda: found.stored.keys() == set(THREE), "everybody has masked")
    for label in THREE:
        relay.wait_for(label, RECEIPTS)
    yield found
    relay.let_go(THREE, RECEIPTS)
    assert len(pending.wait(timeout=60)) == 401 * 8 * 4
    assert not found.stored


def as_words(content: bytes) -> Words:
    return np.frombuffer(content, WORD)


def positions(words: Words) -> Iterator[Words]:
    """Yield the vector's bytes by place: a fault in one of eight would be diluted."""
    for place in range(8):
        yield (words >> np.uint64(8 * place)) & np.uint64(0xFF)


def is_uniform(words: Words) -> bool:
    """Tell whether every one of the eight bytes of an entry is uniform by itself."""
    chances = []
    for values in positions(words):
        seen = np.bincount(values.astype(np.int64), minlength=256)
        chances.append(float(scipy.stats.chisquare(seen).pvalue))
    return looks_uniform(words) and min(chances) > UNIFORM


def test_each_vector_is_uniform_where_it_travels_and_where_it_is_stored(
    held: Held, world: SmallWorld
) -> None:
    for label in THREE:
        assert held.stored[label] == held.told(label)
        words = as_words(held.stored[label])
        assert is_uniform(words)
        assert not is_uniform(held.exact(world, label).view(np.uint64))
        # nor does it show how far it is from what was counted
        assert is_uniform(words[:-2] - held.exact(world, label).view(np.uint64))


def test_sums_and_differences_of_vectors_are_uniform(held: Held) -> None:
    words = [as_words(content) for content in held.stored.values()]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert is_uniform(words[one] + words[two])
        assert is_uniform(words[one] - words[two])
    assert is_uniform(words[0] + words[1] + words[2])


def test_all_seeds_but_one_open_nothing(held: Held, world: SmallWorld) -> None:
    """With the last one, it is the sum: exact only where the agreement says so."""
    relay = held.relay
    relay.hold(["charlie"], "reveals")
    relay.let_go(THREE, RECEIPTS)
    seeds = {
        label: relay.wait_for(label, "reveals", query_id=held.submission).seed
        for label in THREE
    }
    vectors = np.array([as_words(each) for each in held.stored.values()])
    total: Words = np.add.reduce(vectors)
    (seen,) = {
        relay.of(label, "masked", query_id=held.submission)[0].transcript
        for label in THREE
    }
    for missing in THREE:
        some = [
            self_key(seed, seen, label)
            for label, seed in seeds.items()
            if label != missing
        ]
        assert is_uniform(unmasked(total, some).view(np.uint64))
    keys = [self_key(seed, seen, label) for label, seed in seeds.items()]
    opened = unmasked(total, keys)[:-2]
    exact = sum(held.exact(world, label) for label in THREE)
    assert not is_uniform(opened.view(np.uint64))
    assert_hidden_as_agreed(held, opened - exact)
    relay.let_go(["charlie"], "reveals")


def assert_hidden_as_agreed(held: Held, noise: npt.NDArray[np.int64]) -> None:
    """What the hub itself sees of a sum has the agencies' shares, or nothing."""
    agreement, requisition, found = terms_of(held.network, held.submission)
    plan = noise_plan(agreement, found, requisition.mechanism, len(THREE))
    if plan.share is None:
        assert not noise.any()
        return
    assert isinstance(plan.share, DiscreteGaussian)
    variance = len(THREE) * plan.share.scale**2
    law = GaussianSum(variance=variance, deviation=Fraction(0))
    assert chi_square(noise, law) > UNIFORM
    for factor in (Fraction(9, 10), Fraction(11, 10)):
        other = dataclasses.replace(law, variance=variance * factor**2)
        assert chi_square(noise, other) < UNIFORM


def chi_square(sample: npt.NDArray[np.int64], law: GaussianSum) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    ends = np.round(np.linspace(-2.2, 2.2, 23) * standard_deviation(law)).astype(int)
    seen = np.bincount(np.searchsorted(ends, sample), minlength=len(ends) + 1)
    below = [0.0, *(cumulative(law, int(end)) for end in ends), 1.0]
    return float(scipy.stats.chisquare(seen, np.diff(below) * len(sample)).pvalue)


@pytest.mark.parametrize("held", ["shared"], indirect=True)
def test_no_figures_are_in_the_hub_s_files_or_its_memory(
    held: Held, world: SmallWorld
) -> None:
    """The masked vector is found in the database, as it must be."""
    searched = files_in(held.network.hub_state)
    memory = memory_of(held.network.hub.pid)
    if memory:
        assert b"round_receipts" in memory
        searched[Path("memory")] = memory
    places: dict[str, set[str]] = collections.defaultdict(set)
    for label in THREE:
        # most entries are zero: three that are not, and what is between them
        exact = held.exact(world, label)
        counted = np.flatnonzero(exact)[:3]
        plain = exact[counted[0] : counted[-1] + 1].tobytes()
        masked = held.stored[label][:RECOGNISED]
        for path, content in searched.items():
            assert plain not in content, path.name
            if masked in content:
                places[label].add(path.name)
    for label in THREE:
        assert places[label] & {"hub.db", "hub.db-wal"}


def test_a_vector_leaves_no_sooner_than_its_slot(
    network: Network, relay: MessageRelay, hub: accord.Hub
) -> None:
    """With the agent's default: how long it computed is not to be seen.

    Elsewhere tests switch this off (`tests.federation.small_world`).
    """
    agent = network.agents["alpha"]
    agent.stop()
    kept = agent.settings.pop("ACCORD_AGENT_ANSWER_SLOT_SECONDS")
    network.start_agent("alpha")
    slot = float(Settings.model_fields["answer_slot_seconds"].default)
    assert slot > 0
    cases = hub.agreement("three").cases()
    for question in (cases, cases.by("parish", "district", "gender")):
        question.release(epsilon=1, purpose=PURPOSE)
    called = [m.at for m in relay.passed if (m.agency, m.kind) == ("alpha", "cohorts")]
    left = [m.at for m in relay.seen if (m.agency, m.kind) == ("alpha", "masked")]
    assert len(called) == len(left) == 2
    for begin, end in zip(called, left, strict=True):
        assert end - begin >= slot * (1 - CLOCKS)
    agent.stop()
    agent.settings["ACCORD_AGENT_ANSWER_SLOT_SECONDS"] = kept


def memory_of(process: int) -> bytes:
    """Return what a process can write to, where this system shows it; else nothing."""
    maps = Path(f"/proc/{process}/maps")
    found = bytearray()
    try:
        lines = maps.read_text().splitlines()
        with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
            for line in lines:
                span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if span is None:
                    continue
                begin, end = (int(each, 16) for each in span.groups())
                try:
                    memory.seek(begin)
                    found += memory.read(end - begin)
                except OSError:
                    continue
    except OSError:
        return b""
    return bytes(found)
