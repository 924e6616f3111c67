# SPDX-License-Identifier: Apache-2.0
"""The hub, five agencies and two analysts in one thread, with everything that can fail.

What runs is the product: `accord.hub.serve.Hub` without its ports, and
`accord.agent.network.connection.run` without its channel. The world keeps machines,
wires and time, and does one operation of a history after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from accord.agent.answer import StoreAnswerer
from accord.agent.network import connection
from accord.agent.network.identity import Identity, IdentityFiles
from accord.agent.network.timing import Timing
from accord.agent.network.worker import Worker
from accord.agent.rounds import fence
from accord.agent.settings import Lifetime, Settings, ZcdpCap
from accord.agent.state import AgentState
from accord.core.errors import AccordError, Unreachable
from accord.core.policy import PolicySet, load_policy_set
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.serve import Hub, Parts, load_parts
from accord.hub.state import State
from accord.trust.proposal_file import from_file
from accord.v1 import analyst_pb2, common_pb2
from tests.simulation.chance import Chance
from tests.simulation.checks import Witness
from tests.simulation.disk import KEPT, Crash, Disks
from tests.simulation.loop import PowerLost, Process, VirtualLoop
from tests.simulation.network import Channel, Wire
from tests.simulation.patching import Passed
from tests.simulation.template import (
    FALLBACK,
    NEAR,
    PARTIES,
    START,
    WIDE,
    Template,
    standing_of,
)
from tests.unit.hub.sleeping import AnalystContext
from tests.unit.hub.world import store_of

NEVER: Final = 1e9
"""Seconds; silence and heartbeats are said by cuts instead."""

MOMENT: Final = 1.0
"""Seconds that pass with every operation."""

AT_ONCE: Final = 5.0
"""Seconds; longer waits are jumps."""

FINISHING: Final = (60, 60, 600, 1800, 3600, 3600, 3600, 86_400, 60)
"""Seconds between attempts to bring everything to its end."""

QUESTIONS: Final = (
    (NEAR, "persons", ("region",)),
    (NEAR, "cases", ("age_band",)),
    (NEAR, "persons", ("exploitation_type",)),
    (WIDE, "persons", ("region",)),
    (WIDE, "cases", ("exploitation_type",)),
    (WIDE, "cases", ("region", "age_band")),
)

PRICES: Final = (0.5, 1.0)

LEVELS: Final = {"age_band": "broad"}


_LIFETIMES: Final = {
    "police": Lifetime(zcdp=ZcdpCap(epsilon=Fraction(2))),
    "clinic": Lifetime(zcdp=ZcdpCap(epsilon=Fraction(3, 2))),
}


class Listener:
    """A port on which nobody listens."""

    port = 1

    async def start(self) -> None:
        """There is no port."""

    async def stop(self, _grace: float) -> None:
        """There is no port."""


class Machine:
    """What a process runs on."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.disk = world.disks.add(name)
        self.process: Process | None = None
        self.was_on = False

    def start(self) -> None:
        self.was_on = True
        if self.process is not None:
            return
        self.process = self.disk.process = Process(self.name)
        self.world.loop.begin(self.process, self._guarded(self.process))
        self.world.loop.settle()
        self.bury()

    def kill(self) -> None:
        """Pull the plug."""
        if self.process is not None and self.process.is_alive:
            self.disk.save("crash")
            self.process.is_alive = False
            self.bury()

    def bury(self) -> None:
        """If it has died: its memory is gone, and its files are as they were."""
        process = self.process
        if process is None or process.is_alive:
            return
        self.unplug()
        self.world.loop.end(process)
        self.process = self.disk.process = None
        self.close()
        self.disk.load("crash")

    async def _guarded(self, process: Process) -> None:
        try:
            await self.run()
        except PowerLost:
            pass
        except AccordError as error:
            self.world.ended.append((self.name, error.reason))
            process.is_alive = False
            self.disk.save("crash")

    async def run(self) -> None:
        raise NotImplementedError

    def unplug(self) -> None:
        """Break its connections."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what a process holds outside of its memory."""


class HubMachine(Machine):
    """One process of the hub, and what agents and analysts reach of it."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.state = State(self.disk.root)
        self.hub: Hub | None = None

    async def run(self) -> None:
        self.hub = Hub(self.world.parts(self.state), self.world.clock)
        await self.hub.start()

    def unplug(self) -> None:
        for wire in self.world.wires.values():
            wire.cut()
            wire.is_cut = wire.agency in self.world.away

    def close(self) -> None:
        if self.hub is not None:
            self.hub._store.close()
            self.hub = None

    # What agents see

    @property
    def is_serving(self) -> bool:
        return (
            self.hub is not None
            and self.process is not None
            and self.process.is_alive
            and bool(self.hub._listeners)
        )

    @property
    def service(self) -> Passed:
        assert self.hub is not None
        return self.hub._agents

    def file(self, agency: str, name: str) -> bytes:
        assert self.hub is not None
        return self.hub.standing.file_for(agency, name)


class AgentMachine(Machine):
    """One agency."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.wire = world.wires[name]
        self.state = AgentState(self.disk.root)

    async def run(self) -> None:
        answerer = StoreAnswerer(
            self.state,
            agency=self.name,
            settings=self.world.settings(self.name),
            clock=self.world.clock,
        )
        await connection.run(
            IdentityFiles(self.state.keys),
            answerer,
            timing=Timing(slot=0, heartbeat=NEVER),
            clock=self.world.clock,
        )

    def unplug(self) -> None:
        self.wire.cut()
        self.wire.is_cut = self.name in self.world.away

    def confirm(self) -> bool:
        """Let staff confirm a restored copy; tell whether there was one."""
        with self.state.ledger() as database:
            if not fence.standing(self.state, database).restored:
                return False
            fence.confirm(self.state, database, self.world.clock())
        return True


Operation = tuple[Any, ...]
"""Its name, and what it is done to: `World.do`."""


@dataclasses.dataclass(slots=True)
class Request:
    """One question of an analyst, sent until it is answered."""

    message: analyst_pb2.SubmitQueryRequest
    token: str
    told: analyst_pb2.Submission | None = None
    refused: str = ""

    @property
    def has_ended(self) -> bool:
        return bool(self.refused) or (self.told is not None and _is_over(self.told))

    def hear(self, told: analyst_pb2.Submission) -> None:
        """Take what the hub says; what has ended never changes."""
        if self.told is not None and _is_over(self.told):
            assert told == self.told, "an answer was given in two ways"
        self.told = told


def _is_over(told: analyst_pb2.Submission) -> bool:
    return told.state != analyst_pb2.SUBMISSION_STATE_COLLECTING


class World:
    """All of it."""

    def __init__(self, template: Template, folder: Path, seed: int) -> None:
        self.template = template
        self.loop = VirtualLoop()
        self.chance = Chance(seed)
        self.disks = Disks(folder)
        self.ended: list[tuple[str, str]] = []
        """Processes that ended by themselves, and why."""
        self.away: set[str] = set()
        """Agencies without a network."""
        self.requests: list[Request] = []
        self.revoked: set[str] = set()
        self.changes = 0
        """Decisions of the board that were published."""
        self._parts: Parts | None = None
        self.witness = Witness(self)
        hear = self.witness.hear
        self.wires = {label: Wire(self.loop, label, hear) for label in PARTIES}
        self.hub = HubMachine(self, "hub")
        self.agents = {label: AgentMachine(self, label) for label in PARTIES}
        self.machines: dict[str, Machine] = {"hub": self.hub, **self.agents}
        for name in self.machines:
            _copied(template.root / name, folder / name)
        for wire in self.wires.values():
            wire.hub = self.hub

    def clock(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.loop.time())

    def parts(self, state: State) -> Parts:
        if self._parts is None:
            self._parts = load_parts(state, self.clock)
        return self._parts

    def settings(self, label: str) -> Settings:
        """Return an agency's own caps: two are stricter than the hub."""
        return Settings(lifetime=_LIFETIMES.get(label, Lifetime()))

    @contextlib.contextmanager
    def ruled(self) -> Iterator[None]:
        """Be all there is."""
        with pytest.MonkeyPatch.context() as patch:
            self.disks.rule(patch)
            self.chance.rule(patch)
            for name in ("SILENCE_SECONDS", "HEARTBEAT_SECONDS"):
                patch.setattr(f"accord.hub.rounds.connections.{name}", NEVER)
            for name in ("agent_server", "public_server"):
                patch.setattr(f"accord.hub.serve.{name}", lambda *_: Listener())
            for module in ("connection", "renewal"):
                place = f"accord.agent.network.{module}.open_channel"
                patch.setattr(place, self._channel)
            # What is on a disk outlasts the loss of power that is played here.
            patch.setattr(os, "fsync", lambda _file: None)
            patch.setattr("accord.hub.policies.load_policy_set", _policies)
            patch.setattr(Worker, "_fetch", self._fetching())
            before = structlog.get_config()
            structlog.configure(
                wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
            )
            asyncio.set_event_loop(self.loop)
            try:
                yield
            finally:
                for machine in self.machines.values():
                    machine.kill()
                self.loop.close()
                asyncio.set_event_loop(None)
                structlog.configure(**before)

    def _channel(self, identity: Identity) -> Channel:
        return Channel(self.wires[identity.membership.agency], identity)

    def _fetching(self) -> Callable[[Passed, str], bytes]:
        def fetch(worker: Passed, name: str) -> bytes:
            return self.wires[worker._answerer._agency].file(name)

        return fetch

    # Operations

    def begin(self) -> None:
        """Switch the hub on, and those who are in every question."""
        for name in ("hub", *FALLBACK):
            self.machines[name].start()
        self.passes(MOMENT)

    def passes(self, seconds: float) -> None:
        """Let time pass; more than a little passes at once, as for who was asleep."""
        self.loop.sleep(seconds, at_once=seconds > AT_ONCE)
        for machine in self.machines.values():
            machine.bury()
        self.loop.settle()

    def do(self, operation: Operation) -> None:
        """Do one operation of a history, and whatever follows from it by itself."""
        name, *given = operation
        getattr(self, f"do_{name}")(*given)
        self.loop.settle()
        if name != "wait":
            self.passes(MOMENT)

    def do_wait(self, seconds: float) -> None:
        self.passes(seconds)

    def do_ask(self, question: int, analyst: int, price: int, complete: bool) -> None:
        """Let an analyst ask something under a new id."""
        agreement, measure, by = QUESTIONS[question]
        message = analyst_pb2.SubmitQueryRequest(
            id=str(uuid.UUID(int=(4 << 76) | (8 << 60) | len(self.requests))),
            query=common_pb2.Query(
                agreement=agreement,
                measure=measure,
                group_by=[
                    common_pb2.Grouping(dimension=each, level=LEVELS.get(each, ""))
                    for each in by
                ],
            ),
            purpose="planning",
            spending=analyst_pb2.Spending(epsilon=PRICES[price]),
            complete_only=complete,
        )
        self.requests.append(Request(message, self.template.tokens[analyst]))
        self.do_send(len(self.requests) - 1)

    def do_send(self, number: int) -> None:
        """Let an analyst send a question, perhaps again."""
        process = self.hub.process
        if number < len(self.requests) and self.hub.is_serving and process is not None:
            self.loop.begin(process, self._sent(self.requests[number], process))

    async def _sent(self, request: Request, process: Process) -> None:
        context: Any = AnalystContext(request.token)
        assert self.hub.hub is not None
        try:
            answer = await self.hub.hub._analysts.SubmitQuery(request.message, context)
        except Unreachable:
            return
        except AccordError as error:
            if process.is_alive and request.told is None:
                request.refused = error.reason
        else:
            if process.is_alive:
                request.hear(answer.submission)
        finally:
            context.end()

    def do_start(self, name: str) -> None:
        self.machines[name].start()

    def do_kill(self, name: str) -> None:
        self.machines[name].kill()

    def do_crash(self, name: str, when: str, commits: int) -> None:
        """Let a machine lose power before or after one of its next commits."""
        self.machines[name].disk.crash = Crash(commits, after=when == "after")

    def do_full(self, name: str) -> None:
        self.machines[name].disk.is_full = True

    def do_room(self, name: str) -> None:
        self.machines[name].disk.is_full = False

    def do_slow(self, name: str) -> None:
        """Let other threads of a program do nothing for now."""
        process = self.machines[name].process
        if process is not None:
            process.is_slow = True

    def do_quick(self, name: str) -> None:
        process = self.machines[name].process
        if process is not None:
            self.loop.catch_up(process)

    def do_backup(self, name: str) -> None:
        self.machines[name].disk.save("backup")
        self.witness.backed_up(name)

    def do_restore(self, name: str, what: str) -> None:
        """Put an older copy in place: of the database alone, or of everything."""
        machine = self.machines[name]
        if not machine.disk.has("backup"):
            return
        machine.kill()
        machine.disk.load("backup", KEPT if what == "all" else ("agent.db",))
        self.witness.restored(name)
        machine.start()

    def do_confirm(self, name: str) -> None:
        """Let staff look whether the state was restored, and confirm it."""
        self.agents[name].confirm()

    def do_cut(self, name: str, side: str) -> None:
        """Break an agency's connection; perhaps only one side notices."""
        self.away.add(name)
        self.wires[name].cut(at_agent=side != "hub", at_hub=side != "agent")

    def do_mend(self, name: str) -> None:
        self.away.discard(name)
        self.wires[name].is_cut = False

    def do_hold(self, name: str, direction: str) -> None:
        self.wires[name].line(direction).is_held = True

    def do_free(self, name: str, direction: str) -> None:
        self.wires[name].line(direction).let_go()

    def do_step(self, name: str, direction: str) -> None:
        self.wires[name].line(direction).step()

    def do_drop(self, name: str, direction: str, place: int) -> None:
        self.wires[name].line(direction).drop(place)

    def do_double(self, name: str, direction: str, place: int) -> None:
        self.wires[name].line(direction).double(place)

    def do_swap(self, name: str, direction: str, place: int) -> None:
        self.wires[name].line(direction).swap(place)

    def do_decide(self) -> None:
        """Let the board publish the next version of an agreement, from outside."""
        if self.changes == len(self.template.changes) or self.hub.disk.is_full:
            return
        proposal = from_file(self.template.changes[self.changes], "a decision")
        self.changes += 1
        with self._outside() as store:
            standing = standing_of(self.hub.state, store, self.clock())
            standing.publish(standing.prepare(proposal), by=None)

    def do_revoke(self, name: str) -> None:
        """Let the operator throw an agency out."""
        if not self.hub.disk.is_full:
            self.revoked.add(name)
            with self._outside() as store, store.write() as tx:
                registry.revoke_agency(tx, name, now=self.clock())

    @contextlib.contextmanager
    def _outside(self) -> Iterator[Store]:
        """Open the hub's database as another program on its machine does."""
        disk = self.hub.disk
        process, disk.process, crash, disk.crash = disk.process, None, disk.crash, None
        try:
            with contextlib.closing(store_of(self.hub.state)) as store:
                yield store
        finally:
            disk.process, disk.crash = process, crash

    # The end

    def finish(self) -> None:
        """Heal everything, and let time pass until nothing waits any more."""
        self._heal()
        for seconds in FINISHING:
            for agent in self.agents.values():
                agent.confirm()
            for number, request in enumerate(self.requests):
                if not request.has_ended:
                    self.do_send(number)
            self.passes(MOMENT)
            if not self.witness.waiting():
                return
            # Whoever missed a message asks again on a new stream.
            for wire in self.wires.values():
                wire.cut()
                wire.is_cut = False
            self.passes(seconds)
            self.passes(AT_ONCE)

    def _heal(self) -> None:
        for name, machine in self.machines.items():
            machine.disk.crash, machine.disk.is_full = None, False
            self.do_quick(name)
            if machine.was_on:
                machine.start()
        self.away.clear()
        for wire in self.wires.values():
            wire.is_cut = False
            for line in (wire.up, wire.down):
                line.let_go()
        self.passes(AT_ONCE)


_READ: dict[bytes, PolicySet] = {}


def _policies(documents: Mapping[str, bytes]) -> PolicySet:
    """Read the same documents once: that is most of what a start of a hub takes."""
    key = hashlib.sha256(repr(sorted(documents.items())).encode()).digest()
    if key not in _READ:
        _READ[key] = load_policy_set(documents)
    return _READ[key]


def _copied(source: Path, target: Path) -> None:
    """Copy what changes, and point to what does not."""
    target.mkdir(mode=0o700)
    for path in source.iterdir():
        if path.name.startswith(KEPT):
            if path.is_dir():
                shutil.copytree(path, target / path.name)
            else:
                shutil.copy2(path, target / path.name)
        else:
            (target / path.name).symlink_to(path)
