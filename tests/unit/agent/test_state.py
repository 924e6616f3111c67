# SPDX-License-Identifier: Apache-2.0
"""What the state directory does not let happen to what it holds."""

from __future__ import annotations

import datetime
import shutil
import threading
from pathlib import Path

import pytest

from accord.agent.state import AgentState
from accord.agent.store import editions
from accord.agent.store.editions import (
    Calendar,
    Edition,
    Waiting,
    freeze_due,
    held_editions,
)
from accord.agent.store.linking import link_store
from accord.core.calendar import Period
from accord.core.errors import ConfigurationError
from accord.trust.keys import text_of
from tests.unit.agent.agencies import MODEL, NOW, ingest_rows, new_state, row
from tests.unit.agent.agreements import pin, repository

MONTHLY = Calendar(every=Period.MONTH, embargo_days=30, model=MODEL)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


def use(state: AgentState, trace: str) -> None:
    """Leave one trace of an agent that may have paid for something."""
    if trace == "identity":
        (state.keys / "identity.pem").write_bytes(b"a certificate")
        return
    ingest_rows(state, [row()])
    if trace == "edition":
        freeze_due(state, [MONTHLY], NOW)
        state.current.unlink()
        shutil.rmtree(state.builds)


@pytest.mark.parametrize("trace", ["store", "edition", "identity"])
@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_an_empty_ledger_is_not_begun_beside_what_was_paid_for(
    state: AgentState, trace: str, left: str
) -> None:
    use(state, trace)
    state.database.unlink()
    if left == "an empty file":
        state.database.touch()
    with pytest.raises(ConfigurationError) as caught:
        AgentState.create(state.root)
    assert caught.value.reason == "LEDGER_LOST"
    assert state.database.exists() == (left == "an empty file")
    assert left == "nothing" or state.database.stat().st_size == 0


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_first_set_up_that_was_cut_short_can_be_repeated(
    state: AgentState, left: str
) -> None:
    state.database.unlink()
    if left == "an empty file":
        state.database.touch()
    key = state.pseudonym_key()
    with AgentState.create(state.root).ledger():
        pass
    assert state.pseudonym_key() == key


def test_two_freezes_at_once_leave_one_whole_edition(
    state: AgentState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command beside the running agent: the second waits for the first."""
    ingest_rows(state, [row()])
    found: list[tuple[list[Edition], list[Waiting]]] = []
    later = NOW + datetime.timedelta(seconds=1)
    second = threading.Thread(
        target=lambda: found.append(freeze_due(state, [MONTHLY], later))
    )

    def interrupted(build: Path, target: Path) -> None:
        monkeypatch.setattr(editions, "link_store", link_store)
        link_store(build, target)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert target.is_dir()

    monkeypatch.setattr(editions, "link_store", interrupted)
    frozen, _ = freeze_due(state, [MONTHLY], NOW)
    second.join(20)
    assert [each.name for each in frozen] == ["2026-01"]
    assert found == [([], [])]
    assert held_editions(state) == frozen
    folder = state.editions / MONTHLY.name
    assert [path.name for path in folder.iterdir()] == ["2026-01"]
    assert (folder / "2026-01" / "region.npy").is_file()


def test_the_agency_key_is_made_once(tmp_path: Path) -> None:
    made = AgentState.create(tmp_path / "new")
    public = text_of(made.agency_key())
    assert (made.keys / "agency.key").stat().st_mode & 0o777 == 0o600
    assert text_of(AgentState.create(made.root).agency_key()) == public
    again = AgentState.create(made.root, new_agency_key=True)
    assert text_of(again.agency_key()) == public
    other = AgentState.create(tmp_path / "other")
    assert text_of(other.agency_key()) != public


def test_a_state_of_an_older_version_gets_an_agency_key(state: AgentState) -> None:
    use(state, "store")
    use(state, "identity")
    (state.keys / "agency.key").unlink()
    AgentState.create(state.root)
    assert (state.keys / "agency.key").exists()


def test_a_key_that_a_board_may_know_is_not_replaced_by_itself(
    state: AgentState,
) -> None:
    pin(state, repository())
    public = text_of(state.agency_key())
    (state.keys / "agency.key").unlink()
    with pytest.raises(ConfigurationError, match="--new-agency-key") as caught:
        AgentState.create(state.root)
    assert caught.value.reason == "KEYS_LOST"
    assert not (state.keys / "agency.key").exists()
    AgentState.create(state.root, new_agency_key=True)
    assert text_of(state.agency_key()) != public


def test_a_new_state_has_a_key_of_audits_and_its_public_half(tmp_path: Path) -> None:
    made = AgentState.create(tmp_path / "state")
    key = made.keys / "audit.key"
    assert key.stat().st_mode & 0o777 == 0o600
    first = made.audit_public.read_bytes()
    assert first.startswith(b"x25519:")
    assert AgentState.create(made.root).audit_public.read_bytes() == first
    assert made.sequence_file.read_bytes() == b"0\n"


def test_all_keys_of_the_board_follow_from_one_secret(tmp_path: Path) -> None:
    made = AgentState.create(tmp_path / "state")
    public = made.secret_keys("one").public
    assert public.sign == made.agency_key().public_key().public_bytes_raw()
    other = made.secret_keys("another").public
    assert (other.sign, other.exchange, other.kem) == (
        public.sign,
        public.exchange,
        public.kem,
    )
