# SPDX-License-Identifier: Apache-2.0
"""The command ``accord-agent``: what an agency's staff types.

Results go to standard output, everything else to standard error. Every error is a
sentence with a way out and the exit status of its kind; a traceback is never shown.
What reads sources, and DuckDB with it, is loaded by the commands that do so: an agent
that runs stays small.
"""

from __future__ import annotations

import sys

import typer

from accord.agent.cli.approvals import approvals_app
from accord.agent.cli.browsing import page, setup
from accord.agent.cli.databases import databases_app
from accord.agent.cli.enrolling import enrol
from accord.agent.cli.examining import doctor
from accord.agent.cli.forgetting import forget, forgotten, retention
from accord.agent.cli.freezing import editions, freeze
from accord.agent.cli.joining import draft, init
from accord.agent.cli.keys import keys_app
from accord.agent.cli.previewing import preview
from accord.agent.cli.pushdown import pushdown_app
from accord.agent.cli.receipts import log_app, show_receipts
from accord.agent.cli.reporting import report
from accord.agent.cli.rounds import audit, confirm_restore
from accord.agent.cli.rules import resume_sharing, rules_app, stop_sharing
from accord.agent.cli.running import run, status
from accord.agent.cli.sources import check, ingest, remove
from accord.agent.cli.template import write_template
from accord.agent.machine.hardening import refuse_dumps
from accord.rpc.command import run_command

app = typer.Typer(
    name="accord-agent",
    help="Answer agreed questions about your records; the records stay here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# The order of ``--help`` is the order of an agency's life.
JOIN = "Join"
app.command("init", rich_help_panel=JOIN)(init)
app.command("setup", rich_help_panel=JOIN)(setup)
app.command("enrol", rich_help_panel=JOIN)(enrol)

RECORDS = "Records"
app.command("draft", rich_help_panel=RECORDS)(draft)
app.command("check", rich_help_panel=RECORDS)(check)
app.command("ingest", rich_help_panel=RECORDS)(ingest)
app.command("template", rich_help_panel=RECORDS)(write_template)
app.command("remove", rich_help_panel=RECORDS)(remove)
app.command("forget", rich_help_panel=RECORDS)(forget)
app.command("forgotten", rich_help_panel=RECORDS)(forgotten)
app.command("retention", rich_help_panel=RECORDS)(retention)
app.add_typer(databases_app, rich_help_panel=RECORDS)
app.add_typer(pushdown_app, rich_help_panel=RECORDS)

ANSWER = "Answer"
app.command("run", rich_help_panel=ANSWER)(run)
app.command("status", rich_help_panel=ANSWER)(status)
app.command("page", rich_help_panel=ANSWER)(page)
app.command("freeze", rich_help_panel=ANSWER)(freeze)
app.command("editions", rich_help_panel=ANSWER)(editions)
app.add_typer(approvals_app, rich_help_panel=ANSWER)
app.add_typer(rules_app, rich_help_panel=ANSWER)
app.command("stop-sharing", rich_help_panel=ANSWER)(stop_sharing)
app.command("resume-sharing", rich_help_panel=ANSWER)(resume_sharing)

LEAVES = "What leaves"
app.command("preview", rich_help_panel=LEAVES)(preview)
app.command("receipts", rich_help_panel=LEAVES)(show_receipts)
app.command("report", rich_help_panel=LEAVES)(report)
app.command("audit", rich_help_panel=LEAVES)(audit)
app.add_typer(log_app, rich_help_panel=LEAVES)

CARE = "Keys and care"
app.add_typer(keys_app, rich_help_panel=CARE)
app.command("doctor", rich_help_panel=CARE)(doctor)
app.command("confirm-restore", rich_help_panel=CARE)(confirm_restore)


def main() -> None:
    """Run the command; an error is one sentence and an exit status."""
    refuse_dumps()
    sys.exit(run_command(app, unharmed="Nothing that was stored before is lost."))
