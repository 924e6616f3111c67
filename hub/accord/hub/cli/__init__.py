# SPDX-License-Identifier: Apache-2.0
"""The ``accord-hub`` command: set up, serve, let people in and out, look after it."""

from __future__ import annotations

import sys

import typer

from accord.hub.cli.access import analyst_app, member_app, token_app
from accord.hub.cli.books import audit_app, ledger_app, status
from accord.hub.cli.copies import backup, restore
from accord.hub.cli.databases import migrate
from accord.hub.cli.policies import keys, policies_app
from accord.hub.cli.reconciling import reconcile_ledger
from accord.hub.cli.retaining import retention_app
from accord.hub.cli.running import check_config, init, serve
from accord.hub.cli.showing import export
from accord.hub.cli.verifying import verify_audit
from accord.rpc.command import run_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run the hub of a network of agencies.",
)
app.command()(init)
app.command()(serve)
app.command("check-config")(check_config)
app.command()(migrate)
app.command()(backup)
app.command()(restore)
app.command()(status)
app.command()(keys)
ledger_app.command("reconcile")(reconcile_ledger)
audit_app.command("verify")(verify_audit)
app.command()(export)
app.add_typer(policies_app, name="policies")
app.add_typer(token_app, name="token")
app.add_typer(analyst_app, name="analyst")
app.add_typer(member_app, name="member")
app.add_typer(ledger_app, name="ledger")
app.add_typer(audit_app, name="audit")
app.add_typer(retention_app, name="retention")
app.add_typer(retention_app, name="retention")


def main() -> None:
    """Run the command; an error is one sentence and an exit status."""
    sys.exit(run_command(app, unharmed="Nothing is known to be lost."))
