# SPDX-License-Identifier: Apache-2.0
"""``accord demo``: what happens, in order, and what is printed."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

import accord.client as accord
from accord.client.demo.board import AGREEMENT, PASSPHRASE
from accord.client.demo.governance import show_governance
from accord.client.demo.stage import Stage, set_the_stage
from accord.client.progress import waiting
from accord.client.question import Question
from accord.client.tables import budget_table, crossed_with_notes, with_notes
from accord.core.errors import AccordError

PURPOSE = "prevention planning"
TREND_EPSILON = 2.5
TABLE_EPSILON = 2.0


def run_demo(*, keep: bool, as_json: bool) -> None:
    """Set up, ask four questions, show what the board can do, and stop.

    Args:
        keep: leave everything running and say how to talk to it.
        as_json: print one JSON object instead of tables.
    """
    screen = Console(quiet=as_json, markup=False, emoji=False)
    folder = Path(tempfile.mkdtemp(prefix="accord-demo-"))
    stage = set_the_stage(folder, lambda words: screen.print(f"· {words}"))
    try:
        signed = {"signed_by": stage.board.signed_by, "words": stage.board.words}
        with accord.connect(stage.hub, token=stage.token) as hub:
            told = _ask(hub.agreement(AGREEMENT), screen)
        told |= {"board": signed | show_governance(stage, screen, keep=keep)}
    except BaseException:
        stage.stop()
        raise
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    if keep:
        screen = Console(stderr=as_json, markup=False, emoji=False)
        _say_how_to_go_on(stage, screen)
        return
    stage.stop()
    shutil.rmtree(folder)
    screen.print("· everything is stopped, and the invented records are gone")


def _ask(agreement: accord.Agreement, screen: Console) -> dict[str, Any]:
    """Ask the four questions and return what came of them."""
    months = _last_months(agreement.describe().editions[0])
    trend = (
        agreement.persons()
        .by("registered_month")
        .where(exploitation_type="forced_labour", registered_month=months)
    )
    table = (
        agreement.persons()
        .by("region", "exploitation_type")
        .where(registered_month=months[-12:])
    )
    replies = [_release(trend, TREND_EPSILON, screen, "1. A monthly trend", with_notes)]
    if held := what_the_hub_held(replies[0]):
        screen.print(held, soft_wrap=True)
    replies.append(
        _release(table, TABLE_EPSILON, screen, "2. A cross-table", crossed_with_notes)
    )
    heading = "3. A question that the agreement does not allow"
    refusals = [_refused(agreement, screen, heading)]
    heading = "4. The first question again"
    replies.append(_release(trend, TREND_EPSILON, screen, heading, _repeated))
    budget = agreement.budget()
    screen.print("\nWhat is left", style="bold")
    screen.print(budget_table(budget.accounts))
    return {
        "replies": [reply.as_json() for reply in replies],
        "refusals": refusals,
        "budget": budget.as_json(),
    }


def _release(
    question: Question,
    epsilon: float,
    screen: Console,
    heading: str,
    draw: Callable[[accord.Result], object],
) -> accord.Result:
    screen.print(f"\n{heading}", style="bold")
    pending = question.release(epsilon=epsilon, purpose=PURPOSE, wait=False)
    result = waiting(pending, screen, timeout=60, quiet=screen.quiet)
    screen.print(draw(result))
    return result


def what_the_hub_held(result: accord.Result) -> str:
    """Return what the hub had in its hands for a release; nothing if it saw sums."""
    if result.from_archive or result.noise_placement not in {"shared", "agents"}:
        return ""
    number = len(result.coverage.answered)
    return (
        f"What the hub held for it: {number} masked vectors, each of them uniformly "
        "random to it. It opened their sum only, which carried the agencies' noise "
        "already."
    )


def _repeated(result: accord.Result) -> str:
    return (
        f"The stored release {result.id}: the same {len(result)} numbers, "
        f"charged ε = {result.charged.epsilon:g}."
    )


def _refused(
    agreement: accord.Agreement, screen: Console, heading: str
) -> dict[str, str]:
    """Ask what is not allowed and return the refusal."""
    screen.print(
        f"\n{heading}: persons by citizenship, for an investigation", style="bold"
    )
    question = agreement.persons().by("citizenship")
    try:
        question.release(epsilon=TABLE_EPSILON, purpose="investigation")
    except AccordError as refusal:
        screen.print(f"Refused ({refusal.reason}): {refusal.sentence}")
        return {"reason": refusal.reason, "text": refusal.sentence}
    return {"reason": "", "text": ""}


def _last_months(edition: str) -> list[str]:
    """Return the 18 months up to the one that *edition* is named after."""
    year, month = (int(part) for part in edition.split("-"))
    last = year * 12 + month - 1
    return [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(last - 17, last + 1)]


def _say_how_to_go_on(stage: Stage, screen: Console) -> None:
    pids = " ".join(str(process.pid) for process in stage.processes)
    screen.print("\nThe network is still running. Talk to it with:", style="bold")
    screen.print(f"  export ACCORD_HUB={stage.hub}", soft_wrap=True)
    screen.print(f"  export ACCORD_TOKEN={stage.token}", soft_wrap=True)
    screen.print(f"  accord describe {AGREEMENT}")
    screen.print(
        f"  accord query --by region --epsilon 1 --purpose '{PURPOSE}'",
        soft_wrap=True,
    )
    screen.print(
        f"State and logs are in {stage.folder}, the board's texts in its folder board, "
        f"its keys in board-keys; every passphrase is {PASSPHRASE!r}.",
        soft_wrap=True,
    )
    screen.print("Stop it, and remove the invented records, with:")
    screen.print(f"  kill {pids} && rm -r {stage.folder}", soft_wrap=True)
