# SPDX-License-Identifier: Apache-2.0
"""The hub, five agencies and two analysts in one thread, with everything that can fail.

What runs is the product: `accord.hub.serve.Hub` without its ports, and
`accord.agent.network.connection.run` without its channel. The world keeps machines,
wires and time, and does one operation of a history after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from accord.agent.network.identity import Identity
from accord.agent.network.worker import Worker
from accord.agent.witness.log import accept
from accord.core.errors import NotFound, PreconditionFailed
from accord.core.policy import PolicySet, load_policy_set
from accord.hub.contact import reconcile
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.contact.standing import note_restored
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.identity.authority import load_authority
from accord.hub.serve import Parts, load_parts
from accord.hub.state import State
from accord.ledger.sqlite import transaction
from accord.trust.proposal_file import from_file
from accord.v1 import analyst_pb2, common_pb2
from tests.simulation.analysts import Request
from tests.simulation.chance import Chance
from tests.simulation.checks import Witness
from tests.simulation.disk import KEPT, Crash, Disks
from tests.simulation.loop import VirtualLoop
from tests.simulation.machines import NEVER, AgentMachine, HubMachine, Listener, Machine
from tests.simulation.network import Channel, Wire
from tests.simulation.patching import Passed, silence
from tests.simulation.template import (
    FALLBACK,
    NEAR,
    PARTIES,
    START,
    WIDE,
    Template,
    standing_of,
)
from tests.unit.hub.world import store_of

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


Operation = tuple[Any, ...]
"""Its name, and what it is done to: `World.do`."""


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

    @contextlib.contextmanager
    def ruled(self) -> Iterator[None]:
        """Be all there is."""
        with silence(), pytest.MonkeyPatch.context() as patch:
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
            asyncio.set_event_loop(self.loop)
            try:
                yield
            finally:
                for machine in self.machines.values():
                    machine.kill()
                self.loop.close()
                asyncio.set_event_loop(None)

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
        process, hub = self.hub.process, self.hub.hub
        if number < len(self.requests) and self.hub.is_serving:
            assert process is not None
            assert hub is not None
            sent = self.requests[number].sent(hub, process, self.loop.troubles.append)
            self.loop.begin(process, sent)

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
        part = "hub.db" if name == "hub" else "agent.db"
        machine.disk.load("backup", KEPT if what == "all" else (part,))
        if name == "hub":
            for request in self.requests:
                request.forget()
            if (
                what == "all"
            ):  # as `accord-hub restore` does, and a copied file does not
                with self._outside() as store, store.write() as tx:
                    note_restored(tx, copied_at=START, at=self.clock())
            self.witness.hub_restored()
        else:
            self.witness.restored(name, whole=what == "all")
        machine.start()

    def do_confirm(self, name: str) -> None:
        """Let staff look whether the state was restored, and confirm it."""
        self.agents[name].confirm()

    def do_reconcile(self) -> None:
        """Let the operator complete a ledger that is in doubt, if that can be done."""
        if self.hub.disk.is_full:
            return
        authority = load_authority(self.hub.state.keys, self.clock())
        with self._outside() as store:
            standing = standing_of(self.hub.state, store, self.clock())
            with contextlib.suppress(PreconditionFailed), store.write() as tx:
                reconcile.apply(
                    tx,
                    standing.newest(),
                    hub_keys(tx, authority),
                    without=self.revoked,
                    at=self.clock(),
                )

    def do_accept(self, name: str) -> None:
        """Let an agency's staff accept that the hub's log is another one."""
        agent = self.agents[name]
        with (
            contextlib.suppress(NotFound),
            agent.state.ledger() as database,
            transaction(database) as tx,
        ):
            accept(tx, self.clock())

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
        if not self.hub.disk.is_full and name not in self.revoked:
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
            for name, agent in self.agents.items():
                agent.confirm()
                self.do_accept(name)
            if self.witness.is_hub_restored:
                self.do_reconcile()
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
            if machine.was_on or self.witness.is_hub_restored:
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
