# SPDX-License-Identifier: Apache-2.0
"""Calls of the SDK that never leave the process: the surface of `accord.client.wire`.

The services run on an event loop of their own, on a thread of their own, so that they
can be called from a notebook, whose thread has a loop already. Messages are copied at
the border, checked like those that come over a network, and errors arrive as they
would from there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import structlog
from google.protobuf.message import Message

from accord.client.wire import Wire
from accord.core.errors import AccordError, DeadlineExceeded
from accord.rpc.interceptors import check_message
from accord.rpc.limits import DEADLINES
from accord.rpc.tokens import Token
from accord.v1 import analyst_pb2
from accord.v1.analyst_pb2_grpc import AnalystServiceServicer, AnalystServiceStub
from accord.v1.review_pb2_grpc import ReviewServiceServicer, ReviewServiceStub

Response = TypeVar("Response", bound=Message)
Found = TypeVar("Found")

_SECONDS = {method.rpartition("/")[2]: left for method, left in DEADLINES.items()}


INVENTED = (
    "These records are SYNTHETIC: invented by a program, for learning and tests. No"
    " figure here says anything about real people."
)
"""The first thing that a release of a world does not cover."""


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="accord-world", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Found]) -> Found:
        """Run *work* there and return what it returns."""
        return self.begin(work).result()

    def begin(self, work: Coroutine[Any, Any, Found]) -> Future[Found]:
        """Run *work* there, and do not wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Context:
    """What services look at of a call."""

    def __init__(self, token: Token) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._ended: list[Callable[[object], None]] = []

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self._ended.append(callback)

    def end(self) -> None:
        for callback in self._ended:
            callback(self)


class InProcessWire(Wire):
    """One person's side of services in this process."""

    def __init__(  # there is no channel to open
        self,
        loop: Loop,
        token: Token,
        *,
        analysts: AnalystServiceServicer,
        reviews: ReviewServiceServicer,
    ) -> None:
        """Keep whom to call, and as whom."""
        self._loop = loop
        self._token = token
        self.hub_identity = token.fingerprint.hex()
        self._service = analysts
        self.stub = cast("AnalystServiceStub", analysts)
        self.reviews = cast("ReviewServiceStub", reviews)

    def call(self, method: Callable[..., Any], request: Message) -> Any:  # noqa: ANN401  # as many kinds as there are calls
        """Call a method of a service.

        Raises:
            AccordError: as the service raised it.
        """
        return self._loop.run(self._served(method, request))

    def begin(self, method: Callable[..., Any], request: Message) -> Callable[[], Any]:
        """Call a method of a service without waiting; what is returned waits."""
        return self._loop.begin(self._served(method, request)).result

    async def _served(self, method: Callable[..., Any], request: Message) -> Message:
        copy = type(request).FromString(request.SerializeToString())
        context = _Context(self._token)
        structlog.contextvars.clear_contextvars()
        name = request.DESCRIPTOR.name.removesuffix("Request")
        try:
            check_message(copy)
            async with asyncio.timeout(_SECONDS[name]):
                response = await method(copy, context)
                if isinstance(response, analyst_pb2.SubmitQueryResponse):
                    response = await self._answered(response.submission, context)
        except AccordError as error:
            raise type(error)(error.reason, error.sentence, **error.metadata) from None
        except TimeoutError:
            raise DeadlineExceeded(
                "DEADLINE_EXCEEDED", "The world did not finish in time; try again."
            ) from None
        finally:
            context.end()
        received: Message = type(response).FromString(response.SerializeToString())
        _mark(received)
        return received

    async def _answered(
        self, submission: analyst_pb2.Submission, context: _Context
    ) -> analyst_pb2.SubmitQueryResponse:
        """Return a submission once it has ended, which takes milliseconds here.

        So that the SDK need not note on this machine what it waits for.
        """
        while submission.state == analyst_pb2.SUBMISSION_STATE_COLLECTING:
            request = analyst_pb2.GetSubmissionRequest(
                id=submission.id,
                after_revision=submission.revision,
                wait_seconds=20,
            )
            found = await cast("Any", self._service).GetSubmission(request, context)
            submission = found.submission
        return analyst_pb2.SubmitQueryResponse(submission=submission)

    def close(self) -> None:
        """Nothing is open."""


def _mark(message: Message) -> None:
    """Let every release in a message say that its records are invented."""
    if isinstance(message, analyst_pb2.Release):
        message.not_covered.insert(0, INVENTED)
        return
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for each in value if field.is_repeated else (value,):
            _mark(each)
