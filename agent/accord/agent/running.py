# SPDX-License-Identifier: Apache-2.0
"""The running agent, put together: identity, answerer, connection, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import structlog

from accord.agent.answer import StoreAnswerer, utc_now
from accord.agent.machine.locking import lock_file
from accord.agent.monitoring import METRICS_PORT
from accord.agent.network.connection import Timing, run
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.link import Link
from accord.agent.network.presence import (
    Always,
    AtWindows,
    OneContact,
    Presence,
    Window,
    common_window,
)
from accord.agent.network.spans import NO_SPANS, Spans
from accord.agent.policies import AgencyPolicies
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.errors import AccordError, ConfigurationError, Conflict
from accord.rpc.address import parse_address
from accord.rpc.logs import configure


def run_agent(
    state: AgentState, settings: Settings, contact: OneContact | None = None
) -> None:
    """Answer until SIGTERM or SIGINT, or for one contact.

    Args:
        state: the agent's directory.
        settings: they say when to be connected where there is no *contact*.
        contact: come once, and leave when nothing waits any more.

    Raises:
        Conflict: AGENT_RUNNING, another process answers for this state.
        ConfigurationError: not enrolled, or something in the state is broken.
        Unauthenticated: the certificate has ended.
        AccordError: the one contact did not come about.
    """
    configure("agent", level=settings.log_level)
    files = IdentityFiles(state.keys)
    with _only_one(state), state.kept_open():
        agency = files.load().membership.agency
        answerer = StoreAnswerer(state, agency=agency, settings=settings)
        timing = Timing(slot=float(settings.answer_slot_seconds))
        presence = contact or presence_of(state, agency, settings)
        link = Link()
        with _figures(state, agency, settings, link), _spans(settings) as spans:
            work = run(
                files,
                answerer,
                timing=timing,
                presence=presence,
                link=link,
                spans=spans,
            )
            asyncio.run(_until_told(work))


def presence_of(state: AgentState, agency: str, settings: Settings) -> Presence:
    """Return when an agent is connected that runs until it is told to stop."""
    if settings.stay_connected == "always":
        return Always()
    return AtWindows(find=partial(find_window, state, agency))


def find_window(
    state: AgentState, agency: str, moment: datetime.datetime
) -> Window | None:
    """Return the window of all agreements that is open at *moment*, or the next.

    Read anew each time: a contact may have brought other agreements.
    """
    try:
        agreements = [
            policy.agreement for policy in AgencyPolicies(state, agency).policies()
        ]
    except AccordError as error:
        structlog.get_logger().warning("policy.unreadable", reason=error.reason)
        return None
    clauses = [
        agreement.form.rounds
        for agreement in agreements
        if agency in agreement.parties and moment.date() <= agreement.form.valid.until
    ]
    return common_window(clauses, moment)


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no such handlers: Ctrl-C raises there, and a task is ended.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _figures(
    state: AgentState, agency: str, settings: Settings, link: Link
) -> AbstractContextManager[object]:
    """Show figures for as long as the block lasts, if they are asked for.

    Raises:
        ConfigurationError: LIBRARY_MISSING or PORT_UNAVAILABLE.
    """
    if settings.metrics.address is None:
        return contextlib.nullcontext()
    try:
        from accord.agent.metrics.figures import Figures
        from accord.agent.metrics.listener import listening
    except ImportError:
        raise ConfigurationError(
            "LIBRARY_MISSING",
            "Figures are asked for below [metrics] in config.toml, and the library "
            "that writes them is not installed: install `accord-agent[metrics]`, or "
            "take the address out.",
        ) from None
    figures = Figures(state, agency=agency, settings=settings, link=link, clock=utc_now)
    address = parse_address(settings.metrics.address, METRICS_PORT)
    return listening(address, figures.text)


def _spans(settings: Settings) -> AbstractContextManager[Spans]:
    """Export traces for as long as the block lasts, if they are asked for.

    Raises:
        ConfigurationError: LIBRARY_MISSING.
    """
    endpoint = settings.tracing.endpoint
    if endpoint is None:
        return contextlib.nullcontext(NO_SPANS)
    try:
        from accord.agent.tracing import exporting
    except ImportError:
        raise ConfigurationError(
            "LIBRARY_MISSING",
            "Traces are asked for below [tracing] in config.toml, and the library that "
            "sends them is not installed: install `accord-agent[tracing]`, or take the "
            "endpoint out.",
        ) from None
    return exporting(endpoint, float(settings.answer_slot_seconds))


@contextlib.contextmanager
def _only_one(state: AgentState) -> Iterator[None]:
    try:
        descriptor = lock_file(state.root / ".running", wait=False)
    except BlockingIOError:
        raise Conflict(
            "AGENT_RUNNING",
            f"Another `accord-agent run` answers from {state.root} already.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
