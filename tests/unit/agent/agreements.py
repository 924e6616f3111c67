# SPDX-License-Identifier: Apache-2.0
"""A hub for tests: it writes agreements and signs requisitions, honest or not."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.answer import StoreAnswerer
from accord.agent.rounds.steps import ReadyStep
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.agreement import Agreement, load_agreement
from accord.core.decide import Analyst
from accord.core.epsilon_delta import epsilon_to_rho_lower
from accord.core.measure import Bounding
from accord.core.policy import Policy, load_policy_set
from accord.core.privacy import NANO, Accounting, Loss
from accord.core.query import Query, canonical_query
from accord.core.terms import Requisition, mechanism_for, terms
from accord.rpc.codec import HeldEdition, requisition_to_bytes, sign_requisition
from accord.secagg.keys import SecretKeys
from accord.trust.keys import text_of
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted
from accord.v1.agent_pb2 import RequisitionPayload
from tests.policies import fetching, key, served, signed_repository
from tests.unit.agent.agencies import MODEL, MODEL_TEXT, NOW
from tests.unit.agent.hub_rounds import HubRounds, Member, Puppet, Round

AGENCY = "shelter"
OTHERS = ("police", "hotline", "clinic", "inspection")

PATH = "agreements/small-trends.yaml"

AGREEMENT_TEXT = """\
agreement: small-trends
version: 2
purpose: [planning]
hub_operator: observatory
parties: [shelter, police, hotline, clinic, inspection]
cohorts:
  all: everyone
  fallback: [shelter, police, hotline]
  others: [police, hotline, clinic]
recipients: {roles: [analyst], organisations: [observatory]}
data_model: small
editions: {every: month, embargo: 30 days}
may_ask:
  measures: [persons, cases]
  group_by:
    {registered_month: month, region: region, exploitation_type: all, age_band: broad}
  at_most_dimensions: 2
protect:
  groups_per_person: 2
  noise: hub
  hub_sees_exact_pooled_sums: accepted
spend:
  accounting: zcdp
  delta: 1e-9
  each_release_at_most: {epsilon: 3}
  each_analyst: {epsilon: 30, every: 90 days}
  everyone: {epsilon: 60, every: 365 days}
approval: {quorum: 1}
valid: {from: 2026-01-01, until: 2026-12-31, review_by: 2026-06-30}
"""

PURE_TEXT = AGREEMENT_TEXT.replace(
    "accounting: zcdp\n  delta: 1e-9", "accounting: pure"
)

ANALYST = Analyst(id="kim", organisation="observatory", roles=frozenset({"analyst"}))

KEY = Ed25519PrivateKey.from_private_bytes(b"h" * 32)
"""Signs requisitions."""

AGENCY_KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
"""As `new_state` writes it."""

FRESHNESS = key("freshness")

SIGNED_AT = NOW - datetime.timedelta(days=1)

MEMBERS_TEXT = "network: small-network\nmembers:\n" + "".join(
    f"""\
  {name}:
    name: The {name}
    remit: {{description: what a {name} does}}
    lifetime: {{zcdp: {{epsilon: 100, delta: 1e-9}}, pure: {{epsilon: 100}}}}
"""
    for name in (AGENCY, *OTHERS)
)


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime.datetime:
        return self.now


def agreement(text: str = AGREEMENT_TEXT) -> Agreement:
    return load_agreement(text, "agreement.yaml", {"small": MODEL})


@functools.cache
def repository(text: str = AGREEMENT_TEXT) -> Repository:
    """Return policies with this agreement, signed by a board of three."""
    return signed_repository(
        {
            "members.yaml": MEMBERS_TEXT,
            "models/small.yaml": MODEL_TEXT,
            PATH: text,
        },
        hub_key=KEY,
        freshness_key=FRESHNESS,
        agencies={AGENCY: AGENCY_KEY, **{name: key(name) for name in OTHERS}},
        now=SIGNED_AT,
    )


@functools.cache
def policy(text: str = AGREEMENT_TEXT) -> Policy:
    """Return the agreement with all that it depends on."""
    found = load_policy_set(repository(text).documents()).policy("small-trends")
    assert found is not None
    return found


class Offer:
    """What a hub offers to an agent, honest or not."""

    def __init__(self, offered: Repository, clock: Clock) -> None:
        self.clock = clock
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.publish(offered)

    def publish(self, offered: Repository) -> None:
        """Put policies in force, with a new timestamp."""
        self.repository = offered
        self.freshen()

    def freshen(self) -> None:
        """Confirm that they are still the newest."""
        self.files |= served(
            self.repository, FRESHNESS, now=self.clock.now, previous=self.files
        )

    def fetch(self, name: str) -> bytes:
        """Return a file, as the hub does."""
        self.asked.append(name)
        return fetching(self.files)(name)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one agency's rounds came to."""

    vector: npt.NDArray[np.int64]
    """Its own: all others counted nothing."""
    round: Round


@dataclasses.dataclass(frozen=True)
class Agent:
    """An answerer with the hub that it fetches its policies from."""

    answerer: StoreAnswerer
    offer: Offer

    def answer(self, payload: bytes, signature: bytes) -> Answer:
        """Lead the agency through all rounds, together with puppets."""
        hub = self.hub()
        found = hub.ready((payload, signature), "", [AGENCY])
        asked = RequisitionPayload.FromString(payload)
        found.cohort = asked.cohort
        rest = [label for label in asked.members if label != AGENCY]
        others = hub.ready((payload, signature), asked.cohort, rest)
        found.steps |= others.steps
        return Answer(hub.reveal(hub.mask(found)).sum(), found)

    def ready(self, payload: bytes, signature: bytes, attempt: int = 1) -> ReadyStep:
        return self.answerer.ready(payload, signature, attempt, self.offer.fetch)

    def hub(self) -> HubRounds:
        """Return a hub with this agency and puppets for all others."""
        found = self.offer.repository.policies().policy("small-trends")
        assert found is not None
        members: dict[str, Member] = {AGENCY: self.answerer}
        members |= {
            name: puppet(name, found)
            for name in OTHERS
            if found.members.members[name].key == text_of(key(name))
        }
        return HubRounds(members, self.offer.fetch)

    def refresh(self) -> bool:
        return self.answerer.refresh(self.offer.fetch)

    def editions(self) -> list[HeldEdition]:
        return self.answerer.editions()

    def ledger_height(self) -> int:
        return self.answerer.ledger_height()


_PUPPETS: dict[tuple[str, str], Puppet] = {}


def puppet(name: str, policy: Policy) -> Puppet:
    """Return a party that counts nothing, the same one under the same policies."""
    place = name, policy.digest
    if place not in _PUPPETS:
        keys = SecretKeys.from_seed(name, key(name).private_bytes_raw())
        _PUPPETS[place] = Puppet(keys, policy)
    return _PUPPETS[place]


def pin(state: AgentState, offered: Repository) -> None:
    """Believe a board, as an enrolment does after somebody has confirmed it."""
    Trusted(state.policies, AGENCY).pin(offered.root())


def agent(
    state: AgentState,
    text: str = AGREEMENT_TEXT,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> Agent:
    """Return an agent that has joined and has no policies yet."""
    now = clock or Clock()
    pin(state, repository(text))
    made = StoreAnswerer(
        state, agency=AGENCY, settings=settings or Settings(), clock=now
    )
    return Agent(made, Offer(repository(text), now))


def taught(
    state: AgentState,
    text: str = AGREEMENT_TEXT,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> Agent:
    """Return an agent that knows its policies, with its editions frozen."""
    made = agent(state, text, clock, settings)
    made.refresh()
    made.editions()
    return made


def question(*group_by: tuple[str, str | None], **changes: object) -> Query:
    asked: dict[str, Any] = {
        "agreement": "small-trends",
        "edition": "2026-01",
        "measure": "persons",
        "group_by": group_by or (("region", None),),
        "where": {},
        "model": MODEL,
    }
    return canonical_query(**asked | changes)


def requisition(
    query: Query | None = None,
    text: str = AGREEMENT_TEXT,
    epsilon: int = 1,
    bounding: Bounding = Bounding.KEEP,
) -> Requisition:
    """Return what an honest hub asks of everyone."""
    signed, query = agreement(text), query or question()
    found = terms(signed, MODEL, query, bounding)
    spend = signed.form.spend
    if signed.accounting is Accounting.ZCDP:
        assert spend.delta is not None
        loss = Loss(nano_rho=epsilon_to_rho_lower(epsilon, spend.delta))
    else:
        loss = Loss(nano_epsilon=epsilon * NANO)
    mechanism = mechanism_for(signed, found, loss)
    return Requisition(
        query_id=str(uuid.uuid4()),
        query=query,
        agreement_version=signed.form.version,
        agreement_digest=signed.digest,
        model_digest=MODEL.digest,
        policy_digest=policy(text).digest,
        cohort="all",
        members=tuple(sorted(signed.parties)),
        mechanism=mechanism,
        loss=found.loss(mechanism),
        layout_digest=found.layout.digest(),
        purpose="planning",
        analyst=ANALYST,
        issued_at=NOW,
        expires_at=NOW + datetime.timedelta(hours=1),
        bounding=bounding,
    )


def signed(
    asked: Requisition,
    **changes: Any,  # noqa: ANN401 - fields of any type
) -> tuple[bytes, bytes]:
    """Return payload and signature, with what a test wants to be different."""
    payload = requisition_to_bytes(dataclasses.replace(asked, **changes))
    return payload, sign_requisition(KEY, payload)
