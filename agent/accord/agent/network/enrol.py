# SPDX-License-Identifier: Apache-2.0
"""Joining a hub: trade a one-time token for a certificate of the agent's own key.

1. The token says which authority the hub must have; its chain is read and compared.
2. The agent's key is made and on disk before anybody is asked; a retry reuses it, so
   an answer that got lost can be asked for again.
3. The call trusts that authority alone, and proves that this agency holds the key that
   the board lists for it. What comes back must be for the agent's key, from this
   authority, and name one agency.
4. What it says of the board is not believed: somebody compares its fingerprint with
   what the board's members say. Without that nothing is written.
5. Then the board is pinned, and the files are written, each in one step, the
   certificate last. A board that is pinned stays so at every later enrolment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.network.identity import IdentityFiles, Membership
from accord.core.errors import AccordError, IntegrityError
from accord.rpc.address import Address
from accord.rpc.channel import enrolment_channel
from accord.rpc.enrolment_proof import sign_enrolment
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
from accord.trust.metadata import BoardOfRoot, read_board
from accord.trust.trusted import Trusted
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


Confirm = Callable[[BoardOfRoot, bool], None]
"""Returns if somebody has compared the board's fingerprint, and raises otherwise.

Also told whether a board is pinned already, which needs no second look.
"""


def enrol(
    files: IdentityFiles,
    address: Address,
    token_text: str,
    *,
    agency_key: Ed25519PrivateKey,
    policies: Path,
    confirm: Confirm,
) -> Membership:
    """Join the hub at *address* and return as whom.

    Args:
        files: where the identity is kept.
        address: the hub's public port.
        token_text: the one-time token as the operator gave it.
        agency_key: the key that the board lists for this agency.
        policies: the folder of the policies, where the board is pinned.
        confirm: asked about the hub's board before anything is written.

    Raises:
        Unauthenticated: TOKEN_…, PROOF_INVALID, or WRONG_AUTHORITY where the token is
            another hub's.
        Unreachable: HUB_UNREACHABLE.
        Conflict: ENROLLED_AS_ANOTHER; ROOT_PINNED, the hub has another board.
        PolicyDenied: MEMBER_KEY_UNLISTED, the board lists another key or none; or as
            *confirm* says.
        IntegrityError: ENROLMENT_INVALID, the hub's answer makes no sense.
        ConfigurationError: a file cannot be written.
    """
    token = parse(token_text, TokenKind.ENROLMENT)
    ca_pem = fetch_authority(address, token.fingerprint)
    key = files.make_key()
    answer = _ask(address, ca_pem, token, key, agency_key)
    authority = load_certificate(ca_pem, "the hub's answer")
    try:
        certificate = load_certificate(answer.certificate.encode(), "the hub's answer")
        check_issued(certificate, authority)
        agency = agency_of(certificate)
    except AccordError:
        raise _invalid("it has no certificate of the hub's authority") from None
    if certificate.public_key() != key.public_key() or agency != answer.agency:
        raise _invalid("its certificate is not for this agent")
    if not 0 < answer.agent_port <= _MOST_PORT:
        raise _invalid("its port is none")
    files.check_agency(agency)
    _pin_board(Trusted(policies, agency), answer.policy_root, confirm)
    hub = Address(address.host, answer.agent_port)
    membership = Membership(agency=agency, hub=hub)
    files.save(membership, certificate=certificate, authority=authority)
    return membership


def _pin_board(trusted: Trusted, root: bytes, confirm: Confirm) -> None:
    try:
        board = read_board(root)
    except AccordError:
        raise _invalid("its board is not signed as it must be") from None
    confirm(board, trusted.pinned() is not None)
    trusted.pin(root)


def _ask(
    address: Address,
    ca_pem: bytes,
    token: Token,
    key: PrivateKey,
    agency_key: Ed25519PrivateKey,
) -> enrolment_pb2.EnrolResponse:
    csr = certificate_request(key)
    request = enrolment_pb2.EnrolRequest(
        token=str(token),
        certificate_request=csr,
        agency_key=agency_key.public_key().public_bytes_raw(),
        proof=sign_enrolment(agency_key, csr),
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
