# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a call: from its certificate or its token, only."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import grpc
from cryptography import x509

from accord.core.errors import Unauthenticated
from accord.rpc.pki import agency_of, expiry_of, serial_of
from accord.rpc.tokens import Token, TokenKind, parse

_AUTHORIZATION = "authorization"
_SCHEME = "Bearer "


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PeerAgency:
    """An agency as its client certificate names it."""

    label: str
    serial: str
    """Hex; what a deny list holds."""
    expires_at: datetime.datetime
    """When an open stream must end: gRPC never looks at a certificate again."""
    begins_at: datetime.datetime | None = None
    """About when it was issued; nothing where another process took the call."""


def peer_certificate(context: grpc.aio.ServicerContext[Any, Any]) -> x509.Certificate:
    """Return the client certificate that TLS verified.

    Raises:
        Unauthenticated: CERTIFICATE_REQUIRED.
    """
    for pem in context.auth_context().get("x509_pem_cert", ()):
        try:
            return x509.load_pem_x509_certificate(pem)
        except ValueError:
            break
    raise Unauthenticated(
        "CERTIFICATE_REQUIRED",
        "This call needs the certificate of an agency; `accord-agent enrol` gets one.",
    )


def peer_agency(context: grpc.aio.ServicerContext[Any, Any]) -> PeerAgency:
    """Return which agency calls, with what is needed to end its streams in time.

    Raises:
        Unauthenticated: CERTIFICATE_REQUIRED or IDENTITY_UNKNOWN.
    """
    certificate = peer_certificate(context)
    return PeerAgency(
        label=agency_of(certificate),
        serial=serial_of(certificate),
        expires_at=expiry_of(certificate),
        begins_at=certificate.not_valid_before_utc,
    )


def bearer_token(context: grpc.aio.ServicerContext[Any, Any]) -> Token:
    """Return the analyst's token of a call.

    Raises:
        Unauthenticated: TOKEN_REQUIRED, TOKEN_MALFORMED or TOKEN_WRONG_KIND.
    """
    values = [
        value
        for key, value in context.invocation_metadata() or ()
        if key == _AUTHORIZATION
    ]
    value = values[0] if len(values) == 1 else None
    if not isinstance(value, str) or not value.startswith(_SCHEME):
        raise Unauthenticated(
            "TOKEN_REQUIRED",
            "This call needs an analyst's token; the hub's operator gives one.",
        )
    return parse(value.removeprefix(_SCHEME), TokenKind.ANALYST)
