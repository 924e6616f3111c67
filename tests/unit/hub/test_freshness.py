# SPDX-License-Identifier: Apache-2.0
"""All processes that serve one database say the same of how new policies are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.hub.db.engine import Store
from accord.hub.db.tables_replicas import FRESHNESS
from accord.hub.governance import freshness
from accord.hub.governance.freshness import TIMESTAMP
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import load_authority
from accord.hub.serve import utc_now
from accord.hub.state import State
from tests.unit.hub.world import edit_agreement, make_state

LONG = dt.timedelta(hours=13)
"""More than half of a timestamp's life."""


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_state(tmp_path)


@pytest.fixture
def store(state: State) -> Iterator[Store]:
    made = Store(state.database)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def standing(state: State, store: Store, folder: Path, clock: Clock) -> Standing:
    """Return the policies of one process, which has files of its own."""
    authority = load_authority(state.keys, clock())
    return Standing(folder=folder, store=store, authority=authority, clock=clock)


def number(found: Standing) -> int:
    assert found.in_force is not None
    return freshness.number_of(found.in_force.stored)


def test_a_process_without_files_takes_what_another_one_signed(
    state: State, store: Store, clock: Clock, tmp_path: Path
) -> None:
    one = standing(state, store, state.policies, clock)
    one.begin(sign=True)
    two = standing(state, store, tmp_path / "other", clock)
    two.begin(sign=False)
    assert two.file(TIMESTAMP) == one.file(TIMESTAMP)
    assert two.version == one.version
    assert (tmp_path / "other" / TIMESTAMP).read_bytes() == two.file(TIMESTAMP)


def test_what_one_signs_anew_the_other_has_at_its_next_look(
    state: State, store: Store, clock: Clock, tmp_path: Path
) -> None:
    one = standing(state, store, state.policies, clock)
    two = standing(state, store, tmp_path / "other", clock)
    one.begin(sign=True)
    two.begin(sign=True)
    one.look()
    assert one.file(TIMESTAMP) == two.file(TIMESTAMP)
    before = number(one)
    clock.now += LONG
    one.look()
    assert number(one) > before
    two.look()
    assert two.file(TIMESTAMP) == one.file(TIMESTAMP)


def test_a_change_is_signed_once_whoever_sees_it_first(
    state: State, store: Store, clock: Clock, tmp_path: Path
) -> None:
    """The one that publishes signs; the other takes that, and no number falls."""
    one = standing(state, store, tmp_path / "other", clock)
    one.begin(sign=True)
    before = number(one)
    version = edit_agreement(state, {"groups_per_person: 3": "groups_per_person: 2"})
    clock.now = utc_now()
    one.look()
    assert one.version == version
    assert number(one) > before
    with store.read() as tx:
        kept = freshness.kept(tx)
    assert kept is not None
    assert kept.number == number(one)
    assert kept.fresh[TIMESTAMP] == (state.policies / TIMESTAMP).read_bytes()


def test_numbers_only_go_up_even_where_a_clock_is_behind(
    state: State, store: Store, clock: Clock, tmp_path: Path
) -> None:
    one = standing(state, store, state.policies, clock)
    one.begin(sign=True)
    behind = Clock()
    behind.now -= dt.timedelta(minutes=10)
    two = standing(state, store, tmp_path / "other", behind)
    two.begin(sign=True)
    assert number(two) == number(one)
    behind.now += LONG
    two.look()
    assert number(two) > number(one)
    one.look()
    assert one.file(TIMESTAMP) == two.file(TIMESTAMP)


def test_files_that_are_newer_than_a_restored_database_are_not_rolled_back(
    state: State, store: Store, clock: Clock
) -> None:
    one = standing(state, store, state.policies, clock)
    one.begin(sign=True)
    with store.read() as tx:
        old = freshness.kept(tx)
    clock.now += LONG
    one.look()
    newest = number(one)
    assert old is not None
    assert old.number < newest
    with store.write() as tx:
        tx.execute(
            FRESHNESS.update().values(number=old.number, timestamp=old.fresh[TIMESTAMP])
        )
    again = standing(state, store, state.policies, clock)
    again.begin(sign=False)
    assert number(again) == newest
    again.begin(sign=True)
    assert number(again) == newest + 1
