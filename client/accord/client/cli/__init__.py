# SPDX-License-Identifier: Apache-2.0
"""The ``accord`` command: analysts' questions from a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from accord.client.cli.asking import price, query, release, releases
from accord.client.cli.looking import agreements, budget, describe
from accord.client.cli.options import AsJson, notices
from accord.client.cli.saved import profile_app
from accord.client.demo.command import run_demo
from accord.core.errors import AccordError, InternalError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask agencies together; read answers with honest error bars.",
)
for command in (agreements, describe, query, price, releases, release, budget):
    app.command()(command)
app.add_typer(profile_app, name="profile")


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
    sys.exit(run(app, notices))


def run(command: Callable[[], object], screen: Console) -> int:
    """Run *command*, print an error as a sentence, and return the exit status."""
    try:
        command()
    except AccordError as error:
        return _say(error, screen)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        return _say(
            InternalError(
                "INTERNAL_ERROR",
                f"The command made a mistake ({type(error).__name__}); please report "
                "what you did. A question that was asked goes on at the hub.",
            ),
            screen,
        )
    return 0


def _say(error: AccordError, screen: Console) -> int:
    if "--json" in sys.argv:
        content = {
            "reason": error.reason,
            "text": error.sentence,
            "metadata": error.metadata,
        }
        typer.echo(json.dumps({"error": content}, ensure_ascii=False), err=True)
    else:
        screen.print(
            f"Error: {error.sentence}", markup=False, highlight=False, style="red"
        )
    return error.exit_code
