# SPDX-License-Identifier: Apache-2.0
"""The command ``report``: this agency's own exact tables, for itself and its funders.

The hub is not asked and hears nothing of it; it costs no budget, since nothing leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import structlog
import typer
from rich.table import Table

from accord.agent.answer import utc_now
from accord.agent.approvals.decisions import questions
from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import print_json, print_line
from accord.agent.cli.wording import (
    AgreementOption,
    ByOption,
    EditionOption,
    WhereOption,
    policy_named,
    query_worded,
)
from accord.agent.own_table.files import (
    as_csv,
    as_workbook,
    lines,
    notes,
    write_privately,
)
from accord.agent.own_table.table import OwnTable, beside, count
from accord.agent.policies import policies_of
from accord.agent.rounds.vectors import open_current, open_edition
from accord.agent.state import AgentState, state_root
from accord.agent.store.editions import edition_folder, held_editions
from accord.core.calendar import edition_due
from accord.core.errors import InvalidQuery, PreconditionFailed
from accord.core.policy import Policy
from accord.rpc.logs import configure

if TYPE_CHECKING:
    from accord.agent.rounds.vectors import Cases

_AS_THEY_ARE: Final[Mapping[str, str]] = {
    "local": "the records as they were read in last",
    "database": "the records as they are in the database",
}


def report(  # every one is an option
    *,
    by: ByOption = None,
    measure: Annotated[
        str, typer.Option("--measure", help="persons or cases.")
    ] = "persons",
    where: WhereOption = None,
    agreement: AgreementOption = None,
    edition: EditionOption = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="From the records as they are, not an edition."),
    ] = False,
    release: Annotated[
        Path | None,
        typer.Option(
            "--beside",
            metavar="RELEASE.json",
            help="Show the published figures of all agencies beside; as"
            " `accord release ID --json` prints them.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="Write a table.", show_default=False
        ),
    ] = None,
    xlsx: Annotated[
        Path | None,
        typer.Option(
            "--xlsx", metavar="FILE", help="Write a workbook.", show_default=False
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Count this agency's own records exactly; for its own eyes, nothing leaves."""
    if now and edition is not None:
        raise InvalidQuery("OPTION_ALONE", "--now and --edition exclude each other.")
    opened = AgentState.open(state_root(state))
    policy = policy_named(policies_of(opened), agreement)
    name, source, cases = _records(opened, policy, edition, now=now)
    with cases:
        query = query_worded(policy, name, measure=measure, by=by, where=where)
        _warn_of_waiting(opened)
        table = count(cases, query, policy.model, source)
    if release is not None:
        table = beside(table, release)
    if csv is not None:
        write_privately(csv, as_csv(table))
    if xlsx is not None:
        write_privately(xlsx, as_workbook(table))
    if as_json:
        print_json(console, table.as_json())
        return
    written = [str(file) for file in (csv, xlsx) if file is not None]
    if written:
        print_line(console, f"Written, for you alone to read: {', '.join(written)}.")
    else:
        _show(table)
    for note in notes(table):
        print_line(console, note)


def _warn_of_waiting(state: AgentState) -> None:
    """Say that nobody decides by these figures: an answer would hide in a refusal."""
    waiting = len(questions(state, utc_now()))
    if not waiting:
        return
    print_line(
        screen,
        f"Questions that wait for approval here: {waiting}. Decide on them by their "
        "words, never by these figures: whoever asked could tell them from a refusal.",
    )
    configure("agent")
    structlog.get_logger().warning("report.counted", reason="APPROVAL_AWAITED")


def _records(
    state: AgentState, policy: Policy, edition: str | None, *, now: bool
) -> tuple[str, str, Cases]:
    """Return the name of an edition, what is counted in words, and that itself, open.

    Raises:
        PreconditionFailed: EDITION_MISSING.
        AccordError: as `open_edition` or `open_current`.
    """
    calendar, today = policy.agreement.form.editions, utc_now().date()
    if now:
        name = edition_due(calendar.every, calendar.embargo, today)
        cases = open_current(state, policy.model, today)
        return name, _AS_THEY_ARE[state.settings().store.where], cases
    held = [
        each.name
        for each in held_editions(state, skip_broken=True)
        if (each.every, each.embargo_days) == (calendar.every, calendar.embargo)
    ]
    name = edition or (held[-1] if held else "")
    folder = edition_folder(state, calendar.every, calendar.embargo, name)
    if folder is None:
        which = f"no edition {name}" if name else "no edition yet"
        raise PreconditionFailed(
            "EDITION_MISSING",
            f"This agency has {which} under {policy.name}: `accord-agent editions`"
            " lists them, and --now counts the records as they are.",
        )
    return name, f"edition {name}", open_edition(state, folder, policy.model, today)


def _show(table: OwnTable) -> None:
    names, rows = lines(table)
    shown = Table(title="own figures, exact", title_justify="left", title_style="bold")
    texts = len(table.names)
    for place, name in enumerate(names):
        shown.add_column(name, justify="left" if place < texts else "right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
