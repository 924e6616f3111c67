# SPDX-License-Identifier: Apache-2.0
"""What somebody can do who holds the keys of a network: the test owns its folders."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from accord.agent.state import AgentState
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority, load_authority
from accord.rpc import pki
from accord.rpc.rounds import masked_to_messages, receipt_from_masked
from accord.rpc.server import ServerIdentity
from accord.rpc.tokens import TokenKind, mint
from accord.secagg.keys import SecretKeys
from accord.secagg.masks import vector_bytes
from accord.secagg.messages import vector_digest
from accord.trust.repository import Repository
from accord.v1 import agent_pb2
from tests import policies
from tests.federation.network import HOST, Network


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """An agency's key and certificate, in PEM."""

    authority: bytes
    key: bytes
    certificate: bytes


def authority(network: Network) -> Authority:
    """Return the keys of the network's hub."""
    return load_authority(network.hub_state / "keys", utc_now())


def server_identity(network: Network) -> ServerIdentity:
    """Return what makes a server that agents and analysts take for the hub."""
    own = authority(network)
    key = pki.new_key()
    certificate = pki.issue_server(
        own.key,
        own.certificate,
        key.public_key(),
        hosts=[HOST],
        lifetime=datetime.timedelta(days=1),
        now=utc_now(),
    )
    chain = pki.certificate_pem(certificate) + own.pem
    return ServerIdentity(key=pki.key_pem(key), chain=chain)


def stolen_identity(network: Network, label: str) -> ClientIdentity:
    """Return the identity that an agent uses."""
    keys = network.agent_state(label) / "keys"
    return ClientIdentity(
        authority=(keys / "ca.pem").read_bytes(),
        key=(keys / "identity.key").read_bytes(),
        certificate=(keys / "identity.pem").read_bytes(),
    )


def secret_keys(network: Network, label: str) -> SecretKeys:
    """Return the keys with which an agency signs and shares masks."""
    return AgentState.open(network.agent_state(label)).secret_keys(label)


def masked_again(
    keys: SecretKeys, said: agent_pb2.Masked, words: npt.NDArray[np.uint64]
) -> agent_pb2.Masked:
    """Sign for another vector in the place of the one that an agency said."""
    receipt = receipt_from_masked(keys.label, said)
    receipt = dataclasses.replace(
        receipt, vector_digest=vector_digest(vector_bytes(words))
    )
    signed = dataclasses.replace(receipt, signature=keys.sign(receipt.body()))
    (made,) = masked_to_messages(said.query_id, said.attempt, signed, words)
    assert isinstance(made, agent_pb2.Masked)
    return made


def freshness_key(network: Network) -> Ed25519PrivateKey:
    """Return the key with which the hub says that policies are the newest."""
    pem = (network.hub_state / "keys" / "freshness.key").read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def shown_files(
    network: Network, repository: Repository, *, now: datetime.datetime | None = None
) -> Mapping[str, bytes]:
    """Return what a hub could hand out, newer than anything that agents have seen."""
    return policies.served(
        repository,
        freshness_key(network),
        now=now or utc_now(),
        previous=policies.fresh_in(network.hub_state / "policies"),
    )


@contextlib.contextmanager
def writing(network: Network) -> Iterator[sa.Connection]:
    """Change the hub's database as its own commands do."""
    store = Store(network.hub_state / "hub.db")
    with contextlib.closing(store), store.write() as tx:
        yield tx


def new_token(network: Network, label: str) -> tuple[str, str]:
    """Return the id of a new enrolment token, and the token."""
    token = mint(TokenKind.ENROLMENT, authority(network).fingerprint)
    now = utc_now()
    with writing(network) as tx:
        name = registry.create_token(
            tx,
            label,
            token.secret_digest(),
            now=now,
            expires_at=now + datetime.timedelta(hours=1),
        )
    return name, str(token)


def short_lived(
    network: Network, label: str, seconds: float, *, renew: bool = False
) -> ClientIdentity:
    """Issue a certificate for an agency that ends soon, as its hub would have done.

    Args:
        network: whose hub signs and remembers it.
        label: the agency.
        seconds: how long it lives.
        renew: put it in the place of the agent's own certificate, for the agent's key.
    """
    own = authority(network)
    place = network.agent_state(label) / "keys"
    key = (
        pki.load_key((place / "identity.key").read_bytes(), "the agent's key")
        if renew
        else pki.new_key()
    )
    now = utc_now()
    certificate = own.issue(
        pki.certificate_request(key),
        agency=label,
        network="test-network",
        lifetime=datetime.timedelta(seconds=seconds),
        now=now,
    )
    with writing(network) as tx:
        registry.record_certificate(
            tx,
            label,
            pki.serial_of(certificate),
            agency_key=registry.certificates(tx)[label][-1].agency_key,
            now=now,
            expires_at=pki.expiry_of(certificate),
            renewed=True,
        )
    if renew:
        (place / "identity.pem").write_bytes(pki.certificate_pem(certificate))
    return ClientIdentity(
        authority=own.pem,
        key=pki.key_pem(key),
        certificate=pki.certificate_pem(certificate),
    )
