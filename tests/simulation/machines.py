# SPDX-License-Identifier: Apache-2.0
"""What programs run on: switched on, off, and off in the middle of everything."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from accord.agent.answer import StoreAnswerer
from accord.agent.network import connection
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.timing import Timing
from accord.agent.rounds import fence
from accord.agent.settings import Lifetime, Settings, ZcdpCap
from accord.agent.state import AgentState
from accord.core.errors import AccordError
from accord.hub.serve import Hub
from accord.hub.state import State
from tests.simulation.loop import PowerLost, Process
from tests.simulation.patching import Passed

if TYPE_CHECKING:
    from tests.simulation.world import World

NEVER: Final = 1e9
"""Seconds; silence and heartbeats are said by cuts instead."""

LIFETIMES: Final = {
    "police": Lifetime(zcdp=ZcdpCap(epsilon=Fraction(2))),
    "clinic": Lifetime(zcdp=ZcdpCap(epsilon=Fraction(3, 2))),
}


def settings_of(label: str) -> Settings:
    """Return an agency's own caps: two are stricter than the hub."""
    return Settings(lifetime=LIFETIMES.get(label, Lifetime()))


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
            settings=settings_of(self.name),
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
