# SPDX-License-Identifier: Apache-2.0
"""The one thread that works for the hub, and what is in hand there.

Everything that touches the agency's store, policies or ledger runs in it, one thing
after the other; the event loop only moves messages. A requisition that is in hand
already is not taken twice, whichever stream it comes over. Results go out over the
stream there is when they are ready; if there is none they are dropped, since the hub
asks again. Where the thread needs a file of the signed policies, it waits for the loop
to fetch it over that stream's connection.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from accord.core.errors import (
    AccordError,
    IntegrityError,
    RequisitionRefused,
    Unreachable,
)
from accord.rpc.codec import HeldEdition, payload_digest, query_id_of
from accord.trust.trusted import Fetch
from accord.v1 import agent_pb2, common_pb2

MOST_IN_HAND = 16
"""Requisitions taken at once; more wait in the stream."""

_MOST_CLAUSES = 32
_MOST_CODE = 64

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnswerVector:
    """One agency's answer to one requisition. Exact: never logged, never stored."""

    vector: npt.NDArray[np.int64] = dataclasses.field(repr=False)
    layout_digest: str


class Answerer(Protocol):
    """The side of the agent that knows its store; called from one thread only."""

    def editions(self) -> Sequence[HeldEdition]:
        """Freeze what the calendar asks for and return what is held."""

    def refresh(self, fetch: Fetch) -> bool:
        """Ask for newer policies, verify them, and return whether there were any."""

    def answer(self, payload: bytes, signature: bytes, fetch: Fetch) -> AnswerVector:
        """Return the vector, the same at every retry, or raise `RequisitionRefused`."""

    def ledger_height(self) -> int:
        """Return the number of events in the agency's own ledger."""


class Outlet(Protocol):
    """A stream over which results can go."""

    async def send(self, message: agent_pb2.ConnectRequest) -> None:
        """Return when the message is on its way or the stream is over."""


Files = Callable[[str], Coroutine[None, None, bytes]]
"""Fetches a file of the signed policies over the connection there is."""


@dataclasses.dataclass(frozen=True, slots=True)
class _InHand:
    query_id: str
    task: asyncio.Task[None]


class Worker:
    """Runs an `Answerer`; lives as long as the agent, over many streams."""

    def __init__(self, answerer: Answerer) -> None:
        self.outlet: Outlet | None = None
        self.files: Files | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answerer = answerer
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "accord-answers")
        self._in_hand: dict[str, _InHand] = {}
        self._room = asyncio.Semaphore(MOST_IN_HAND)

    async def editions(self) -> tuple[HeldEdition, ...]:
        """Freeze what is due and return what is held."""
        return tuple(await self._call(self._answerer.editions))

    async def ledger_height(self) -> int:
        return await self._call(self._answerer.ledger_height)

    async def refresh(self) -> bool:
        """Ask the hub for newer policies and return whether there were any."""
        return await self._call(lambda: self._answerer.refresh(self._fetch))

    async def take(self, requisition: agent_pb2.Requisition) -> None:
        """Have *requisition* answered unless it is in hand; waits where many are."""
        digest = payload_digest(requisition.payload)
        if digest in self._in_hand:
            return
        try:
            query_id = query_id_of(requisition.payload)
        except IntegrityError as error:
            structlog.get_logger().warning("requisition.dropped", reason=error.reason)
            return
        await self._room.acquire()
        task = asyncio.create_task(self._work(requisition, query_id, digest))
        work = self._in_hand[digest] = _InHand(query_id, task)
        task.add_done_callback(lambda _: self._finished(digest, work))

    def settle(self, query_id: str) -> None:
        """Forget a query that the hub has no more need of."""
        for digest, work in list(self._in_hand.items()):
            if work.query_id == query_id:
                del self._in_hand[digest]  # it may be asked for again
                work.task.cancel()

    async def close(self) -> None:
        """Let the answer that is being computed end, and begin no other."""
        tasks = [work.task for work in self._in_hand.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _finished(self, digest: str, work: _InHand) -> None:
        if self._in_hand.get(digest) is work:
            del self._in_hand[digest]
        self._room.release()

    async def _work(
        self, requisition: agent_pb2.Requisition, query_id: str, digest: str
    ) -> None:
        message = await self._call(lambda: self._result(requisition, query_id, digest))
        if self.outlet is not None:
            await self.outlet.send(message)

    async def _call(self, work: Callable[[], Result]) -> Result:
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._thread, work)

    def _fetch(self, name: str) -> bytes:
        """Return a file of the signed policies; waits, in the worker's thread.

        Raises:
            AccordError: the hub does not give it, or there is no connection.
        """
        files, loop = self.files, self._loop
        if files is None or loop is None:
            raise _no_connection()
        fetching = asyncio.run_coroutine_threadsafe(files(name), loop)
        try:
            return fetching.result()
        except concurrent.futures.CancelledError:
            raise _no_connection() from None

    def _result(
        self, requisition: agent_pb2.Requisition, query_id: str, digest: str
    ) -> agent_pb2.ConnectRequest:
        """Return answer or refusal; a question can never end the agent."""
        log = structlog.get_logger().bind(query_id=query_id)
        codes = ""
        try:
            found = self._answerer.answer(
                requisition.payload, requisition.signature, self._fetch
            )
        except RequisitionRefused as error:
            reason, codes = error.reason, error.metadata.get("codes", "")
        except AccordError as error:
            log.error("answer.failed", reason=error.reason)  # noqa: TRY400  # no text
            reason = "STORE_UNAVAILABLE"
        except Exception as error:  # noqa: BLE001  # boundary: of strangers only the type
            log.error("answer.failed", error_type=type(error).__name__)  # noqa: TRY400
            reason = "STORE_UNAVAILABLE"
        else:
            log.info("requisition.answered")
            answer = agent_pb2.Answer(
                query_id=query_id,
                layout_digest=found.layout_digest,
                payload_digest=digest,
                vector=found.vector.tolist(),
            )
            return agent_pb2.ConnectRequest(answer=answer)
        log.info("requisition.refused", reason=reason, code=codes)
        refusal = agent_pb2.Refusal(
            query_id=query_id,
            payload_digest=digest,
            reason=_refusal_reason(reason),
            clauses=[code[:_MOST_CODE] for code in codes.split(",") if code][
                :_MOST_CLAUSES
            ],
        )
        return agent_pb2.ConnectRequest(refusal=refusal)


def _no_connection() -> Unreachable:
    return Unreachable("STREAM_ENDED", "The hub ended the connection.")


def _refusal_reason(reason: str) -> common_pb2.RefusalReason.ValueType:
    """Return the entry of the closed list; what is not in it says least."""
    try:
        return common_pb2.RefusalReason.Value(f"REFUSAL_REASON_{reason}")
    except ValueError:
        return common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE
