# SPDX-License-Identifier: Apache-2.0
"""What the two ports take and refuse, over real TLS."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import socket
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2
from OpenSSL import SSL

from accord.core.errors import AccordError, ConfigurationError, Unreachable
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.channel import agent_channel, analyst_channel, enrolment_channel
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.server import public_server
from accord.rpc.status import error_of
from accord.rpc.tokens import TokenKind, mint
from accord.v1 import agent_pb2, agent_pb2_grpc, analyst_pb2, analyst_pb2_grpc
from tests.unit.rpc.hub_double import DAY, NETWORK, HubDouble, running_hub, utc_now


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as started:
        yield started


@dataclasses.dataclass
class Credential:
    key: bytes
    certificate: bytes


def client(
    ca_key: pki.PrivateKey,
    ca: x509.Certificate,
    *,
    lifetime: datetime.timedelta = DAY,
    now: datetime.datetime | None = None,
) -> Credential:
    key = pki.new_key()
    certificate = pki.issue(
        ca_key,
        ca,
        pki.certificate_request(key),
        label="shelter-north",
        network=NETWORK,
        lifetime=lifetime,
        now=now or utc_now(),
    )
    return Credential(pki.key_pem(key), pki.certificate_pem(certificate))


async def fetch(hub: HubDouble, ca: bytes, credential: Credential) -> bytes:
    hub.policies["members.yaml"] = b"content"
    async with agent_channel(
        hub.agent_address, ca, credential.key, credential.certificate
    ) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        request = agent_pb2.FetchPolicyRequest(path="members.yaml")
        try:
            return (await stub.FetchPolicy(request, timeout=10)).content
        except grpc.RpcError as error:
            raise error_of(error) from None


async def test_an_agency_with_its_certificate_is_served(hub: HubDouble) -> None:
    assert await fetch(hub, hub.ca_pem, client(hub.ca_key, hub.ca)) == b"content"


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert await fetch(hub, hub.ca_pem, client(hub.ca_key, hub.ca)) == b"content"


async def test_what_is_no_certificate_of_an_agency_is_refused(hub: HubDouble) -> None:
    foreign_key, foreign = pki.new_authority(NETWORK, utc_now())
    leaf = hub.identity.chain.partition(hub.ca_pem)[0]
    credentials = {
        "expired": client(
            hub.ca_key,
            hub.ca,
            lifetime=datetime.timedelta(hours=1),
            now=utc_now() - datetime.timedelta(hours=2),
        ),
        "not yet valid": client(hub.ca_key, hub.ca, now=utc_now() + DAY),
        "foreign": client(foreign_key, foreign),
        "the hub's own": Credential(hub.identity.key, leaf),
    }
    for name, credential in credentials.items():
        with pytest.raises(Unreachable):
            await fetch(hub, hub.ca_pem, credential)
        assert not hub.fetched, name


async def test_no_certificate_at_all_is_refused(hub: HubDouble) -> None:
    def call() -> None:
        with enrolment_channel(hub.agent_address, hub.ca_pem) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path="x"), timeout=10)

    with pytest.raises(grpc.RpcError):
        await asyncio.to_thread(call)
    assert not hub.fetched


async def test_a_hub_of_another_authority_is_not_believed(hub: HubDouble) -> None:
    foreign = pki.new_authority(NETWORK, utc_now())[1]
    with pytest.raises(Unreachable):
        await fetch(hub, pki.certificate_pem(foreign), client(hub.ca_key, hub.ca))


async def test_an_agency_cannot_stand_in_for_the_hub(hub: HubDouble) -> None:
    """Its certificate is for clients only, and names no server."""
    credential = client(hub.ca_key, hub.ca)
    hub.identity = dataclasses.replace(
        hub.identity, key=credential.key, chain=credential.certificate + hub.ca_pem
    )
    with pytest.raises(Unreachable):
        await fetch(hub, hub.ca_pem, client(hub.ca_key, hub.ca))


async def test_the_certificate_changes_while_the_server_runs(hub: HubDouble) -> None:
    def shown() -> x509.Certificate:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        address = (hub.public_address.host, hub.public_address.port)
        with socket.create_connection(address, 10) as plain:
            plain.settimeout(None)
            connection = SSL.Connection(context, plain)
            connection.set_connect_state()
            connection.do_handshake()
            found = connection.get_peer_certificate(as_cryptography=True)
            assert found is not None
            return found

    before = await asyncio.to_thread(shown)
    hub.identity = hub.server_identity()
    after = await asyncio.to_thread(shown)
    assert before.serial_number != after.serial_number
    assert after.issuer == hub.ca.subject


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
async def test_old_tls_is_refused(hub: HubDouble, version: int) -> None:
    def shake_hands() -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        address = (hub.public_address.host, hub.public_address.port)
        with socket.create_connection(address, 10) as plain:
            plain.settimeout(None)
            connection = SSL.Connection(context, plain)
            connection.set_connect_state()
            connection.do_handshake()

    with pytest.raises(SSL.Error):
        await asyncio.to_thread(shake_hands)


async def test_a_certificate_is_given_to_grpc_once(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given again at each handshake ends the process when many come at once."""
    given: list[Callable[[], object]] = []
    real = grpc.dynamic_ssl_server_credentials

    def credentials(
        initial: grpc.ServerCertificateConfiguration,
        fetch_newer: Callable[[], grpc.ServerCertificateConfiguration],
        *,
        require_client_authentication: bool,
    ) -> grpc.ServerCredentials:
        given.append(fetch_newer)
        return real(initial, fetch_newer, require_client_authentication)

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", credentials)
    current = hub.identity
    public_server("127.0.0.1:0", lambda: current, [], ErrorBoundary())
    (fetch_newer,) = given
    assert fetch_newer() is None
    current = dataclasses.replace(current, chain=current.chain + b"\n")
    assert fetch_newer() is not None
    assert fetch_newer() is None


async def test_an_analysts_channel_shows_the_token(hub: HubDouble) -> None:
    def call() -> str:
        token = mint(TokenKind.ANALYST, pki.fingerprint(hub.ca))
        with analyst_channel(hub.public_address, hub.ca_pem, token) as channel:
            stub = analyst_pb2_grpc.AnalystServiceStub(channel)
            request = analyst_pb2.GetBudgetRequest(agreement="x")
            return stub.GetBudget(request, timeout=10).accounting

    assert await asyncio.to_thread(call) == "ANALYST"


async def test_the_agents_service_is_not_on_the_public_port(hub: HubDouble) -> None:
    credential = client(hub.ca_key, hub.ca)
    async with agent_channel(
        hub.public_address, hub.ca_pem, credential.key, credential.certificate
    ) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.FetchPolicy(agent_pb2.FetchPolicyRequest(path="x"), timeout=10)
    assert error_of(caught.value).reason == "CALL_UNKNOWN"


async def test_health_is_told_until_the_server_stops(hub: HubDouble) -> None:
    def check() -> int:
        with enrolment_channel(hub.public_address, hub.ca_pem) as channel:
            method: grpc.UnaryUnaryMultiCallable[
                health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            ] = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                health_pb2.HealthCheckRequest.SerializeToString,
                health_pb2.HealthCheckResponse.FromString,
            )
            return method(health_pb2.HealthCheckRequest(), timeout=10).status

    assert await asyncio.to_thread(check) == health_pb2.HealthCheckResponse.SERVING
    assert hub.public is not None
    await hub.public.health.enter_graceful_shutdown()
    assert await asyncio.to_thread(check) == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_port_that_is_taken_is_named(hub: HubDouble) -> None:
    bind = str(hub.public_address)
    with pytest.raises(ConfigurationError, match=bind) as caught:
        public_server(bind, lambda: hub.identity, [], ErrorBoundary())
    assert caught.value.reason == "PORT_UNAVAILABLE"


async def test_a_message_above_the_limit_is_refused(hub: HubDouble) -> None:
    """The sender's own limit holds first; a sender without one meets the hub's."""
    credential = client(hub.ca_key, hub.ca)
    credentials = grpc.ssl_channel_credentials(
        hub.ca_pem, credential.key, credential.certificate
    )
    options = [("grpc.ssl_target_name_override", pki.SERVER_NAME)]
    async with grpc.aio.secure_channel(
        str(hub.agent_address), credentials, options=options
    ) as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        request = agent_pb2.RenewRequest(certificate_request=bytes(5 * 2**20))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Renew(request, timeout=10)
    found: AccordError = error_of(caught.value)
    assert found.reason == "TRANSPORT_LIMIT"


def test_an_address_has_a_target() -> None:
    assert Address("::1", 8443).target == "dns:///[::1]:8443"
