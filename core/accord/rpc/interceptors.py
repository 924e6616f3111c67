# SPDX-License-Identifier: Apache-2.0
"""What stands before every call of a server.

In this order: the method must be in `AUTHORITY`; its caller must have shown what that
table asks for; every message must keep the rules of the protocol; unary calls get a
deadline. Then the service runs. An `AccordError` becomes a status with its reason;
anything else becomes INTERNAL_ERROR, of which only the type's name is logged. Every
call leaves one log line.

Services are coroutines or async generators, read requests from the iterator that they
are given (never with ``context.read``), and raise `AccordError`. They may add to the
line of their call with `structlog.contextvars.bind_contextvars`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, cast

import grpc
import protovalidate
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from accord.core.errors import (
    AccordError,
    DeadlineExceeded,
    IntegrityError,
    InternalError,
    InvalidQuery,
    PolicyDenied,
)
from accord.rpc.authz import AUTHORITY, Caller
from accord.rpc.limits import DEADLINES
from accord.rpc.peer import bearer_token, peer_agency
from accord.rpc.status import to_status

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Behaviour: TypeAlias = "Callable[[Any, Context], Any]"

Result = TypeVar("Result")

_VALIDATOR = protovalidate.Validator()


def check_message(message: Message) -> None:
    """Raise unless *message* keeps the rules that the protocol states for it.

    The sentence names field and rule, never the value.

    Raises:
        InvalidQuery: MESSAGE_INVALID.
    """
    found = _VALIDATOR.collect_violations(message, fail_fast=True)
    if not found:
        _require_texts(message)
        return
    violation = found[0].proto
    path = ""
    for element in violation.field.elements if violation.field else ():
        path += f".{element.field_name}"
        place = element.subscript
        if place is not None and place.field == "index":
            path += f"[{place.value}]"
    field = path.removeprefix(".") or message.DESCRIPTOR.name
    rule = violation.message or violation.rule_id
    raise InvalidQuery(
        "MESSAGE_INVALID",
        f"The field {field} is not valid: {rule}.",
        field=field,
        rule=violation.rule_id,
    )


def _require_texts(message: Message) -> None:
    """Refuse U+0000, which PostgreSQL keeps in no text, wherever it stands."""
    for field, value in message.ListFields():
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        for each in value if field.is_repeated else (value,):
            if isinstance(each, Message):
                _require_texts(each)
            elif "\0" in each:
                raise InvalidQuery(
                    "MESSAGE_INVALID",
                    f"The field {field.name} is not valid: U+0000 is no character.",
                    field=field.name,
                    rule="string.no_nul",
                )


class ErrorBoundary(grpc.aio.ServerInterceptor):
    """The process boundary of a server: nothing of an error gets past it by itself."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Put the boundary around the service's method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return _bounded(handler, handler_call_details.method)


def _bounded(handler: Handler, method: str) -> Handler:
    parts = (handler.request_deserializer, handler.response_serializer)
    behaviour = _behaviour(handler)
    if not handler.request_streaming and not handler.response_streaming:
        return grpc.unary_unary_rpc_method_handler(_unary(behaviour, method), *parts)
    if not handler.request_streaming:
        streaming = _streaming(behaviour, method, _checked_one)
        return grpc.unary_stream_rpc_method_handler(streaming, *parts)
    if handler.response_streaming:
        streaming = _streaming(behaviour, method, _checked)
        return grpc.stream_stream_rpc_method_handler(streaming, *parts)
    message = f"{method} streams requests for one response: not supported"
    raise NotImplementedError(message)


def _unary(
    behaviour: Behaviour, method: str
) -> Callable[[Message, Context], Awaitable[Message]]:
    async def call(request: Message, context: Context) -> Message:
        async def work() -> Message:
            check_message(request)
            async with asyncio.timeout(DEADLINES[method]):
                return cast("Message", await behaviour(request, context))

        return await _Call(method, context).run(work)

    return call


def _streaming(
    behaviour: Behaviour, method: str, checked: Callable[[Any], object]
) -> Callable[[object, Context], Awaitable[None]]:
    async def call(received: object, context: Context) -> None:
        async def work() -> None:
            given = checked(received)
            if inspect.isasyncgenfunction(behaviour):
                async for message in behaviour(given, context):
                    await context.write(message)
            else:
                await behaviour(given, context)

        await _Call(method, context).run(work)

    return call


def _behaviour(handler: Handler) -> Behaviour:
    found = (
        handler.unary_unary
        or handler.unary_stream
        or handler.stream_unary
        or handler.stream_stream
    )
    return cast("Behaviour", found)


def _checked_one(message: Message) -> Message:
    check_message(message)
    return message


async def _checked(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for message in messages:
        check_message(message)
        yield message


def _known(error: BaseException) -> AccordError | None:
    """Return the error of ours that *error* is, or holds where tasks were grouped."""
    if isinstance(error, AccordError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded(
            "DEADLINE_EXCEEDED", "The hub did not finish in time; try again."
        )
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            found = _known(part)
            if found is not None:
                return found
    return None


class _Call:
    """One call: runs the service's part and tells the caller and the log its end."""

    def __init__(self, method: str, context: Context) -> None:
        self._method = method
        self._context = context
        self._caller = AUTHORITY.get(method)
        self._begin = time.monotonic()

    async def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run *work*; whatever it raises ends here."""
        structlog.contextvars.clear_contextvars()
        try:
            self._require()
            result = await work()
        except asyncio.CancelledError:
            self._log("info", "cancelled", code="CANCELLED")
            raise
        except grpc.aio.AbortError:
            self._log("info", "aborted")
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of the process
            known = _known(error)
            if known is None:
                self._log("error", "failed", error_type=type(error).__name__)
                known = InternalError(
                    "INTERNAL_ERROR", "The hub made a mistake; its operator can see it."
                )
            else:
                ours = isinstance(known, InternalError | IntegrityError)
                level = "error" if ours else "info"
                self._log(level, "refused", reason=known.reason, code=known.code)
            # from here on the error is gone: gRPC would log what it holds
        else:
            if self._caller is not Caller.ANYBODY:
                self._log("info", "ok", code="OK")
            return result
        status = rpc_status.to_status(to_status(known))
        return await self._context.abort_with_status(status)

    def _log(self, level: str, outcome: str, **values: str) -> None:
        log = structlog.get_logger()
        emit = log.error if level == "error" else log.info
        emit(
            "rpc.completed",
            rpc=self._method,
            outcome=outcome,
            duration_ms=round((time.monotonic() - self._begin) * 1000, 1),
            **values,
        )

    def _require(self) -> None:
        """Raise unless the caller has shown what the method asks for."""
        match self._caller:
            case None:
                raise PolicyDenied(
                    "METHOD_CLOSED", "This method is not open to anybody."
                )
            case Caller.AGENT:
                agency = peer_agency(self._context)
                structlog.contextvars.bind_contextvars(agency=agency.label)
            case Caller.ANALYST:
                bearer_token(self._context)
            case Caller.ANYBODY | Caller.TOKEN_IN_REQUEST:
                pass
