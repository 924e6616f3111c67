# SPDX-License-Identifier: Apache-2.0
"""The whole examination, in the order in which things have to be right."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from accord.agent.doctor import files, machine, network, standing
from accord.agent.doctor.finding import Finding, Verdict, from_error, warning
from accord.agent.network.identity import Identity, IdentityFiles
from accord.agent.state import AgentState
from accord.core.errors import AccordError
from accord.rpc.address import PUBLIC_PORT, Address


def examine(
    state: AgentState, hub: Address | None, now: datetime.datetime
) -> Iterator[Finding]:
    """Yield what there is to say, as far as the agent has come.

    Args:
        state: may be missing.
        hub: public port of the hub, if somebody named it.
        now: the time of this machine.
    """
    yield machine.program()
    yield machine.clock()
    yield from machine.disk(state.root)
    try:
        here = state.is_set_up()
    except AccordError as error:
        yield from_error("state", error)
        return  # nothing else can be seen by this user
    yield from files.state_directory(state)
    if here:
        yield from files.keys(state)
        yield files.settings(state.config)
    identity: Identity | None = None
    if here and IdentityFiles(state.keys).enrolled():
        try:
            identity = IdentityFiles(state.keys).load()
        except AccordError as error:
            yield from_error("certificate", error)
    yield from _network(identity, hub, now)
    if here and identity is not None:
        yield from standing.policies(state, now)
        yield from standing.approvals(state)
    if here:
        yield from standing.databases(state)
        yield from standing.mappings(state)
        yield from standing.store(state, now)


def _network(
    identity: Identity | None, hub: Address | None, now: datetime.datetime
) -> Iterator[Finding]:
    if identity is None:
        yield warning(
            "enrolment",
            "This agent has joined no hub yet."
            if hub is not None
            else "This agent has joined no hub yet; the way to one was not looked at.",
            "Run `accord-agent enrol` with the token from the hub's operator."
            if hub is not None
            else "Run `accord-agent enrol` with the token from the hub's operator. To "
            "try the way to the hub before, give --hub HOST:PORT.",
        )
        if hub is not None:
            yield network.proxy(hub)
            yield from network.port("public port", hub, None, now)
        return
    agents = identity.membership.hub
    yield network.proxy(agents)
    own = network.certificate(identity, now)
    yield own
    public = hub or Address(agents.host, PUBLIC_PORT)
    reached = list(network.port("agents' port", agents, identity.authority, now))
    yield from reached
    if not any(finding.verdict == "wrong" for finding in (own, *reached)):
        yield network.admission(identity)
    # Only an enrolment needs it, and its port may be another one.
    found = network.port("public port", public, identity.authority, now, needed=False)
    for each in found:
        if each.thing != "time":
            yield each if hub is not None else _guessed(each, public)


def _guessed(found: Finding, public: Address) -> Finding:
    """Say of a port that nobody named why it was looked at.

    What answers there, if it is not the hub, may have every right to: it is not said
    to stand in between.
    """
    if found.verdict is Verdict.OK:
        return found
    what = found.sentence if found.reason else "What answers there is another program."
    return Finding(
        found.thing,
        Verdict.WARNING,
        f"Nobody named the hub's public port, so {public} was looked at. {what}",
        "Only an enrolment needs that port. If it is another one, name it with "
        "--hub HOST:PORT.",
        found.reason,
    )
