# SPDX-License-Identifier: Apache-2.0
"""Commands that let go: ``forget``, ``forgotten`` and ``retention``.

What identifies a person is typed at a prompt, or comes from a private file or standard
input; never from the command line. DuckDB is loaded when one of them runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.screens import print_json, print_line
from accord.agent.cli.sources import MappingOption, ModelOption
from accord.agent.intake.mapping import Mapping
from accord.agent.keys.files import read_secret
from accord.agent.machine.looking import may_be_file
from accord.agent.mapping_file import mapping_from
from accord.agent.policies import model_for_mapping
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery, PreconditionFailed

if TYPE_CHECKING:
    from accord.agent.forgetting.receipt import Receipt
    from accord.agent.forgetting.survey import Held

FROM_INPUT = "-"

RELEASED = (
    "What was released before stays released: a sum over many, with noise. A question "
    "under way whose figures have left masked goes on with them; every later one is "
    "answered without."
)


def forget(
    *,
    mapping: MappingOption,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="File of mode 0600 with lines COLUMN: TEXT; - reads it from input. "
            "Else you are asked.",
            show_default=False,
        ),
    ] = None,
    lift: Annotated[
        bool,
        typer.Option(
            "--lift", help="The opposite: the next ingest takes the person in again."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; for scripts and with --json.")
    ] = False,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Take a person out of the store and out of all editions, and keep them out."""
    from accord.agent.forgetting.identity import pseudonym_of
    from accord.agent.forgetting.survey import Named, survey
    from accord.agent.forgetting.taking_out import forget as take_out
    from accord.agent.intake.chain import all_pseudonyms

    opened = AgentState.open(state_root(state))
    limits = opened.settings().ingest
    named_by = mapping_from(opened, mapping, model)
    may_ask = sys.stdin.isatty() and source != FROM_INPUT and not as_json
    persons = _persons(named_by, source, may_ask=may_ask)
    first = [pseudonym_of(opened, named_by, each) for each in persons]
    if lift:
        _lift(opened, first, as_json=as_json)
        return
    if not yes:
        named = Named(
            [each for every in all_pseudonyms(opened, first) for each in every]
        )
        _ask(survey(opened, named), len(persons), may_ask=may_ask)
    receipt = take_out(opened, first, limits, utc_now())
    _show(receipt, as_json=as_json)
    if as_json:
        return
    print_line(console, RELEASED)
    if source is not None and source != FROM_INPUT:
        print_line(console, f"Now delete {source}.")


def forgotten(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """List the receipts of what was forgotten, lifted and let go, without any name."""
    from accord.agent.forgetting.receipt import receipts_of

    found = receipts_of(AgentState.open(state_root(state)))
    if as_json:
        print_json(console, {"receipts": [each.as_json() for each in found]})
        return
    for receipt in found:
        for line in receipt.lines():
            print_line(console, line)
    if not found:
        print_line(console, "Nothing was forgotten yet.")


def retention(
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Let it go; else it is only shown.")
    ] = False,
    model: ModelOption = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what is older than this agency keeps records, or let it go."""
    from accord.agent.forgetting.retention import apply as let_go
    from accord.agent.forgetting.retention import due

    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    now = utc_now()
    if apply:
        receipt = let_go(
            opened,
            settings,
            now,
            lambda part: model_for_mapping(opened, part.data_model, model),
        )
        _show(receipt, as_json=as_json)
        return
    found = due(
        opened,
        settings,
        now,
        lambda part: model_for_mapping(opened, part.data_model, model),
    )
    if as_json:
        content = {
            "months": settings.retention.months,
            "parts": found.parts,
            "editions": list(found.editions),
        }
        print_json(console, content)
        return
    if settings.retention.months is None:
        print_line(
            console, "config.toml has no [retention] months: records do not grow old."
        )
    for name, cases in found.parts.items():
        print_line(console, f"part {name}: {cases:,} cases would go")
    for name in found.editions:
        print_line(console, f"edition {name} would go")
    print_line(console, "Nothing was changed; `accord-agent retention --apply` does.")


def _show(receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        print_json(console, receipt.as_json())
        return
    for line in receipt.lines():
        print_line(console, line)


def _persons(
    mapping: Mapping, source: str | None, *, may_ask: bool
) -> Sequence[Sequence[str]]:
    """Return whom it is about, as texts of the identifying columns.

    Raises:
        InvalidQuery: FORGET_INPUT
        PreconditionFailed: FORGET_NOBODY
        ConfigurationError: the file can be read by others.
    """
    from accord.agent.forgetting.identity import identifying, identities_in, text_of

    _, columns = identifying(mapping)
    if source is None and may_ask:
        print_line(screen, "Type each text as the source has it; case does not matter.")
        texts = [_typed(column) for column in columns]
        if any(texts):
            return [texts]
        raise InvalidQuery("FORGET_INPUT", "Nobody was named, and nothing was changed.")
    if source is None:
        raise InvalidQuery(
            "FORGET_INPUT",
            "Run the command in a terminal, or name a file of mode 0600 with --from, "
            "or - for standard input.",
        )
    if source == FROM_INPUT:
        text = text_of(sys.stdin.buffer.read(), "standard input")
        return identities_in(text, columns, "standard input")
    path = Path(source)
    if not may_be_file(path):
        raise InvalidQuery("FORGET_INPUT", f"There is no file {path}.")
    text = text_of(read_secret(path), path.name)
    return identities_in(text, columns, path.name)


def _typed(column: str) -> str:
    screen.print(f"{column}: ", end="", markup=False)
    try:
        return input().strip()
    except EOFError:
        return ""


def _lift(state: AgentState, first: Sequence[bytes], *, as_json: bool) -> None:
    from accord.agent.forgetting.taking_out import lift

    receipt = lift(state, first, state.settings().ingest, utc_now())
    _show(receipt, as_json=as_json)
    if not receipt.persons and not as_json:
        print_line(console, "Nobody so named was on the list; check the spelling.")


def _ask(found: Sequence[Held], persons: int, *, may_ask: bool) -> None:
    """Say what would happen, and ask for it.

    Raises:
        PreconditionFailed: FORGET_NOT_CONFIRMED
    """
    there = [each for each in found if each.of_them]
    for each in there:
        print_line(screen, f"{each.kind} {each.name}: {each.of_them:,} of {persons:,}")
    if not there:
        print_line(
            screen,
            "Nobody so named is in the store or in an edition. Check the spelling; if "
            "you go on, they come on the list, and later ingests leave them out.",
        )
    for each in found:
        if each.cases is None:
            print_line(
                screen,
                f"edition {each.name} cannot be searched here, and is CLOSED: no "
                "question about it is answered any more.",
            )
    if not (may_ask and typed_yes("Forget them?")):
        raise PreconditionFailed(
            "FORGET_NOT_CONFIRMED",
            "Nothing was changed. Run the command in a terminal and answer yes, or "
            "give --yes.",
        )
