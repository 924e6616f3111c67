# SPDX-License-Identifier: Apache-2.0
"""Profiles: saved privately, found in a stated order."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.client.profile import (
    Profile,
    find_profile,
    load_profiles,
    save_profiles,
)
from accord.core.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where this test's profiles are."""
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config" / "profiles.toml"


def test_profiles_survive_saving_and_are_private(path: Path) -> None:
    """Quotes and all; and nobody else can read the token."""
    saved = {
        "default": Profile(hub="h:1", token='to"ken\\'),
        "at work.2": Profile(hub="i:2", token="t"),
    }
    save_profiles(path, saved)
    assert load_profiles(path) == saved
    assert path.stat().st_mode & 0o077 == 0
    assert 'to"ken' not in repr(saved)


def test_an_exposed_file_is_refused(path: Path) -> None:
    """With the command that mends it."""
    save_profiles(path, {"default": Profile(hub="h:1", token="t")})
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_profiles(path)


def test_arguments_stand_above_environment_above_profile(path: Path) -> None:
    """The nearest wins."""
    save_profiles(path, {"default": Profile(hub="saved:1", token="saved")})
    environment = {"ACCORD_HUB": "env:1", "ACCORD_TOKEN": "env"}

    def found(
        hub: str | None = None, env: dict[str, str] | None = None
    ) -> tuple[str, str]:
        profile = find_profile(hub=hub, token=None, name=None, environment=env or {})
        return profile.hub, profile.token

    assert found() == ("saved:1", "saved")
    assert found(env=environment) == ("env:1", "env")
    assert found("arg:1", environment) == ("arg:1", "env")


def test_nothing_configured_says_what_to_do(path: Path) -> None:
    """And an unknown profile names the nearest."""
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="accord profile add"):
        find_profile(hub=None, token=None, name=None, environment={})
    save_profiles(path, {"work": Profile(hub="h:1", token="t")})
    with pytest.raises(ConfigurationError, match="'work'"):
        find_profile(hub=None, token=None, name="wrok", environment={})


@pytest.mark.parametrize("content", ["not toml [", "[a]\nhub = 1\nx = 2\n", "a = 1\n"])
def test_a_broken_file_is_one_sentence(path: Path, content: str) -> None:
    """Never the parser's own words."""
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        load_profiles(path)
    assert caught.value.reason == "PROFILES_UNREADABLE"
