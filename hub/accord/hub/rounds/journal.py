# SPDX-License-Identifier: Apache-2.0
"""Writes behind: one transaction for everything that came in while the last one ran.

Changes are committed in the order in which they were put, all of one batch or none;
what is refused by an error of its own does not touch the others. Whoever must not go
on before something is committed awaits it. A database that cannot be used now is tried
again; meanwhile nothing is lost. A change that somebody stands and waits for, such as a
new question, is tried once: its caller hears of it and asks again.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
import structlog

from accord.core.errors import Unreachable
from accord.hub.db.engine import Store

RETRY_SECONDS: Final = 2.0
"""Wait after the database could not be written."""

MOST_AT_ONCE: Final = 512
"""Changes in one transaction."""

Made = TypeVar("Made")


@dataclasses.dataclass(slots=True)
class _Change(Generic[Made]):
    work: Callable[[sa.Connection], Made]
    done: asyncio.Future[Made]
    once: bool


class Journal:
    """The queue before the database; lives on one event loop."""

    def __init__(
        self, store: Store, fence: Callable[[sa.Connection], None] | None = None
    ) -> None:
        """Begin with nothing to write.

        Args:
            store: where to.
            fence: refuses every transaction once another process does the work.
        """
        self._store = store
        self._fence = fence
        self._waiting: list[_Change[Any]] = []
        self._writer: asyncio.Task[None] | None = None
        self.is_stopping = False
        """Whether what cannot be written now is given up; a restart repeats it."""
        self.is_delayed = False
        """Whether the database could not be written at the last attempt."""
        self._log = structlog.get_logger()

    def put(
        self, work: Callable[[sa.Connection], Made], *, once: bool = False
    ) -> asyncio.Future[Made]:
        """Put a change in line; the future has its result once it is committed.

        Args:
            work: runs on the database's thread; may run again if the commit fails.
            once: give it up where the database cannot be used now.
        """
        done: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        # An error that nobody waits for is the writer's to log, not asyncio's.
        done.add_done_callback(_looked_at)
        self._waiting.append(_Change(work, done, once))
        if self._writer is None:
            self._writer = asyncio.create_task(
                self._write(), context=contextvars.Context()
            )
        return done

    async def stop(self) -> None:
        """Write what is left, if the database can be written."""
        self.is_stopping = True
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MOST_AT_ONCE]
                results = await self._written(batch)
                if isinstance(results, _Refused):
                    self._give_up(batch, results)
                    if self._waiting:
                        await asyncio.sleep(RETRY_SECONDS)
                    continue
                del self._waiting[: len(batch)]
                for change, result in zip(batch, results, strict=True):
                    _tell(change, result)
        finally:
            self._writer = None

    def _give_up(self, batch: list[_Change[Any]], refused: _Refused) -> None:
        """Tell those who do not wait for another attempt."""
        patient = [change for change in batch if not change.once]
        self._waiting[: len(batch)] = patient
        for change in batch:
            if change.once:
                _tell(change, refused)

    async def _written(self, batch: list[_Change[Any]]) -> list[object] | _Refused:
        """Return what the changes gave, or why they have to be tried again."""
        try:
            results = await self._store.run(self._commit, batch)
        except Unreachable as error:
            self.is_delayed = True
            self._log.error("journal.delayed", reason=error.reason)
            refused = _Refused(error)
            return [refused] * len(batch) if self.is_stopping else refused
        except Exception as error:  # noqa: BLE001  # whoever waits learns of it
            self._log.error("journal.broken", error_type=type(error).__name__)
            return [_Refused(error)] * len(batch)
        self.is_delayed = False
        return results

    def _commit(self, batch: list[_Change[Any]]) -> list[object]:
        with self._store.write() as tx:
            if self._fence is not None:
                self._fence(tx)
            return [_apply(tx, change) for change in batch]


@dataclasses.dataclass(frozen=True, slots=True)
class _Refused:
    error: Exception


def _tell(change: _Change[Any], result: object) -> None:
    if change.done.done():
        return
    if isinstance(result, _Refused):
        change.done.set_exception(result.error)
    else:
        change.done.set_result(result)


def _apply(tx: sa.Connection, change: _Change[Any]) -> object:
    """Make one change, or undo it alone."""
    savepoint = tx.begin_nested()
    try:
        result = change.work(tx)
    except Exception as error:
        if _is_of_the_database(error):
            # Everything is rolled back and tried again.
            raise
        savepoint.rollback()
        return _Refused(error)
    savepoint.commit()
    return result


def _is_of_the_database(error: Exception) -> bool:
    """Tell whether the file could not be used, and not the change is wrong."""
    ours = sa.exc.IntegrityError | sa.exc.ProgrammingError | sa.exc.DataError
    if isinstance(error, ours):
        return False
    return isinstance(error, sa.exc.DBAPIError | sa.exc.TimeoutError | OSError)


def _looked_at(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
