# SPDX-License-Identifier: Apache-2.0
"""Before anything is charged: an answer that stored releases give for nothing."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from accord.client.budget import Price
from accord.client.cli.options import notices
from accord.client.question import Question
from accord.client.result import Result
from accord.core.errors import AccordError

Derived = Annotated[
    bool | None,
    typer.Option(
        "--derived/--new",
        help="Take what follows from stored releases for nothing, or ask anew.",
        show_default=False,
    ),
]


def for_nothing(
    question: Question,
    *,
    epsilon: float | None,
    error: float | None,
    purpose: str,
    complete: bool,
    derived: bool | None,
) -> Result | None:
    """Return the answer that follows from a stored release, if it is wanted.

    Whoever sits at a terminal is asked. A script takes it where it is at least as exact
    as what it would pay for, and is told so on standard error.

    Args:
        question: what is asked.
        epsilon: what would be spent on it.
        error: half-width that is wanted instead.
        purpose: one of the agreement's purposes.
        complete: all agencies or nothing; then nothing is offered.
        derived: what was said beforehand; nothing where one is to be asked.

    Raises:
        AccordError: it was wanted, and there is none.
    """
    if derived:
        return question.derived(purpose=purpose, error=error)
    if derived is False or complete:
        return None
    price: Price | None = None
    # What is wrong with the question is said, and noted, when it is asked.
    with contextlib.suppress(AccordError):
        price = question.price(epsilon=epsilon, error=error, purpose=purpose)
    if price is None or price.from_archive or not price.derivable_from:
        return None
    offer = (
        f"The stored release {price.derivable_from} gives this for nothing, with "
        f"±{price.derivable_half_width:g}; asked anew it is ±{price.half_width:g} for "
        f"ε = {price.cost.epsilon:.3g}."
    )
    wanted = price.is_derivable_within(error)
    if sys.stdin.isatty() and notices.is_terminal:
        notices.print(offer, soft_wrap=True)
        wanted = typer.confirm("Take it?", default=wanted, err=True)
    else:
        way = "Taken; to ask anew: --new" if wanted else "Asking anew; else: --derived"
        notices.print(f"{offer} {way}", soft_wrap=True)
    return question.derived(purpose=purpose, error=error) if wanted else None
