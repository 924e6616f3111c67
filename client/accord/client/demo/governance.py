# SPDX-License-Identifier: Apache-2.0
"""What the demo shows of the board: a mistake, a change looked at, a hub that lies."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from accord.client.demo.board import AGREEMENT, PATH
from accord.client.demo.stage import Stage
from accord.core.comparison.difference import compare
from accord.core.comparison.lines import difference_lines
from accord.core.lint import lint
from accord.core.policy import load_policy_set

TYPO = ("suppress_below:", "supress_below:")
WIDER = ("age_band: broad", "age_band: broad, citizenship: all")
TIGHTER = ("suppress_below: 10", "suppress_below: 20")

_LINES = 4
"""Of a difference, before its verdict."""


def show_governance(stage: Stage, screen: Console, *, keep: bool) -> dict[str, Any]:
    """Show the three scenes and return what came of them.

    Args:
        stage: everything that runs.
        screen: where to show it.
        keep: leave the hub as honest as it was before.
    """
    return {
        "lint": _a_mistake(stage, screen),
        "diff": _a_change(stage, screen),
        "rollback": _a_rollback(stage, screen, keep=keep),
    }


def _draft(stage: Stage, change: tuple[str, str]) -> str:
    text = stage.board.documents()[PATH].decode()
    return text.replace(*change).replace("version: 1", "version: 2")


def _a_mistake(stage: Stage, screen: Console) -> list[dict[str, Any]]:
    screen.print("\n5. A draft with a typing mistake", style="bold")
    draft = stage.board.documents()[PATH].decode().replace(*TYPO)
    found = lint({**stage.board.documents(), PATH: draft.encode()})
    for each in found:
        screen.print(str(each), soft_wrap=True)
    return [
        {
            "path": each.path,
            "line": each.line,
            "column": each.column,
            "text": each.sentence,
        }
        for each in found
    ]


def _a_change(stage: Stage, screen: Console) -> dict[str, Any]:
    screen.print("\n6. A draft that would allow citizenship", style="bold")
    documents = stage.board.documents()
    draft = {**documents, PATH: _draft(stage, WIDER).encode()}
    difference = compare(
        load_policy_set(documents).policy(AGREEMENT),
        load_policy_set(draft).policy(AGREEMENT),
    )
    lines = difference_lines(difference)
    for line in lines[:_LINES]:
        screen.print(line, soft_wrap=True)
    screen.print(f"  … {lines[-1]}", soft_wrap=True)
    return {
        "agreement": difference.name,
        "newly_allowed": difference.newly_allowed.count,
        "no_longer_allowed": difference.no_longer_allowed.count,
        "loosens": difference.loosens,
        "text": lines,
    }


def _a_rollback(stage: Stage, screen: Console, *, keep: bool) -> dict[str, Any]:
    screen.print(
        "\n7. The board tightens the agreement, and the hub puts the old one back",
        style="bold",
    )
    backup = stage.back_up_hub()
    version = stage.publish(
        stage.board.change(
            PATH, _draft(stage, TIGHTER), "hide figures below 20", stage.now()
        )
    )
    signers = " and ".join(stage.board.signed_by)
    screen.print(
        f"Signed by {signers}; every agency has version 2 of the agreement, "
        "without a restart."
    )
    newer = stage.restore_hub(backup)
    reported = stage.wait_for_trouble()
    if keep:
        stage.restore_hub(newer)
    screen.print(
        f"Restored from a backup, the hub offers version 1 again. "
        f"{reported['agency']} refuses ({reported['reason']}) and keeps version 2."
    )
    return {"version": version, **reported}
