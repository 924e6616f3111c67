# SPDX-License-Identifier: Apache-2.0
"""Commands that show what was asked of this agency, and its hub's log.

Each is for the staff on the machine: whoever can read the state directory may run them.
"""

from __future__ import annotations

import collections
import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.screens import print_json, print_line, printable
from accord.agent.network.identity import IdentityFiles
from accord.agent.receipts import Receipt, receipts
from accord.agent.settings import Settings
from accord.agent.spending import lifetime_cap
from accord.agent.state import AgentState, state_root
from accord.agent.store.durable import write_over
from accord.agent.witness.log import Fork, accept, accepted, forks
from accord.core.errors import ConfigurationError, PreconditionFailed
from accord.core.messages import languages, sentence
from accord.core.privacy import Accounting, Loss
from accord.ledger.sqlite import transaction
from accord.merkle.heads import SignedHead

log_app = typer.Typer(
    name="log", no_args_is_help=True, help="What this agency has seen of the hub's log."
)

COLUMNS: Final = (
    "asked_at",
    "analyst",
    "organisation",
    "roles",
    "agreement",
    "agreement_version",
    "purpose",
    "question",
    "edition",
    "outcome",
    "reason",
    "what_left",
    "cohort",
    "members",
    "figures",
    "noise",
    "nano_rho",
    "nano_epsilon",
    "charged_at",
    "query_id",
)
"""Of a table for spreadsheets; each is an entry of a receipt as JSON."""

_OBEYED: Final = frozenset("=+-@\t\r")
"""A spreadsheet takes what begins so for a formula; words come from strangers."""


def show_receipts(
    *,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write them as a table for a spreadsheet instead.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str, typer.Option("--language", help="Of the words: en or ar.")
    ] = "en",
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show every question that was asked about this agency's data, and what left."""
    if language not in languages("receipt"):
        known = ", ".join(sorted(languages("receipt")))
        raise ConfigurationError("LANGUAGE_UNKNOWN", f"Receipts are told in: {known}.")
    opened = AgentState.open(state_root(state))
    with opened.ledger() as connection:
        found = list(receipts(connection))
    if table is not None:
        _write_table(table, found)
    if as_json:
        print_json(console, {"receipts": [each.as_json() for each in found]})
        return
    if table is not None:
        print_line(console, f"{len(found)} questions are in {table}.")
        return
    settings = opened.settings()
    for each in found:
        for line in _lines(each, language, settings):
            print_line(console, line)
    for line in summary(found, language):
        print_line(console, line)


@log_app.command("show")
def show_log(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Show the newest head of the hub's log that this agency has accepted."""
    opened = AgentState.open(state_root(state))
    with opened.ledger() as connection, transaction(connection) as tx:
        seen, found = accepted(tx), forks(tx)
    if as_json:
        content = {
            "agency": _agency(opened),
            "seen": None if seen is None else seen.as_json(),
            "forks": [each.as_json() for each in found],
        }
        print_json(console, content)
        return
    if seen is None:
        print_line(console, "This agency has not seen the hub's log yet.")
        return
    print_line(console, f"accepted: {_head_line(seen)}")
    print_line(console, f"root: {seen.head.root.hex()}")
    for each in found:
        for line in _fork_lines(each):
            print_line(console, line)
    if any(each.accepted_at is None for each in found):
        print_line(console, _FORKED, "bold red")


@log_app.command("accept")
def accept_log(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; for scripts and with --json.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Answer a hub again whose log does not follow from what this agency saw."""
    opened = AgentState.open(state_root(state))
    with opened.ledger() as connection:
        with transaction(connection) as tx:
            found = forks(tx, unaccepted=True)
        if found and not yes:
            _ask(found, may_ask=sys.stdin.isatty() and not as_json)
        with transaction(connection) as tx:
            taken = accept(tx, utc_now(), found[-1] if found else None)
    if as_json:
        print_json(console, {"accepted": taken.shown.as_json()})
        return
    print_line(
        console,
        f"This agency goes on from {_head_line(taken.shown)}, also where it is running."
        " What it saw before is kept: `accord-agent log show --json`.",
    )


_FORKED: Final = (
    "NOTHING IS ANSWERED: the hub's log is not the one that this agency saw. Ask the"
    " hub's operator, by another way, what happened, and tell your board: both heads"
    " are signed by the hub, and `accord-agent log show --json` prints the evidence."
    " Where it was restored from a copy, the entries in between are lost, and all"
    " agencies are in the same place. `accord-agent log accept` goes on."
)


def _ask(found: tuple[Fork, ...], *, may_ask: bool) -> None:
    """Say what it means to go on and ask for it.

    Raises:
        PreconditionFailed: LOG_NOT_ACCEPTED
    """
    for each in found:
        for line in _fork_lines(each):
            print_line(screen, line)
    print_line(screen, _FORKED)
    if not (may_ask and typed_yes("Go on?")):
        raise PreconditionFailed(
            "LOG_NOT_ACCEPTED",
            "Nothing was changed, and nothing is answered. Run the command in a"
            " terminal and answer yes, or give --yes.",
        )


def summary(found: list[Receipt], language: str = "en") -> Iterator[str]:
    """Yield how many questions came to which end, and what the words mean."""
    if not found:
        yield sentence("receipt.none", language)
        return
    ends = collections.Counter(each.how_it_ended(language) for each in found)
    counted = "; ".join(f"{words}: {count:,}" for words, count in ends.most_common())
    yield sentence("receipt.summary", language, count=f"{len(found):,}", ends=counted)
    yield sentence("receipt.explained", language)


def _lines(each: Receipt, language: str, settings: Settings) -> Iterator[str]:
    def label(name: str, words: str) -> str:
        return f"  {sentence(f'receipt.label.{name}', language):<9} {printable(words)}"

    asked = each.requisition
    yield f"{each.asked_at:%Y-%m-%d %H:%M} UTC   {each.query_id}"
    if asked is not None:
        parts = (asked.analyst.id, asked.analyst.organisation)
        yield label("who", ", ".join(filter(None, parts)))
        yield label("why", asked.purpose)
        words = sentence(
            "receipt.version",
            language,
            agreement=asked.query.agreement,
            version=asked.agreement_version,
        )
        yield label("under", words)
    yield label("question", each.question(language))
    yield label("answer", each.what_left(language))
    ended = each.how_it_ended(language)
    if each.charged_at is not None:
        ended = sentence(
            "receipt.charged",
            language,
            ended=ended,
            at=f"{each.charged_at:%Y-%m-%d %H:%M} UTC",
            cost=each.cost_words(),
            share=_share(each.cost, settings),
        )
    yield label("ended", ended)
    yield ""


def _share(cost: Loss, settings: Settings) -> str:
    """Return which part a cost is of all that this agency's records may ever lose."""
    parts = [
        amount / lifetime_cap(settings, accounting)
        for amount, accounting in (
            (cost.nano_rho, Accounting.ZCDP),
            (cost.nano_epsilon, Accounting.PURE),
        )
    ]
    return f"{sum(parts):.2%}"


def _fork_lines(each: Fork) -> Iterator[str]:
    state = (
        "" if each.accepted_at is None else f", accepted {each.accepted_at:%Y-%m-%d}"
    )
    yield f"On {each.found_at:%Y-%m-%d %H:%M} UTC{state}:"
    yield f"  seen before: {_head_line(each.seen)}"
    yield f"    {each.seen.head.root.hex()}"
    yield f"  shown then:  {_head_line(each.shown)}"
    yield f"    {each.shown.head.root.hex()}"


def _head_line(signed: SignedHead) -> str:
    head = signed.head
    return (
        f"{head.size} entries, signed {head.at:%Y-%m-%d %H:%M:%S} UTC at height"
        f" {head.ledger_height} of the hub's ledger (rebuilt {head.epoch} times)"
    )


def _write_table(file: Path, found: list[Receipt]) -> None:
    """Write a table that its owner alone can read; one that was there is replaced.

    Raises:
        ConfigurationError: OUTPUT_UNWRITABLE.
    """
    try:
        target = io.StringIO(newline="")
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        for each in found:
            content = each.as_json()
            writer.writerow([_cell(content[name]) for name in COLUMNS])
        write_over(file, target.getvalue().encode())
    except OSError as error:
        raise ConfigurationError(
            "OUTPUT_UNWRITABLE", f"{file} cannot be written: {error.strerror}."
        ) from error


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = printable(text)
    return f"'{text}" if text[:1] in _OBEYED else text


def _agency(state: AgentState) -> str | None:
    files = IdentityFiles(state.keys)
    return files.load().membership.agency if files.enrolled() else None
