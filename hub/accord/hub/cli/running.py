# SPDX-License-Identifier: Apache-2.0
"""Set up a hub, check it, serve it."""

from __future__ import annotations

import importlib.resources
import ipaddress
import json
import re
import shutil
import sys
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.members import load_members
from accord.hub.cli.common import AsJson, StateOption, now, opened, show
from accord.hub.db.engine import Store
from accord.hub.identity.authority import create_authority, load_authority
from accord.hub.policies import MEMBERS, load_policies
from accord.hub.settings import config_text, load_settings
from accord.hub.state import State, find_state, write_new

_COPIED = ("README.md", MEMBERS, "agreements", "models")
"""Parts of the sample policies that a new hub starts with."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

Port = Annotated[int, typer.Option(min=0, max=65_535)]


def init(
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host", help="Name or address by which others call the hub; repeat."
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104  # it is there for others
    public_port: Port = 8443,
    agent_port: Port = 8444,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a new hub: keys, database, settings and sample policies.

    Nothing that exists is ever overwritten.
    """
    place = find_state(state)
    hosts = host or ["localhost", "127.0.0.1"]
    for each in hosts:
        if not _is_host(each):
            raise InvalidQuery(
                "HOST_INVALID", f"{each[:80]!r} is no name or address of a host."
            )
    if not _is_address(listen):
        raise InvalidQuery(
            "HOST_INVALID", f"{listen[:80]!r} is no IP address to listen on."
        )
    existing = [
        path.name
        for path in (place.config, place.database, place.keys, place.policies)
        if path.exists()
    ]
    if existing:
        raise ConfigurationError(
            "STATE_EXISTS",
            f"There is a hub, or a part of one, in {place.root} already"
            f" ({', '.join(existing)}): nothing was changed. Name another folder with"
            " --state, or move this one away yourself.",
        )
    try:
        fingerprint, network = _make(place, hosts, listen, (public_port, agent_port))
    except OSError as error:
        raise ConfigurationError(
            "STATE_NOT_WRITABLE",
            f"The hub's state in {place.root} cannot be written:"
            f" {error.strerror or type(error).__name__}.",
        ) from None
    show(
        {
            "state": str(place.root),
            "network": network,
            "fingerprint": fingerprint,
            "public_port": public_port,
            "agent_port": agent_port,
        },
        as_json=as_json,
        text=f"The hub is in {place.root}.\n"
        f"Policies to edit: {place.policies}\n"
        f"Fingerprint of its authority: {fingerprint}\n"
        "Next: `accord-hub check-config`, then `accord-hub serve`.",
    )


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _make(
    place: State, hosts: list[str], listen: str, ports: tuple[int, int]
) -> tuple[str, str]:
    """Write everything; the settings come last and say that it is complete."""
    place.root.mkdir(parents=True, exist_ok=True)
    place.root.chmod(0o700)
    package = importlib.resources.files("accord.policies")
    place.policies.mkdir()
    for name in _COPIED:
        _copy(package / name, place.policies / name)
    members = load_members((place.policies / MEMBERS).read_text("utf-8"), MEMBERS)
    place.keys.mkdir(mode=0o700)
    authority = create_authority(place.keys, members.network, now())
    store = Store(place.database)
    try:
        store.create()
    finally:
        store.close()
    text = config_text(
        hosts=hosts, listen=listen, public_port=ports[0], agent_port=ports[1]
    )
    write_new(place.config, text.encode())
    return authority.fingerprint.hex(), members.network


def _copy(source: Traversable, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for each in source.iterdir():
            if each.name.endswith(".yaml"):
                _copy(each, target / each.name)
    else:
        with source.open("rb") as read, target.open("xb") as write:
            shutil.copyfileobj(read, write)


def serve(state: StateOption = None, as_json: AsJson = False) -> None:
    """Serve analysts and agents until told to stop (SIGTERM or Ctrl-C).

    Log lines go to standard error; one line on standard output says when it is ready.
    """
    from accord.hub import serve as serving
    from accord.rpc.logs import configure

    place = opened(state)
    configure("hub")
    if load_settings(place.config).unsafe_test_mode:
        _warn()

    def ready(addresses: serving.Addresses) -> None:
        if as_json:
            line = json.dumps(
                {
                    "ready": True,
                    "public": addresses.public,
                    "agents": addresses.agents,
                }
            )
        else:
            line = f"hub.ready public={addresses.public} agents={addresses.agents}"
        typer.echo(line)
        sys.stdout.flush()

    serving.serve(place, ready)


def _warn() -> None:
    import structlog

    structlog.get_logger().warning("unsafe_test_mode.enabled")
    typer.echo(
        "UNSAFE TEST MODE: no cap on spending is applied. Never with real records.",
        err=True,
    )


def check_config(state: StateOption = None, as_json: AsJson = False) -> None:
    """Check settings, keys, database and every policy; change nothing."""
    place = opened(state)
    settings = load_settings(place.config)
    authority = load_authority(place.keys, now())
    policies = load_policies(place.policies)
    store = Store(place.database)
    try:
        height = store.check()
    finally:
        store.close()
    warnings = []
    if settings.unsafe_test_mode:
        warnings.append("unsafe_test_mode is on: no cap on spending is applied.")
    today = now().date()
    warnings.extend(
        f"agreements/{name}.yaml is not valid today."
        for name, agreement in sorted(policies.agreements.items())
        if not agreement.form.valid.first <= today <= agreement.form.valid.until
    )
    show(
        {
            "state": str(place.root),
            "fingerprint": authority.fingerprint.hex(),
            "agreements": sorted(policies.agreements),
            "models": sorted(policies.models),
            "members": sorted(policies.members.members),
            "ledger_height": height,
            "warnings": warnings,
        },
        as_json=as_json,
        text="\n".join(
            [
                f"Settings, keys, database and policies in {place.root} are good.",
                f"Agreements: {', '.join(sorted(policies.agreements)) or 'none'}.",
                *(f"Warning: {warning}" for warning in warnings),
            ]
        ),
    )
