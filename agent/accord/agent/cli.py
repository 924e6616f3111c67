# SPDX-License-Identifier: Apache-2.0
"""The command ``accord-agent``: what an agency's staff types.

Results go to standard output, everything else to standard error. Every error is a
sentence with a way out and the exit status of its kind; a traceback is never shown.
What reads sources, and DuckDB with it, is loaded by the commands that do so: an agent
that runs stays small.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.approval_commands import approvals_app
from accord.agent.database_commands import databases_app
from accord.agent.doctor_commands import doctor
from accord.agent.enrolment import board_check, require_way_to_confirm
from accord.agent.forget_commands import forget, forgotten, retention
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.freezing import origin_of
from accord.agent.hardening import refuse_dumps
from accord.agent.intake.parts import parts_of
from accord.agent.joining_commands import draft, init
from accord.agent.key_commands import keys_app
from accord.agent.network.enrol import enrol as join_hub
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.presence import OneContact
from accord.agent.options import AsJson, StateOption, console, screen
from accord.agent.page_commands import page
from accord.agent.policies import policies_of
from accord.agent.preview_commands import preview
from accord.agent.pushdown_commands import pushdown_app
from accord.agent.receipt_commands import log_app, show_receipts
from accord.agent.report_commands import report
from accord.agent.round_commands import audit, confirm_restore
from accord.agent.rule_commands import resume_sharing, rules_app, stop_sharing
from accord.agent.running import run_agent
from accord.agent.screens import (
    editions_json,
    print_json,
    print_line,
    show_editions,
    show_parts,
    waiting_json,
)
from accord.agent.setup_commands import setup
from accord.agent.source_commands import check, ingest, remove
from accord.agent.state import AgentState, state_root
from accord.agent.status import Status, status_of
from accord.agent.store.editions import calendars, freeze_due, held_editions
from accord.agent.template_commands import write_template
from accord.core.errors import InvalidQuery
from accord.rpc.address import parse_address
from accord.rpc.command import run_command

app = typer.Typer(
    name="accord-agent",
    help="Answer agreed questions about your records; the records stay here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FROM_INPUT = "-"
"""In the place of a token, which else can be seen in the list of processes."""


def enrol(
    *,
    hub: Annotated[
        str, typer.Option(help="The hub, as HOST:PORT.", show_default=False)
    ],
    token: Annotated[
        str,
        typer.Option(
            help="One-time token from the hub's operator; - reads it from input.",
            show_default=False,
        ),
    ],
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            help="Six words or fingerprint of the board, as its members told you; "
            "confirms it without asking.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Join a hub with a one-time token, and pin the board that signs its policies."""
    address = parse_address(hub)
    made = AgentState.create(state_root(state))
    may_ask = sys.stdin.isatty() and token != FROM_INPUT and not as_json
    require_way_to_confirm(made, board, may_ask=may_ask)
    text = sys.stdin.readline().strip() if token == FROM_INPUT else token
    membership = join_hub(
        IdentityFiles(made.keys),
        address,
        text,
        agency_key=made.agency_key(),
        policies=made.policies,
        confirm=board_check(board, screen),
    )
    found = {"agency": membership.agency, "hub": str(membership.hub)}
    if as_json:
        print_json(console, found)
        return
    print_line(console, f"This agent is now {found['agency']!r} at {found['hub']}.")
    ingested = made.current.is_symlink()
    first = "" if ingested else "`accord-agent ingest`, then "
    print_line(console, f"Next: {first}`accord-agent run`.")


def freeze(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Freeze the editions that the calendar asks for; `run` does so by itself."""
    opened = AgentState.open(state_root(state))
    agreements = policies_of(opened).agreements()
    settings, now = opened.settings(), utc_now()
    keep_up(opened, settings, now)
    origin = origin_of(opened, settings, now)
    due = calendars(agreements)
    frozen, waiting = freeze_due(opened, due, now, origin)
    if as_json:
        content = {"frozen": editions_json(frozen), "waiting": waiting_json(waiting)}
        print_json(console, content)
        return
    show_editions(console, "frozen now", frozen)
    for wait in waiting:
        print_line(console, f"{wait.calendar}/{wait.name} waits: {wait.sentence}")


def editions(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """List the frozen editions."""
    held = held_editions(AgentState.open(state_root(state)))
    if as_json:
        print_json(console, {"editions": editions_json(held)})
        return
    show_editions(console, "editions", held)


def run(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Do what waits, and leave when nothing has come for 30 seconds.",
        ),
    ] = False,
    minutes: Annotated[
        int | None,
        typer.Option(
            "--for",
            metavar="MINUTES",
            min=1,
            max=1440,
            help="With --once: leave after so long at the latest.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
) -> None:
    """Answer the hub's questions until told to stop, or once."""
    if minutes is not None and not once:
        raise InvalidQuery("OPTION_ALONE", "--for goes with --once only.")
    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    if settings.unsafe_test_mode:
        print_line(screen, UNSAFE, "bold red")
    limit = None if minutes is None else 60.0 * minutes
    run_agent(opened, settings, OneContact(seconds=limit) if once else None)


def status(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Show who this agent is, what it holds and what its records have lost."""
    opened = AgentState.open(state_root(state))
    found = status_of(opened, opened.settings(), utc_now())
    if as_json:
        print_json(console, found.as_json())
        return
    _show_status(opened, found)


UNSAFE = (
    "UNSAFE TEST MODE: this agent's own caps are lifted. Its answers protect nobody. "
    "Use it only on records that nobody is in."
)


def _show_status(state: AgentState, found: Status) -> None:
    print_line(console, f"state       {state.root}")
    for name, value in found.lines():
        print_line(console, f"{name:<11} {value}")
    if found.unsafe_test_mode:
        print_line(console, UNSAFE, "bold red")
    show_parts(console, parts_of(state.current).values())
    show_editions(console, "editions", held_editions(state))


# The order of ``--help`` is the order of an agency's life.
JOIN = "Join"
app.command("init", rich_help_panel=JOIN)(init)
app.command("setup", rich_help_panel=JOIN)(setup)
app.command("enrol", rich_help_panel=JOIN)(enrol)

RECORDS = "Records"
app.command("draft", rich_help_panel=RECORDS)(draft)
app.command("check", rich_help_panel=RECORDS)(check)
app.command("ingest", rich_help_panel=RECORDS)(ingest)
app.command("template", rich_help_panel=RECORDS)(write_template)
app.command("remove", rich_help_panel=RECORDS)(remove)
app.command("forget", rich_help_panel=RECORDS)(forget)
app.command("forgotten", rich_help_panel=RECORDS)(forgotten)
app.command("retention", rich_help_panel=RECORDS)(retention)
app.add_typer(databases_app, rich_help_panel=RECORDS)
app.add_typer(pushdown_app, rich_help_panel=RECORDS)

ANSWER = "Answer"
app.command("run", rich_help_panel=ANSWER)(run)
app.command("status", rich_help_panel=ANSWER)(status)
app.command("page", rich_help_panel=ANSWER)(page)
app.command("freeze", rich_help_panel=ANSWER)(freeze)
app.command("editions", rich_help_panel=ANSWER)(editions)
app.add_typer(approvals_app, rich_help_panel=ANSWER)
app.add_typer(rules_app, rich_help_panel=ANSWER)
app.command("stop-sharing", rich_help_panel=ANSWER)(stop_sharing)
app.command("resume-sharing", rich_help_panel=ANSWER)(resume_sharing)

LEAVES = "What leaves"
app.command("preview", rich_help_panel=LEAVES)(preview)
app.command("receipts", rich_help_panel=LEAVES)(show_receipts)
app.command("report", rich_help_panel=LEAVES)(report)
app.command("audit", rich_help_panel=LEAVES)(audit)
app.add_typer(log_app, rich_help_panel=LEAVES)

CARE = "Keys and care"
app.add_typer(keys_app, rich_help_panel=CARE)
app.command("doctor", rich_help_panel=CARE)(doctor)
app.command("confirm-restore", rich_help_panel=CARE)(confirm_restore)


def main() -> None:
    """Run the command; an error is one sentence and an exit status."""
    refuse_dumps()
    sys.exit(run_command(app, unharmed="Nothing that was stored before is lost."))


if __name__ == "__main__":
    main()
