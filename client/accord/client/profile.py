# SPDX-License-Identifier: Apache-2.0
"""Where the hub is and with which token, so that nobody types it twice.

Profiles lie in ``profiles.toml`` of the user's configuration directory, readable by
the user alone. ``$ACCORD_HUB`` with ``$ACCORD_TOKEN`` stand above them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from accord.core.errors import ConfigurationError, suggestion

DEFAULT = "default"
"""The profile that is used when none is named."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An address and a secret."""

    hub: str
    """``host:port`` of the hub's public port."""
    token: str = dataclasses.field(repr=False)


def profiles_path() -> Path:
    """Return the file with this user's profiles, whether it exists or not."""
    named = os.environ.get("ACCORD_CONFIG")
    folder = Path(named) if named else Path(platformdirs.user_config_dir("accord"))
    return folder / "profiles.toml"


def data_folder() -> Path:
    """Return where this user's state lies: of boards, and questions that were asked."""
    named = os.environ.get("ACCORD_DATA")
    return Path(named) if named else Path(platformdirs.user_data_dir("accord"))


def load_profiles(path: Path) -> dict[str, Profile]:
    """Return all profiles of *path*; none if there is no such file.

    Raises:
        ConfigurationError: PROFILES_UNREADABLE or PROFILES_EXPOSED.
    """
    try:
        mode = path.stat().st_mode
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found = {name: Profile(**entry) for name, entry in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(
            "PROFILES_UNREADABLE",
            f"The file {path} is not a list of profiles; correct or remove it.",
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            "PROFILES_EXPOSED",
            f"The file {path} holds tokens and other users can read it; "
            f"run: chmod 600 {path}",
        )
    return found


def save_profiles(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Write *profiles*, replacing the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"[{json.dumps(name)}]\nhub = {json.dumps(profile.hub)}\n"
        f"token = {json.dumps(profile.token)}\n"
        for name, profile in sorted(profiles.items())
    ]
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def find_profile(
    *,
    hub: str | None,
    token: str | None,
    name: str | None,
    environment: Mapping[str, str],
) -> Profile:
    """Return what to connect with: arguments, then environment, then the profile.

    Raises:
        ConfigurationError: HUB_NOT_CONFIGURED or PROFILE_UNKNOWN.
    """
    if name is None:
        hub = hub or environment.get("ACCORD_HUB")
        token = token or environment.get("ACCORD_TOKEN")
    if hub and token:
        return Profile(hub=hub, token=token)
    profiles = load_profiles(profiles_path())
    found = profiles.get(name or DEFAULT)
    if found is not None:
        return Profile(hub=hub or found.hub, token=token or found.token)
    if name is not None:
        raise unknown_profile(name, profiles)
    raise ConfigurationError(
        "HUB_NOT_CONFIGURED",
        "No hub is configured. Add a profile with `accord profile add`, or set "
        "ACCORD_HUB and ACCORD_TOKEN.",
    )


def unknown_profile(name: str, known: Mapping[str, Profile]) -> ConfigurationError:
    """Return the error for a profile that does not exist."""
    return ConfigurationError(
        "PROFILE_UNKNOWN",
        f"There is no profile {name!r}."
        + (suggestion(name, known) or " Add it with: accord profile add"),
    )
