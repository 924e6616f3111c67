# SPDX-License-Identifier: Apache-2.0
"""A hub for tests of the network side: real ports and TLS, no database.

Its services do what a test tells them: requisitions and errors are put on a stream by
hand, tokens are good once, and the files of the signed policies are a dictionary, for
one agency or another as a test likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
from cryptography.hazmat.primitives.asymmetric import ed25519

from accord.core.errors import AccordError, NotFound, Unauthenticated
from accord.merkle.heads import SignedHead, TreeHead
from accord.merkle.tree import leaf_hash
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.codec import sign_requisition
from accord.rpc.contact import head_to_message
from accord.rpc.enrolment_proof import verify_enrolment
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.peer import PeerAgency, bearer_token, peer_agency
from accord.rpc.server import Listener, ServerIdentity, agent_server, public_server
from accord.rpc.tokens import Token, TokenKind, mint, parse
from accord.trust.repository import Repository
from accord.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    analyst_pb2,
    enrolment_pb2,
    enrolment_pb2_grpc,
)
from tests.policies import served, signed_repository

NETWORK = "test.example.org"
DAY = datetime.timedelta(days=1)

MEMBERS_TEXT = """\
network: test-network
members:
  shelter-north:
    name: The shelter of the tests
    remit: {description: whatever a test needs}
    lifetime: {zcdp: {epsilon: 100, delta: 1e-9}, pure: {epsilon: 100}}
"""


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until *condition* holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


@dataclasses.dataclass(eq=False)
class Conversation:
    """One stream of one agent."""

    agency: PeerAgency
    received: list[agent_pb2.ConnectRequest] = dataclasses.field(default_factory=list)
    ended: bool = False
    _outgoing: asyncio.Queue[agent_pb2.ConnectResponse | AccordError | None] = (
        dataclasses.field(default_factory=asyncio.Queue)
    )

    def send(self, message: agent_pb2.ConnectResponse | AccordError | None) -> None:
        """Send a message, or end the stream with an error or without one."""
        self._outgoing.put_nowait(message)

    async def next_outgoing(self) -> agent_pb2.ConnectResponse | AccordError | None:
        return await self._outgoing.get()

    def readies(self) -> list[agent_pb2.Ready]:
        return [one for m in self.received for one in m.readies.readies]

    def masked(self) -> list[agent_pb2.Masked]:
        return [one for m in self.received for one in m.masked.masked]

    def reveals(self) -> list[agent_pb2.Reveal]:
        return [one for m in self.received for one in m.reveals.reveals]

    def erasures(self) -> list[agent_pb2.Erased]:
        return [one for m in self.received for one in m.erasures.erasures]

    def refusals(self) -> list[agent_pb2.Refusal]:
        return [one for m in self.received for one in m.refusals.refusals]

    def encapsulations(self) -> list[agent_pb2.Encapsulation]:
        return [one for m in self.received for one in m.encapsulations.encapsulations]


class HubDouble(
    agent_pb2_grpc.AgentServiceServicer,
    enrolment_pb2_grpc.EnrolmentServiceServicer,
):
    def __init__(self) -> None:
        self.ca_key, self.ca = pki.new_authority(NETWORK, utc_now())
        self.signing_key = ed25519.Ed25519PrivateKey.generate()
        self.lifetime = DAY
        self.tokens: dict[str, str] = {}
        self.token_error: AccordError | None = None
        self.freshness_key = ed25519.Ed25519PrivateKey.generate()
        self.policies: dict[str, bytes] = {}
        self.shown: dict[str, dict[str, bytes]] = {}
        """Files for one agency only, in the place of `policies`."""
        self.policies_version = 0
        self.state_sequence = 0
        """Highest that it says to have heard."""
        self.policy_root = b""
        self.enrolled_keys: dict[str, bytes] = {}
        self.conversations: list[Conversation] = []
        self.revoked: set[str] = set()
        self.renewals = 0
        self.fetched: list[str] = []
        self.welcomes = True
        self.analyst_work: Callable[[], Awaitable[None]] | None = None
        self.identity = self.server_identity()
        self.public: Listener | None = None
        self.agents: Listener | None = None

    @property
    def ca_pem(self) -> bytes:
        return pki.certificate_pem(self.ca)

    def server_identity(self, lifetime: datetime.timedelta = DAY) -> ServerIdentity:
        key = pki.new_key()
        certificate = pki.issue_server(
            self.ca_key,
            self.ca,
            key.public_key(),
            hosts=["localhost"],
            lifetime=lifetime,
            now=utc_now(),
        )
        chain = pki.certificate_pem(certificate) + self.ca_pem
        return ServerIdentity(key=pki.key_pem(key), chain=chain)

    async def start(self, agent_port: int = 0) -> None:
        boundary = ErrorBoundary()
        self.public = public_server(
            "127.0.0.1:0",
            lambda: self.identity,
            [
                self._add_analyst_service,
                lambda s: enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
                    self, s
                ),
            ],
            boundary,
        )
        self.agents = agent_server(
            f"127.0.0.1:{agent_port}",
            lambda: self.identity,
            self.ca_pem,
            [lambda s: agent_pb2_grpc.add_AgentServiceServicer_to_server(self, s)],
            boundary,
        )
        await self.public.start()
        await self.agents.start()

    async def stop(self) -> None:
        for listener in (self.public, self.agents):
            if listener is not None:
                await listener.stop(0)
        self.public = self.agents = None

    @property
    def public_address(self) -> Address:
        assert self.public is not None
        return Address("127.0.0.1", self.public.port)

    @property
    def agent_address(self) -> Address:
        assert self.agents is not None
        return Address("127.0.0.1", self.agents.port)

    def new_token(self, label: str) -> Token:
        token = mint(TokenKind.ENROLMENT, pki.fingerprint(self.ca))
        self.tokens[token.secret_digest()] = label
        return token

    def requisitions(
        self, *payloads: bytes, attempt: int = 1
    ) -> agent_pb2.ConnectResponse:
        """Return one batch, signed."""
        batch = agent_pb2.Requisitions(
            requisitions=[
                agent_pb2.Requisition(
                    payload=payload,
                    signature=sign_requisition(self.signing_key, payload),
                    attempt=attempt,
                )
                for payload in payloads
            ]
        )
        return agent_pb2.ConnectResponse(requisitions=batch)

    def publish(
        self, repository: Repository, now: datetime.datetime | None = None
    ) -> None:
        """Put signed policies in force."""
        self.policies |= served(
            repository,
            self.freshness_key,
            now=now or utc_now(),
            previous=self.policies,
        )
        self.policies_version = repository.version
        self.policy_root = repository.root()

    def found_board(self) -> Repository:
        """Publish the first policies of a board: members without any key."""
        repository = signed_repository(
            {"members.yaml": MEMBERS_TEXT},
            hub_key=self.signing_key,
            freshness_key=self.freshness_key,
            now=utc_now() - DAY,
        )
        self.publish(repository)
        return repository

    @property
    def log_head(self) -> SignedHead:
        """The head of a log that never grows."""
        head = TreeHead(
            size=1,
            root=leaf_hash(b"begun"),
            at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            ledger_height=0,
            epoch=0,
        )
        return SignedHead.sign(head, self.signing_key)

    def welcome(self) -> agent_pb2.Welcome:
        return agent_pb2.Welcome(
            policies_version=self.policies_version,
            now=int(time.time()),
            state_sequence=self.state_sequence,
            head=head_to_message(self.log_head),
        )

    def policies_changed(self) -> agent_pb2.ConnectResponse:
        return agent_pb2.ConnectResponse(
            policies=agent_pb2.PoliciesChanged(policies_version=self.policies_version)
        )

    def _add_analyst_service(self, server: grpc.aio.Server) -> None:
        """Serve the one method of it that is under test."""
        method = grpc.unary_unary_rpc_method_handler(
            self.GetBudget,
            analyst_pb2.GetBudgetRequest.FromString,
            analyst_pb2.GetBudgetResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(
            "accord.v1.AnalystService", {"GetBudget": method}
        )
        server.add_generic_rpc_handlers([handler])

    def issue(self, csr: bytes, label: str) -> str:
        certificate = pki.issue(
            self.ca_key,
            self.ca,
            csr,
            label=label,
            network=NETWORK,
            lifetime=self.lifetime,
            now=utc_now(),
        )
        return pki.certificate_pem(certificate).decode()

    # services

    async def Enrol(
        self, request: enrolment_pb2.EnrolRequest, context: object
    ) -> enrolment_pb2.EnrolResponse:
        token = parse(request.token, TokenKind.ENROLMENT)
        if self.token_error is not None:
            raise self.token_error
        label = self.tokens.pop(token.secret_digest(), None)
        if label is None:
            raise Unauthenticated("TOKEN_USED", "words of the hub")
        verify_enrolment(request.agency_key, request.certificate_request, request.proof)
        self.enrolled_keys[label] = request.agency_key
        if not self.policy_root:
            self.found_board()
        return enrolment_pb2.EnrolResponse(
            agency=label,
            certificate=self.issue(request.certificate_request, label),
            certificate_authority=self.ca_pem.decode(),
            agent_port=self.agent_address.port,
            policy_root=self.policy_root,
        )

    async def Renew(
        self,
        request: agent_pb2.RenewRequest,
        context: grpc.aio.ServicerContext[
            agent_pb2.RenewRequest, agent_pb2.RenewResponse
        ],
    ) -> agent_pb2.RenewResponse:
        agency = peer_agency(context)
        if agency.serial in self.revoked:
            raise Unauthenticated("IDENTITY_UNKNOWN", "It was revoked.")
        self.renewals += 1
        return agent_pb2.RenewResponse(
            certificate=self.issue(request.certificate_request, agency.label)
        )

    async def FetchPolicy(
        self,
        request: agent_pb2.FetchPolicyRequest,
        context: grpc.aio.ServicerContext[
            agent_pb2.FetchPolicyRequest, agent_pb2.FetchPolicyResponse
        ],
    ) -> agent_pb2.FetchPolicyResponse:
        self.fetched.append(request.path)
        files = self.policies
        if self.shown:
            files = self.shown.get(peer_agency(context).label, files)
        if request.path not in files:
            raise NotFound("POLICY_UNKNOWN", "There is no such policy.")
        return agent_pb2.FetchPolicyResponse(content=files[request.path])

    async def Connect(
        self,
        request_iterator: AsyncIterator[agent_pb2.ConnectRequest],
        context: grpc.aio.ServicerContext[
            agent_pb2.ConnectRequest, agent_pb2.ConnectResponse
        ],
    ) -> AsyncIterator[agent_pb2.ConnectResponse]:
        talk = Conversation(peer_agency(context))
        self.conversations.append(talk)
        over = asyncio.get_running_loop().create_future()

        async def read() -> None:
            try:
                async for message in request_iterator:
                    talk.received.append(message)
                over.set_result(None)
            except AccordError as error:
                over.set_exception(error)

        reader = asyncio.create_task(read())
        try:
            if self.welcomes:
                yield agent_pb2.ConnectResponse(welcome=self.welcome())
            while True:
                given = asyncio.ensure_future(talk.next_outgoing())
                await asyncio.wait({given, over}, return_when=asyncio.FIRST_COMPLETED)
                if over.done():
                    given.cancel()
                    over.result()
                    return  # the agent has hung up
                message = given.result()
                if message is None:
                    return
                if isinstance(message, AccordError):
                    raise message
                yield message
        finally:
            talk.ended = True
            reader.cancel()

    async def GetBudget(
        self,
        request: analyst_pb2.GetBudgetRequest,
        context: grpc.aio.ServicerContext[
            analyst_pb2.GetBudgetRequest, analyst_pb2.GetBudgetResponse
        ],
    ) -> analyst_pb2.GetBudgetResponse:
        if self.analyst_work is not None:
            await self.analyst_work()
        return analyst_pb2.GetBudgetResponse(accounting=bearer_token(context).kind.name)


@contextlib.asynccontextmanager
async def running_hub() -> AsyncIterator[HubDouble]:
    """Start a hub double and stop it at the end."""
    hub = HubDouble()
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
