# SPDX-License-Identifier: Apache-2.0
"""A hub for tests: it writes agreements and signs requisitions, honest or not."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.agent.answer import StoreAnswerer
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.agreement import Agreement, load_agreement
from accord.core.decide import Analyst
from accord.core.epsilon_delta import epsilon_to_rho_lower
from accord.core.privacy import NANO, Accounting, Loss
from accord.core.query import Query, canonical_query
from accord.core.terms import Requisition, mechanism_for, terms
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from tests.unit.agent.agencies import MODEL, MODEL_TEXT, NOW

AGENCY = "shelter"

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


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime.datetime:
        return self.now


def agreement(text: str = AGREEMENT_TEXT) -> Agreement:
    return load_agreement(text, "agreement.yaml", {"small": MODEL})


def answerer(
    state: AgentState, clock: Clock | None = None, settings: Settings | None = None
) -> StoreAnswerer:
    return StoreAnswerer(
        state,
        agency=AGENCY,
        hub_key=KEY.public_key().public_bytes_raw(),
        settings=settings or Settings(),
        clock=clock or Clock(),
    )


def taught(
    state: AgentState,
    text: str = AGREEMENT_TEXT,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> StoreAnswerer:
    """Return an answerer that knows model and agreement, with its editions frozen."""
    made = answerer(state, clock, settings)
    made.learn("models/small.yaml", MODEL_TEXT.encode())
    made.learn("agreements/small-trends.yaml", text.encode())
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
    query: Query | None = None, text: str = AGREEMENT_TEXT, epsilon: int = 1
) -> Requisition:
    """Return what an honest hub asks of everyone."""
    signed, query = agreement(text), query or question()
    found = terms(signed, MODEL, query)
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
        cohort="all",
        members=tuple(sorted(signed.parties)),
        mechanism=mechanism,
        loss=found.loss(mechanism),
        layout_digest=found.layout.digest(),
        purpose="planning",
        analyst=ANALYST,
        issued_at=NOW,
        expires_at=NOW + datetime.timedelta(hours=1),
    )


def signed(
    asked: Requisition,
    **changes: Any,  # noqa: ANN401 - fields of any type
) -> tuple[bytes, bytes]:
    """Return payload and signature, with what a test wants to be different."""
    payload = requisition_to_bytes(dataclasses.replace(asked, **changes))
    return payload, sign_requisition(KEY, payload)
