# SPDX-License-Identifier: Apache-2.0
"""Set up a hub, check it, serve it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.lint import errors, lint
from accord.hub.audit import Event, note
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    governed,
    moment_text,
    now,
    opened,
    show,
)
from accord.hub.cli.databases import (
    DatabaseOption,
    dangers_of,
    described,
    in_words,
    place_of_new,
)
from accord.hub.contact.standing import note_restored
from accord.hub.db.engine import Store, moment, open_store
from accord.hub.governance.standing import InForce
from accord.hub.identity.authority import (
    Authority,
    create_authority,
    load_authority,
)
from accord.hub.settings import config_text, load_settings
from accord.hub.state import State, find_state, write_new

SAMPLE_NETWORK: Final = "sample-network"
"""The network of the sample policies; a real one has a name of its own."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

_SOON: Final = dt.timedelta(days=30)

Port = Annotated[int, typer.Option(min=0, max=65_535)]


def init(
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host", help="Name or address by which others call the hub; repeat."
        ),
    ] = None,
    network: Annotated[
        str, typer.Option(help="Name of the network, as members.yaml says it.")
    ] = SAMPLE_NETWORK,
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104  # it is there for others
    public_port: Port = 8443,
    agent_port: Port = 8444,
    database: DatabaseOption = None,
    *,
    existing_keys: Annotated[
        bool,
        typer.Option(
            "--existing-keys",
            help="Be the hub again whose keys are there, of which all else is lost.",
        ),
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a new hub: keys, database and settings.

    Nothing that exists is ever overwritten. It has no policies before a board has
    signed some.
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
        if path.exists() and not (existing_keys and path == place.keys)
    ]
    if existing:
        raise ConfigurationError(
            "STATE_EXISTS",
            f"There is a hub, or a part of one, in {place.root} already"
            f" ({', '.join(existing)}): nothing was changed. Name another folder with"
            " --state, or move this one away yourself.",
        )
    store = Store(place_of_new(place, database))
    try:
        text = config_text(
            hosts=hosts,
            listen=listen,
            public_port=public_port,
            agent_port=agent_port,
            database=database,
        )
        authority = _make(place, network, store, text, existing_keys=existing_keys)
    except OSError as error:
        raise ConfigurationError(
            "STATE_NOT_WRITABLE",
            f"The hub's state in {place.root} cannot be written:"
            f" {error.strerror or type(error).__name__}.",
        ) from None
    finally:
        store.close()
    show(
        {
            "state": str(place.root),
            "network": network,
            "fingerprint": authority.fingerprint.hex(),
            "key": authority.hub_form.key,
            "freshness": authority.hub_form.freshness,
            "public_port": public_port,
            "agent_port": agent_port,
            "database": described(store.place),
        },
        as_json=as_json,
        text=f"The hub is in {place.root}.\n"
        f"{in_words(store.place)}\n"
        f"Fingerprint of its authority: {authority.fingerprint.hex()}\n"
        "Next: give the board what `accord-hub keys` prints; then `accord-hub serve`.",
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
    place: State, network: str, store: Store, settings: str, *, existing_keys: bool
) -> Authority:
    """Write everything; the settings come last and say that it is complete."""
    known = load_authority(place.keys, now()) if existing_keys else None
    place.root.mkdir(parents=True, exist_ok=True)
    place.root.chmod(0o700)
    store.create()
    place.policies.mkdir()
    if known is None:
        place.keys.mkdir(mode=0o700)
        known = create_authority(place.keys, network, now())
    else:
        with store.write() as tx:
            # As from a copy that is older than everything.
            note_restored(tx, copied_at=moment(0), at=now())
            note(tx, Event.HUB_RESTORED, now(), epoch=0)
    write_new(place.config, settings.encode())
    return known


def serve(state: StateOption = None, as_json: AsJson = False) -> None:
    """Serve analysts and agents until told to stop (SIGTERM or Ctrl-C).

    Log lines go to standard error; one line on standard output says when it is ready.
    """
    from accord.hub import process
    from accord.hub.serve import Addresses
    from accord.rpc.logs import configure

    place = opened(state)
    configure("hub")
    if load_settings(place.config).unsafe_test_mode:
        _warn()

    def ready(addresses: Addresses) -> None:
        if as_json:
            line = json.dumps(
                {
                    "ready": True,
                    "public": addresses.public,
                    "agents": addresses.agents,
                    "transparency": addresses.transparency,
                }
            )
        else:
            line = f"hub.ready public={addresses.public} agents={addresses.agents}"
            if addresses.transparency:
                line += f" transparency={addresses.transparency}"
        typer.echo(line)
        sys.stdout.flush()

    process.serve(place, ready)


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
    store = open_store(place, settings)
    try:
        height = store.check()
        warnings = [*store.dangers(), *dangers_of(place, store.place)]
    finally:
        store.close()
    with governed(place) as standing:
        found = standing.in_force
        fresh_until = standing.fresh_until
    if settings.unsafe_test_mode:
        warnings.append("unsafe_test_mode is on: no cap on spending is applied.")
    warnings.extend(_about_policies(found, fresh_until))
    policies = found.policies if found else None
    agreements = sorted(policies.agreements) if policies else []
    show(
        {
            "state": str(place.root),
            "fingerprint": authority.fingerprint.hex(),
            "policies_version": policies.version if policies else 0,
            "agreements": agreements,
            "models": sorted(policies.models) if policies else [],
            "members": sorted(policies.members.members) if policies else [],
            "signed_until": moment_text(found.expires) if found else None,
            "fresh_until": moment_text(fresh_until) if fresh_until else None,
            "ledger_height": height,
            "database": described(store.place),
            "warnings": warnings,
        },
        as_json=as_json,
        text="\n".join(
            [
                f"Settings, keys, database and policies in {place.root} are good.",
                in_words(store.place),
                f"Agreements: {', '.join(agreements) or 'none'}.",
                *_signatures(found, fresh_until),
                *(f"Warning: {warning}" for warning in warnings),
            ]
        ),
    )


def _about_policies(
    found: InForce | None, fresh_until: dt.datetime | None
) -> Iterator[str]:
    """Yield what an operator should do about the policies."""
    if found is None:
        yield "no policies are in force: the board has to sign and publish some."
        return
    moment, today = now(), now().date()
    if not found.ours:
        yield (
            "members.yaml lists other keys for the hub than this one has: the board has"
            " to list those of `accord-hub keys`."
        )
    if moment >= found.expires:
        yield "the board's signatures have ended: it has to renew them."
    elif moment + _SOON >= found.expires:
        day = found.expires.date()
        yield f"the board's signatures end on {day}: it has to renew them."
    if fresh_until is not None and moment >= fresh_until:
        yield "freshness has ended: `accord-hub serve` signs it anew."
    for name, agreement in sorted(found.policies.agreements.items()):
        if not agreement.form.valid.first <= today <= agreement.form.valid.until:
            yield f"agreements/{name}.yaml is not valid today."
    for path in sorted(found.ended):
        yield f"the signatures under {path} have ended: it holds no more."
    for finding in errors(lint(found.policies.documents.documents)):
        yield f"the board would have to correct this: {finding}"


def _signatures(
    found: InForce | None, fresh_until: dt.datetime | None
) -> Iterator[str]:
    if found is not None and fresh_until is not None:
        yield (
            f"Policies: version {found.policies.version}, signed by the board until"
            f" {moment_text(found.expires)}, fresh until {moment_text(fresh_until)}."
        )
