# SPDX-License-Identifier: Apache-2.0
"""Whether this agency may answer, and has something to answer from."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from accord.agent.approvals.words import misnamed
from accord.agent.doctor.finding import Finding, Verdict, from_error, ok, warning, wrong
from accord.agent.intake.openness import OPEN, refuse_open
from accord.agent.intake.parts import parts_of
from accord.agent.policies import AgencyPolicies, policies_of, read_document
from accord.agent.sources.access import access_to
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import calendars, held_editions
from accord.core.errors import AccordError


def policies(state: AgentState, now: datetime.datetime) -> Iterator[Finding]:
    """Say whether a board is pinned, and lists this agency with this key."""
    try:
        believed = policies_of(state)
        pinned, view = believed.pinned(), believed.view()
    except AccordError as error:
        yield from_error("policies", error)
        return
    if pinned is None:
        yield wrong(
            "policies",
            "No board is pinned: nobody has confirmed whose policies to believe.",
            "Run `accord-agent enrol`, with the six words of the board.",
        )
        return
    if view is None:
        yield warning(
            "policies",
            "A board is pinned, and its policies were not fetched yet.",
            "`accord-agent run` fetches them.",
        )
        return
    try:
        own = state.secret_keys(believed.label).public
        view = believed.require_trust(own, now)
    except AccordError as error:
        yield from_error("policies", error)
        return
    yield ok(
        "policies",
        f"The policies are in force until {view.fresh_until:%Y-%m-%d %H:%M} UTC, and "
        "list this agency with this key.",
    )
    names = ", ".join(policy.name for policy in believed.policies())
    if names:
        yield ok("agreements", f"This agency is in: {names}.")
    else:
        yield warning(
            "agreements",
            "No agreement names this agency.",
            "Ask your board; until then nothing is asked of this agent.",
        )


def approvals(state: AgentState) -> Iterator[Finding]:
    """Say whether people are to approve questions under what is no agreement."""
    try:
        found = list(misnamed(state))
    except AccordError:
        return  # said of settings and policies already
    for line in found:
        yield warning(
            "approvals", line, "Correct `needed` below [approval] in config.toml."
        )


def databases(state: AgentState) -> Iterator[Finding]:
    """Say whether the databases of the settings can be reached."""
    try:
        named = state.settings().databases
    except AccordError:
        return  # said of the settings already
    for name in named:
        try:
            access_to(name, named, state.root).reach()
            yield ok("database", f"The database {name!r} can be reached.")
        except AccordError as error:
            yield from_error("database", error)


def mappings(state: AgentState) -> Iterator[Finding]:
    """Say whether a drafted mapping still has questions."""
    if not state.mappings.is_dir():
        return
    for path in sorted(state.mappings.glob("*.yaml")):
        try:
            text = read_document(path)
        except AccordError as error:
            yield from_error("mapping", error, Verdict.WARNING)
            continue
        try:
            refuse_open(text, path.name)
        except AccordError:
            yield warning(
                "mapping",
                f"{path} has questions that nobody has answered.",
                f"Put an answer where it says {OPEN}, then `accord-agent ingest`.",
            )


def store(state: AgentState, now: datetime.datetime) -> Iterator[Finding]:
    """Say whether there is a store that the agreements can be answered from."""
    try:
        parts = parts_of(state.current)
    except AccordError as error:
        yield from_error("store", error)
        return
    if not parts:
        yield warning(
            "store",
            "Nothing was ingested yet.",
            "`accord-agent ingest -m MAPPING SOURCE…`; `accord-agent draft` writes a "
            "first mapping.",
        )
        return
    try:
        Columns.open(state.current).close()
    except AccordError as error:
        yield from_error("store", error)
        return
    try:
        believed = policies_of(state)
        wanted = {model.name: model.digest for _, model in believed.agreements()}
    except AccordError:
        return  # said of the certificate or the policies already
    stale = [
        part.name
        for part in parts.values()
        if wanted and wanted.get(part.data_model) != part.model_digest
    ]
    for name in stale:
        yield wrong(
            "store",
            f"The part {name!r} was ingested with another data model than the "
            "agreements have: it answers none of them.",
            f"`accord-agent remove {name}`, then ingest it again.",
        )
    if not stale:
        names = ", ".join(sorted(parts))
        fits = " and fits the agreements" if wanted else ""
        yield ok("store", f"The store has {names}{fits}.")
    yield from _editions(state, believed, now)


def _editions(
    state: AgentState, believed: AgencyPolicies, now: datetime.datetime
) -> Iterator[Finding]:
    try:
        held = {
            (each.every, each.embargo_days, each.name) for each in held_editions(state)
        }
    except AccordError as error:
        yield from_error("editions", error)
        return
    missing = sorted(
        f"{calendar.name}/{name}"
        for calendar in calendars(believed.agreements())
        if (name := calendar.due(now.date()))
        and (calendar.every, calendar.embargo_days, name) not in held
    )
    if missing:
        yield warning(
            "editions",
            f"Due and not frozen yet: {', '.join(missing)}.",
            "`accord-agent run` freezes them, and so does `accord-agent freeze`.",
        )
    elif held:
        yield ok("editions", "Every edition that is due is frozen.")
