# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

from accord.rpc.authz import AUTHORITY, Caller
from accord.rpc.limits import DEADLINES, deadline
from accord.v1 import agent_pb2, analyst_pb2, enrolment_pb2, policy_pb2, review_pb2


def methods() -> dict[str, MethodDescriptor]:
    return {
        f"/{service.full_name}/{method.name}": method
        for file in (agent_pb2, analyst_pb2, enrolment_pb2, policy_pb2, review_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def test_every_method_of_the_protocol_says_who_may_call_it() -> None:
    ours = {name for name in AUTHORITY if name.startswith("/accord.")}
    assert ours == set(methods())


def test_only_health_checks_are_open_to_anybody() -> None:
    open_to_all = {name for name, who in AUTHORITY.items() if who is Caller.ANYBODY}
    assert open_to_all == {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }


def test_every_unary_method_has_a_deadline() -> None:
    unary = {name for name, m in methods().items() if not m.client_streaming}
    assert {name for name in DEADLINES if name.startswith("/accord.")} == unary
    assert all(0 < seconds <= 60 for seconds in DEADLINES.values())
    assert deadline("AnalystService/GetBudget") == 20
