# SPDX-License-Identifier: Apache-2.0
"""Agencies whose machines are awake once a day, and only on seven days of ten.

Five agencies come at six in the morning, each with probability 0.7, and two questions a
week are asked under the sample agreement, which lists a fallback of three: nearly all
are answered, each once and for one cohort, and the books say so. A quarter of a year is
simulated in every run of the tests, whole years where there is more time.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.core.windows import CONTACTS
from accord.hub.db.engine import Store
from accord.hub.db.tables import RELEASES
from accord.hub.serve import utc_now
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.sleeping import Clock, SleepingWorld
from tests.unit.hub.world import (
    AGREEMENT,
    FALLBACK,
    PARTIES,
    a_query,
    a_submission,
    account,
    add_analyst,
    audited,
    make_state,
)

AVAILABILITY = 0.7
DEADLINE = dt.timedelta(days=14)
QUARTER, YEAR = 91, 365
ASKED_ON = (0, 3)
"""Monday and Thursday."""

OUTSIDE = "health-service"
"""Not a member of the fallback."""

ROUNDS = "rounds: {every: day, at: '06:00', open: 2 hours, deadline: 14 days}"
COHORTS = (
    "cohorts: {all: everyone, fallback: [shelter-north, city-police, national-hotline]}"
)

QUESTIONS = [
    (measure, by)
    for by in itertools.chain(
        *(
            itertools.combinations(("gender", "age_band", "exploitation_type"), n)
            for n in (1, 2)
        )
    )
    for measure in ("persons", "cases")
]
"""More than are asked while one edition is the newest, so that none is asked twice."""

LEVELS = {"age_band": "broad"}
"""Where the agreement does not allow the finest."""

Start = Callable[..., Awaitable[SleepingWorld]]


@pytest.fixture
async def start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Start]:
    """Return what makes a world in which every agency was there once."""
    made: list[SleepingWorld] = []

    async def begin(**changes: str) -> SleepingWorld:
        clause = {"\nmay_ask:": f"\n{ROUNDS}\nmay_ask:", **changes}
        state = make_state(tmp_path, **clause)
        capsys.readouterr()
        tomorrow = utc_now().date() + dt.timedelta(days=1)
        midnight = dt.datetime.combine(tomorrow, dt.time(), dt.UTC)
        world = SleepingWorld(state, Clock(midnight))
        made.append(world)
        await morning(world, PARTIES)
        return world

    yield begin
    for world in made:
        await world.stop()


async def morning(world: SleepingWorld, present: Iterable[str]) -> None:
    """Let the next day begin; in its window some agencies come."""
    day = world.clock().date() + dt.timedelta(days=1)
    await world.move_to(dt.datetime.combine(day, dt.time(6), dt.UTC))
    await world.window(present)
    await world.move_to(world.clock() + dt.timedelta(hours=4))


@dataclasses.dataclass(slots=True)
class Year:
    """Questions of an analyst, and how they ended."""

    world: SleepingWorld
    token: str
    asked: list[str] = dataclasses.field(default_factory=list)
    ended: dict[str, analyst_pb2.Submission] = dataclasses.field(default_factory=dict)
    waited: list[int] = dataclasses.field(default_factory=list)
    """Days that each release took."""
    _since: dict[str, dt.date] = dataclasses.field(default_factory=dict)

    async def ask(self, *, complete_only: bool = False) -> None:
        measure, by = QUESTIONS[len(self.asked) % len(QUESTIONS)]
        query = a_query(
            measure=measure,
            group_by=[
                common_pb2.Grouping(dimension=each, level=LEVELS.get(each, ""))
                for each in by
            ],
        )
        request = a_submission(0.5, query=query, complete_only=complete_only)
        found = await self.world.submit(self.token, request)
        assert found.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
        self.asked.append(request.id)
        self._since[request.id] = self.world.clock().date()

    async def look(self) -> None:
        """Note what has ended since."""
        today = self.world.clock().date()
        for each in self.asked:
            if each in self.ended:
                continue
            found = await self.world.look(self.token, each)
            if found.state == analyst_pb2.SUBMISSION_STATE_COLLECTING:
                continue
            self.ended[each] = found
            if found.state == analyst_pb2.SUBMISSION_STATE_RELEASED:
                self.waited.append((today - self._since[each]).days)

    @property
    def released(self) -> dict[str, analyst_pb2.Reply]:
        return {
            each: found.reply
            for each, found in self.ended.items()
            if found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
        }

    @property
    def failed(self) -> dict[str, analyst_pb2.Submission]:
        return {
            each: found
            for each, found in self.ended.items()
            if found.state == analyst_pb2.SUBMISSION_STATE_FAILED
        }


async def simulate(
    world: SleepingWorld, days: int, seed: int, *, holidays: int = 0
) -> Year:
    """Let days pass, and then as many as the last questions need.

    Args:
        world: nobody has asked anything in it.
        days: in which questions are asked.
        seed: of who is there when.
        holidays: days at one time on which an agency is not there at all.
    """
    draw = random.Random(f"{seed}/availability")
    away = {label: draw.randrange(days - holidays) for label in PARTIES}
    year = Year(world, add_analyst(world.state, "ana"))
    number = 0
    while number < days or len(year.ended) < len(year.asked):
        present = [
            label
            for label in PARTIES
            if draw.random() < AVAILABILITY and not 0 <= number - away[label] < holidays
        ]
        draw.shuffle(present)
        await morning(world, present)
        await year.look()
        if number < days and world.clock().weekday() in ASKED_ON:
            await year.ask()
        number += 1
    return year


def rows(world: SleepingWorld, query: sa.Executable) -> list[tuple[str, ...]]:
    store = Store(world.state.database)
    with store.read() as tx:
        found = [tuple(each) for each in tx.execute(query)]
    store.close()
    return found


def assert_answered(year: Year, *, share: float = 0.95) -> None:
    """At least 95 % are released; of the others it is known who was awaited."""
    assert len(year.released) >= share * len(year.asked)
    assert max(year.waited) <= 2 * DEADLINE.days
    for found in year.failed.values():
        assert found.failure.reason in {"AGENCIES_AWAITED", "OPENING_INCOMPLETE"}
        assert found.failure.metadata["awaited"]


def openings(year: Year) -> dict[str, dict[str, object]]:
    """Return what was going to be opened, of each question once at most."""
    noted = audited(year.world, "opening.committed")
    found = {str(each["submission"]): each for each in noted}
    assert len(found) == len(noted)
    return found


def members_of(cohort: object) -> tuple[str, ...]:
    return FALLBACK if cohort == "fallback" else PARTIES


def assert_released_once(year: Year) -> None:
    """One release of one cohort for each answered question, opened in one attempt."""
    world, opened = year.world, openings(year)
    query = sa.select(RELEASES.c.submission)
    published = [each for (each,) in rows(world, query)]
    assert sorted(published) == sorted(year.released)
    lost = [
        each
        for each, found in year.failed.items()
        if found.failure.reason == "OPENING_INCOMPLETE"
    ]
    assert set(opened) == {*year.released, *lost}
    for submission, reply in year.released.items():
        coverage, opening = reply.release.coverage, opened[submission]
        assert coverage.cohort == opening["cohort"]
        assert tuple(coverage.answered) == members_of(coverage.cohort)
        for label, diary in world.diaries.items():
            asked_for = diary.revealed.get(submission, set())
            is_member = label in coverage.answered
            assert asked_for == ({opening["attempt"]} if is_member else set())


def assert_charged_once(year: Year) -> None:
    """The books hold the price of what was opened, for its members, and no more."""
    world, opened = year.world, openings(year)
    events = sa.text("SELECT entry, kind FROM ledger_event ORDER BY height")
    kinds: dict[str, list[str]] = {}
    for entry, kind in rows(world, events):
        kinds.setdefault(entry, []).append(kind)
    found = collections.Counter(map(tuple, kinds.values()))
    fallbacks = [each for each in opened.values() if each["cohort"] != "all"]
    # whoever asked all and opens a fallback reserves anew, for its members
    given_back = len(year.asked) - len(opened) + len(fallbacks)
    assert found == collections.Counter(
        {("reserve", "charge"): len(opened), ("reserve", "give back"): given_back}
    )
    paid = {each: int(str(noted["nano_rho"])) for each, noted in opened.items()}
    for submission, reply in year.released.items():
        assert paid[submission] == reply.charged.loss.nano_rho > 0
    assert account(world, f"agreement/{AGREEMENT}") == (sum(paid.values()), 0)
    for label in PARTIES:
        own = [
            paid[each]
            for each, opening in opened.items()
            if label in members_of(opening["cohort"])
        ]
        assert account(world, f"agency/{label}") == (sum(own), 0)


def assert_little_to_do(year: Year, *, attempts: int = 1) -> None:
    """Three contacts for an attempt at most, and few messages in each."""
    for diary in year.world.diaries.values():
        assert max(diary.needed.values()) <= CONTACTS * attempts
        # hello, encapsulations, and what was erased
        assert diary.most_besides <= 3
        assert diary.said <= 3 * diary.contacts
        assert diary.heard <= 4 * diary.contacts


async def assert_holds_for(world: SleepingWorld, days: int, seed: int) -> None:
    year = await simulate(world, days, seed)
    assert len(year.asked) >= 2 * days // 7
    assert_answered(year)
    assert_released_once(year)
    assert_charged_once(year)
    assert_little_to_do(year)


@pytest.mark.slow
async def test_a_quarter_of_a_year_at_seventy_percent(start: Start) -> None:
    """Nearly every question is answered, once, and paid for once."""
    await assert_holds_for(await start(), QUARTER, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_a_year_at_seventy_percent(start: Start, seed: int) -> None:
    """As in a quarter."""
    await assert_holds_for(await start(), YEAR, seed)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_year_with_holidays(start: Start) -> None:
    """Everybody is away for three weeks too, and the fallback answers if it can.

    Three of five are in the fallback, so not all of those questions can be answered;
    who leaves between masking and opening for so long costs what was to be opened.
    """
    year = await simulate(await start(), YEAR, seed=5, holidays=21)
    assert_answered(year, share=0.8)
    assert_released_once(year)
    assert_charged_once(year)
    assert_little_to_do(year, attempts=2)
    cohorts = [reply.release.coverage.cohort for reply in year.released.values()]
    assert set(cohorts) == {"all", "fallback"}
    assert year.failed


async def asked_once(world: SleepingWorld, **options: bool) -> Year:
    year = Year(world, add_analyst(world.state, "ana"))
    await year.ask(**options)
    return year


async def days_without_end(year: Year, days: int, present: Iterable[str]) -> None:
    """Let days pass in which the question goes on."""
    for _ in range(days):
        await morning(year.world, present)
        await year.look()
        assert not year.ended


WITHOUT = tuple(label for label in PARTIES if label != OUTSIDE)

WEEKS = 4


async def test_an_agency_that_is_there_an_hour_a_week_does_all_that_waits(
    start: Start,
) -> None:
    """Whatever was asked since its last contact is answered in the next one."""
    world = await start()
    year = Year(world, add_analyst(world.state, "ana"))
    weekly = world.clock().weekday()
    before = world.diaries[OUTSIDE].contacts
    for day in range(7 * WEEKS):
        if day % 7 in {0, 2, 5}:
            await year.ask()
        is_there = (world.clock().weekday() + 1) % 7 == weekly
        await morning(world, PARTIES if is_there else WITHOUT)
        await year.look()
        assert (len(year.released) == len(year.asked)) == is_there
    assert len(year.asked) == 3 * WEEKS
    diary = world.diaries[OUTSIDE]
    assert diary.contacts - before == WEEKS
    # one contact for each question, and one message a round for all of them
    assert set(diary.needed.values()) == {1}
    assert diary.heard <= (2 + CONTACTS) * diary.contacts
    cohorts = {reply.release.coverage.cohort for reply in year.released.values()}
    assert cohorts == {"all"}
    assert_released_once(year)
    assert_charged_once(year)


async def test_the_fallback_answers_for_an_agency_that_is_away_for_weeks(
    start: Start,
) -> None:
    """After the patience of the agreement; who was away pays nothing, then or later."""
    world = await start()
    year = await asked_once(world)
    await days_without_end(year, DEADLINE.days, WITHOUT)
    await morning(world, WITHOUT)
    await year.look()
    (reply,) = year.released.values()
    assert reply.release.coverage.cohort == "fallback"
    assert OUTSIDE in reply.release.coverage.missing
    assert_released_once(year)
    assert_charged_once(year)
    for _ in range(DEADLINE.days):
        await morning(world, PARTIES)
    assert_released_once(year)
    assert_charged_once(year)


@pytest.mark.parametrize("kind", ["no fallback", "complete only"])
@pytest.mark.parametrize("stage", ["ready", "masked"])
async def test_without_a_fallback_the_analyst_is_told_who_is_awaited(
    start: Start, kind: str, stage: str
) -> None:
    """With the round in which it was; nothing is charged, and nothing comes later."""
    changes = {COHORTS: "cohorts: {all: everyone}"} if kind == "no fallback" else {}
    world = await start(**changes)
    year = await asked_once(world, complete_only=kind == "complete only")
    if stage == "masked":
        await morning(world, [OUTSIDE])
    await days_without_end(year, DEADLINE.days - 1, WITHOUT)
    found = await world.look(year.token, year.asked[0])
    assert list(found.awaited) == [OUTSIDE]
    while not year.ended:
        await morning(world, WITHOUT)
        await year.look()
    (found,) = year.ended.values()
    named = {"ready": "round 1, getting ready", "masked": "round 2, masked figures"}
    assert found.failure.reason == "AGENCIES_AWAITED"
    assert f"{OUTSIDE} ({named[stage]})" in found.failure.sentence
    assert "Nothing was charged" in found.failure.sentence
    assert found.failure.metadata["awaited"] == OUTSIDE
    await morning(world, PARTIES)
    assert not openings(year)
    assert_released_once(year)
    for name in (f"agreement/{AGREEMENT}", *(f"agency/{label}" for label in PARTIES)):
        assert account(world, name) == (0, 0)
