# SPDX-License-Identifier: Apache-2.0
"""How a proposal looks at a terminal."""

from __future__ import annotations

from rich.console import Console

from accord.client.policy.review import Review
from accord.core.messages import sentence

console = Console(markup=False, emoji=False, highlight=False)
"""Sentences: numbers and brackets in them are not coloured."""


def print_review(shown: Review) -> None:
    """Print everything that somebody has to see before signing."""
    console.print(sentence(_head(shown), board=shown.board), style="bold")
    if shown.comment:
        console.print(sentence("board.show.comment", comment=shown.comment))
    for change in shown.changes:
        console.print()
        console.print(change.title, style="bold", soft_wrap=True)
        for line in change.lines:
            console.print(f"  {line}", soft_wrap=True)
    console.print()
    print_standing(shown)


def print_standing(shown: Review) -> None:
    """Print the six words, who has signed, and what is missing."""
    console.print(sentence("board.show.words", words=shown.words), soft_wrap=True)
    names = ", ".join(shown.signed) or sentence("board.show.nobody")
    console.print(sentence("board.show.signed", names=names), soft_wrap=True)
    for each in shown.missing:
        console.print(sentence("board.show.missing", missing=each), soft_wrap=True)
    if shown.complete:
        console.print(sentence("board.show.complete"))


def _head(shown: Review) -> str:
    return "board.show.founding" if shown.founding else "board.show.change"
