# SPDX-License-Identifier: Apache-2.0
"""Commands about the agency's keys and rounds: keys, audit, confirm-restore.

Each is for the staff on the machine: whoever can read the state directory may run them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.screens import print_json, print_line
from accord.agent.keys.files import read_key
from accord.agent.keys.public import key_lines, keys_json
from accord.agent.machine.looking import may_be_file
from accord.agent.rounds import fence
from accord.agent.rounds.auditing import Audited
from accord.agent.rounds.auditing import audit as audit_round
from accord.agent.rounds.sealing import AUDIT_KEY, audit_seeds
from accord.agent.state import AgentState, state_root
from accord.core.errors import ConfigurationError, PreconditionFailed


def keys(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Print this agency's public keys as lines of its entry in members.yaml."""
    opened = AgentState.open(state_root(state))
    public = opened.secret_keys("").public
    if as_json:
        print_json(console, keys_json(public))
        return
    for line in key_lines(public):
        print_line(console, line)


def audit(
    query: Annotated[str, typer.Argument(help="Id of the question.", metavar="QUERY")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="File of the key of audits, if it is not in the state directory.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Check that this agency sent what it counted, for one question; shows no count."""
    opened = AgentState.open(state_root(state))
    found = _audited(opened, query, _audit_keys(opened, key))
    if as_json:
        print_json(console, found.as_json())
        return
    for line in _audit_lines(found):
        print_line(console, line)


def confirm_restore(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; for scripts and with --json.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Let an agent answer again whose state was restored from a copy."""
    opened = AgentState.open(state_root(state))
    with opened.ledger() as connection:
        before = fence.standing(opened, connection)
        if not yes:
            _ask(before, may_ask=sys.stdin.isatty() and not as_json)
        now = utc_now()
        ended = fence.confirm(opened, connection, now)
        after = fence.standing(opened, connection)
    if as_json:
        content = {
            "sequence": after.sequence,
            "confirmed_at": now.isoformat(),
            "ended": ended,
        }
        print_json(console, content)
        return
    print_line(
        console,
        "This agent answers again, also one that is running. It refuses every question"
        f" that was asked before now; open here were {ended}, which count as spent.",
    )


def _audit_keys(state: AgentState, file: Path | None) -> list[bytes]:
    """Return the keys that may open a record: that of the file, or all that are here.

    Raises:
        ConfigurationError: AUDIT_KEY_ABSENT, or one cannot be read.
    """
    if file is None:
        found = list(audit_seeds(state))
    else:
        found = [read_key(file, state.root)] if may_be_file(file) else []
    if not found:
        raise ConfigurationError(
            "AUDIT_KEY_ABSENT",
            f"{file or state.keys / AUDIT_KEY} is not here: the key of audits was moved"
            " off this machine, or was never made. Bring it, and name its file with"
            " --key.",
        )
    return found


def _audited(state: AgentState, query: str, seeds: list[bytes]) -> Audited:
    """Audit with whichever key opens the record."""
    *others, last = seeds
    for seed in others:
        try:
            return audit_round(state, query, seed, utc_now())
        except ConfigurationError as error:
            if error.reason != "AUDIT_KEY_WRONG":
                raise
    return audit_round(state, query, last, utc_now())


def _audit_lines(found: Audited) -> Iterator[str]:
    when = f"{found.masked_at:%Y-%m-%d %H:%M} UTC"
    yield (
        f"Query {found.query_id}: agreement {found.agreement}, edition {found.edition},"
        f" cohort {found.cohort} of {len(found.members)} agencies, answered on {when}"
        f" in attempt {found.attempt}."
    )
    yield (
        "It agrees: counts, noise and masks, made again from the frozen edition and the"
        " sealed record, are those that this agency signed for."
    )
    yield (
        f"Transcript {found.transcript}; the hub and every other member have the same,"
        " or it was another round."
    )
    if not found.opened:
        yield "This agency has not given away what opens it."


def _ask(before: fence.Standing, *, may_ask: bool) -> None:
    """Say what a confirmation means and ask for it.

    Raises:
        PreconditionFailed: RESTORE_NOT_CONFIRMED
    """
    if before.known is None:
        print_line(screen, "The file state.sequence is gone or damaged.")
    elif before.restored:
        print_line(
            screen,
            f"The database knows {before.sequence} of at least {before.known} steps"
            " that this agent has taken: it is an older copy.",
        )
    else:
        print_line(screen, "Nothing here says that this state is an older copy.")
    print_line(
        screen,
        "What this agency spent since the copy was made is not in its own ledger any"
        " more; the hub's account of the agency still has it. From now on the agent"
        " refuses every question that was asked before, and what is open here counts"
        " as spent. Make sure that no other agent runs on another copy of this state.",
    )
    if not (may_ask and typed_yes("Go on?")):
        raise PreconditionFailed(
            "RESTORE_NOT_CONFIRMED",
            "Nothing was changed. Run the command in a terminal and answer yes, or give"
            " --yes.",
        )
