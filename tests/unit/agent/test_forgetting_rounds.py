# SPDX-License-Identifier: Apache-2.0
"""Questions before, during and after somebody is forgotten, or their consent ends."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from accord.agent.forgetting.identity import pseudonym_of
from accord.agent.forgetting.taking_out import forget
from accord.agent.intake.ingest import ingest
from accord.agent.keys.files import read_key
from accord.agent.rounds import masking
from accord.agent.rounds.auditing import audit
from accord.agent.rounds.sealing import AUDIT_KEY
from accord.agent.rounds.vectors import Vector, counts
from accord.agent.state import AgentState
from accord.agent.store.editions import edition_folder, freeze_due
from accord.agent.store.generations import remove_folder
from accord.core.calendar import Period
from accord.core.measure import LEAST_CELL_SCALE
from tests.unit.agent.agencies import (
    HEADER,
    LIMITS,
    MAPPING_TEXT,
    NOW,
    mapping,
    row,
    write_csv,
)
from tests.unit.agent.agency_world import THREE, World, expected
from tests.unit.agent.test_editions import MONTHLY

if TYPE_CHECKING:
    from accord.agent.rounds.vectors import Cases

TEXT = MAPPING_TEXT.replace(
    "dimensions:\n", "consent: {column: c, given: [y], until: u}\ndimensions:\n"
)


def forget_one(world: World, label: str, first: str) -> None:
    state = world.states[label]
    gone = pseudonym_of(state, mapping(), [first, "Novak", "2000-05-01"])
    assert forget(state, [gone], LIMITS, NOW).places


def test_the_next_answer_has_one_person_less(world: World) -> None:
    assert (world.whole(world.asked()).sum() == expected(THREE)).all()
    forget_one(world, "police", "west-1")
    less = expected(THREE)
    less[2] -= LEAST_CELL_SCALE
    less[-2] -= 1
    # The same programs go on, without a restart.
    assert (world.whole(world.asked()).sum() == less).all()


def test_what_has_left_masked_goes_on_and_what_has_not_is_counted_anew(
    world: World,
) -> None:
    masked = world.hub.mask(world.ready(world.asked()))
    ready = world.ready(world.asked())
    forget_one(world, "hotline", "south-0")
    assert (world.hub.reveal(masked).sum() == expected(THREE)).all()
    less = expected(THREE)
    less[1] -= LEAST_CELL_SCALE
    less[-2] -= 1
    assert (world.hub.reveal(world.hub.mask(ready)).sum() == less).all()


def test_a_masked_vector_is_said_again_as_it_was(world: World) -> None:
    masked = world.hub.mask(world.ready(world.asked()))
    before = masked.masked["police"].vector.tobytes()
    forget_one(world, "police", "west-1")
    world.hub.mask(masked)
    assert masked.masked["police"].vector.tobytes() == before


@pytest.mark.parametrize(("until", "left"), [("2026-03-05", 0), ("2026-03-04", 1)])
def test_consent_that_has_ended_counts_in_no_edition(
    world: World, until: str, left: int
) -> None:
    state = world.states["hotline"]
    people = [("south-0", "south", until), ("south-1", "south", "")]
    rows = [
        row(first=first, number=first, region=region, c="y", u=end)
        for first, region, end in [*people, ("west-0", "west", "2026-12-31")]
    ]
    source = write_csv(state.root.parent / "h.csv", rows, (*HEADER, "c", "u"))
    before = NOW - datetime.timedelta(days=4)
    ingest(state, mapping(TEXT), [source], LIMITS, before)
    frozen_anew(state)
    less = expected(THREE)
    less[1] -= LEAST_CELL_SCALE * left
    less[-2] -= left
    assert (world.whole(world.asked()).sum() == less).all()


def frozen_anew(state: AgentState) -> None:
    """Let the store of today stand in the place of the edition."""
    folder = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert folder is not None
    remove_folder(folder)
    with state.ledger() as connection:
        connection.execute("DELETE FROM edition")
    assert freeze_due(state, [MONTHLY], NOW)[0]


def test_a_round_over_midnight_is_audited_by_the_day_that_it_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = world.states["hotline"]
    rows = [
        row(first=first, number=first, region=region, c="y", u="2026-03-05")
        for first, region in (("south-0", "south"), ("west-0", "west"))
    ]
    source = write_csv(state.root.parent / "h.csv", rows, (*HEADER, "c", "u"))
    ingest(state, mapping(TEXT), [source], LIMITS, NOW - datetime.timedelta(days=4))
    frozen_anew(state)
    midnight = datetime.datetime(2026, 3, 6, tzinfo=datetime.UTC)
    second = datetime.timedelta(seconds=1)
    world.clock.now = midnight - second
    ready = world.ready(
        world.asked(issued_at=world.clock.now, expires_at=midnight + 60 * second)
    )

    def slowly(cases: Cases, *question: Any) -> Vector:  # noqa: ANN401 - as `counts`
        world.clock.now = midnight + second
        return counts(cases, *question)

    monkeypatch.setattr(masking, "counts", slowly)
    masked = world.hub.mask(ready)
    monkeypatch.undo()
    seed = read_key(state.keys / AUDIT_KEY)
    done = audit(state, masked.query_id, seed, world.clock.now)
    assert done.as_json()["result"] == "agrees"
