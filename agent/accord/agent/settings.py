# SPDX-License-Identifier: Apache-2.0
"""Settings of the agent: ``config.toml`` in the state directory, then environment.

An environment variable ``ACCORD_AGENT_INGEST__MEMORY`` wins over ``memory`` in the
table ``[ingest]`` of the file. Unknown names are refused in both, because a misspelt
limit that is silently ignored protects nobody. Policies are not settings.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

import pydantic
import pydantic_settings

from accord.agent.monitoring import Metrics, Tracing
from accord.core.document import Strict
from accord.core.errors import ConfigurationError, suggestion

PREFIX = "ACCORD_AGENT_"

STATE_VARIABLE = f"{PREFIX}STATE"
"""Names the state directory; the only variable that is no setting."""

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Variable in which systemd names the folder of a service's credentials."""


def _exact(value: object) -> object:
    """Read a number as the decimal that is written; text comes from the environment."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            pass
    if isinstance(value, Fraction):
        return value
    message = "a number is expected here"
    raise ValueError(message)


Number = Annotated[Fraction, pydantic.BeforeValidator(_exact)]
Epsilon = Annotated[Number, pydantic.Field(gt=0, le=1000)]
Delta = Annotated[Number, pydantic.Field(gt=0, lt=Fraction(1, 1000))]
Size = Annotated[str, pydantic.Field(pattern=r"^[1-9][0-9]{0,5}(MiB|GiB|TiB)$")]


class ZcdpCap(Strict):
    """Lifetime cap of the zCDP account, as (epsilon, delta)."""

    epsilon: Epsilon = Fraction(100)
    delta: Delta = Fraction(1, 10**9)


class PureCap(Strict):
    """Lifetime cap of the pure account."""

    epsilon: Epsilon = Fraction(100)


class Lifetime(Strict):
    """What this agency's records may ever lose, over all agreements.

    The agency's own last word, beside what agreements and members say; the hub keeps
    its account too. Their guarantee is the sum of both numbers.
    """

    zcdp: ZcdpCap = ZcdpCap()
    pure: PureCap = PureCap()


class Ingest(Strict):
    """Limits of the program that reads sources."""

    memory: Size = "640MiB"
    """Of the part that reads and sorts; the whole program takes half as much again."""
    spill: Size = "50GiB"
    """Most that it may write to the disk of the state directory for the time being."""
    threads: Annotated[int, pydantic.Field(ge=1, le=64)] = 1


class Retention(Strict):
    """How long records are kept; without months they stay until they are replaced."""

    months: Annotated[int, pydantic.Field(ge=1, le=1200)] | None = None
    """Cases registered longer ago leave at the next ingest and are in no edition that
    is frozen then; editions that were frozen longer ago are deleted."""
    registered: Annotated[str, pydantic.Field(pattern=r"^[a-z](_?[a-z0-9]){0,62}$")] = (
        "registered_month"
    )
    """Calendar dimension that says when a case was registered."""


class Audit(Strict):
    """How long what an audit of a round needs is kept."""

    keep_days: Annotated[int, pydantic.Field(ge=1, le=36_500)] = 400


class KekSource(Strict):
    """Where a key-encrypting key is; unsaid, in a systemd credential if anywhere."""

    kek_file: str | None = None
    """A file of 32 bytes outside of the state directory."""
    pkcs11_module: str | None = None
    """The library of a token."""
    pkcs11_token: str | None = None
    """Label of the token."""
    pkcs11_key: Annotated[str, pydantic.Field(min_length=1)] = "accord-agent-kek"
    """Label of the AES key in it."""
    pkcs11_pin_file: str | None = None
    """Else the systemd credential `accord-agent.pin`."""

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.kek_file is not None and self.pkcs11_module is not None:
            message = "kek_file and pkcs11_module exclude each other"
            raise ValueError(message)
        if (self.pkcs11_module is None) != (self.pkcs11_token is None):
            message = "pkcs11_module and pkcs11_token go together"
            raise ValueError(message)
        return self


class Keys(KekSource):
    """What the agent's keys are sealed with, once they are."""

    old: KekSource = KekSource()
    """The one before it, as long as keys are sealed anew."""


class Approval(Strict):
    """Which questions people at this agency approve before it answers them."""

    needed: Literal["never", "always"] | tuple[str, ...] = "never"
    """Or the names of agreements."""
    remember: bool = False
    """Whether what was approved and never opened need not be approved again, asked by
    the same analyst for the same purpose under the same version of the agreement."""
    remind_after_hours: Annotated[int, pydantic.Field(ge=1, le=720)] = 24
    """How often people are reminded of a question that waits."""
    expire_after_hours: Annotated[int, pydantic.Field(ge=1, le=8760)] | None = None
    """Afterwards it counts as declined; else when the question ends by itself."""
    notify: tuple[str, ...] = ()
    """A program with its arguments, which is told that questions wait."""

    @pydantic.field_validator("notify")
    @classmethod
    def _whole_path(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not Path(value[0]).is_absolute():
            message = "the program is named by its whole path, from the root on"
            raise ValueError(message)
        return value


SPARK = "sc"
"""Scheme of a Spark cluster, as its own clients write it (Spark Connect)."""

DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "mssql", SPARK)
"""Schemes of the databases that an agent can use."""

_CATALOG = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def _plain_url(value: object) -> object:
    """Refuse a URL with a password, with options, or of a database that is unknown."""
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        named, _ = parts.password, parts.port
    except ValueError:
        message = "this is no URL, such as postgresql://reader@db.example.org/cases."
        raise ValueError(message) from None
    if named is not None:
        message = (
            "a password stands in the URL, where others can read it. Take it out, "
            "change it at the database, and name a file with `password_file`."
        )
        raise ValueError(message)
    if parts.scheme not in DATABASES:
        message = f"the URL begins with none of {', '.join(DATABASES)}, each with ://."
        raise ValueError(message)
    if parts.query or parts.fragment:
        message = (
            "the URL has options behind a ? or #; here they are entries of their own: "
            "`password_file`, `tls`, `ca_file`, `socket`."
        )
        raise ValueError(message)
    if parts.scheme == SPARK:
        _check_spark(parts)
    elif not parts.path.strip("/"):
        message = "the URL names no database; its name stands behind the last /."
        raise ValueError(message)
    return value


def _check_spark(parts: SplitResult) -> None:
    if ";" in parts.path:
        message = (
            "the URL has options behind a ;: here they are entries of their own, "
            "`password_file` for the token, `tls`, `ca_file`."
        )
        raise ValueError(message)
    catalog = parts.path.strip("/")
    if not parts.hostname or (catalog and not _CATALOG.fullmatch(catalog)):
        message = (
            "a Spark cluster is written sc://HOST:PORT, or sc://HOST:PORT/CATALOG "
            "where its tables are in a catalog of their own."
        )
        raise ValueError(message)


class Database(Strict):
    """A database of the agency that records are read from, or counted in."""

    url: Annotated[str, pydantic.BeforeValidator(_plain_url)]
    """Without a password."""
    password_file: str | None = None
    """Else the systemd credential of the database's name, if there is one."""
    socket: str | None = None
    """Unix socket of a server on this machine: a folder for PostgreSQL, else a file."""
    tls: Literal["verify", "encrypt", "off"] = "verify"
    """What a server on another machine must do; one on this machine may do without."""
    ca_file: str | None = None
    """Who signs the server's certificate; else whom this machine trusts."""

    @pydantic.model_validator(mode="after")
    def _fit_spark(self) -> Self:
        if self.url.startswith(f"{SPARK}://") and self.socket is not None:
            message = "a Spark cluster has no socket; its url names host and port"
            raise ValueError(message)
        return self


DatabaseName = Annotated[str, pydantic.Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]


class Store(Strict):
    """Where editions lie that are frozen from now on, and questions are counted."""

    where: Literal["local", "database"] = "local"
    database: DatabaseName | None = None
    """A table of `databases`, for "database"."""
    schema_name: Annotated[
        str | None, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    ] = None
    """Of the tables there; else the schema that the user has without naming one."""

    @pydantic.model_validator(mode="after")
    def _name_database(self) -> Self:
        if (self.where == "database") != (self.database is not None):
            message = 'where = "database" and database = NAME go together'
            raise ValueError(message)
        return self


_SLOT = Fraction(1, 10)


class Settings(pydantic_settings.BaseSettings):
    """Everything that may be set; a default for each."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    unsafe_test_mode: bool = False
    """Lifts this agent's own caps. For tests on data that nobody is in."""
    answer_slot_seconds: Annotated[Number, pydantic.Field(ge=0, le=60)] = _SLOT
    """Each answer takes so long, or twice, four times as long, and so on: nobody learns
    from the clock how long its computation took. 0 switches it off."""
    stay_connected: Literal["always", "windows"] = "always"
    """Whether the agent calls the hub only when the agreements' windows are open."""
    log_level: Literal["info", "warning", "error"] = "info"
    """The least important lines that a running agent writes."""
    lifetime: Lifetime = Lifetime()
    ingest: Ingest = Ingest()
    audit: Audit = Audit()
    retention: Retention = Retention()
    approval: Approval = Approval()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()
    keys: Keys = Keys()
    databases: dict[DatabaseName, Database] = {}
    store: Store = Store()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],  # noqa: ARG003
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes in as arguments."""
        return env_settings, init_settings


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read ``config.toml`` (which may be absent) and the environment.

    Raises:
        ConfigurationError: SETTINGS_INVALID, with every entry that is wrong.
    """
    environment = os.environ if environment is None else environment
    problems = unknown_variables(environment)
    if problems:
        raise ConfigurationError("SETTINGS_INVALID", "\n".join(problems))
    written = _read(path)
    try:
        return Settings(**written)
    except pydantic.ValidationError as error:
        lines = [
            f"{path.name}: {'.'.join(str(part) for part in detail['loc'])}: "
            f"{_sentence(detail['type'], str(detail['msg']), detail['loc'])}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigurationError("SETTINGS_INVALID", "\n".join(lines)) from None
    except pydantic_settings.SettingsError:
        raise ConfigurationError(
            "SETTINGS_INVALID",
            f"An environment variable {PREFIX}… cannot be read: write a table's "
            f"entries one by one, such as {PREFIX}INGEST__MEMORY.",
        ) from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for every variable with our prefix that sets nothing."""
    known = {STATE_VARIABLE, *_names(Settings, PREFIX)}
    return [
        f"The environment variable {name} is not a setting.{suggestion(name, known)}"
        for name in sorted(environment)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _names(form: type[pydantic.BaseModel], prefix: str) -> list[str]:
    names: list[str] = []
    for field, entry in form.model_fields.items():
        kind = entry.annotation
        name = f"{prefix}{field.upper()}"
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            names.extend(_names(kind, f"{name}__"))
        elif get_origin(kind) is not dict:  # named tables are for the file alone
            names.append(name)
    return names


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            "SETTINGS_INVALID", f"{path.name} is not valid TOML: {error}."
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            "SETTINGS_INVALID", f"{path.name} cannot be read as UTF-8 text."
        ) from None


def _sentence(kind: str, message: str, place: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        form: Any = Settings
        for part in place[:-1]:
            if get_origin(form) is dict:
                form = get_args(form)[1]
            else:
                form = form.model_fields[str(part)].annotation
        known = list(form.model_fields)
        hint = suggestion(str(place[-1]), known) or f" Known here: {', '.join(known)}."
        return f"there is no such setting.{hint}"
    if place[0] == "databases" and kind == "string_pattern_mismatch":
        return "a name has lower-case letters, digits, - and _, at most 63 of them."
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return "a size is expected here, such as 512MiB or 4GiB."
    return message[:1].lower() + message[1:].rstrip(".") + "."
