# SPDX-License-Identifier: Apache-2.0
"""Agents that are not always connected: one contact, or in windows by a test's clock.

Streams and renewals are real; only the clock that says when to come is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from accord.agent.network.presence import (
    HOUR,
    HOURLY_OPEN,
    AtWindows,
    OneContact,
    Window,
    common_window,
)
from accord.core.agreement_form import Rounds
from accord.core.errors import PolicyDenied, Unauthenticated, Unreachable
from accord.rpc.logs import allow_listed
from accord.rpc.pki import serial_of
from tests.unit.agent.answering import (
    Gate,
    cohort_calls,
    new_ids,
    payload,
    response,
    reveal_calls,
)
from tests.unit.agent.joining import join
from tests.unit.agent.streams import QUICK, World, joined
from tests.unit.rpc.hub_double import until, utc_now

BRIEF = dataclasses.replace(QUICK, idle=0.3)
DAY = datetime.timedelta(days=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with joined(tmp_path) as world:
        yield world


# one contact


async def test_one_contact_does_what_waits_and_ends(world: World) -> None:
    ids = new_ids(3)
    agent = world.start(BRIEF, presence=OneContact())
    talk = await world.talk()
    talk.send(world.hub.requisitions(*map(payload, ids)))
    talk.send(response(cohort_calls(*ids)))
    talk.send(response(reveal_calls(*ids)))
    await asyncio.wait_for(agent, 10)
    assert len(talk.readies()) == len(talk.masked()) == len(talk.reveals()) == 3
    await until(lambda: talk.ended)
    assert world.answerer.expired == 1


async def test_one_contact_without_anything_to_do_ends_too(world: World) -> None:
    agent = world.start(BRIEF, presence=OneContact())
    await asyncio.wait_for(agent, 10)
    assert len(world.hub.conversations) == 1


async def test_one_contact_does_not_leave_while_something_is_in_hand(
    world: World,
) -> None:
    go = world.answerer.work = Gate()
    agent = world.start(dataclasses.replace(BRIEF, idle=0.05), presence=OneContact())
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(lambda: world.answerer.asked)
    done, _ = await asyncio.wait([agent], timeout=0.5)
    assert not done
    go.open()
    await asyncio.wait_for(agent, 10)
    assert talk.readies()


async def test_one_contact_leaves_when_its_time_is_up(world: World) -> None:
    timing = dataclasses.replace(QUICK, idle=3600)
    agent = world.start(timing, presence=OneContact(seconds=0.3))
    await asyncio.wait_for(agent, 10)
    [talk] = world.hub.conversations
    await until(lambda: talk.ended)


async def test_one_contact_comes_back_after_a_lost_stream(world: World) -> None:
    agent = world.start(BRIEF, presence=OneContact())
    (await world.talk()).send(None)
    talk = await world.talk(1)
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)
    await asyncio.wait_for(agent, 10)


async def test_one_contact_that_reaches_nobody_says_so(world: World) -> None:
    await world.hub.stop()
    agent = world.start(BRIEF, presence=OneContact())
    with pytest.raises(Unreachable) as caught:
        await asyncio.wait_for(agent, 20)
    assert caught.value.reason == "HUB_UNREACHABLE"


async def test_one_contact_that_is_turned_away_says_why(world: World) -> None:
    world.hub.welcomes = False
    agent = world.start(BRIEF, presence=OneContact(seconds=2))
    revoked = PolicyDenied("CERTIFICATE_REVOKED", "revoked")
    told = 0
    while not agent.done():
        for talk in world.hub.conversations[told:]:
            talk.send(revoked)
            told += 1
        await asyncio.sleep(0.01)
    with pytest.raises(PolicyDenied) as caught:
        await agent
    assert caught.value.reason == "CERTIFICATE_REVOKED"


async def test_one_contact_renews_for_who_does_not_know_when_the_next_is(
    world: World,
) -> None:
    """After a tenth of the lifetime, before the stream is opened."""
    first = serial_of(world.files.load().certificate)
    await asyncio.wait_for(world.start(BRIEF, presence=OneContact()), 10)
    assert world.hub.renewals == 0
    late = utc_now() + world.hub.lifetime / 5
    again = world.start(BRIEF, clock=lambda: late, presence=OneContact())
    await asyncio.wait_for(again, 10)
    assert world.hub.renewals >= 1
    streams = [talk.agency.serial for talk in world.hub.conversations]
    assert streams[0] == first
    assert first not in streams[1:]


# windows


class Alarm:
    """A clock that stands still until a test moves it, and sleeps by it."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now
        self._sleeping: list[tuple[datetime.datetime, asyncio.Event]] = []

    def read(self) -> datetime.datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        entry = (self.now + datetime.timedelta(seconds=seconds), event)
        self._sleeping.append(entry)
        try:
            await event.wait()
        finally:
            self._sleeping.remove(entry)

    async def move_to(self, moment: datetime.datetime) -> None:
        """Let time pass, an hour at a time, and wake those who have slept enough."""
        while self.now < moment:
            self.now = min(self.now + HOUR, moment)
            for at, event in self._sleeping:
                if at <= self.now:
                    event.set()
            await asyncio.sleep(0.02)


def next_full_hour() -> datetime.datetime:
    """Return a moment near that of the certificates, which are real.

    More than an hour away: tests begin a while before it, and no certificate is valid
    before it was made.
    """
    return utc_now().replace(minute=0, second=0, microsecond=0) + 2 * HOUR


def every_day_at(moment: datetime.datetime) -> Rounds:
    return Rounds.model_validate(
        {"every": "day", "at": f"{moment:%H:%M}", "open": 1, "deadline": 3}
    )


@dataclasses.dataclass
class Sleeper:
    """An agent that comes in windows, and its clock."""

    world: World
    alarm: Alarm
    agent: asyncio.Task[None]

    @property
    def open_streams(self) -> int:
        return sum(not talk.ended for talk in self.world.hub.conversations)


def asleep(
    world: World, clauses: list[Rounds | None], now: datetime.datetime
) -> Sleeper:
    alarm = Alarm(now)

    def find(moment: datetime.datetime) -> Window | None:
        return common_window(clauses, moment)

    agent = world.start(
        clock=alarm.read, sleep=alarm.sleep, presence=AtWindows(find=find)
    )
    return Sleeper(world, alarm, agent)


async def test_it_sleeps_until_the_window_and_leaves_when_it_closes(
    world: World,
) -> None:
    begin = next_full_hour()
    sleeper = asleep(world, [every_day_at(begin)], begin - HOUR / 2)
    await sleeper.alarm.move_to(begin - datetime.timedelta(seconds=1))
    assert not world.hub.conversations
    await sleeper.alarm.move_to(begin + HOUR / 10)
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)
    await sleeper.alarm.move_to(begin + HOUR - datetime.timedelta(minutes=1))
    assert sleeper.open_streams == 1
    await sleeper.alarm.move_to(begin + HOUR)
    await until(lambda: talk.ended)
    assert not sleeper.agent.done()


async def test_it_comes_again_in_the_next_window(world: World) -> None:
    world.hub.lifetime = 40 * DAY
    await join(world.hub, world.files, world.hub.new_token("shelter-north"))
    begin = next_full_hour()
    sleeper = asleep(world, [every_day_at(begin)], begin)
    for number in range(3):
        await sleeper.alarm.move_to(begin + number * DAY + HOUR / 2)
        talk = await world.talk(number)
        await sleeper.alarm.move_to(begin + number * DAY + HOUR)
        await until(lambda talk=talk: talk.ended)  # type: ignore[misc]  # bound now
        await sleeper.alarm.move_to(begin + number * DAY + 12 * HOUR)
        assert sleeper.open_streams == 0
    assert len(world.hub.conversations) == 3
    assert world.hub.renewals == 0


async def test_who_starts_in_the_middle_of_a_window_comes_at_once(
    world: World,
) -> None:
    begin = next_full_hour()
    sleeper = asleep(world, [every_day_at(begin)], begin + HOUR / 2)
    await world.talk()
    assert sleeper.alarm.now == begin + HOUR / 2


async def test_a_stream_that_is_lost_in_a_window_comes_back(world: World) -> None:
    begin = next_full_hour()
    asleep(world, [every_day_at(begin)], begin + HOUR / 2)
    (await world.talk()).send(None)
    talk = await world.talk(1)
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)


async def test_what_is_in_hand_when_a_window_closes_ends_nothing(
    world: World,
) -> None:
    """The answer is stored; the hub asks for it again in the next window."""
    world.hub.lifetime = 40 * DAY
    await join(world.hub, world.files, world.hub.new_token("shelter-north"))
    go = world.answerer.work = Gate()
    begin = next_full_hour()
    sleeper = asleep(world, [every_day_at(begin)], begin + HOUR / 2)
    talk = await world.talk()
    [query_id] = new_ids(1)
    talk.send(response(cohort_calls(query_id)))
    await until(lambda: world.answerer.asked)
    await sleeper.alarm.move_to(begin + HOUR)
    await until(lambda: talk.ended)
    go.open()
    await sleeper.alarm.move_to(begin + DAY + HOUR / 2)
    again = await world.talk(1)
    again.send(response(cohort_calls(query_id)))
    await until(again.masked)


async def test_without_agreements_it_comes_at_once_and_then_every_hour(
    world: World,
) -> None:
    begin = next_full_hour()
    sleeper = asleep(world, [], begin - HOUR / 2)
    first = await world.talk()
    await sleeper.alarm.move_to(begin - HOUR / 2 + HOURLY_OPEN)
    await until(lambda: first.ended)
    await sleeper.alarm.move_to(begin - HOUR / 60)
    assert len(world.hub.conversations) == 1
    await sleeper.alarm.move_to(begin + HOURLY_OPEN / 2)
    await world.talk(1)


async def test_windows_that_follow_each_other_leave_no_gap(world: World) -> None:
    """Nobody waits for the random moment of a window that follows at once."""
    begin = next_full_hour()
    clauses: list[Rounds | None] = [every_day_at(begin)]
    sleeper = asleep(world, clauses, begin + HOUR / 2)
    await world.talk()
    clauses[:] = [every_day_at(begin + HOUR)]
    await sleeper.alarm.move_to(begin + HOUR)
    await world.talk(1)
    assert sleeper.alarm.now == begin + HOUR


async def test_a_certificate_that_would_end_before_the_next_window_is_renewed(
    world: World,
) -> None:
    """At the contact before, though not two thirds of its life are over."""
    world.hub.lifetime = 1.9 * DAY  # due after 30 hours
    await join(world.hub, world.files, world.hub.new_token("shelter-north"))
    first = serial_of(world.files.load().certificate)
    begin = next_full_hour()
    now = begin + HOUR / 2
    sleeper = asleep(world, [every_day_at(begin)], now)
    await world.talk()
    await sleeper.alarm.move_to(begin + HOUR)
    assert world.hub.renewals == 0  # it lasts until tomorrow's
    await sleeper.alarm.move_to(begin + DAY)
    assert world.hub.renewals == 0
    await sleeper.alarm.move_to(begin + DAY + HOUR / 2)
    talk = await world.talk(1)
    assert world.hub.renewals == 1
    assert talk.agency.serial != first


async def test_where_windows_are_further_apart_than_a_life_it_wakes_to_renew(
    world: World,
) -> None:
    begin = next_full_hour()
    weekly = Rounds.model_validate(
        {
            "every": "week",
            "on": f"{begin + 3 * DAY:%A}".lower(),
            "at": f"{begin:%H:%M}",
            "open": 1,
            "deadline": 21,
        }
    )
    sleeper = asleep(world, [weekly], begin)
    await sleeper.alarm.move_to(begin + 14 * HOUR)
    assert world.hub.renewals == 0
    await sleeper.alarm.move_to(begin + 18 * HOUR)
    await until(lambda: world.hub.renewals)
    assert not world.hub.conversations


async def test_an_ended_certificate_ends_it_in_windows_too(world: World) -> None:
    await world.hub.stop()
    begin = next_full_hour()
    with capture_logs(processors=[allow_listed]) as lines:
        sleeper = asleep(world, [every_day_at(begin)], begin + 2 * HOUR)
        with contextlib.suppress(Unauthenticated):
            await sleeper.alarm.move_to(begin + 2 * DAY)
        with pytest.raises(Unauthenticated, match="enrol` again"):
            await asyncio.wait_for(sleeper.agent, 10)
    assert "certificate.renewal_failed" in {line["event"] for line in lines}


async def test_cancelling_ends_a_sleeping_agent(world: World) -> None:
    begin = next_full_hour()
    sleeper = asleep(world, [every_day_at(begin)], begin + 2 * HOUR)
    await until(lambda: world.answerer.expired)
    sleeper.agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sleeper.agent, 5)
