# SPDX-License-Identifier: Apache-2.0
"""Signed policies as one agency believes them, and when it answers nothing."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from accord.agent.answer import StoreAnswerer
from accord.agent.policies import (
    KNOWN_TROUBLE,
    AgencyPolicies,
    distrust,
    model_for_mapping,
    policies_of,
    read_document,
    trouble_text,
)
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.witness.suspicion import suspicions
from accord.core.document import DocumentError
from accord.core.errors import ConfigurationError, RequisitionRefused
from accord.rpc.logs import allow_listed
from accord.trust.keys import text_of
from accord.trust.repository import Repository
from accord.trust.trusted import REASONS
from tests.member_keys import other_keys
from tests.policies import edited, key, republish, signed_repository
from tests.unit.agent.agencies import (
    MODEL,
    MODEL_TEXT,
    NOW,
    ingest_rows,
    new_state,
    row,
)
from tests.unit.agent.agreements import (
    AGENCY,
    AGENCY_KEY,
    AGREEMENT_TEXT,
    FRESHNESS,
    KEY,
    MEMBERS_TEXT,
    PATH,
    Agent,
    Clock,
    agent,
    question,
    repository,
    requisition,
    signed,
    taught,
)

OWN = text_of(AGENCY_KEY)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    made = new_state(tmp_path / "state")
    ingest_rows(made, [row()])
    return made


def changed(*replacements: tuple[str, str], version: int = 3) -> Repository:
    """Return policies after a change of the agreement by the whole board."""
    steps = (("version: 2", f"version: {version}"), *replacements)
    text = edited(repository(), PATH, *steps)
    return republish(repository(), {PATH: text}, now=NOW)


def refusal(agent: Agent, **changes: object) -> RequisitionRefused:
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(requisition(), **changes))
    return caught.value


def test_documents_are_kept_byte_for_byte(state: AgentState) -> None:
    taught(state)
    found = AgencyPolicies(state, AGENCY)
    view = found.view()
    assert view is not None
    assert view.documents == repository().documents()
    policy = found.policy("small-trends")
    assert policy is not None
    assert policy.agreement.text == AGREEMENT_TEXT
    assert policy.model.digest == MODEL.digest
    assert [each.name for each in found.policies()] == ["small-trends"]
    assert found.hub_key() == KEY.public_key().public_bytes_raw()
    assert found.policy("other") is None


def test_nothing_is_known_before_the_first_refresh(state: AgentState) -> None:
    found = AgencyPolicies(state, AGENCY)
    assert (found.view(), found.hub_key(), found.trouble()) == (None, None, None)
    assert found.policy("small-trends") is None
    assert list(found.agreements()) == []
    error = distrust(state, found, NOW)
    assert error is not None
    assert error.reason == "POLICIES_MISSING"


def test_a_requisition_under_newer_policies_makes_the_agent_look(
    state: AgentState,
) -> None:
    made = taught(state)
    made.answer(*signed(requisition()))
    looked = len(made.offer.asked)
    made.answer(*signed(requisition()))
    assert len(made.offer.asked) == looked
    made.offer.publish(changed())
    text = AGREEMENT_TEXT.replace("version: 2", "version: 3")
    # The test's requisition is made for policies of which this text is a part.
    newer = changed().policies().policy("small-trends")
    assert newer is not None
    asked = requisition(text=text)
    made.answer(*signed(asked, policy_digest=newer.digest))
    assert len(made.offer.asked) > looked


def test_it_looks_once_and_then_decides(state: AgentState) -> None:
    made = taught(state)
    looked = len(made.offer.asked)
    found = refusal(made, policy_digest="0" * 64)
    assert found.reason == "POLICY_DIFFERS"
    assert made.offer.asked[looked:].count("metadata/timestamp.json") == 1


def test_expired_policies_are_looked_for_again_before_it_refuses(
    state: AgentState,
) -> None:
    clock = Clock()
    made = taught(state, clock=clock)
    clock.now = NOW + datetime.timedelta(hours=24)
    late = clock.now + datetime.timedelta(hours=1)
    found = refusal(made, expires_at=late)
    assert (found.reason, found.metadata["codes"]) == (
        "POLICY_UNTRUSTED",
        "POLICY_EXPIRED",
    )
    made.offer.freshen()
    made.answer(*signed(requisition(), expires_at=late))


def test_a_hub_that_cannot_be_asked_does_not_stop_an_agent_that_is_up_to_date(
    state: AgentState,
) -> None:
    made = taught(state)
    kept, made.offer.files = made.offer.files, {}
    with capture_logs(processors=[allow_listed]) as lines:
        assert not made.refresh()
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("policy.delayed", lines[0]["reason"])
    ]
    made.answer(*signed(requisition()))
    made.offer.files = kept


def signed_for(**agencies: object) -> Repository:
    return signed_repository(
        {"members.yaml": MEMBERS_TEXT, "models/small.yaml": MODEL_TEXT}
        | {PATH: AGREEMENT_TEXT},
        hub_key=KEY,
        freshness_key=FRESHNESS,
        agencies=dict(agencies),  # type: ignore[arg-type]
        now=NOW,
    )


@pytest.mark.parametrize(
    ("agencies", "reason"),
    [
        ({}, "AGENCY_NOT_LISTED"),
        ({"police": key("police")}, "AGENCY_NOT_LISTED"),
        ({AGENCY: key("another")}, "AGENCY_KEY_DIFFERS"),
    ],
)
def test_an_agency_that_the_board_does_not_list_answers_nothing(
    state: AgentState, agencies: dict[str, object], reason: str
) -> None:
    made = agent(state)
    offered = signed_for(**agencies)
    made.offer.files = {}
    made.offer.publish(offered)
    policy = offered.policies().policy("small-trends")
    assert policy is not None
    found = refusal(made, policy_digest=policy.digest)
    assert (found.reason, found.metadata["codes"]) == ("POLICY_UNTRUSTED", reason)
    error = distrust(state, AgencyPolicies(state, AGENCY), NOW)
    assert error is not None
    assert "board" in error.sentence
    assert [each.reason for each in suspicions(state)] == [reason]


def listed_with(**changes: str | None) -> Repository:
    """Return policies in which this agency's entry has other lines."""
    content = repository().documents()["members.yaml"].decode()
    own = AGENCY_KEY
    lines = {"key": text_of(own), **other_keys(own)}
    for name, value in changes.items():
        line = f"    {name}: {lines[name]}\n"
        assert line in content
        content = content.replace(line, f"    {name}: {value}\n" if value else "")
    return republish(repository(), {"members.yaml": content}, now=NOW)


@pytest.mark.parametrize("name", ["key", "exchange", "kem"])
def test_each_of_the_agencys_keys_must_be_the_listed_one(
    state: AgentState, name: str
) -> None:
    made = taught(state)
    other = key("another")
    lines = {"key": text_of(other), **other_keys(other)}
    offered = listed_with(**{name: lines[name]})
    made.offer.publish(offered)
    assert made.refresh()
    policy = offered.policies().policy("small-trends")
    assert policy is not None
    found = refusal(made, policy_digest=policy.digest)
    assert (found.reason, found.metadata["codes"]) == (
        "POLICY_UNTRUSTED",
        "AGENCY_KEY_DIFFERS",
    )
    error = distrust(state, AgencyPolicies(state, AGENCY), NOW)
    assert error is not None
    assert "accord-agent keys" in error.sentence


def test_an_agency_for_which_no_kem_key_is_listed_answers_without(
    state: AgentState,
) -> None:
    """As a machine that could not make one, and can since its upgrade."""
    made = taught(state)
    offered = listed_with(kem=None)
    made.offer.publish(offered)
    policy = offered.policies().policy("small-trends")
    assert policy is not None
    found = made.answer(*signed(requisition(), policy_digest=policy.digest))
    assert found.round.steps[AGENCY].lacking == ()
    assert found.vector[-2] == 1


def test_the_hubs_key_is_the_one_that_the_board_signs(state: AgentState) -> None:
    made = taught(state)
    new = key("new hub key")
    text = edited(repository(), "members.yaml", (text_of(KEY), text_of(new)))
    made.offer.publish(republish(repository(), {"members.yaml": text}, now=NOW))
    assert made.refresh()
    assert refusal(made).reason == "SIGNATURE_INVALID"
    assert [each.reason for each in suspicions(state)] == ["SIGNATURE_INVALID"]


def test_a_damaged_folder_answers_nothing(state: AgentState) -> None:
    offer = taught(state).offer
    (state.policies / "accepted.json").write_bytes(b"{}")
    again = StoreAnswerer(state, agency=AGENCY, settings=Settings(), clock=Clock())
    found = refusal(Agent(again, offer))
    assert (found.reason, found.metadata["codes"]) == (
        "POLICY_UNTRUSTED",
        "POLICIES_DAMAGED",
    )


def test_a_cohort_that_does_not_cover_every_figure_is_refused(
    state: AgentState,
) -> None:
    """Three of five see the north; without one of them two would be exposed."""
    made = agent(state)
    remits = MEMBERS_TEXT
    for name in ("clinic", "hotline"):
        remits = remits.replace(
            f"remit: {{description: what a {name} does}}",
            f"remit: {{description: what a {name} does, covers: {{region: [south]}}}}",
        )
    names = (AGENCY, "police", "hotline", "clinic", "inspection")
    offered = signed_repository(
        {"members.yaml": remits, "models/small.yaml": MODEL_TEXT, PATH: AGREEMENT_TEXT},
        hub_key=KEY,
        freshness_key=FRESHNESS,
        agencies={name: key(name) for name in names} | {AGENCY: AGENCY_KEY},
        now=NOW,
    )
    made.offer.files = {}
    made.offer.publish(offered)
    policy = offered.policies().policy("small-trends")
    assert policy is not None
    made.refresh()
    made.editions()
    north = question(("age_band", "broad"), where={"region": ["north"]})
    asked = requisition(north)
    made.answer(*signed(asked, policy_digest=policy.digest))
    with pytest.raises(RequisitionRefused) as caught:
        made.answer(
            *signed(
                requisition(north),
                policy_digest=policy.digest,
                cohort="fallback",
                members=("hotline", "police", "shelter"),
            )
        )
    assert caught.value.reason == "COHORT_NOT_PERMITTED"
    assert caught.value.metadata["codes"] == "deny.coverage"


def test_what_a_person_must_review_is_answered(state: AgentState) -> None:
    """The figures have their noise before anybody looks at them."""
    text = AGREEMENT_TEXT.replace(
        "approval:", "review: {releases: human, reviewers: [ana]}\napproval:"
    )
    made = taught(state, text)
    made.answer(*signed(requisition(text=text)))


@pytest.mark.parametrize("reason", sorted(KNOWN_TROUBLE | REASONS | {"NEWER_REASON"}))
def test_every_trouble_says_what_to_do(reason: str) -> None:
    text = trouble_text(reason)
    assert not text.startswith("trouble.")
    assert text.endswith(".")
    assert reason in KNOWN_TROUBLE or reason == "NEWER_REASON"


def test_the_model_for_a_mapping_is_found(state: AgentState, tmp_path: Path) -> None:
    assert model_for_mapping(state, "cases-v1", None).name == "cases-v1"
    with pytest.raises(ConfigurationError, match="--model"):
        model_for_mapping(state, "small", None)
    file = tmp_path / "small.yaml"
    file.write_text(MODEL_TEXT)
    assert model_for_mapping(state, "small", file).digest == MODEL.digest
    taught(state)
    assert model_for_mapping(state, "small", None).digest == MODEL.digest
    assert [each.name for each in policies_of(state).policies()] == ["small-trends"]


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.yaml cannot be read"):
        read_document(tmp_path / "no.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff")
    with pytest.raises(DocumentError, match="UTF-8"):
        read_document(tmp_path / "bad.yaml")
