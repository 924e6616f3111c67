# SPDX-License-Identifier: Apache-2.0
"""Channels to a hub: TLS that trusts one authority and checks one name.

The name is `SERVER_NAME` whatever the address, so a hub can move. System trust stores
play no part. gRPC's TLS has version 1.2 as its floor.
"""

from __future__ import annotations

import grpc

from accord.rpc.address import Address
from accord.rpc.limits import CHANNEL_OPTIONS
from accord.rpc.pki import SERVER_NAME
from accord.rpc.tokens import Token


def _options(target: Address) -> tuple[tuple[str, int | str], ...]:
    """Return the options; a proxy from the environment cannot reach this machine."""
    direct = (("grpc.enable_http_proxy", 0),) if target.is_loopback else ()
    return (*CHANNEL_OPTIONS, *direct, ("grpc.ssl_target_name_override", SERVER_NAME))


def enrolment_channel(target: Address, ca_pem: bytes) -> grpc.Channel:
    """Return a channel without any credential of ours; dials when first used."""
    return grpc.secure_channel(
        target.target, grpc.ssl_channel_credentials(ca_pem), options=_options(target)
    )


def analyst_channel(target: Address, ca_pem: bytes, token: Token) -> grpc.Channel:
    """Return a channel that shows *token* with every call, and over TLS only."""
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca_pem),
        grpc.access_token_call_credentials(str(token)),
    )
    return grpc.secure_channel(target.target, credentials, options=_options(target))


def agent_channel(
    target: Address, ca_pem: bytes, key_pem: bytes, cert_pem: bytes
) -> grpc.aio.Channel:
    """Return an asyncio channel with a client certificate.

    A channel keeps its certificate: open a new one after a renewal.
    """
    credentials = grpc.ssl_channel_credentials(ca_pem, key_pem, cert_pem)
    return grpc.aio.secure_channel(target.target, credentials, options=_options(target))
