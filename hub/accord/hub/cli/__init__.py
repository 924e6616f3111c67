# SPDX-License-Identifier: Apache-2.0
"""The ``accord-hub`` command: set up, serve, let people in and out, look after it."""

from __future__ import annotations

import json
import sys

import typer

from accord.core.errors import AccordError, InternalError
from accord.hub.cli.access import analyst_app, member_app, token_app
from accord.hub.cli.books import audit_app, ledger_app, status
from accord.hub.cli.running import check_config, init, serve

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run the hub of a network of agencies.",
)
app.command()(init)
app.command()(serve)
app.command("check-config")(check_config)
app.command()(status)
app.add_typer(token_app, name="token")
app.add_typer(analyst_app, name="analyst")
app.add_typer(member_app, name="member")
app.add_typer(ledger_app, name="ledger")
app.add_typer(audit_app, name="audit")


def main() -> None:
    """Run the command; an error is one sentence and an exit status."""
    sys.exit(_run())


def _run() -> int:
    try:
        app()
    except AccordError as error:
        return _say(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001  # the boundary of the process
        return _say(
            InternalError(
                "INTERNAL_ERROR",
                f"The hub's command made a mistake ({type(error).__name__}); please"
                " report what you did. Nothing is known to be lost.",
            )
        )
    return 0


def _say(error: AccordError) -> int:
    """Print an error on standard error, in the form that was asked for."""
    if "--json" in sys.argv:
        content = {
            "reason": error.reason,
            "text": error.sentence,
            "metadata": error.metadata,
        }
        print(json.dumps({"error": content}), file=sys.stderr)  # noqa: T201
    else:
        print(f"Error: {error.sentence}", file=sys.stderr)  # noqa: T201
    return error.exit_code
