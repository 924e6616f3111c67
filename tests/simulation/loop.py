# SPDX-License-Identifier: Apache-2.0
"""An event loop on which a whole network lives in one thread, in a time of its own.

Nothing is waited for: what is due is done, and time passes only when a test says so.
Work for other threads is done at once, where it is asked for, and its result comes one
turn later. Every task belongs to a `Process`, which can be ended at any moment as if
its machine had lost power.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

Found = TypeVar("Found")
Given = TypeVarTuple("Given")

_UNWINDING: Final = 50
"""Times that the tasks of a dead process are cancelled before that is a mistake."""


class PowerLost(BaseException):
    """The process that does this has just died; no product code may catch it."""


class Process:
    """One program on one machine, from its start to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.is_slow = False
        """Whether its other threads do nothing for now."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.jobs: collections.deque[Callable[[], None]] = collections.deque()
        """What its other threads have not begun."""


class _Clockwork:
    """Stands where a loop has its selector: it lets time pass, or stops the loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._loop.idle()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop; `settle` and `sleep` are what makes anything happen."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._until = 0.0
        self._selector = _Clockwork(self)
        self._owners: dict[asyncio.Task[Any], Process] = {}
        self._beginning: Process | None = None
        self.troubles: list[BaseException] = []
        """What nobody waited for and went wrong."""
        factory: Any = self._make_task
        self.set_task_factory(factory)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Return the seconds since the beginning of the world."""
        return self._seconds

    def idle(self) -> None:
        """Nothing is ready: let time pass to the next timer, or end the turn."""
        timers = self._scheduled  # type: ignore[attr-defined]  # of the base class
        due = timers[0].when() if timers else None
        if due is not None and due <= self._until:
            self._seconds = max(self._seconds, due)
        else:
            self._seconds = max(self._seconds, self._until)
            self.stop()

    def settle(self) -> None:
        """Do whatever can be done without time passing."""
        self._until = self._seconds
        self.run_forever()

    def sleep(self, seconds: float, *, at_once: bool) -> None:
        """Let time pass.

        Args:
            seconds: how much.
            at_once: every timer that is due by then rings once, at the end: what a
                machine does that was asleep. Else each at its own moment.
        """
        if at_once:
            self._seconds += seconds
            self.settle()
        else:
            self._until = self._seconds + seconds
            self.run_forever()

    # Processes

    def begin(
        self, process: Process, work: Coroutine[Any, Any, Found]
    ) -> asyncio.Task[Found]:
        """Run something as a part of a process, whoever asks for it."""
        self._beginning = process
        try:
            return self.create_task(work)
        finally:
            self._beginning = None

    def owner(self) -> Process | None:
        """Return the process that is running."""
        if self._beginning is not None:
            return self._beginning
        task = asyncio.current_task(self) if self.is_running() else None
        return None if task is None else self._owners.get(task)

    def end(self, process: Process) -> None:
        """Unwind what a dead process was doing; it can do no harm any more."""
        process.is_alive = False
        process.jobs.clear()
        for _ in range(_UNWINDING):
            running = [task for task in process.tasks if not task.done()]
            if not running:
                return
            for task in running:
                task.cancel()
            self.settle()
        message = f"a task of {process.name} does not end: {process.tasks}"
        raise AssertionError(message)

    def catch_up(self, process: Process) -> None:
        """Let other threads of a process do what they have not begun."""
        process.is_slow = False
        while process.jobs:
            process.jobs.popleft()()

    def _make_task(
        self,
        _loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        owner = self.owner()
        task = asyncio.Task(work, loop=self, context=context)
        if owner is not None:
            self._owners[task] = owner
            owner.tasks.add(task)
            task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._owners.pop(task).tasks.discard(task)

    # What a loop has to have

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[Given]], Found],
        *args: *Given,
    ) -> asyncio.Future[Found]:
        """Call now what another thread would; its result comes in the next turn."""
        done: asyncio.Future[Found] = self.create_future()
        owner = self.owner()

        def work() -> None:
            try:
                found = func(*args)
            except BaseException as error:  # noqa: BLE001  # as an executor does
                self.call_soon(_fail, done, error)
            else:
                self.call_soon(_give, done, found)

        if owner is not None and owner.is_slow:
            owner.jobs.append(work)
        else:
            work()
        return done

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Given]], object],
        *args: *Given,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""

    def _note(self, _loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        error = about.get("exception")
        if not isinstance(error, PowerLost):
            self.troubles.append(error or AssertionError(about["message"]))


def _give(done: asyncio.Future[Found], found: Found) -> None:
    if not done.done():
        done.set_result(found)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
