# SPDX-License-Identifier: Apache-2.0
"""A real hub on loopback, analysts, and small agents that follow a script."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import grpc
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.decide import Analyst
from accord.core.members import EXCHANGE, KEM, KEY, load_members
from accord.core.policy import MEMBERS, Policy
from accord.core.privacy import Loss
from accord.hub.audit import newest
from accord.hub.cli.common import governed
from accord.hub.cli.running import init
from accord.hub.db.engine import LedgerTransaction, Store, open_store
from accord.hub.identity import registry
from accord.hub.identity.authority import load_authority
from accord.hub.serve import Hub, Parts, load_parts, utc_now
from accord.hub.settings import load_settings
from accord.hub.state import State
from accord.ledger import verify
from accord.rpc.address import parse_address
from accord.rpc.enrolment_proof import sign_enrolment
from accord.rpc.limits import CHANNEL_OPTIONS
from accord.rpc.pki import SERVER_NAME, certificate_request, key_pem, new_key
from accord.rpc.status import error_of
from accord.rpc.tokens import TokenKind, mint
from accord.trust.keys import raw_public, text_of
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.v1 import (
    analyst_pb2,
    analyst_pb2_grpc,
    common_pb2,
    enrolment_pb2,
    enrolment_pb2_grpc,
    log_pb2,
    policy_pb2_grpc,
    review_pb2_grpc,
)
from tests.member_keys import other_keys
from tests.policies import edited, founding, key, proposed, shipped
from tests.unit.hub.agencies import Agency
from tests.unit.hub.scripted import Identity, Script, ScriptedAgent, answering

AGREEMENT = "regional-trends"
DOCUMENT = f"agreements/{AGREEMENT}.yaml"
MODEL = "models/cases-v1.yaml"
PARTIES = (
    "city-police",
    "health-service",
    "labour-inspectorate",
    "national-hotline",
    "shelter-north",
)
FALLBACK = ("city-police", "national-hotline", "shelter-north")
PURPOSE = "prevention planning"

Found = TypeVar("Found")


def bare_state(folder: Path) -> State:
    """Make a hub that no board has signed anything for yet."""
    state = State(folder / "hub")
    init(
        host=["127.0.0.1"],
        listen="127.0.0.1",
        public_port=0,
        agent_port=0,
        state=state.root,
        as_json=True,
    )
    return state


def make_state(folder: Path, **changes: str) -> State:
    """Make a hub whose sample agreement holds for a century, as its board signed it.

    Args:
        folder: where to make it.
        **changes: text of the agreement -> what to put there.
    """
    state = bare_state(folder)
    publish(state, first_proposal(state, **changes))
    return state


def first_proposal(state: State, **changes: str) -> Proposal:
    """Return the first decision of the board, signed by all."""
    documents = shipped(MEMBERS, MODEL, DOCUMENT)
    text = documents[DOCUMENT].decode()
    replaced = {
        "from: 2026-01-01, until: 2027-12-31, review_by: 2026-12-31": (
            "from: 2020-01-01, until: 2099-12-31, review_by: 2099-06-30"
        ),
        **changes,
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    form = load_authority(state.keys, utc_now()).hub_form
    return founding(
        {**documents, DOCUMENT: text},
        hub_key=form.key,
        freshness_key=form.freshness,
        agencies={label: key_of_agency(label) for label in PARTIES},
        now=utc_now(),
    )


def key_of_agency(label: str) -> Ed25519PrivateKey:
    """Return the key that the board lists for an agency."""
    return key(f"agency/{label}")


def repository(state: State) -> Repository:
    """Return what is in force."""
    with governed(state) as standing:
        assert standing.in_force is not None
        return standing.in_force.stored.repository


def publish(state: State, proposal: Proposal) -> int:
    """Publish as the command line does: from another process."""
    with governed(state) as standing:
        standing.publish(standing.prepare(proposal), by=None)
        return standing.version


def change(state: State, changes: Mapping[str, str | bytes | None]) -> int:
    """Let the whole board sign other documents, and publish them from outside."""
    return publish(state, proposed(repository(state), changes, now=utc_now()))


def edit(state: State, path: str, *changes: tuple[str, str]) -> int:
    """Let the board replace texts of one document."""
    return change(state, {path: edited(repository(state), path, *changes)})


def with_member(members: bytes, label: str) -> bytes:
    """Return members.yaml with one more agency, the last one's twin."""
    text = members.decode()
    last = list(load_members(text, MEMBERS).members)[-1]
    entry = re.search(rf"\n  {last}:(\n(   .*)?)*", text)
    assert entry is not None
    twin = entry[0].replace(f"\n  {last}:", f"\n  {label}:").rstrip("\n")
    own = key_of_agency(label)
    for form, new in (
        (KEY, text_of(own)),
        (EXCHANGE, other_keys(own)["exchange"]),
        (KEM, other_keys(own).get("kem", "")),
    ):
        twin = re.sub(form, new, twin)
    return (text[: entry.start()] + twin + text[entry.start() :]).encode()


def edit_agreement(state: State, changes: dict[str, str]) -> int:
    """Let the board replace texts of the sample agreement, as its next version."""
    text = edited(repository(state), DOCUMENT, *changes.items()).decode()
    version = int(text.split("\nversion: ")[1].split("\n")[0])
    bumped = text.replace(f"\nversion: {version}\n", f"\nversion: {version + 1}\n")
    return change(state, {DOCUMENT: bumped})


def store_of(state: State) -> Store:
    """Return the database of a hub, as another program opens it."""
    return open_store(state, load_settings(state.config))


def add_analyst(
    state: State, name: str, *, organisation: str = "observatory", role: str = "analyst"
) -> str:
    """Return the token of a new analyst."""
    parts = load_parts(state)
    token = mint(TokenKind.ANALYST, parts.authority.fingerprint)
    analyst = Analyst(id=name, organisation=organisation, roles=frozenset({role}))
    store = store_of(state)
    with store.write() as tx:
        registry.add_analyst(tx, analyst, token.secret_digest(), now=utc_now())
    store.close()
    return str(token)


def add_token(
    state: State, agency: str, *, lifetime: dt.timedelta = dt.timedelta(hours=1)
) -> str:
    """Return an enrolment token for an agency."""
    parts = load_parts(state)
    token = mint(TokenKind.ENROLMENT, parts.authority.fingerprint)
    store = store_of(state)
    with store.write() as tx:
        registry.create_token(
            tx,
            agency,
            token.secret_digest(),
            now=utc_now(),
            expires_at=utc_now() + lifetime,
        )
    store.close()
    return str(token)


def revoke(state: State, agency: str) -> None:
    """Revoke as the command line does: in the database, from outside."""
    store = store_of(state)
    with store.write() as tx:
        registry.revoke_agency(tx, agency, now=utc_now())
    store.close()


class World:
    """One hub with everybody who talks to it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.parts: Parts = load_parts(state)
        with governed(state) as standing:
            self.model = standing.newest().models["cases-v1"]
        self.agents: dict[str, ScriptedAgent] = {}
        self._agencies: dict[str, Agency] = {}
        self._hub: Hub | None = None
        self._channels: list[grpc.aio.Channel] = []
        self.public = ""
        self.agents_at = ""
        self.transparency: str | None = None

    def agency(self, label: str) -> Agency:
        """Return what outlives an agent's connection."""
        if label not in self._agencies:
            made = Agency(label, key_of_agency(label), self._policy)
            self._agencies[label] = made
        return self._agencies[label]

    def stream(self, identity: Identity, stop_before: str = "") -> ScriptedAgent:
        """Return an agent that is not connected yet."""
        return ScriptedAgent(
            identity,
            self.agents_at,
            self.model,
            self.agency(identity.agency),
            stop_before=stop_before,
        )

    def _policy(self) -> Policy:
        """Return the sample agreement as it is in force."""
        return self.hub.standing.newest().policy(AGREEMENT)

    @property
    def hub(self) -> Hub:
        assert self._hub is not None
        return self._hub

    async def start(self, clock: Callable[[], dt.datetime] = utc_now) -> None:
        """Load everything anew, as a new process would, and serve."""
        self.parts = load_parts(self.state)
        self._hub = Hub(self.parts, clock)
        addresses = await self._hub.start()
        self.public, self.agents_at = addresses.public, addresses.agents
        self.transparency = addresses.transparency

    async def stop(self) -> None:
        """Stop everything."""
        for agent in self.agents.values():
            await agent.stop()
        for channel in self._channels:
            await channel.close()
        await self.stop_hub()

    async def restart(self, clock: Callable[[], dt.datetime] = utc_now) -> None:
        """Stop the hub and start it again; agents have to come back by themselves."""
        await self.stop_hub()
        await self.start(clock)

    async def stop_hub(self) -> None:
        if self._hub is not None:
            await self._hub.stop()
            self._hub = None

    def analyst(self, token: str) -> analyst_pb2_grpc.AnalystServiceAsyncStub:
        """Return an analyst's stub on this loop."""
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(self.parts.authority.pem),
            grpc.access_token_call_credentials(token),
        )
        channel = self._channel(credentials)
        return analyst_pb2_grpc.AnalystServiceStub(channel)

    def board(self, token: str) -> policy_pb2_grpc.PolicyServiceAsyncStub:
        """Return a board member's stub on this loop."""
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(self.parts.authority.pem),
            grpc.access_token_call_credentials(token),
        )
        return policy_pb2_grpc.PolicyServiceStub(self._channel(credentials))

    def reviewer(self, token: str) -> review_pb2_grpc.ReviewServiceAsyncStub:
        """Return a reviewer's stub on this loop."""
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(self.parts.authority.pem),
            grpc.access_token_call_credentials(token),
        )
        return review_pb2_grpc.ReviewServiceStub(self._channel(credentials))

    def _channel(self, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        channel = grpc.aio.secure_channel(
            parse_address(self.public).target,
            credentials,
            options=[*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME)],
        )
        self._channels.append(channel)
        return channel

    async def enrol(
        self,
        token: str,
        key: bytes | None = None,
        request: bytes | None = None,
        *,
        agency: str = "city-police",
        agency_key: bytes | None = None,
        proof: bytes | None = None,
    ) -> Identity:
        """Trade a token for an identity.

        Args:
            token: of the agency.
            key: of the certificate request.
            request: the certificate request.
            agency: whose listed key proves it.
            agency_key: that is shown instead.
            proof: that is shown instead.
        """
        private = new_key()
        asked = request or certificate_request(private)
        own = key_of_agency(agency)
        channel = self._channel(grpc.ssl_channel_credentials(self.parts.authority.pem))
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        response = await call(
            stub.Enrol(
                enrolment_pb2.EnrolRequest(
                    token=token,
                    certificate_request=asked,
                    agency_key=agency_key or own.public_key().public_bytes_raw(),
                    proof=proof or sign_enrolment(own, asked),
                )
            )
        )
        return Identity(
            agency=response.agency,
            key=key or key_pem(private),
            certificate=response.certificate.encode(),
            authority=response.certificate_authority.encode(),
            hub_key=raw_public(self.parts.authority.hub_form.key),
            policy_root=response.policy_root,
        )

    async def agent(
        self,
        label: str,
        script: Script = answering,
        *,
        editions: tuple[str, ...] = ("2026-08", "2026-09"),
        stop_before: str = "",
        state_sequence: int = 0,
        encapsulating: bool = True,
        charged: Loss | None = None,
        log_seen: log_pb2.LogSeen | None = None,
    ) -> ScriptedAgent:
        """Enrol an agency if it is not yet, and connect its agent."""
        if label in self.agents:
            await self.agents[label].stop()
            identity = self.agents[label].identity
        else:
            identity = await self.enrol(add_token(self.state, label), agency=label)
        agent = self.stream(identity, stop_before)
        self.agents[label] = agent
        await agent.start(
            script,
            editions=editions,
            state_sequence=state_sequence,
            encapsulating=encapsulating,
            charged=charged,
            log_seen=log_seen,
        )
        return agent

    async def all_agents(self, script: Script = answering) -> None:
        for label in PARTIES:
            await self.agent(label, script)


def audited(world: World, event: str) -> list[dict[str, object]]:
    """Return the facts of every event of a kind, oldest first."""
    store = store_of(world.state)
    with store.read() as tx:
        found = newest(tx, 1000, event=event)
    store.close()
    return [dict(each.facts) for each in found]


def account(world: World, name: str) -> tuple[int, int]:
    """Return what an account has used and reserved; and check the whole ledger."""
    store = store_of(world.state)
    with store.read() as tx:
        verify(LedgerTransaction(tx))
        rows = tx.execute(
            sa.text("SELECT used, reserved FROM ledger_account WHERE name = :name"),
            {"name": name},
        ).all()
    store.close()
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


async def call(waiting: Awaitable[Found]) -> Found:
    """Return what a call gives, or raise its error as one of ours."""
    try:
        async with asyncio.timeout(30):
            return await waiting
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None


def a_query(**changes: object) -> common_pb2.Query:
    """Return a small question: persons by gender."""
    values: dict[str, object] = {
        "agreement": AGREEMENT,
        "measure": "persons",
        "group_by": [common_pb2.Grouping(dimension="gender")],
        **changes,
    }
    return common_pb2.Query(**values)  # type: ignore[arg-type]  # by name


def a_submission(
    epsilon: float = 1.0,
    *,
    id: str | None = None,  # noqa: A002  # as in the protocol
    purpose: str = PURPOSE,
    query: common_pb2.Query | None = None,
    complete_only: bool = False,
) -> analyst_pb2.SubmitQueryRequest:
    """Return a call that asks `a_query`."""
    return analyst_pb2.SubmitQueryRequest(
        id=id or str(uuid.uuid4()),
        query=query or a_query(),
        spending=analyst_pb2.Spending(epsilon=epsilon),
        purpose=purpose,
        complete_only=complete_only,
    )


async def finished(
    stub: analyst_pb2_grpc.AnalystServiceAsyncStub, submission: str
) -> analyst_pb2.Submission:
    """Return a submission once it has ended."""
    revision = 0
    while True:
        response = await call(
            stub.GetSubmission(
                analyst_pb2.GetSubmissionRequest(
                    id=submission, after_revision=revision, wait_seconds=20
                )
            )
        )
        found = response.submission
        if found.state != analyst_pb2.SUBMISSION_STATE_COLLECTING:
            return found
        revision = found.revision
