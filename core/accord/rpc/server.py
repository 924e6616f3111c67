# SPDX-License-Identifier: Apache-2.0
"""The two ports of a hub.

One port cannot ask for optional client certificates, so there are two: *public* for
enrolment and analysts (server TLS), *agents* (mutual TLS). The certificate can be
renewed while the server runs. Both answer health checks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from accord.core.errors import ConfigurationError
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.limits import MOST_CALLS, SERVER_OPTIONS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """A server's key and certificate chain, in PEM."""

    key: bytes = dataclasses.field(repr=False)
    chain: bytes
    """The server's certificate, then the authority's, which first contact reads."""


Registration = Callable[[grpc.aio.Server], None]
"""Adds one service: ``lambda server: add_XServicer_to_server(service, server)``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A server that is bound, but not started."""

    server: grpc.aio.Server
    port: int
    health: health.aio.HealthServicer

    async def start(self) -> None:
        """Take calls and say so to health checks."""
        await self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self.server.start()

    async def stop(self, grace: float) -> None:
        """Tell health checks first; then end within *grace* seconds."""
        await self.health.enter_graceful_shutdown()
        await self.server.stop(grace)


def public_server(
    bind: str,
    identity: Callable[[], ServerIdentity],
    services: Sequence[Registration],
    boundary: ErrorBoundary,
) -> Listener:
    """Bind the port for enrolment and analysts.

    Args:
        bind: ``host:port``; port 0 takes a free one.
        identity: the current one; asked at every handshake, so it must be cheap.
        services: what to serve.
        boundary: stands before every call.

    Raises:
        ConfigurationError: PORT_UNAVAILABLE.
    """
    credentials = _credentials(identity, agent_authority=None)
    return _listener(bind, credentials, services, boundary)


def agent_server(
    bind: str,
    identity: Callable[[], ServerIdentity],
    agent_authority: bytes,
    services: Sequence[Registration],
    boundary: ErrorBoundary,
) -> Listener:
    """Bind the port for agents, who must show a certificate of *agent_authority*.

    Raises:
        ConfigurationError: PORT_UNAVAILABLE.
    """
    credentials = _credentials(identity, agent_authority=agent_authority)
    return _listener(bind, credentials, services, boundary)


def _credentials(
    identity: Callable[[], ServerIdentity], *, agent_authority: bytes | None
) -> grpc.ServerCredentials:
    given = identity()

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(given.key, given.chain)], root_certificates=agent_authority
        )

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """Return what is new at a handshake; nothing where it is as before.

        With each configuration gRPC frees what the one before was loaded into, even
        while another thread begins a handshake with it (grpc/grpc#36693): given at
        every handshake, it ends the process once many peers connect at a time.
        """
        nonlocal given
        current = identity()
        if current == given:
            return None
        given = current
        return configuration()

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        renewed,  # type: ignore[arg-type]  # the stub does not know of None
        require_client_authentication=agent_authority is not None,
    )


def _listener(
    bind: str,
    credentials: grpc.ServerCredentials,
    services: Sequence[Registration],
    boundary: ErrorBoundary,
) -> Listener:
    server = grpc.aio.server(
        interceptors=[boundary],
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=MOST_CALLS,
    )
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for register in services:
        register(server)
    try:
        port = server.add_secure_port(bind, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise ConfigurationError(
            "PORT_UNAVAILABLE",
            f"Cannot listen on {bind}: another program does, or this machine has no "
            "such address. Choose another one.",
        )
    return Listener(server=server, port=port, health=checks)
