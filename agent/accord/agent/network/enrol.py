# SPDX-License-Identifier: Apache-2.0
"""Joining a hub: trade a one-time token for a certificate of the agent's own key.

1. The token says which authority the hub must have; its chain is read and compared.
2. The agent's key is made and on disk before anybody is asked; a retry reuses it, so
   an answer that got lost can be asked for again.
3. The call trusts that authority alone. What comes back must be for this key, from
   this authority, and name one agency.
4. Then the files are written, each in one step, the certificate last.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc

from accord.agent.network.identity import HUB_KEY_BYTES, IdentityFiles, Membership
from accord.core.errors import AccordError, IntegrityError
from accord.rpc.address import Address
from accord.rpc.channel import enrolment_channel
from accord.rpc.first_contact import fetch_authority
from accord.rpc.limits import deadline
from accord.rpc.pki import (
    PrivateKey,
    agency_of,
    certificate_request,
    check_issued,
    load_certificate,
)
from accord.rpc.status import error_of
from accord.rpc.tokens import Token, TokenKind, parse
from accord.v1 import enrolment_pb2, enrolment_pb2_grpc

_MOST_PORT = 65535

_ASK_AGAIN = "Ask the hub's operator for a new one (`accord-hub token create`)."

_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "TOKEN_UNKNOWN": f"The hub does not know this token. {_ASK_AGAIN}",
        "TOKEN_USED": "This token was used before, and each is good for one agent "
        "only. If that was not you, tell the hub's operator at once: somebody else "
        f"may have joined in your name. {_ASK_AGAIN}",
        "TOKEN_EXPIRED": f"This token is too old. {_ASK_AGAIN}",
        "TOKEN_REVOKED": f"The hub's operator withdrew this token. {_ASK_AGAIN}",
    }
)
"""What to tell the agency's staff, whatever words the hub uses."""


def enrol(files: IdentityFiles, address: Address, token_text: str) -> Membership:
    """Join the hub at *address* and return as whom.

    Args:
        files: where the identity is kept.
        address: the hub's public port.
        token_text: the one-time token as the operator gave it.

    Raises:
        Unauthenticated: TOKEN_…, or WRONG_AUTHORITY where the token is another hub's.
        Unreachable: HUB_UNREACHABLE.
        Conflict: ENROLLED_AS_ANOTHER.
        IntegrityError: ENROLMENT_INVALID, the hub's answer makes no sense.
        ConfigurationError: a file cannot be written.
    """
    token = parse(token_text, TokenKind.ENROLMENT)
    ca_pem = fetch_authority(address, token.fingerprint)
    key = files.make_key()
    answer = _ask(address, ca_pem, token, key)
    authority = load_certificate(ca_pem, "the hub's answer")
    try:
        certificate = load_certificate(answer.certificate.encode(), "the hub's answer")
        check_issued(certificate, authority)
        agency = agency_of(certificate)
    except AccordError:
        raise _invalid("it has no certificate of the hub's authority") from None
    if certificate.public_key() != key.public_key() or agency != answer.agency:
        raise _invalid("its certificate is not for this agent")
    if len(answer.hub_key) != HUB_KEY_BYTES or not 0 < answer.agent_port <= _MOST_PORT:
        raise _invalid("its key or port is none")
    hub = Address(address.host, answer.agent_port)
    membership = Membership(agency=agency, hub=hub)
    files.save(
        membership,
        certificate=certificate,
        authority=authority,
        hub_key=answer.hub_key,
    )
    return membership


def _ask(
    address: Address, ca_pem: bytes, token: Token, key: PrivateKey
) -> enrolment_pb2.EnrolResponse:
    request = enrolment_pb2.EnrolRequest(
        token=str(token), certificate_request=certificate_request(key)
    )
    try:
        with enrolment_channel(address, ca_pem) as channel:
            stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
            return stub.Enrol(request, timeout=deadline("EnrolmentService/Enrol"))
    except grpc.RpcError as error:
        found = error_of(error, f"the hub at {address}")
        sentence = _SENTENCES.get(found.reason, found.sentence)
        raise type(found)(found.reason, sentence, **found.metadata) from None


def _invalid(what: str) -> IntegrityError:
    return IntegrityError(
        "ENROLMENT_INVALID",
        f"The hub's answer to the enrolment cannot be used: {what}. Nothing was "
        "changed; tell the hub's operator.",
    )
