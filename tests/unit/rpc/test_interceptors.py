# SPDX-License-Identifier: Apache-2.0
"""The boundary of a server, over real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from structlog.testing import capture_logs

from accord.core.errors import AccordError, BudgetExhausted, InternalError, InvalidQuery
from accord.rpc import interceptors, limits, pki
from accord.rpc.authz import AUTHORITY
from accord.rpc.channel import agent_channel
from accord.rpc.interceptors import ErrorBoundary, check_message
from accord.rpc.logs import allow_listed
from accord.rpc.server import public_server
from accord.rpc.status import error_of
from accord.rpc.tokens import Token, TokenKind, mint
from accord.v1 import agent_pb2, agent_pb2_grpc, analyst_pb2, common_pb2
from tests.unit.rpc.hub_double import NETWORK, HubDouble, running_hub, until, utc_now

ID = "5b2d1f60-9c0e-4a7b-8f3d-2e6c1a9b7d4f"
GET_BUDGET = "/accord.v1.AnalystService/GetBudget"


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        yield started


async def get_budget(
    hub: HubDouble, *, agreement: str = "regional-trends", token: str | None = ""
) -> analyst_pb2.GetBudgetResponse:
    if token == "":
        token = str(mint(TokenKind.ANALYST, bytes(32)))
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    credentials = grpc.ssl_channel_credentials(hub.ca_pem)
    options = [("grpc.ssl_target_name_override", pki.SERVER_NAME)]
    async with grpc.aio.secure_channel(
        str(hub.public_address), credentials, options=options
    ) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[
            analyst_pb2.GetBudgetRequest, analyst_pb2.GetBudgetResponse
        ] = channel.unary_unary(
            GET_BUDGET,
            analyst_pb2.GetBudgetRequest.SerializeToString,
            analyst_pb2.GetBudgetResponse.FromString,
        )
        request = analyst_pb2.GetBudgetRequest(agreement=agreement)
        try:
            return await call(
                request, metadata=grpc.aio.Metadata(*metadata), timeout=15
            )
        except grpc.RpcError as error:
            raise error_of(error) from None


async def refusal(
    hub: HubDouble, *, agreement: str = "regional-trends", token: str | None = ""
) -> AccordError:
    with pytest.raises(AccordError) as caught:
        await get_budget(hub, agreement=agreement, token=token)
    return caught.value


async def test_a_good_call_goes_through_and_leaves_one_line(hub: HubDouble) -> None:
    async def work() -> None:
        structlog.contextvars.bind_contextvars(analyst="maria")

    hub.analyst_work = work
    processors = [structlog.contextvars.merge_contextvars, allow_listed]
    with capture_logs(processors=processors) as lines:
        assert (await get_budget(hub)).accounting == "ANALYST"
        await until(lambda: lines)
    [line] = lines
    assert line["event"] == "rpc.completed"
    assert (line["rpc"], line["outcome"], line["code"]) == (GET_BUDGET, "ok", "OK")
    assert line["analyst"] == "maria"
    assert "dropped" not in line


async def test_an_invalid_field_is_named_but_not_shown(hub: HubDouble) -> None:
    found = await refusal(hub, agreement="Ana Example " * 10)
    assert isinstance(found, InvalidQuery)
    assert found.reason == "MESSAGE_INVALID"
    assert found.metadata == {"field": "agreement", "rule": "string.max_len"}
    assert "agreement" in found.sentence
    assert "Ana Example" not in found.sentence


async def test_a_typed_error_arrives_typed(hub: HubDouble) -> None:
    async def work() -> None:
        raise BudgetExhausted("BUDGET_EXHAUSTED", "It is spent.", account="x")

    hub.analyst_work = work
    found = await refusal(hub)
    assert isinstance(found, BudgetExhausted)
    assert (found.sentence, found.metadata) == ("It is spent.", {"account": "x"})


async def test_an_error_out_of_a_group_of_tasks_is_found(hub: HubDouble) -> None:
    async def fail() -> None:
        raise BudgetExhausted("BUDGET_EXHAUSTED", "It is spent.")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    hub.analyst_work = work
    assert (await refusal(hub)).reason == "BUDGET_EXHAUSTED"


async def test_nothing_of_an_unknown_error_gets_out(
    hub: HubDouble, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        message = "row of Ana Example"
        raise LookupError(message)

    hub.analyst_work = work
    with capture_logs(processors=[allow_listed]) as lines:
        found = await refusal(hub)
        await until(lambda: lines)
    assert isinstance(found, InternalError)
    assert found.reason == "INTERNAL_ERROR"
    seen = f"{found} {found.metadata} {lines} {capfd.readouterr()}"
    assert "Ana Example" not in seen
    assert lines[0]["error_type"] == "LookupError"


async def test_a_call_that_takes_too_long_is_ended_by_the_server(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dict(limits.DEADLINES) | {GET_BUDGET: 0.05}
    monkeypatch.setattr("accord.rpc.interceptors.DEADLINES", short)
    hub.analyst_work = asyncio.Event().wait  # type: ignore[assignment]  # never set
    assert (await refusal(hub)).reason == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "TOKEN_REQUIRED"),
        ("accord_a1_short", "TOKEN_MALFORMED"),
        (str(Token(TokenKind.ENROLMENT, bytes(32), bytes(32))), "TOKEN_WRONG_KIND"),
    ],
)
async def test_an_analyst_shows_an_analysts_token(
    hub: HubDouble, token: str | None, reason: str
) -> None:
    assert (await refusal(hub, token=token)).reason == reason


async def test_a_method_that_the_table_lacks_is_closed(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = {name: who for name, who in AUTHORITY.items() if name != GET_BUDGET}
    monkeypatch.setattr("accord.rpc.interceptors.AUTHORITY", rest)
    assert (await refusal(hub)).reason == "METHOD_CLOSED"


def agents_channel(hub: HubDouble) -> grpc.aio.Channel:
    key = pki.new_key()
    certificate = pki.issue(
        hub.ca_key,
        hub.ca,
        pki.certificate_request(key),
        label="shelter-north",
        network=NETWORK,
        lifetime=hub.lifetime,
        now=utc_now(),
    )
    return agent_channel(
        hub.agent_address,
        hub.ca_pem,
        pki.key_pem(key),
        pki.certificate_pem(certificate),
    )


async def test_every_message_of_a_stream_is_checked(hub: HubDouble) -> None:
    async def messages() -> AsyncIterator[agent_pb2.ConnectRequest]:
        yield agent_pb2.ConnectRequest(hello=agent_pb2.Hello(agent_version="1"))
        beat = agent_pb2.Heartbeat(sequence=1)
        yield agent_pb2.ConnectRequest(heartbeat=beat)
        yield agent_pb2.ConnectRequest(
            reveals=agent_pb2.Reveals(
                reveals=[agent_pb2.Reveal(query_id="no id", attempt=1, seed=bytes(32))]
            )
        )
        await asyncio.Event().wait()

    async with agents_channel(hub) as channel:
        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(messages())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
    found = error_of(caught.value)
    assert (found.reason, found.metadata["field"]) == (
        "MESSAGE_INVALID",
        "reveals.reveals[0].query_id",
    )
    [talk] = hub.conversations
    assert len(talk.received) == 2
    assert talk.agency.label == "shelter-north"


async def test_an_ended_stream_leaves_a_line_with_the_agency(hub: HubDouble) -> None:
    async def messages() -> AsyncIterator[agent_pb2.ConnectRequest]:
        yield agent_pb2.ConnectRequest(hello=agent_pb2.Hello(agent_version="1"))
        await asyncio.Event().wait()

    processors = [structlog.contextvars.merge_contextvars, allow_listed]
    with capture_logs(processors=processors) as lines:
        async with agents_channel(hub) as channel:
            call = agent_pb2_grpc.AgentServiceStub(channel).Connect(messages())
            await call.read()
            call.cancel()
        await until(lambda: lines)
    assert (lines[0]["outcome"], lines[0]["agency"]) == ("cancelled", "shelter-north")
    await until(lambda: hub.conversations[0].ended)


def test_places_in_lists_are_named() -> None:
    query = common_pb2.Query(agreement="x", measure="persons")
    query.where.add(dimension="gender", values=["fine", ""])
    with pytest.raises(InvalidQuery) as caught:
        check_message(query)
    assert caught.value.metadata["field"] == "where[0].values[1]"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (analyst_pb2.SubmitQueryRequest(id=ID, purpose="a\0b"), "purpose"),
        (
            analyst_pb2.SubmitQueryRequest(
                id=ID,
                query=common_pb2.Query(
                    where=[common_pb2.Filter(dimension="a", values=["b", "c\0"])]
                ),
            ),
            "values",
        ),
    ],
)
def test_a_text_with_a_nul_is_no_text(message: Message, field: str) -> None:
    """PostgreSQL keeps none, and would refuse what stands beside it."""
    with pytest.raises(InvalidQuery, match=f"The field {field} is not valid") as caught:
        interceptors._require_texts(message)
    assert caught.value.reason == "MESSAGE_INVALID"


def test_bytes_may_hold_anything() -> None:
    interceptors._require_texts(agent_pb2.MemberReady(ephemeral_key=bytes(32)))


def test_a_message_without_its_one_part_is_invalid() -> None:
    with pytest.raises(InvalidQuery) as caught:
        check_message(agent_pb2.ConnectRequest())
    assert "message" in caught.value.metadata["field"]


def submit(id_: str) -> analyst_pb2.SubmitQueryRequest:
    return analyst_pb2.SubmitQueryRequest(
        id=id_,
        query=common_pb2.Query(agreement="trends", measure="persons"),
        spending=analyst_pb2.Spending(epsilon=1),
        purpose="planning",
    )


def look(id_: str) -> analyst_pb2.GetSubmissionRequest:
    return analyst_pb2.GetSubmissionRequest(id=id_)


def read(id_: str) -> analyst_pb2.GetReleaseRequest:
    return analyst_pb2.GetReleaseRequest(id=id_)


@pytest.mark.parametrize("message", [submit, look, read])
@pytest.mark.parametrize(
    "spelling",
    [ID.upper(), ID[:-1] + "F", ID.replace("-", ""), f"{ID}\n", f"{{{ID}}}"],
)
def test_an_id_has_one_spelling(
    message: Callable[[str], Message], spelling: str
) -> None:
    """Ledger and database compare ids as texts."""
    check_message(message(ID))
    with pytest.raises(InvalidQuery) as caught:
        check_message(message(spelling))
    assert caught.value.reason == "MESSAGE_INVALID"
    assert caught.value.metadata["field"] == "id"


async def test_an_agents_service_that_stands_on_the_wrong_port_is_not_reached(
    hub: HubDouble,
) -> None:
    """Nobody shows a certificate there, so the boundary refuses before the service."""
    hub.policies["x"] = b"content"
    public = public_server(
        "127.0.0.1:0",
        lambda: hub.identity,
        [lambda s: agent_pb2_grpc.add_AgentServiceServicer_to_server(hub, s)],
        ErrorBoundary(),
    )
    await public.start()
    try:
        credentials = grpc.ssl_channel_credentials(hub.ca_pem)
        options = [("grpc.ssl_target_name_override", pki.SERVER_NAME)]
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{public.port}", credentials, options=options
        ) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.FetchPolicy(
                    agent_pb2.FetchPolicyRequest(path="x"), timeout=10
                )
    finally:
        await public.stop(0)
    assert error_of(caught.value).reason == "CERTIFICATE_REQUIRED"
    assert not hub.fetched


async def test_a_service_that_streams_one_way_is_bounded_too(hub: HubDouble) -> None:
    credentials = grpc.ssl_channel_credentials(hub.ca_pem)
    options = [("grpc.ssl_target_name_override", pki.SERVER_NAME)]
    async with grpc.aio.secure_channel(
        str(hub.public_address), credentials, options=options
    ) as channel:
        watch: grpc.aio.UnaryStreamMultiCallable[
            health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        ] = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        call = watch(health_pb2.HealthCheckRequest(), timeout=10)
        first = await call.read()
        assert isinstance(first, health_pb2.HealthCheckResponse)
        assert first.status == health_pb2.HealthCheckResponse.SERVING
        call.cancel()
