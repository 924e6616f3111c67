# SPDX-License-Identifier: Apache-2.0
"""Enrolment, streams, certificates and policies of agencies."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import grpc
import pytest
from cryptography import x509

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
from accord.hub.rounds.connections import MOST_WAITING, Connections
from accord.hub.serve import utc_now
from accord.rpc.enrolment_proof import sign_enrolment
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
from accord.trust.keys import raw_public, text_of
from accord.trust.trusted import Trusted
from accord.v1 import agent_pb2, agent_pb2_grpc
from tests.member_keys import other_keys
from tests.unit.hub.scripted import Identity, ScriptedAgent, answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    DOCUMENT,
    World,
    a_submission,
    add_analyst,
    add_token,
    call,
    change,
    edit,
    key_of_agency,
    repository,
    revoke,
    with_member,
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
        hub_key=raw_public(authority.hub_form.key),
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
    assert identity.policy_root == repository(world.state).root()


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


async def test_a_key_that_the_board_does_not_list_does_not_enrol(
    world: World,
) -> None:
    """And the token still works once the board has listed the key."""
    token = add_token(world.state, "city-police")
    request = certificate_request(new_key())
    stranger = key_of_agency("nobody")
    public = stranger.public_key().public_bytes_raw()
    proof = sign_enrolment(stranger, request)
    with pytest.raises(PolicyDenied) as caught:
        await world.enrol(token, request=request, agency_key=public, proof=proof)
    assert caught.value.reason == "MEMBER_KEY_UNLISTED"
    assert text_of(stranger) in caught.value.sentence
    # another agency's key is no better, however well it is proved
    with pytest.raises(PolicyDenied):
        await world.enrol(token, request=request, agency="shelter-north")
    edit(
        world.state,
        "members.yaml",
        (text_of(key_of_agency("city-police")), text_of(stranger)),
    )
    await until(lambda: world.hub.standing.version == 2)
    assert (
        await world.enrol(token, request=request, agency_key=public, proof=proof)
    ).agency == "city-police"


async def test_an_agency_without_a_listed_key_does_not_enrol(world: World) -> None:
    key = key_of_agency("city-police")
    listed = {"key": text_of(key), **other_keys(key)}
    lines = [(f"    {name}: {value}\n", "") for name, value in listed.items()]
    edit(world.state, "members.yaml", *lines)
    await until(lambda: world.hub.standing.version == 2)
    with pytest.raises(PolicyDenied, match="no key") as caught:
        await world.enrol(add_token(world.state, "city-police"))
    assert caught.value.reason == "MEMBER_KEY_UNLISTED"


async def test_a_key_must_be_proved_for_this_certificate(world: World) -> None:
    token = add_token(world.state, "city-police")
    request, other = (certificate_request(new_key()) for _ in range(2))
    own = key_of_agency("city-police")
    for proof in (
        sign_enrolment(own, other),
        sign_enrolment(key_of_agency("nobody"), request),
        own.sign(request),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await world.enrol(token, request=request, proof=proof)
        assert caught.value.reason == "PROOF_INVALID"
    await world.enrol(token, request=request)


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


async def fetched(agent: ScriptedAgent, name: str) -> bytes:
    """Return a signed file as an agent fetches it."""
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        request = agent_pb2.FetchPolicyRequest(path=name)
        response = await call(stub.FetchPolicy(request))
        return bytes(response.content)


async def test_an_agent_fetches_and_believes_what_its_board_signed(
    world: World, tmp_path: Path
) -> None:
    agent = await world.agent("city-police")
    assert agent.welcome is not None
    assert agent.welcome.policies_version == 1
    loop = asyncio.get_running_loop()

    def fetch(name: str) -> bytes:
        got = asyncio.run_coroutine_threadsafe(fetched(agent, name), loop)
        return got.result(20)

    trusted = Trusted(tmp_path / "trusted", "city-police")
    trusted.pin(agent.identity.policy_root)
    view = await asyncio.to_thread(trusted.refresh, fetch, utc_now())
    assert view.version == 1
    assert list(view.policies.agreements) == [AGREEMENT]
    assert view.documents[DOCUMENT] == repository(world.state).documents()[DOCUMENT]


async def test_nothing_but_signed_files_is_fetched(world: World) -> None:
    agent = await world.agent("city-police")
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        for path in ("members.yaml", "agreements/other.yaml", "hub.db", "config.toml"):
            with pytest.raises(NotFound):
                await call(stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path=path)))
        with pytest.raises(InvalidQuery):
            await call(stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path="../hub.db")))


async def test_an_agency_that_is_no_party_sees_no_agreement(world: World) -> None:
    listed = repository(world.state).documents()["members.yaml"]
    change(world.state, {"members.yaml": with_member(listed, "other")})
    await until(lambda: world.hub.standing.version == 2)
    agent = await world.agent("other")
    stranger, party = agent, await world.agent("city-police")
    for name, content in repository(world.state).files.items():
        if name.startswith("targets/agreements/"):
            with pytest.raises(NotFound) as caught:
                await fetched(stranger, name)
            assert caught.value.reason == "POLICY_UNKNOWN"
        else:
            assert await fetched(stranger, name) == content
        assert await fetched(party, name) == content


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
    second = world.stream(renewed)
    await second.start(answering)
    assert second.welcome is not None
    await second.stop()


async def test_a_second_stream_of_an_agency_replaces_the_first(world: World) -> None:
    first = await world.agent("city-police")
    second = world.stream(first.identity)
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
    again = world.stream(agent.identity)
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
        request = agent_pb2.FetchPolicyRequest(path="metadata/1.root.json")
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


async def test_an_agency_whose_key_the_board_replaced_is_out_at_once(
    world: World,
) -> None:
    """A certificate that was had for the old key is worth nothing any more."""
    agent = await world.agent("city-police")
    other = await world.agent("shelter-north")
    edit(
        world.state,
        "members.yaml",
        (text_of(key_of_agency("city-police")), text_of(key_of_agency("new"))),
    )
    await until(lambda: agent.ended is not None, seconds=10)
    assert isinstance(agent.ended, PolicyDenied)
    assert agent.ended.reason == "MEMBER_KEY_UNLISTED"
    with pytest.raises(PolicyDenied):
        await fetched(agent, "metadata/1.root.json")
    request = certificate_request(new_key())
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        renewal = agent_pb2.RenewRequest(certificate_request=request)
        with pytest.raises(PolicyDenied):
            await call(stub.Renew(renewal))
    assert other.ended is None
    own = key_of_agency("new")
    token = add_token(world.state, "city-police")
    identity = await world.enrol(
        token,
        request=request,
        agency_key=own.public_key().public_bytes_raw(),
        proof=sign_enrolment(own, request),
    )
    assert identity.agency == "city-police"


async def test_an_agency_that_the_board_took_out_loses_its_stream(
    world: World,
) -> None:
    listed = repository(world.state).documents()["members.yaml"]
    change(world.state, {"members.yaml": with_member(listed, "other")})
    await until(lambda: world.hub.standing.version == 2)
    agent = await world.agent("other")
    change(world.state, {"members.yaml": listed})
    await until(lambda: agent.ended is not None, seconds=10)
    assert isinstance(agent.ended, PolicyDenied)
    assert agent.ended.reason == "MEMBER_UNKNOWN"


async def test_a_certificate_that_expires_ends_its_stream(world: World) -> None:
    identity = forged(world, lifetime=dt.timedelta(seconds=3))
    certificate = x509.load_pem_x509_certificate(identity.certificate)
    store = Store(world.state.database)
    with store.write() as tx:
        registry.record_certificate(
            tx,
            "city-police",
            f"{certificate.serial_number:x}",
            agency_key=text_of(key_of_agency("city-police")),
            now=utc_now(),
            expires_at=expiry_of(certificate),
            renewed=False,
        )
    store.close()
    agent = world.stream(identity)
    await agent.start(answering)
    await until(lambda: agent.ended is not None, seconds=10)
    assert isinstance(agent.ended, Unauthenticated)
    assert agent.ended.reason == "CERTIFICATE_EXPIRED"


async def test_a_certificate_that_was_never_given_out_is_refused(world: World) -> None:
    agent = world.stream(forged(world))
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
    agent = world.stream(identity)
    await agent.start(answering)
    assert isinstance(agent.ended, Unreachable)


@pytest.mark.parametrize("version", ["9.0.0", "0.99.1", "1", "", "one"])
async def test_an_agent_of_a_version_far_away_is_told_so(
    world: World, version: str
) -> None:
    identity = await world.enrol(add_token(world.state, "city-police"))
    agent = world.stream(identity)
    await agent.start(answering, version=version, encapsulating=False)
    assert agent.welcome is None
    assert isinstance(agent.ended, AccordError)
    wanted = "AGENT_VERSION" if version else "MESSAGE_INVALID"
    assert agent.ended.reason == wanted


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
        for _ in range(MOST_WAITING + 1):
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
