# SPDX-License-Identifier: Apache-2.0
"""Settings: strict, from a file and the environment."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from accord.agent.settings import Settings, load_settings
from accord.agent.state import AgentState
from accord.core.errors import ConfigurationError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_every_setting_has_a_default(config: Path) -> None:
    settings = load_settings(config)
    assert settings.unsafe_test_mode is False
    assert settings.lifetime.zcdp.epsilon == 100
    assert settings.lifetime.zcdp.delta == Fraction(1, 10**9)
    assert settings.lifetime.pure.epsilon == 100
    assert settings.ingest.threads == 1


def test_numbers_are_read_as_written(config: Path) -> None:
    config.write_text("[lifetime.zcdp]\nepsilon = 0.3\ndelta = 1e-8\n")
    settings = load_settings(config)
    assert settings.lifetime.zcdp.epsilon == Fraction(3, 10)
    assert settings.lifetime.zcdp.delta == Fraction(1, 10**8)


def test_the_environment_wins(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('[ingest]\nmemory = "2GiB"\nthreads = 2\n')
    monkeypatch.setenv("ACCORD_AGENT_INGEST__MEMORY", "3GiB")
    monkeypatch.setenv("ACCORD_AGENT_LIFETIME__PURE__EPSILON", "7.5")
    monkeypatch.setenv("ACCORD_AGENT_UNSAFE_TEST_MODE", "1")
    settings = load_settings(config)
    assert (settings.ingest.memory, settings.ingest.threads) == ("3GiB", 2)
    assert settings.lifetime.pure.epsilon == Fraction(15, 2)
    assert settings.unsafe_test_mode is True


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unsafe_testmode = true", "Did you mean 'unsafe_test_mode'"),
        ("[ingest]\nmemry = '1GiB'", "ingest.memry: .*Did you mean 'memory'"),
        ("[ingest]\nmemory = '1 gigabyte'", "such as 512MiB"),
        ("[ingest]\nthreads = 0", "ingest.threads"),
        ("[lifetime.zcdp]\nepsilon = 'secret'", "lifetime.zcdp.epsilon"),
        ("[lifetime.zcdp]\nepsilon = 0", "greater than 0"),
        ("[lifetime.zcdp]\nepsilon = inf", "lifetime.zcdp.epsilon"),
        ("[lifetime.zcdp]\nepsilon = nan", "lifetime.zcdp.epsilon"),
        ("[lifetime.zcdp]\ndelta = 0.5", "lifetime.zcdp.delta"),
        ("answer_slot_seconds = -0.1", "answer_slot_seconds"),
        ("answer_slot_seconds = 61", "answer_slot_seconds"),
        ("stay_connected = 'never'", "stay_connected"),
        ("[audit]\nkeep_days = 0", "audit.keep_days"),
        ("[audit]\nkeep_day = 5", "audit.keep_day: .*Did you mean 'keep_days'"),
        ("unsafe_test_mode = ", "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_named_without_its_value(
    config: Path, text: str, sentence: str
) -> None:
    config.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        load_settings(config)
    assert "secret" not in str(caught.value)


def test_unknown_variables_are_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_AGENT_STATE", "somewhere")
    load_settings(config)
    monkeypatch.setenv("ACCORD_AGENT_INGEST__MEMRY", "1GiB")
    with pytest.raises(ConfigurationError, match=r"Did you mean '.*INGEST__MEMORY'"):
        load_settings(config)


def test_a_file_that_is_no_text_is_refused(config: Path) -> None:
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_settings(config)


def test_the_sample_that_init_writes_has_every_setting_with_its_default(
    tmp_path: Path,
) -> None:
    """Whoever removes a # changes nothing by that."""
    state = AgentState.create(tmp_path / "state")
    lines = state.config.read_text().splitlines()[1:]
    wanted = [line.removeprefix("#").strip() for line in lines]
    state.config.write_text("\n".join(wanted))
    assert state.settings() == Settings()
    for name in Settings.model_fields:
        if name != "unsafe_test_mode":
            assert any(name in line for line in wanted)
