# SPDX-License-Identifier: Apache-2.0
"""The ``accord`` command: analysts' questions, boards' and reviewers' decisions."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from accord.client.cli.advising import advise_app
from accord.client.cli.asking import price, query, releases
from accord.client.cli.board import board
from accord.client.cli.briefing import brief
from accord.client.cli.covering import coverage
from accord.client.cli.exporting import export
from accord.client.cli.looking import agreements, budget, describe
from accord.client.cli.options import AsJson
from accord.client.cli.plotting import plot
from accord.client.cli.policy import policy_app
from accord.client.cli.returning import pending, release, submission
from accord.client.cli.review import review_app
from accord.client.cli.saved import profile_app
from accord.client.demo.command import run_demo
from accord.rpc.command import run_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask agencies together; read answers with honest error bars.",
)
for command in (
    *(agreements, describe, query, price, pending, submission, release, releases),
    *(coverage, export, plot, budget, board, brief),
):
    app.command()(command)
app.add_typer(profile_app, name="profile")
app.add_typer(policy_app, name="policy")
app.add_typer(review_app, name="review")
app.add_typer(advise_app, name="advise")


@app.command()
def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running and say how to use it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a hub and five agencies on this machine and ask them four questions."""
    run_demo(keep=keep, as_json=as_json)


def main() -> None:
    """Run the command; an error is one sentence and an exit status."""
    sys.exit(run_command(app, unharmed="A question that was asked goes on at the hub."))
