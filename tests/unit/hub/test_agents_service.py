# SPDX-License-Identifier: Apache-2.0
"""Enrolment, streams, certificates and policies of agencies."""

from __future__ import annotations

import datetime as dt

import grpc
import pytest
from cryptography import x509

from accord.core.canonical import bytes_digest
from accord.core.errors import (
    AccordError,
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    Unauthenticated,
    Unreachable,
)
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.identity.authority import load_authority
from accord.hub.rounds.connections import Connections
from accord.hub.serve import utc_now
from accord.rpc.limits import SILENCE_SECONDS
from accord.rpc.peer import PeerAgency
from accord.rpc.pki import (
    agency_of,
    certificate_pem,
    certificate_request,
    expiry_of,
    key_pem,
    new_authority,
    new_key,
)
from accord.v1 import agent_pb2, agent_pb2_grpc
from tests.unit.hub.scripted import Identity, ScriptedAgent, answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    World,
    a_submission,
    add_analyst,
    add_token,
    call,
    revoke,
)


def forged(world: World, **changes: object) -> Identity:
    """Return an identity that the hub's own authority signed, but never gave out."""
    authority = load_authority(world.state.keys, utc_now())
    key = new_key()
    values: dict[str, object] = {
        "agency": "city-police",
        "network": "sample-network",
        "lifetime": dt.timedelta(hours=1),
        "now": utc_now(),
        **changes,
    }
    certificate = authority.issue(certificate_request(key), **values)  # type: ignore[arg-type]
    return Identity(
        agency="city-police",
        key=key_pem(key),
        certificate=certificate_pem(certificate),
        authority=authority.pem,
        hub_key=authority.public_requisition_key,
    )


def editions_of(world: World, agency: str) -> set[str]:
    """Return the editions that the hub believes an agency to have."""
    store = Store(world.state.database)
    with store.read() as tx:
        found = registry.editions(tx, [agency])[agency]
    store.close()
    return {each.name for each in found}


async def test_enrolment_gives_a_certificate_for_the_token_s_agency(
    world: World,
) -> None:
    identity = await world.enrol(add_token(world.state, "city-police"))
    assert identity.agency == "city-police"
    certificate = x509.load_pem_x509_certificate(identity.certificate)
    assert agency_of(certificate) == "city-police"
    left = expiry_of(certificate) - utc_now()
    assert dt.timedelta(hours=23) < left <= dt.timedelta(hours=24)
    assert len(identity.hub_key) == 32


async def test_a_token_works_once_but_again_for_the_same_key(world: World) -> None:
    token = add_token(world.state, "city-police")
    request = certificate_request(new_key())
    await world.enrol(token, request=request)
    await world.enrol(token, request=request)
    with pytest.raises(Unauthenticated) as caught:
        await world.enrol(token)
    assert caught.value.reason == "TOKEN_USED"
    revoke(world.state, "city-police")
    with pytest.raises(Unauthenticated) as caught:
        await world.enrol(token, request=request)
    assert caught.value.reason == "TOKEN_REVOKED"


async def test_wrong_tokens_are_told_apart(world: World) -> None:
    old = add_token(world.state, "city-police", lifetime=dt.timedelta(seconds=-1))
    with pytest.raises(Unauthenticated) as caught:
        await world.enrol(old)
    assert caught.value.reason == "TOKEN_EXPIRED"
    analyst = add_analyst(world.state, "ana")
    with pytest.raises(Unauthenticated) as caught:
        await world.enrol(analyst)
    assert caught.value.reason == "TOKEN_WRONG_KIND"
    with pytest.raises(Unauthenticated) as caught:
        await world.enrol("accord_e1_nonsense-nonsense")
    assert caught.value.reason == "TOKEN_MALFORMED"
    with pytest.raises(InvalidQuery) as refused:
        await world.enrol(add_token(world.state, "city-police"), request=b"x" * 64)
    assert refused.value.reason == "CERTIFICATE_REQUEST_INVALID"


async def test_the_welcome_names_the_policies_that_fetch_gives(world: World) -> None:
    agent = await world.agent("city-police")
    assert agent.welcome is not None
    named = {each.path: each.digest for each in agent.welcome.agreements}
    assert list(named) == ["models/cases-v1.yaml", f"agreements/{AGREEMENT}.yaml"]
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        for path, digest in named.items():
            response = await call(
                stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path=path))
            )
            assert bytes_digest(response.content) == digest
        await call(stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path="members.yaml")))
        for path in ("agreements/other.yaml", "hub.db", "config.toml"):
            with pytest.raises(NotFound):
                await call(stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path=path)))
        with pytest.raises(InvalidQuery):
            await call(stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path="../hub.db")))


async def test_an_agency_that_is_no_party_sees_no_agreement(world: World) -> None:
    path = world.state.policies / "members.yaml"
    text = path.read_text("utf-8")
    text += text[text.index("  health-service:") :].replace("health-service", "other")
    path.write_text(text, "utf-8")
    await world.stop_hub()
    await world.start()
    agent = await world.agent("other")
    assert agent.welcome is not None
    assert not agent.welcome.agreements
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        request = agent_pb2.FetchPolicyRequest(path=f"agreements/{AGREEMENT}.yaml")
        with pytest.raises(NotFound):
            await call(stub.FetchPolicy(request))


async def test_a_renewed_certificate_works(world: World) -> None:
    agent = await world.agent("city-police")
    key = new_key()
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        response = await call(
            stub.Renew(
                agent_pb2.RenewRequest(certificate_request=certificate_request(key))
            )
        )
    renewed = Identity(
        agency="city-police",
        key=key_pem(key),
        certificate=response.certificate.encode(),
        authority=agent.identity.authority,
        hub_key=agent.identity.hub_key,
    )
    second = ScriptedAgent(renewed, world.agents_at, world.model)
    await second.start(answering)
    assert second.welcome is not None
    await second.stop()


async def test_a_second_stream_of_an_agency_replaces_the_first(world: World) -> None:
    first = await world.agent("city-police")
    second = ScriptedAgent(first.identity, world.agents_at, world.model)
    await second.start(answering)
    await until(lambda: first.ended is not None)
    assert isinstance(first.ended, Conflict)
    assert first.ended.reason == "STREAM_REPLACED"
    assert second.ended is None
    await second.stop()


async def test_revocation_ends_the_stream_and_everything_else(world: World) -> None:
    agent = await world.agent("city-police")
    revoke(world.state, "city-police")
    await until(lambda: agent.ended is not None, seconds=5)
    assert isinstance(agent.ended, PolicyDenied)
    assert agent.ended.reason == "CERTIFICATE_REVOKED"
    again = ScriptedAgent(agent.identity, world.agents_at, world.model)
    await again.start(answering)
    assert isinstance(again.ended, PolicyDenied)
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        with pytest.raises(PolicyDenied):
            await call(
                stub.Renew(
                    agent_pb2.RenewRequest(
                        certificate_request=certificate_request(new_key())
                    )
                )
            )
        request = agent_pb2.FetchPolicyRequest(path="members.yaml")
        with pytest.raises(PolicyDenied):
            await call(stub.FetchPolicy(request))


async def test_the_answer_of_a_revoked_agency_is_forgotten(world: World) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    police = world.agents["city-police"]
    await until(lambda: len(police.asked) == 1)
    await police.asked[0].answer()
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).answered == ["city-police"])
    revoke(world.state, "city-police")
    await until(lambda: progress(asked.id).answered == [], seconds=5)


async def test_a_certificate_that_expires_ends_its_stream(world: World) -> None:
    identity = forged(world, lifetime=dt.timedelta(seconds=3))
    certificate = x509.load_pem_x509_certificate(identity.certificate)
    store = Store(world.state.database)
    with store.write() as tx:
        registry.record_certificate(
            tx,
            "city-police",
            f"{certificate.serial_number:x}",
            now=utc_now(),
            expires_at=expiry_of(certificate),
            renewed=False,
        )
    store.close()
    agent = ScriptedAgent(identity, world.agents_at, world.model)
    await agent.start(answering)
    await until(lambda: agent.ended is not None, seconds=10)
    assert isinstance(agent.ended, Unauthenticated)
    assert agent.ended.reason == "CERTIFICATE_EXPIRED"


async def test_a_certificate_that_was_never_given_out_is_refused(world: World) -> None:
    agent = ScriptedAgent(forged(world), world.agents_at, world.model)
    await agent.start(answering)
    assert isinstance(agent.ended, PolicyDenied)


async def test_a_foreign_authority_s_certificate_does_not_connect(
    world: World,
) -> None:
    good = await world.enrol(add_token(world.state, "city-police"))
    ca_key, ca = new_authority("elsewhere", utc_now())
    key = new_key()
    from accord.rpc.pki import issue

    certificate = issue(
        ca_key,
        ca,
        certificate_request(key),
        label="city-police",
        network="sample-network",
        lifetime=dt.timedelta(hours=1),
        now=utc_now(),
    )
    identity = Identity(
        agency="city-police",
        key=key_pem(key),
        certificate=certificate_pem(certificate),
        authority=good.authority,
        hub_key=good.hub_key,
    )
    agent = ScriptedAgent(identity, world.agents_at, world.model)
    await agent.start(answering)
    assert isinstance(agent.ended, Unreachable)


async def test_an_agent_says_hello_first_and_once(world: World) -> None:
    agent = await world.agent("city-police")
    hello = agent_pb2.ConnectRequest(hello=agent_pb2.Hello(agent_version="x"))
    await agent.say(hello)
    await until(lambda: agent.ended is not None)
    assert isinstance(agent.ended, InvalidQuery)
    assert agent.ended.reason == "HELLO_REPEATED"
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        stream = stub.Connect()
        beat = agent_pb2.Heartbeat(sequence=1)
        await stream.write(agent_pb2.ConnectRequest(heartbeat=beat))
        with pytest.raises(grpc.aio.AioRpcError, match="hello"):
            await stream.read()


async def test_new_editions_are_remembered_once_they_are_due(world: World) -> None:
    from accord.rpc.codec import edition_to_message
    from tests.unit.hub.scripted import held

    agent = await world.agent("city-police", editions=())
    await agent.say(
        agent_pb2.ConnectRequest(
            editions=agent_pb2.Editions(
                editions=[
                    edition_to_message(held(world.model, name))
                    for name in ("2026-07", "9999-01")
                ]
            )
        )
    )

    await until(lambda: editions_of(world, "city-police") == {"2026-07"})


async def test_what_is_not_due_is_no_edition_in_a_hello_either(world: World) -> None:
    await world.agent("city-police", editions=("2026-07", "9999-01"))
    assert editions_of(world, "city-police") == {"2026-07"}


class TestConnections:
    """Streams without a network."""

    def peer(self) -> PeerAgency:
        return PeerAgency(
            label="city-police", serial="1", expires_at=utc_now() + dt.timedelta(1)
        )

    async def test_a_silent_agent_loses_its_stream(self) -> None:
        connection = Connections(utc_now).open(self.peer())
        connection.heard_at -= SILENCE_SECONDS + 1
        connection.beat(connection.heard_at + SILENCE_SECONDS + 1)
        with pytest.raises(AccordError) as caught:
            await connection.ended()
        assert caught.value.reason == "AGENT_SILENT"

    async def test_an_agent_that_does_not_read_loses_its_stream(self) -> None:
        connection = Connections(utc_now).open(self.peer())
        for _ in range(2000):
            connection.send(agent_pb2.ConnectResponse())
        with pytest.raises(AccordError) as caught:
            await connection.ended()
        assert caught.value.reason == "AGENT_SLOW"

    async def test_a_hub_that_stops_takes_no_new_stream(self) -> None:
        connections = Connections(utc_now)
        connection = connections.open(self.peer())
        assert connections.connected() == ["city-police"]
        connections.end_all()
        with pytest.raises(Unreachable):
            await connection.ended()
        with pytest.raises(Unreachable):
            connections.open(self.peer())
        connections.close(connection)
        assert connections.connected() == []
