# SPDX-License-Identifier: Apache-2.0
"""Policy documents as an agent takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.agent.policies import PolicyCache, model_for_mapping, read_document
from accord.agent.state import AgentState
from accord.core.canonical import bytes_digest
from accord.core.document import DocumentError
from accord.core.errors import ConfigurationError, PolicyDenied
from tests.unit.agent.agencies import MODEL, MODEL_TEXT, new_state
from tests.unit.agent.agreements import AGENCY, AGREEMENT_TEXT

MODEL_PATH = "models/small.yaml"
PATH = "agreements/small-trends.yaml"


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def cache(state: AgentState) -> PolicyCache:
    return PolicyCache(state, AGENCY)


def test_documents_are_kept_byte_for_byte(
    state: AgentState, cache: PolicyCache
) -> None:
    assert cache.known() == {}
    cache.learn(MODEL_PATH, MODEL_TEXT.encode())
    cache.learn(PATH, AGREEMENT_TEXT.encode())
    again = PolicyCache(state, AGENCY)
    assert again.known() == {
        MODEL_PATH: MODEL.digest,
        PATH: bytes_digest(AGREEMENT_TEXT.encode()),
    }
    found = again.agreement("small-trends")
    assert found is not None
    assert found[0].text == AGREEMENT_TEXT
    assert found[1].digest == MODEL.digest
    assert [agreement.name for agreement, _ in again.agreements()] == ["small-trends"]


def test_an_agreement_needs_its_model(cache: PolicyCache) -> None:
    with pytest.raises(DocumentError, match="no such data model"):
        cache.learn(PATH, AGREEMENT_TEXT.encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (AGREEMENT_TEXT.replace("version: 2", "version: 1"), "POLICY_ROLLBACK"),
        (
            AGREEMENT_TEXT.replace("epsilon: 3}", "epsilon: 2}"),
            "POLICY_VERSION_REUSED",
        ),
        (AGREEMENT_TEXT.replace("shelter", "refuge"), "POLICY_NOT_A_PARTY"),
        (AGREEMENT_TEXT.replace("small-trends", "large-trends"), "POLICY_PATH"),
    ],
)
def test_what_no_hub_may_slip_in_is_refused(
    cache: PolicyCache, text: str, reason: str
) -> None:
    cache.learn(MODEL_PATH, MODEL_TEXT.encode())
    cache.learn(PATH, AGREEMENT_TEXT.encode())
    with pytest.raises(PolicyDenied) as caught:
        cache.learn(PATH, text.encode())
    assert caught.value.reason == reason
    assert cache.known()[PATH] == bytes_digest(AGREEMENT_TEXT.encode())


@pytest.mark.parametrize(
    ("version", "reason"), [(1, "POLICY_ROLLBACK"), (2, "POLICY_VERSION_REUSED")]
)
def test_another_data_model_does_not_open_the_way_back(
    cache: PolicyCache, version: int, reason: str
) -> None:
    """Under it the held agreement is not in force, and its version still counts."""
    cache.learn(MODEL_PATH, MODEL_TEXT.encode())
    cache.learn(PATH, AGREEMENT_TEXT.encode())
    cache.learn(MODEL_PATH, MODEL_TEXT.replace("region:", "area:").encode())
    assert cache.agreement("small-trends") is None
    looser = (
        AGREEMENT_TEXT.replace(" region: region,", "")
        .replace("groups_per_person: 2", "groups_per_person: 64")
        .replace("version: 2", f"version: {version}")
    )
    with pytest.raises(PolicyDenied) as caught:
        cache.learn(PATH, looser.encode())
    assert caught.value.reason == reason
    cache.learn(MODEL_PATH, MODEL_TEXT.encode())
    found = cache.agreement("small-trends")
    assert found is not None
    assert found[0].text == AGREEMENT_TEXT


def test_a_newer_version_takes_the_place(cache: PolicyCache) -> None:
    cache.learn(MODEL_PATH, MODEL_TEXT.encode())
    cache.learn(PATH, AGREEMENT_TEXT.encode())
    cache.learn(PATH, AGREEMENT_TEXT.replace("version: 2", "version: 3").encode())
    found = cache.agreement("small-trends")
    assert found is not None
    assert found[0].form.version == 3


@pytest.mark.parametrize(
    "path",
    [
        "../keys/store.key",
        "models/../agreements/a.yaml",
        "models/small.yml",
        "agreements/",
        "/etc/passwd",
        "keys/hub.pub",
        "models/small.yaml\n",
    ],
)
def test_a_path_leads_nowhere_else(cache: PolicyCache, path: str) -> None:
    with pytest.raises(PolicyDenied, match="no use for"):
        cache.learn(path, MODEL_TEXT.encode())


@pytest.mark.parametrize("content", [b"\xff", b"data_model: [", b""])
def test_a_document_that_cannot_be_read_is_refused(
    cache: PolicyCache, content: bytes
) -> None:
    with pytest.raises(DocumentError, match=MODEL_PATH):
        cache.learn(MODEL_PATH, content)
    assert cache.known() == {}


def test_the_model_for_a_mapping_is_found(state: AgentState, tmp_path: Path) -> None:
    assert model_for_mapping(state, "cases-v1", None).name == "cases-v1"
    with pytest.raises(ConfigurationError, match="--model"):
        model_for_mapping(state, "small", None)
    file = tmp_path / "small.yaml"
    file.write_text(MODEL_TEXT)
    assert model_for_mapping(state, "small", file).digest == MODEL.digest
    PolicyCache(state, AGENCY).learn(MODEL_PATH, MODEL_TEXT.encode())
    assert model_for_mapping(state, "small", None).digest == MODEL.digest


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.yaml cannot be read"):
        read_document(tmp_path / "no.yaml")
