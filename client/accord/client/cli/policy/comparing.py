# SPDX-License-Identifier: Apache-2.0
"""``accord policy diff``: what a change would allow, and what no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, console, print_json
from accord.client.policy.folder import documents_around, documents_in, with_samples
from accord.core.approval import board_needs, seats_needed
from accord.core.comparison.difference import Difference, compare
from accord.core.comparison.lines import difference_json, difference_lines
from accord.core.errors import InvalidQuery
from accord.core.messages import sentence
from accord.core.policy import AGREEMENTS, Policy, PolicySet, load_policy_set

_Place = Annotated[Path, typer.Argument(exists=True, show_default=False)]


def diff(before: _Place, after: _Place, *, as_json: AsJson = False) -> None:
    """Say what becomes possible from BEFORE to AFTER, and what no longer.

    Both are agreements, or both are a board's folders. Meanings are compared, over
    every kind of request; two texts that mean the same do not differ.
    """
    if before.is_dir() != after.is_dir():
        raise InvalidQuery(
            "DIFF_KINDS", "Compare two agreements, or two folders; not one of each."
        )
    if before.is_dir():
        first = load_policy_set(with_samples(documents_in(before)))
        second = load_policy_set(with_samples(documents_in(after)))
        pairs = _by_name(first, second)
    else:
        (first, old), (second, new) = _alone(before), _alone(after)
        pairs = [(old, new)]
    differences = [compare(old, new) for old, new in pairs if _differ(old, new)]
    same = [new.name for old, new in pairs if new is not None and not _differ(old, new)]
    seats = seats_needed(first, second)
    board = board_needs(first, second)
    if as_json:
        print_json(
            {
                "agreements": [
                    difference_json(each) | {"seats": list(seats.get(each.name, ()))}
                    for each in differences
                ],
                "unchanged": same,
                "board": list(board),
                "loosens": any(each.loosens for each in differences),
            }
        )
        return
    blocks = [_lines(each, seats.get(each.name, ())) for each in differences]
    if board:
        blocks.append([sentence("compare.board"), *(f"  - {line}" for line in board)])
    if same:
        blocks.append([sentence("compare.unchanged", names=", ".join(same))])
    console.print("\n\n".join("\n".join(block) for block in blocks), soft_wrap=True)


def _by_name(
    first: PolicySet, second: PolicySet
) -> list[tuple[Policy | None, Policy | None]]:
    names = sorted(first.agreements.keys() | second.agreements.keys())
    return [(first.policy(name), second.policy(name)) for name in names]


def _alone(file: Path) -> tuple[PolicySet, Policy | None]:
    """Return one agreement with what it depends on; its siblings do not matter."""
    documents, path = documents_around(file)
    chosen = {
        name: content
        for name, content in documents.items()
        if name == path or not name.startswith(f"{AGREEMENTS}/")
    }
    policies = load_policy_set(chosen)
    return policies, next(iter(policies.policies()), None)


def _differ(old: Policy | None, new: Policy | None) -> bool:
    return old is None or new is None or old.digest != new.digest


def _lines(difference: Difference, seats: tuple[str, ...]) -> list[str]:
    """Return a difference with the seats that it needs."""
    lines = difference_lines(difference)
    if seats:
        lines.append(sentence("compare.seats", seats=", ".join(seats)))
    elif difference.loosens:
        lines.append(sentence("compare.no-seats"))
    return lines
