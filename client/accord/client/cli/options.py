# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have, and where their output goes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

import accord.client as accord
from accord.core.errors import InvalidQuery

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
HubOption = Annotated[
    str | None, typer.Option("--hub", help="HOST:PORT; else $ACCORD_HUB or a profile.")
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="Name of a saved profile.")
]
AgreementOption = Annotated[
    str | None,
    typer.Option("--agreement", "-a", help="Its name; not needed where there is one."),
]
Measure = Annotated[
    str | None,
    typer.Option("--measure", "-m", help="What to count; persons unless said."),
]
InSql = Annotated[
    str | None,
    typer.Argument(
        metavar="SELECT",
        help="The question in SQL, instead of --measure, --by and --where.",
        show_default=False,
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", "-b", help="DIMENSION or DIMENSION:LEVEL; repeat for more."),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", help="DIMENSION=VALUE, or =VALUE,VALUE; repeat."),
]
Edition = Annotated[
    str, typer.Option("--edition", help="Such as 2026-09; else the newest one.")
]
Purpose = Annotated[
    str, typer.Option("--purpose", "-p", help="One of the agreement's purposes.")
]
Epsilon = Annotated[
    float | None, typer.Option("--epsilon", "-e", help="Privacy loss to spend at most.")
]
Error = Annotated[
    float | None,
    typer.Option(
        "--error", help="Instead of --epsilon: half-width at 95 % that is wanted."
    ),
]
Complete = Annotated[
    bool,
    typer.Option("--complete", help="All agencies or nothing: no fallback cohort."),
]

console = Console(markup=False, emoji=False)
"""Where tables go."""

notices = Console(stderr=True, markup=False, emoji=False)
"""Where progress and errors go."""


def only_agreement(session: accord.Hub, named: str | None) -> str:
    """Return the named agreement, or the only one there is.

    Raises:
        InvalidQuery: AGREEMENT_NEEDED.
    """
    if named is not None:
        return named
    return session.only_agreement().name


def require_spending(epsilon: float | None, error: float | None) -> None:
    """Refuse a question that says both what to spend and how exact to be, or neither.

    Raises:
        InvalidQuery: SPENDING_NEEDED.
    """
    if (epsilon is None) == (error is None):
        raise InvalidQuery(
            "SPENDING_NEEDED",
            "Say what to spend or how exact the answer has to be: either --epsilon or "
            "--error, such as --error 15.",
        )


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print one line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False))
