# SPDX-License-Identifier: Apache-2.0
"""What lies in deploy/ fits the program: settings, units, images."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from accord.agent.settings import STATE_VARIABLE as AGENT_STATE_VARIABLE
from accord.agent.settings import load_settings as load_agent_settings
from accord.hub.settings import PREFIX, HubSettings
from accord.hub.settings import load_settings as load_hub_settings
from accord.hub.state import STATE_VARIABLE as HUB_STATE_VARIABLE
from tests.packaging.distributions import ROOT, project

DEPLOY = ROOT / "deploy"
PARTS = ("hub", "agent")
PORTS = ("public", "agent")
ONCE = "accord-agent-once.service"
TIMER = "accord-agent.timer"
INGEST = "accord-agent-ingest.service"
NIGHTLY = "accord-agent-ingest.timer"
UNITS = (
    ("hub", "accord-hub.service"),
    ("agent", "accord-agent.service"),
    ("agent", ONCE),
    ("agent", INGEST),
)
STATE_VARIABLES = {"hub": HUB_STATE_VARIABLE, "agent": AGENT_STATE_VARIABLE}

SHUT_IN = {
    "ProtectSystem": "strict",
    "NoNewPrivileges": "true",
    "CapabilityBoundingSet": "",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "SocketBindDeny": "any",
    "LimitCORE": "0",
    **dict.fromkeys(
        (
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "ProtectClock",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectControlGroups",
            "RestrictSUIDSGID",
            "RestrictNamespaces",
            "LockPersonality",
        ),
        "true",
    ),
}
"""What every unit has to say."""


def unit_path(part: str, name: str | None = None) -> Path:
    return DEPLOY / part / (name or f"accord-{part}.service")


def unit(part: str, name: str | None = None) -> dict[str, dict[str, list[str]]]:
    """Return a unit: section, key, values in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for line in unit_path(part, name).read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        if text.startswith("["):
            current = sections.setdefault(text.strip("[]"), {})
            continue
        key, equals, value = text.partition("=")
        assert equals, text
        current.setdefault(key, []).append(value)
    return sections


def instructions(part: str) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile with their arguments."""
    text = (DEPLOY / part / "Containerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [
        line.strip().partition(" ") for line in joined.splitlines() if line.strip()
    ]
    return [(word, " ".join(rest.split())) for word, _, rest in found]


def packaged() -> list[str]:
    """Return the folders of the wheel of everything."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tools = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["wheel"]
    return list(tools["only-include"])


def command_of(program: str, word: str) -> Any:  # noqa: ANN401 - typer has no name for it in all versions
    """Return one command of a program, or nothing."""
    module = importlib.import_module(f"accord.{program.removeprefix('accord-')}.cli")
    command = typer.main.get_command(module.app)
    return getattr(command, "commands", {}).get(word)


def is_command(program: str, word: str) -> bool:
    return command_of(program, word) is not None


# Settings


def test_the_sample_settings_of_a_hub_are_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in HubSettings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    found = load_hub_settings(DEPLOY / "hub/config.toml")
    assert not found.unsafe_test_mode
    assert found.hosts


def test_the_sample_settings_of_an_agent_are_accepted() -> None:
    found = load_agent_settings(DEPLOY / "agent/config.toml", {})
    assert not found.unsafe_test_mode
    unset = load_agent_settings(DEPLOY / "absent.toml", {})
    assert found.lifetime.zcdp.epsilon < unset.lifetime.zcdp.epsilon


# systemd


@pytest.mark.parametrize("part", PARTS)
def test_a_unit_starts_a_command_that_exists(part: str) -> None:
    service = unit(part)["Service"]
    (start,) = service["ExecStart"]
    program, word, *rest = shlex.split(start)
    assert Path(program).name == f"accord-{part}"
    assert is_command(f"accord-{part}", word)
    assert not rest
    (state,) = service["StateDirectory"]
    assert service["Environment"] == [f"{STATE_VARIABLES[part]}=/var/lib/{state}"]


@pytest.mark.parametrize(("part", "name"), UNITS)
def test_a_unit_shuts_the_program_in(part: str, name: str) -> None:
    service = unit(part, name)["Service"]
    for key, value in SHUT_IN.items():
        assert service.get(key) == [value], key
    assert service["User"] != ["root"]
    assert "SystemCallFilter" in service
    assert "AF_INET" in service["RestrictAddressFamilies"][0]


def test_the_timer_starts_one_contact_of_the_agent() -> None:
    timer = unit("agent", TIMER)["Timer"]
    assert timer["Unit"] == [ONCE]
    assert timer["OnCalendar"][0].endswith(" UTC")
    service = unit("agent", ONCE)["Service"]
    assert service["Type"] == ["oneshot"]
    assert "Install" not in unit("agent", ONCE)
    (start,) = service["ExecStart"]
    _, word, *rest = shlex.split(start)
    command = command_of("accord-agent", word)
    command.make_context(word, list(rest))  # refuses what is no option
    assert rest[0] == "--once"


def test_one_contact_runs_as_the_agent_that_stays_does() -> None:
    differ = {"Type", "ExecStart", "TimeoutStartSec"}
    restarts = {"Restart", "RestartSec", "RestartPreventExitStatus"}
    always, once = unit("agent")["Service"], unit("agent", ONCE)["Service"]
    assert set(always) - set(once) == restarts
    for key in set(once) - differ:
        assert once[key] == always[key], key


def test_the_nightly_timer_ingests() -> None:
    assert unit("agent", NIGHTLY)["Timer"]["Unit"] == [INGEST]
    service = unit("agent", INGEST)["Service"]
    assert service["Type"] == ["oneshot"]
    assert "Install" not in unit("agent", INGEST)
    (start,) = service["ExecStart"]
    _, word, *rest = shlex.split(start)
    assert word == "ingest"
    command_of("accord-agent", word).make_context(word, list(rest))


def test_an_ingest_is_shut_in_as_the_agent_is() -> None:
    differ = {"Type", "ExecStart", "TimeoutStartSec"}
    once, ingest = unit("agent", ONCE)["Service"], unit("agent", INGEST)["Service"]
    assert set(ingest) == set(once)
    for key in set(once) - differ:
        assert ingest[key] == once[key], key


def test_cron_starts_what_the_timer_starts() -> None:
    text = (DEPLOY / "agent/README.md").read_text(encoding="utf-8")
    (start,) = unit("agent", ONCE)["Service"]["ExecStart"]
    assert start in text


def test_only_the_hub_may_listen_and_on_its_ports_only() -> None:
    for name in (None, ONCE):
        assert "SocketBindAllow" not in unit("agent", name)["Service"]
    ports = {HubSettings.model_fields[f"{name}_port"].default for name in PORTS}
    allowed = unit("hub")["Service"]["SocketBindAllow"]
    assert set(allowed) == {f"tcp:{port}" for port in ports}


@pytest.mark.parametrize(
    ("part", "name"), [*UNITS, ("agent", TIMER), ("agent", NIGHTLY)]
)
def test_systemd_accepts_the_unit(part: str, name: str, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze on this machine")
    for path in unit_path(part, name).parent.iterdir():
        if path.suffix in {".service", ".timer"}:
            # The program is not installed where the unit expects it.
            text = re.sub(
                r"^ExecStart=\S+",
                f"ExecStart={sys.executable}",
                path.read_text(encoding="utf-8"),
                flags=re.MULTILINE,
            )
            (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [tool, "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if name in line]
    assert complaints == []


# Images


@pytest.mark.parametrize("part", PARTS)
def test_an_image_stands_on_a_plain_python(part: str) -> None:
    """The agent's can be given by its digest, which nobody can know beforehand."""
    found = instructions(part)
    given = dict(rest.split("=", 1) for word, rest in found if word == "ARG")
    images = [rest for word, rest in found if word == "FROM"]
    assert images
    for image in images:
        plain = image.replace("${PYTHON}", given.get("PYTHON", ""))
        assert re.fullmatch(r"python:3\.\d+-slim( AS \w+)?", plain), image


def test_the_agents_image_says_what_it_is_and_how_it_is() -> None:
    rests = dict(instructions("agent"))
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', rests["LABEL"])
    )
    assert labels["licenses"] == project(ROOT / "agent")["license"]
    assert labels["description"] == project(ROOT / "agent")["description"]
    _, _, command = rests["HEALTHCHECK"].partition(" CMD ")
    program, word = json.loads(command)
    assert is_command(program, word)


@pytest.mark.parametrize("part", PARTS)
def test_an_image_holds_no_secret(part: str) -> None:
    for word, rest in instructions(part):
        if word in {"ARG", "ENV", "COPY"}:
            assert not re.search(r"(?i)secret|password|token|\.key\b|\.pem\b", rest)


@pytest.mark.parametrize("part", PARTS)
def test_an_image_runs_without_rights(part: str) -> None:
    found = instructions(part)
    last = [rest for word, rest in found if word == "USER"][-1]
    assert last == f"accord-{part}"
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    assert any(word == "USER" for word, _ in found[start:])
    made = " ".join(rest for word, rest in found[start:] if word == "RUN")
    assert f"accord-{part}" in made
    assert "--uid" in made


@pytest.mark.parametrize("part", PARTS)
def test_an_image_fetches_only_what_the_lock_names(part: str) -> None:
    text = (DEPLOY / part / "Containerfile").read_text(encoding="utf-8")
    assert not re.search(r"\b(curl|wget|ADD|apt-get)\b|\|\s*(ba)?sh\b|://", text)
    installs = [
        line
        for word, rest in instructions(part)
        if word == "RUN"
        for line in rest.split("&&")
        if re.search(r"\bpip\b.*\b(install|download)\b", line)
    ]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line


@pytest.mark.parametrize("part", PARTS)
def test_an_image_copies_what_is_there_and_starts_the_program(part: str) -> None:
    found = instructions(part)
    for word, rest in found:
        if word == "COPY" and not rest.startswith("--from="):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
    rests = dict(found)
    if part == "hub":
        copied = {rest.split()[0] for word, rest in found if word == "COPY"}
        assert {Path(path).parts[0] for path in packaged()} <= copied
    assert json.loads(rests["ENTRYPOINT"]) == [f"accord-{part}"]
    (word,) = json.loads(rests["CMD"])
    assert is_command(f"accord-{part}", word)
    state = f"{STATE_VARIABLES[part]}={rests['VOLUME']}"
    assert state in rests["ENV"]
    exposed = rests.get("EXPOSE", "")
    assert exposed == ("8443 8444" if part == "hub" else "")


@pytest.mark.parametrize("part", PARTS)
def test_every_file_is_named_by_its_page(part: str) -> None:
    text = (DEPLOY / part / "README.md").read_text(encoding="utf-8")
    for path in (DEPLOY / part).iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in text
