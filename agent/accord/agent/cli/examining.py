# SPDX-License-Identifier: Apache-2.0
"""The command ``doctor``: what keeps this agent from working, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console
from accord.agent.cli.screens import print_json, print_line
from accord.agent.doctor.finding import Finding, Verdict
from accord.agent.state import AgentState, state_root
from accord.rpc.address import parse_address

SOMETHING_IS_WRONG = 3

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red"}


def doctor(
    *,
    hub: Annotated[
        str | None,
        typer.Option(
            "--hub",
            help="Public port of the hub, as HOST:PORT; without it 8443 of the one "
            "that was joined is tried, and of none before.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Look for what keeps this agent from working, and say what to do."""
    from accord.agent.doctor.examination import examine

    address = None if hub is None else parse_address(hub)
    found: list[Finding] = []
    for finding in examine(AgentState(state_root(state)), address, utc_now()):
        found.append(finding)
        if not as_json:
            _show(finding)
    worst = any(finding.verdict is Verdict.WRONG for finding in found)
    if as_json:
        content = {"well": not worst, "findings": [each.as_json() for each in found]}
        print_json(console, content)
    else:
        print_line(console, _summary(found))
    if worst:
        raise typer.Exit(SOMETHING_IS_WRONG)


def _show(finding: Finding) -> None:
    console.print(
        f"{finding.verdict.value:<8}",
        style=_STYLES[finding.verdict],
        end="",
        highlight=False,
    )
    print_line(console, f"{finding.thing:<13} {finding.sentence}")
    if finding.advice:
        print_line(console, f"{'':<22}{finding.advice}")


def _summary(found: list[Finding]) -> str:
    counts = {
        verdict: sum(each.verdict is verdict for each in found) for verdict in Verdict
    }
    return (
        f"{counts[Verdict.OK]} ok, {counts[Verdict.WARNING]} to look after, "
        f"{counts[Verdict.WRONG]} wrong."
    )
