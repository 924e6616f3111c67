# SPDX-License-Identifier: Apache-2.0
"""What an agent answers, and all that it refuses."""

from __future__ import annotations

import datetime
import shutil
import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from accord.agent.settings import Lifetime, PureCap, Settings, ZcdpCap
from accord.agent.spending import lifetime_cap, spent
from accord.agent.state import AgentState
from accord.core.agreement import load_agreement
from accord.core.errors import RequisitionRefused
from accord.core.measure import LEAST_CELL_SCALE, Bounding
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
)
from accord.core.query import Query
from accord.core.terms import terms
from accord.ledger import verify
from accord.ledger.sqlite import transaction
from tests.unit.agent.agencies import MODEL, NOW, ingest_rows, new_state, row
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    PURE_TEXT,
    Clock,
    agent,
    agreement,
    question,
    requisition,
    signed,
    taught,
)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    made = new_state(tmp_path / "state")
    regions = ["north", "north", "south", "west"]
    ingest_rows(
        made,
        [
            row(first=f"{number // 2}", number=str(number), region=region)
            for number, region in enumerate(regions)
        ],
    )
    return made


def refusal(state: AgentState, payload: bytes, signature: bytes) -> RequisitionRefused:
    """Return how a requisition is refused, and check that it cost nothing."""
    with pytest.raises(RequisitionRefused) as caught:
        taught(state).answer(payload, signature)
    assert spent(state, AGENCY, Accounting.ZCDP, Settings(), NOW).used == 0
    return caught.value


def test_the_vector_is_that_of_the_edition(state: AgentState) -> None:
    agent = taught(state)
    asked = requisition()
    found = agent.answer(*signed(asked))
    assert len(found.vector) == terms(agreement(), MODEL, asked.query).layout.size
    # north, south, west, unknown; two persons; nothing dropped
    assert found.vector.tolist() == [
        LEAST_CELL_SCALE,
        LEAST_CELL_SCALE,
        LEAST_CELL_SCALE,
        0,
        2,
        0,
    ]
    ingest_rows(state, [row()])
    assert agent.answer(*signed(requisition())).vector.tolist()[-2] == 2


def test_sums_means_and_shares_leave_under_masks_too(state: AgentState) -> None:
    """Also where what is summed is below zero: 10 of 730 days are below the middle."""
    measures = ["sum(days)", "mean(days)", "share(exploitation_type)"]
    text = AGREEMENT_TEXT.replace("cases]", ", ".join(["cases", *measures]) + "]")
    agent = taught(state, text)
    found = {
        measure: agent.answer(
            *signed(requisition(question(measure=measure), text))
        ).vector.tolist()[:7]
        for measure in measures
    }
    assert found["sum(days)"][:4] == [20, 0, 20, 0]
    assert found["mean(days)"][:6] == [-1420, 1460, 0] * 2
    # informed, labour
    assert found["share(exploitation_type)"] == [64, 64, 0, 0, 0, 0, 0]


def test_weighed_groups_leave_as_the_terms_say(state: AgentState) -> None:
    asked = requisition(bounding=Bounding.WEIGH)
    found = taught(state).answer(*signed(asked))
    assert found.vector.tolist() == [64, 64, 64, 0, 32, 0]


def test_a_retry_gives_the_same_and_costs_nothing(state: AgentState) -> None:
    asked = requisition()
    first = taught(state).answer(*signed(asked)).round
    masked, seed = first.masked[AGENCY], first.seeds[AGENCY]
    hub = taught(state).hub()
    again = hub.mask_one(first, AGENCY)
    assert again.receipt == masked.receipt
    assert (again.vector == masked.vector).all()
    assert hub.reveal_one(first, AGENCY) == seed
    held = spent(state, AGENCY, Accounting.ZCDP, Settings(), NOW)
    assert (held.spent, held.reserved) == (asked.loss.nano_rho, 0)
    with state.ledger() as connection, transaction(connection) as tx:
        assert verify(tx) == 2
    assert taught(state).ledger_height() == 2


def test_an_opened_query_is_never_answered_in_another_way(state: AgentState) -> None:
    agent, asked = taught(state), requisition()
    agent.answer(*signed(asked))
    later = NOW + datetime.timedelta(minutes=30)
    times = {"issued_at": later, "expires_at": later + datetime.timedelta(hours=1)}
    for attempt in (1, 2):
        for changes in ({}, times):
            with pytest.raises(RequisitionRefused) as caught:
                agent.ready(*signed(asked, **changes), attempt=attempt)
            assert caught.value.reason == "ALREADY_OPENED"
    assert spent(state, AGENCY, Accounting.ZCDP, Settings(), NOW).reserved == 0


def test_pure_accounting_has_its_own_account(state: AgentState) -> None:
    asked = requisition(text=PURE_TEXT)
    taught(state, PURE_TEXT).answer(*signed(asked))
    assert isinstance(asked.mechanism, DiscreteLaplace)
    held = spent(state, AGENCY, Accounting.PURE, Settings(), NOW)
    assert held.spent == asked.loss.nano_epsilon
    assert spent(state, AGENCY, Accounting.ZCDP, Settings(), NOW).used == 0


def test_a_foreign_or_changed_signature_is_refused(state: AgentState) -> None:
    payload, signature = signed(requisition())
    assert refusal(state, payload, bytes(64)).reason == "SIGNATURE_INVALID"
    assert refusal(state, payload + b"\0", signature).reason == "SIGNATURE_INVALID"
    _, other = signed(requisition())
    assert refusal(state, payload, other).reason == "SIGNATURE_INVALID"


LATE = NOW - datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agreement_digest": "0" * 64}, "POLICY_DIFFERS"),
        ({"agreement_version": 1}, "POLICY_DIFFERS"),
        ({"model_digest": "0" * 64}, "POLICY_DIFFERS"),
        ({"policy_digest": "0" * 64}, "POLICY_DIFFERS"),
        ({"expires_at": NOW}, "EXPIRED"),
        ({"expires_at": LATE}, "EXPIRED"),
        ({"cohort": "some"}, "COHORT_NOT_PERMITTED"),
        ({"cohort": "fallback"}, "COHORT_NOT_PERMITTED"),
        ({"members": ("police", "shelter")}, "COHORT_NOT_PERMITTED"),
        (
            {"cohort": "others", "members": ("clinic", "hotline", "police")},
            "COHORT_NOT_PERMITTED",
        ),
        ({"purpose": "curiosity"}, "AGREEMENT_DENIES"),
        ({"layout_digest": "0" * 64}, "TERMS_MISMATCH"),
        ({"loss": Loss(nano_rho=1)}, "TERMS_MISMATCH"),
        ({"mechanism": DiscreteGaussian(scale=Fraction(1))}, "TERMS_MISMATCH"),
        ({"bounding": Bounding.WEIGH}, "TERMS_MISMATCH"),
        ({"query": question(measure="mean(days)")}, "AGREEMENT_DENIES"),
        ({"mechanism": DiscreteLaplace(scale=Fraction(30))}, "TERMS_MISMATCH"),
        ({"query": question(edition="2025-12")}, "EDITION_MISSING"),
        ({"query": question(edition="2026-Q1")}, "EDITION_MISSING"),
        ({"query": question(edition="..")}, "TERMS_MISMATCH"),
        ({"query": question(agreement="other")}, "AGREEMENT_UNKNOWN"),
        ({"query_id": str(uuid.uuid4()).upper()}, "TERMS_MISMATCH"),
    ],
)
def test_what_is_not_as_agreed_is_refused(
    state: AgentState, changes: dict[str, Any], reason: str
) -> None:
    assert refusal(state, *signed(requisition(), **changes)).reason == reason


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        (question(("age_band", "fine")), "deny.level"),
        (
            question(
                ("region", None), ("age_band", "broad"), ("exploitation_type", None)
            ),
            "deny.dimensions",
        ),
    ],
)
def test_the_agreements_decision_is_taken_again(
    state: AgentState, asked: Query, codes: str
) -> None:
    found = refusal(state, *signed(requisition(asked)))
    assert (found.reason, found.metadata["codes"]) == ("AGREEMENT_DENIES", codes)


def test_every_clause_that_denies_is_told(state: AgentState) -> None:
    asked = requisition(question(("age_band", "fine")))
    found = refusal(state, *signed(asked, purpose="curiosity"))
    assert found.metadata["codes"] == "deny.purpose,deny.level"


def test_an_agreement_that_has_ended_denies(state: AgentState) -> None:
    clock = Clock()
    agent = taught(state, clock=clock)
    clock.now = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    agent.offer.freshen()
    asked = requisition()
    later = clock.now + datetime.timedelta(hours=1)
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(asked, expires_at=later))
    assert caught.value.metadata["codes"] == "deny.no-longer-valid"


def test_an_agent_that_knows_nothing_refuses(state: AgentState) -> None:
    new = agent(state)
    new.offer.files = {}
    with pytest.raises(RequisitionRefused) as caught:
        new.answer(*signed(requisition()))
    assert caught.value.reason == "POLICY_UNTRUSTED"
    assert caught.value.metadata["codes"] == "POLICIES_MISSING"


def test_a_release_may_not_cost_more_than_agreed(state: AgentState) -> None:
    for text in (AGREEMENT_TEXT, PURE_TEXT):
        lavish = requisition(text=text, epsilon=4)
        fresh = new_state(state.root.parent / f"state-{len(text)}")
        ingest_rows(fresh, [row()])
        with pytest.raises(RequisitionRefused) as caught:
            taught(fresh, text).answer(*signed(lavish))
        assert caught.value.metadata["codes"] == "deny.release-cost"
        taught(fresh, text).answer(*signed(requisition(text=text, epsilon=3)))


def test_one_id_is_one_question(state: AgentState) -> None:
    agent = taught(state)
    asked = requisition()
    agent.answer(*signed(asked))
    other = requisition(question(("age_band", "broad")))
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(other, query_id=asked.query_id))
    assert caught.value.reason == "ID_REUSED"
    fallback = ("hotline", "police", "shelter")
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(asked, cohort="fallback", members=fallback))
    assert caught.value.reason == "ID_REUSED"


def _capped(epsilon: int) -> Settings:
    return Settings(
        lifetime=Lifetime(
            zcdp=ZcdpCap(epsilon=Fraction(epsilon)),
            pure=PureCap(epsilon=Fraction(epsilon)),
        )
    )


@pytest.mark.parametrize("text", [AGREEMENT_TEXT, PURE_TEXT])
def test_the_agencys_own_cap_holds(state: AgentState, text: str) -> None:
    settings = _capped(2)
    agent = taught(state, text, settings=settings)
    agreement = load_agreement(text, "a", {"small": MODEL})
    cap = lifetime_cap(settings, agreement.accounting)
    first = requisition(text=text)
    one = first.loss.nano_rho + first.loss.nano_epsilon
    answered = [agent.answer(*signed(first)).round]
    while one * (len(answered) + 1) <= cap:
        answered.append(agent.answer(*signed(requisition(text=text))).round)
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(requisition(text=text)))
    assert caught.value.reason == "BUDGET_EXHAUSTED"
    used = spent(state, AGENCY, agreement.accounting, settings, NOW).used
    assert used == one * len(answered) <= cap < used + one
    # What was paid for is answered again.
    seed = answered[0].seeds[AGENCY]
    assert agent.hub().reveal_one(answered[0], AGENCY) == seed


def test_unsafe_test_mode_lifts_caps_but_checks_all_else(state: AgentState) -> None:
    settings = Settings(unsafe_test_mode=True)
    agent = taught(state, settings=settings)
    agent.answer(*signed(requisition(epsilon=10_000)))
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(requisition(epsilon=10_000), purpose="curiosity"))
    assert caught.value.reason == "AGREEMENT_DENIES"


def test_a_store_that_cannot_be_read_costs_nothing(state: AgentState) -> None:
    agent = taught(state)
    edition = state.editions / "month-30" / "2026-01"
    edition.chmod(0o700)
    (edition / "region.npy").unlink()
    found = refusal(state, *signed(requisition()))
    assert found.reason == "STORE_UNAVAILABLE"
    edition.chmod(0o700)
    shutil.rmtree(edition)
    # It was frozen once and is not frozen again.
    assert agent.editions() == []
    assert refusal(state, *signed(requisition())).reason == "EDITION_MISSING"
