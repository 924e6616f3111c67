# SPDX-License-Identifier: Apache-2.0
"""Typed errors on the wire, and back.

The reason and the metadata travel in `google.rpc.ErrorInfo`, the sentence is the
status message. What a peer sends is not trusted: reasons must look like reasons, and
control characters never reach a terminal.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import (  # type: ignore[import-untyped]  # ships no py.typed
    error_details_pb2,
    status_pb2,
)

from accord.core.errors import (
    AccordError,
    BudgetExhausted,
    Conflict,
    DeadlineExceeded,
    IntegrityError,
    InternalError,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unauthenticated,
    Unreachable,
)

DOMAIN = "accord"
"""Domain of our reasons in ErrorInfo."""

_DETAILS_KEY = "grpc-status-details-bin"
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")

_MOST_SENTENCE = 4000
_MOST_VALUE = 2000
_MOST_KEYS = 32

_BY_CODE: Mapping[str, type[AccordError]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": InvalidQuery,
        "OUT_OF_RANGE": InvalidQuery,
        "UNAUTHENTICATED": Unauthenticated,
        "PERMISSION_DENIED": PolicyDenied,
        "RESOURCE_EXHAUSTED": BudgetExhausted,
        "FAILED_PRECONDITION": PreconditionFailed,
        "ALREADY_EXISTS": Conflict,
        "ABORTED": Conflict,
        "NOT_FOUND": NotFound,
        "UNAVAILABLE": Unreachable,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
        "DATA_LOSS": IntegrityError,
        "INTERNAL": InternalError,
    }
)


def to_status(error: AccordError) -> status_pb2.Status:
    """Return the status that carries *error*; overlong texts are cut."""
    information = error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={
            key: value[:_MOST_VALUE]
            for key, value in itertools.islice(error.metadata.items(), _MOST_KEYS)
        },
    )
    packed = any_pb2.Any()
    packed.Pack(information)
    return status_pb2.Status(
        code=grpc.StatusCode[error.code].value[0],
        message=error.sentence[:_MOST_SENTENCE],
        details=[packed],
    )


def error_of(error: grpc.RpcError, peer: str = "the hub") -> AccordError:
    """Return what a failed call means, typed by its status.

    Args:
        error: from a synchronous or an asyncio call.
        peer: what was called, for the sentence; an address is best.
    """
    code = _code(error)
    rich = _rich(error)
    if rich is None:
        return _bare(code, peer)
    message, information = rich
    known = _BY_CODE.get(code.name, InternalError)
    metadata = {
        key: _printable(value, _MOST_VALUE)
        for key, value in itertools.islice(information.metadata.items(), _MOST_KEYS)
        if _KEY.fullmatch(key) and key not in {"self", "reason", "sentence"}
    }
    return known(information.reason, _printable(message, _MOST_SENTENCE), **metadata)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code = getattr(error, "code", None)
    found = code() if callable(code) else None
    return found if isinstance(found, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def _rich(error: grpc.RpcError) -> tuple[str, error_details_pb2.ErrorInfo] | None:
    """Return message and reason of one of our own errors, or nothing."""
    trailing = getattr(error, "trailing_metadata", None)
    pairs: Iterable[tuple[str, object]] = (
        trailing() if callable(trailing) else ()
    ) or ()
    for key, value in pairs:
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        information = error_details_pb2.ErrorInfo()
        try:
            status = status_pb2.Status.FromString(value)
            for packed in status.details:
                if packed.Unpack(information):
                    break
        except DecodeError:
            return None
        if information.domain == DOMAIN and _REASON.fullmatch(information.reason):
            return status.message, information
    return None


_BARE: Mapping[grpc.StatusCode, tuple[type[AccordError], str, str]] = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: (
            Unreachable,
            "HUB_UNREACHABLE",
            "There is no connection to {peer}; check address, network and hub.",
        ),
        grpc.StatusCode.DEADLINE_EXCEEDED: (
            DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            "There was no answer from {peer} in time.",
        ),
        grpc.StatusCode.CANCELLED: (
            Unreachable,
            "CALL_CANCELLED",
            "The call to {peer} was cancelled.",
        ),
        grpc.StatusCode.UNAUTHENTICATED: (
            Unauthenticated,
            "IDENTITY_UNKNOWN",
            "The credential is not one that {peer} knows.",
        ),
        grpc.StatusCode.PERMISSION_DENIED: (
            PolicyDenied,
            "CALL_DENIED",
            "The call is not allowed by {peer}.",
        ),
        grpc.StatusCode.UNIMPLEMENTED: (
            PreconditionFailed,
            "CALL_UNKNOWN",
            "This call is not known to {peer}; check its port and its version.",
        ),
        grpc.StatusCode.RESOURCE_EXHAUSTED: (
            Unreachable,
            "TRANSPORT_LIMIT",
            "A message or the number of calls is above what {peer} takes.",
        ),
    }
)
"""What a status means that gRPC itself made, without a reason of ours."""


def _bare(code: grpc.StatusCode, peer: str) -> AccordError:
    known, reason, sentence = _BARE.get(
        code, (InternalError, "CALL_FAILED", "The call to {peer} failed inside it.")
    )
    return known(reason, sentence.format(peer=peer))


def _printable(text: str, most: int) -> str:
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text[:most]
    )
