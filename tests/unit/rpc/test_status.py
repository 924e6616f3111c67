# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import grpc
import pytest
from google.rpc import (  # type: ignore[import-untyped]  # ships no py.typed
    error_details_pb2,
    status_pb2,
)
from hypothesis import given
from hypothesis import strategies as st

from accord.core import errors
from accord.core.errors import AccordError
from accord.rpc.status import DOMAIN, error_of, to_status

SAME_CODE = {
    errors.RequisitionRefused: errors.PreconditionFailed,
    errors.ConfigurationError: errors.PreconditionFailed,
    errors.SourceError: errors.PreconditionFailed,
}
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, AccordError)
    and kind is not AccordError
]


def failed(
    code: grpc.StatusCode, details: str = "", rich: bytes | None = None
) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata()
    if rich is not None:
        trailing.add("grpc-status-details-bin", rich)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)


def over_the_wire(error: AccordError) -> AccordError:
    status = to_status(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return error_of(failed(code, status.message, status.SerializeToString()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_typed_with_its_reason(kind: type[AccordError]) -> None:
    error = kind("SOME_REASON", "One sentence, ληγμένο.", limit="3", agreement="x")
    back = over_the_wire(error)
    assert type(back) is SAME_CODE.get(kind, kind)
    assert (back.reason, back.sentence) == (error.reason, error.sentence)
    assert back.metadata == error.metadata


@given(
    st.text(),
    st.dictionaries(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.text()),
)
def test_any_text_travels_without_control_characters(
    sentence: str, metadata: dict[str, str]
) -> None:
    clean = {
        k: v for k, v in metadata.items() if k not in {"self", "reason", "sentence"}
    }
    back = over_the_wire(errors.NotFound("GONE", sentence, **clean))
    assert back.reason == "GONE"
    assert all(c.isprintable() or c == "\n" for c in back.sentence)
    assert len(back.sentence) <= 4000


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unreachable, "HUB_UNREACHABLE"),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            errors.DeadlineExceeded,
            "DEADLINE_EXCEEDED",
        ),
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated, "IDENTITY_UNKNOWN"),
        (grpc.StatusCode.UNIMPLEMENTED, errors.PreconditionFailed, "CALL_UNKNOWN"),
        # gRPC's own limits are no budget
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Unreachable, "TRANSPORT_LIMIT"),
        (grpc.StatusCode.INTERNAL, errors.InternalError, "CALL_FAILED"),
        (grpc.StatusCode.UNKNOWN, errors.InternalError, "CALL_FAILED"),
    ],
)
def test_what_grpc_says_itself_has_a_meaning(
    code: grpc.StatusCode, kind: type[AccordError], reason: str
) -> None:
    found = error_of(failed(code, "internals of gRPC"), "the hub at x:1")
    assert (type(found), found.reason) == (kind, reason)
    assert "internals" not in found.sentence
    assert "the hub at x:1" in found.sentence


@pytest.mark.parametrize(
    "rich",
    [
        b"\xff\xff no message",
        status_pb2.Status(code=5, message="x").SerializeToString(),
    ],
)
def test_details_that_are_not_ours_do_not_count(rich: bytes) -> None:
    found = error_of(failed(grpc.StatusCode.NOT_FOUND, "x", rich))
    assert found.reason == "CALL_FAILED"


@pytest.mark.parametrize(
    ("domain", "reason"), [("elsewhere", "FINE"), (DOMAIN, "free text\n"), (DOMAIN, "")]
)
def test_a_reason_must_look_like_one(domain: str, reason: str) -> None:
    status = status_pb2.Status(code=5, message="x")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    found = error_of(failed(grpc.StatusCode.NOT_FOUND, "x", status.SerializeToString()))
    assert found.reason == "CALL_FAILED"


def test_overlong_texts_are_cut() -> None:
    back = over_the_wire(
        errors.PolicyDenied("POLICY_DENIED", "x" * 10**5, clauses="y" * 10**5)
    )
    assert len(back.sentence) == 4000
    assert len(back.metadata["clauses"]) == 2000
