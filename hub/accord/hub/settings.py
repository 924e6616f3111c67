# SPDX-License-Identifier: Apache-2.0
"""Settings of a hub: ``config.toml`` in its state, overridden by ``ACCORD_HUB_*``.

Policies are not settings: what may be asked and spent is in the agreements alone. The
one setting that touches protection is `HubSettings.unsafe_test_mode`, and no hub with
real records may ever have it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Final

import pydantic
import pydantic_settings

from accord.core.errors import ConfigurationError, suggestion
from accord.hub.state import STATE_VARIABLE

PREFIX: Final = "ACCORD_HUB_"

Port = Annotated[int, pydantic.Field(ge=0, le=65_535)]


class HubSettings(pydantic_settings.BaseSettings):
    """What the operator decides; everything has a default but the hosts."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    hosts: list[str] = ["localhost", "127.0.0.1"]
    """Names and addresses by which agents and analysts call the hub; they go into its
    certificate."""
    listen: str = "0.0.0.0"  # noqa: S104  # it is there for others
    """Address to listen on."""
    public_port: Port = 8443
    """Enrolment and analysts. 0 takes any free port."""
    agent_port: Port = 8444
    """Agents, with their certificates. 0 takes any free port."""
    transparency_port: Port | None = None
    """Plain HTTP on 127.0.0.1: health, metrics and the audit log. 0 takes any free
    port; unsaid, there is none."""
    agent_certificate_hours: Annotated[int, pydantic.Field(ge=1, le=24 * 90)] = 24
    """Lifetime of an agent's certificate; agents renew by themselves."""
    enrolment_token_hours: Annotated[int, pydantic.Field(ge=1, le=24 * 31)] = 72
    """Time in which an agency has to use its enrolment token."""
    answer_within_seconds: Annotated[int, pydantic.Field(ge=1, le=30 * 86_400)] = 3600
    """How long the hub waits for agencies before it takes a fallback, or fails."""
    database: pydantic.SecretStr | None = None
    """URL of a PostgreSQL database, for libpq; else a file in the hub's state."""
    unsafe_test_mode: bool = False
    """Lift every cap on spending. For tests with made-up records only."""

    @pydantic.field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],  # noqa: ARG003  # theirs
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose values come in as arguments."""
        return env_settings, init_settings


def load_settings(path: Path) -> HubSettings:
    """Read ``config.toml`` and the environment.

    Raises:
        ConfigurationError: SETTINGS_INVALID, naming every wrong setting, no value.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"not TOML: {error}"
        raise ConfigurationError(
            "SETTINGS_INVALID", f"{path.name} cannot be used: {why}."
        ) from None
    _refuse_unknown_variables()
    try:
        return HubSettings(**written)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {_plain(detail)}"
            for detail in error.errors()
        )
        raise ConfigurationError(
            "SETTINGS_INVALID", f"{path.name} or the environment is wrong: {problems}."
        ) from None
    except pydantic_settings.SettingsError as error:
        raise ConfigurationError(
            "SETTINGS_INVALID", f"The environment is wrong: {error}."
        ) from None


def _plain(detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101  # pydantic's form of a problem
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        return "no such setting." + suggestion(name, HubSettings.model_fields)
    message = str(detail["msg"])
    return message[:1].lower() + message[1:]


def _refuse_unknown_variables() -> None:
    """A misspelt variable would silently leave a default in force.

    Raises:
        ConfigurationError: SETTINGS_INVALID.
    """
    known = {PREFIX + name.upper() for name in HubSettings.model_fields}
    known.add(STATE_VARIABLE)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigurationError(
                "SETTINGS_INVALID",
                f"There is no setting for the environment variable {name}."
                + suggestion(name, known),
            )


def config_text(
    *,
    hosts: list[str],
    listen: str,
    public_port: int,
    agent_port: int,
    database: str | None = None,
) -> str:
    """Return a ``config.toml`` with the given settings and the others as comments."""
    quoted = ", ".join(f'"{host}"' for host in hosts)
    fields = HubSettings.model_fields
    named = (
        '# database = "postgresql://USER@HOST/NAME?sslmode=verify-full"'
        if database is None
        else f"database = {json.dumps(database)}"
    )
    return f"""\
# Settings of this hub. Each can be overridden by a variable {PREFIX}NAME.
# What may be asked and spent is not here but in policies/.
hosts = [{quoted}]
listen = "{listen}"
public_port = {public_port}
agent_port = {agent_port}
{named}

# transparency_port = 9464
# agent_certificate_hours = {fields["agent_certificate_hours"].default}
# enrolment_token_hours = {fields["enrolment_token_hours"].default}
# answer_within_seconds = {fields["answer_within_seconds"].default}
"""
