# SPDX-License-Identifier: Apache-2.0
"""Commands of an agent's first day: ``init`` and ``draft``.

On a terminal they ask what cannot be told from the source; elsewhere the file asks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen, typed_yes
from accord.agent.cli.screens import (
    print_json,
    print_line,
    show_parts,
    show_report,
)
from accord.agent.keys.public import key_lines, keys_json
from accord.agent.machine.looking import is_seen, may_be_file
from accord.agent.mapping_file import mapping_from
from accord.agent.rounds.sealing import AUDIT_KEY
from accord.agent.state import AgentState, state_root
from accord.core.errors import InvalidQuery

if TYPE_CHECKING:
    from accord.agent.drafting.draft import Draft
    from accord.agent.drafting.origins import Origin
    from accord.agent.joining import Wishes

Person = Annotated[
    str | None,
    typer.Option(
        "--person",
        help="Columns that identify a person, with commas between them; or row_number, "
        "or cases-only.",
        show_default=False,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Known form of the files: htcds, ctdc, uk-nrm or none; else recognised.",
        show_default=False,
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="Data model file; else that of the agreement, else the sample.",
        show_default=False,
    ),
]
DatabaseName = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="In the place of files: a database that config.toml names.",
        show_default=False,
    ),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", help="Table or view of that database.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Mapping file to write.", show_default=False),
]


def draft(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files; together one source.",
            metavar="SOURCE…",
            show_default=False,
        ),
    ] = None,
    *,
    database: DatabaseName = None,
    table: TableName = None,
    output: Output = None,
    person: Person = None,
    profile: Profile = None,
    model: Model = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Draft a mapping from a source's columns, and ask what cannot be told."""
    from accord.agent.drafting.origins import Origin
    from accord.agent.drafting.writing import written
    from accord.agent.joining import Wishes, draft_of, write_draft

    opened = AgentState.open(state_root(state))
    wishes = Wishes(person=person, profile=profile, model=model)
    origin = Origin(tuple(sources or ()), database, table)
    found = draft_of(opened, origin, wishes)
    if _on_terminal() and not as_json:
        _ask(found)
    if output is not None:
        write_draft(found, output)
    if as_json:
        print_json(console, _draft_json(found, output))
        return
    if output is None:
        typer.echo(written(found), nl=False)
        return
    print_line(console, f"The mapping is in {output}.")
    _say_open(found)


def init(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Export of your case files; its mapping is drafted, and it is stored "
            "if nothing is left open.",
            metavar="SOURCE…",
            show_default=False,
        ),
    ] = None,
    *,
    database: DatabaseName = None,
    table: TableName = None,
    new_agency_key: Annotated[
        bool,
        typer.Option(
            "--new-agency-key",
            help="Make another agency key where the one that the board knew is gone.",
        ),
    ] = False,
    output: Output = None,
    person: Person = None,
    profile: Profile = None,
    model: Model = None,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Look at the source; store nothing.")
    ] = False,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Make the agency's keys and state directory, and take in a first source."""
    from accord.agent.drafting.origins import Origin
    from accord.agent.joining import Wishes

    made = AgentState.create(state_root(state), new_agency_key=new_agency_key)
    if not as_json:
        _say_state(made)
    named = bool(sources or database or table)
    if not named and _on_terminal() and not as_json:
        sources = _ask_source()
        named = bool(sources)
    wishes = Wishes(person=person, profile=profile, model=model)
    outcome: dict[str, Any] = {}
    if named:
        origin = Origin(tuple(sources or ()), database, table)
        outcome = _first_source(
            made, origin, output, wishes, store=not check_only, quiet=as_json
        )
    elif output or person or profile or model or check_only:
        raise InvalidQuery(
            "OPTION_ALONE",
            "-o, --person, --profile, --model and --check-only go with a SOURCE only.",
        )
    public = made.secret_keys("").public
    if as_json:
        print_json(console, {"state": str(made.root), **keys_json(public), **outcome})
        return
    print_line(
        console,
        "Give these lines to your board, in person or by another way that you trust, "
        "so that it signs a list of members with them; until then this agency cannot "
        "join. `accord-agent keys` prints them again:",
    )
    for line in key_lines(public):
        print_line(console, line)
    if named:
        print_line(console, _next(outcome))


def _first_source(
    state: AgentState,
    origin: Origin,
    output: Path | None,
    wishes: Wishes,
    *,
    store: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Draft, check and ingest, as far as nothing is open; return what was done."""
    from accord.agent.intake.ingest import check, ingest
    from accord.agent.joining import draft_of, mapping_place, write_draft

    file = output or mapping_place(state, origin)
    if is_seen(file):
        _say(f"The mapping {file} is there already and is used as it is.", quiet=quiet)
        if wishes.person or wishes.profile:
            _say("--person and --profile are for a new one only.", quiet=quiet)
    else:
        found = draft_of(state, origin, wishes)
        if _on_terminal() and not quiet:
            _ask(found)
        write_draft(found, file)
        _say(f"The mapping is in {file}.", quiet=quiet)
        questions = list(found.questions())
        if questions:
            if not quiet:
                _say_open(found)
            return {"mapping": str(file), "open": len(questions), "stored": False}
    mapping = mapping_from(state, file, wishes.model)
    limits = state.settings().ingest
    report = check(state, mapping, origin.paths, limits)
    if not quiet:
        show_report(console, report)
    content = {"mapping": str(file), "open": 0, "report": report.as_json()}
    if not store or not report.kept or not _agreed(quiet=quiet):
        return {**content, "stored": False}
    done = ingest(state, mapping, origin.paths, limits, utc_now())
    if not quiet:
        show_parts(console, done.parts)
    return {**content, "stored": True, "parts": [each.as_json() for each in done.parts]}


def _say_state(state: AgentState) -> None:
    print_line(console, f"The agent's state is in {state.root}.")
    print_line(
        console,
        "Keep a copy of its folder `keys` in a safe place: without the pseudonym key "
        "no later store knows the same persons, and without the agency key the board "
        "has to list this agency anew.",
    )
    print_line(
        console,
        f"The key of audits, {AUDIT_KEY} in that folder, is needed for audits only: it "
        "may be moved to a place of its own.",
    )


def _next(outcome: dict[str, Any]) -> str:
    if outcome["open"]:
        return (
            f"Next: answer what is open in {outcome['mapping']}, and run the same "
            "command again."
        )
    if not outcome["stored"]:
        return (
            "Nothing was stored. Next: change the mapping until the numbers are what "
            "you expect, and run the same command again."
        )
    return (
        "Next: `accord-agent enrol` with the token from the hub's operator, then "
        "`accord-agent run`. `accord-agent doctor` says what would be in the way."
    )


def _ask_source() -> list[Path] | None:
    from accord.agent.joining import typed_path

    while True:
        typed = _ask_line("Path of an export of your case files (empty: later): ")
        if not typed:
            return None
        path = typed_path(typed)
        if may_be_file(path):
            return [path]
        print_line(screen, f"There is no file {path}.")


def _agreed(*, quiet: bool) -> bool:
    """Ask before the first ingest, where there is somebody to ask."""
    if quiet or not _on_terminal():
        return True
    return typed_yes("Store this?")


def _ask_line(prompt: str) -> str:
    try:
        return _ask_terminal(prompt).strip()
    except EOFError:
        return ""


def _ask_terminal(prompt: str) -> str:
    screen.print(prompt, end="", markup=False, highlight=False, soft_wrap=True)
    return input()


def _ask(found: Draft) -> None:
    from accord.agent.drafting.asking import ask_all

    ask_all(found, _ask_terminal, lambda text: print_line(screen, text))


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print_line(console, text)


def _say_open(found: Draft) -> None:
    count = sum(1 for _ in found.questions())
    if count:
        what = "question is" if count == 1 else "questions are"
        print_line(
            console, f"{count} {what} open in it; they stand where it says TODO."
        )


def _draft_json(found: Draft, output: Path | None) -> dict[str, Any]:
    """Return a draft for programs: names of columns and values, never a code."""
    from accord.agent.drafting.writing import written

    content: dict[str, Any] = {
        "profile": found.profile,
        "dimensions": {name: list(entry.reads) for name, entry in found.in_order()},
        "quantities": {name: column for name, (column, _) in found.quantities.items()},
        "open": sum(1 for _ in found.questions()),
    }
    if output is None:
        return {**content, "mapping": written(found)}
    return {**content, "file": str(output)}


def _on_terminal() -> bool:
    return sys.stdin.isatty()
