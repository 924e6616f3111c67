# SPDX-License-Identifier: Apache-2.0
"""The commands ``approvals …``: people look at a question, and say yes or no.

What they are shown is the question and what an answer would take; no count, so that
nobody can decide by the answer.
"""

from __future__ import annotations

from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.approvals.decisions import approve, question, questions, refuse
from accord.agent.approvals.words import (
    approval_json,
    foreseen_of,
    lines_of,
    misnamed,
    question_of,
    short_reason,
    standing_words,
)
from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import print_json, print_line, printable
from accord.agent.rounds.approval import Standing
from accord.agent.state import AgentState, state_root

LABEL_WIDTH = 13

approvals_app = typer.Typer(
    name="approvals",
    help="Questions that somebody here approves before they are answered.",
    no_args_is_help=True,
)

QueryId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the question, or how it begins."),
]


@approvals_app.command("list")
def list_approvals(
    *,
    decided: Annotated[
        bool, typer.Option("--all", help="Also those that wait no more.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """List the questions that wait for somebody here."""
    opened = AgentState.open(state_root(state))
    found = questions(opened, utc_now(), decided=decided)
    if as_json:
        print_json(console, {"approvals": [approval_json(each) for each in found]})
        return
    for line in misnamed(opened):
        print_line(screen, line, "yellow")
    for each in found:
        print_line(console, f"{each.query_id}  {standing_words(each)}")
        print_line(console, f"  {printable(question_of(each))}")
    if not found:
        print_line(console, "No question waits for approval.")
    elif any(each.standing is Standing.WAITING for each in found):
        print_line(console, "Look at one: accord-agent approvals show ID")


@approvals_app.command("show")
def show_approval(
    query: QueryId, *, state: StateOption = None, as_json: AsJson = False
) -> None:
    """Show a question, who asks it, and what an answer would take; no count."""
    opened = AgentState.open(state_root(state))
    found = question(opened, query)
    expected = foreseen_of(opened, found)
    if as_json:
        content = {
            **approval_json(found),
            "foreseen": None if expected is None else expected.as_json(),
        }
        print_json(console, content)
        return
    print_line(console, f"{found.query_id}  {standing_words(found)}")
    for name, value in lines_of(found, expected):
        print_line(console, f"  {name:<{LABEL_WIDTH}} {printable(value)}")
    if found.standing is Standing.WAITING:
        print_line(console, f"Say yes: accord-agent approvals approve {query}")
        print_line(console, f"Say no:  accord-agent approvals refuse {query}")


@approvals_app.command("approve")
def approve_question(
    query: QueryId, *, state: StateOption = None, as_json: AsJson = False
) -> None:
    """Let this agency answer a question."""
    opened = AgentState.open(state_root(state))
    found = approve(opened, query, utc_now())
    if as_json:
        print_json(console, approval_json(found))
        return
    print_line(
        console,
        f"Question {found.query_id} is approved. An agent that runs says so to the hub"
        " within seconds, another one when it calls the hub again.",
    )


@approvals_app.command("refuse")
def refuse_question(
    query: QueryId,
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; stays with this agency.")
    ] = "",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Decline a question; it is never answered."""
    opened = AgentState.open(state_root(state))
    found = refuse(opened, query, short_reason(reason), utc_now())
    if as_json:
        print_json(console, approval_json(found))
        return
    print_line(
        console,
        f"Question {found.query_id} is refused. The hub hears that people here said no,"
        " and not why.",
    )
