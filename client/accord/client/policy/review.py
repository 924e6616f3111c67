# SPDX-License-Identifier: Apache-2.0
"""What somebody has to see of a proposal before signing it."""

from __future__ import annotations

import dataclasses
from typing import Any

from accord.client.policy.registers import register_lines
from accord.core.comparison.difference import compare
from accord.core.comparison.lines import difference_lines
from accord.core.messages import sentence
from accord.core.policy import PolicySet, load_policy_set
from accord.trust.proposal import Proposal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What changes for one agreement, or for the board and the agencies."""

    title: str
    loosens: bool
    """Something becomes possible, or protection less, that was not so before."""
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A proposal for people."""

    id: str
    words: str
    comment: str
    board: str
    founding: bool
    paths: tuple[str, ...]
    signed: tuple[str, ...]
    missing: tuple[str, ...]
    complete: bool
    changes: tuple[Changed, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self)


def review(proposal: Proposal, language: str = "en") -> Review:
    """Compare a proposal's documents, and say who has signed it.

    Raises:
        AccordError: its documents are not what policies look like.
    """
    before = load_policy_set(proposal.before) if proposal.before else None
    after = load_policy_set(proposal.after)
    standing = proposal.standing(language)
    board = after.board
    return Review(
        id=proposal.id,
        words=proposal.words,
        comment=visible(proposal.comment),
        board=board.board if board else "",
        founding=before is None,
        paths=tuple(proposal.changed()),
        signed=standing.signed,
        missing=standing.missing,
        complete=standing.complete,
        changes=changes(before, after, language),
    )


def changes(
    before: PolicySet | None, after: PolicySet, language: str = "en"
) -> tuple[Changed, ...]:
    """Return what differs: people and keys first, then agreement by agreement."""
    found = []
    lines = register_lines(before, after, language)
    if lines:
        title = sentence("board.change.registers", language)
        found.append(Changed(title=title, loosens=False, lines=_visible(lines)))
    for name in sorted({*(before.agreements if before else ()), *after.agreements}):
        old = before.policy(name) if before else None
        new = after.policy(name)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        difference = compare(old, new)
        title, *rest = difference_lines(difference, language)
        found.append(
            Changed(
                title=visible(title), loosens=difference.loosens, lines=_visible(rest)
            )
        )
    return tuple(found)


JOINERS = "\u200c\u200d"
"""Marks that some scripts are written with."""


def visible(text: str) -> str:
    """Return *text* without what could make a screen show something else.

    Documents come from others; a terminal obeys control characters, and marks of
    direction turn words around.
    """
    return "".join(
        each if each.isprintable() or each in JOINERS else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def _visible(lines: list[str]) -> tuple[str, ...]:
    return tuple(visible(line) for line in lines)
