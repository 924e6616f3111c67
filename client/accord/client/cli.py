# SPDX-License-Identifier: Apache-2.0
"""The ``accord`` command: analysts' questions from a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import accord.client as accord
from accord.client import profile as profiles
from accord.client.demo.command import run_demo
from accord.client.progress import waiting
from accord.client.question import Question
from accord.client.tables import budget_table, records_table, with_notes
from accord.core.errors import AccordError, InternalError, InvalidQuery
from accord.rpc.address import parse_address
from accord.rpc.tokens import TokenKind, parse

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask agencies together; read answers with honest error bars.",
)
profile_app = typer.Typer(no_args_is_help=True, help="Saved addresses and tokens.")
app.add_typer(profile_app, name="profile")

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
Measure = Annotated[str, typer.Option("--measure", "-m", help="What to count.")]
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
    float, typer.Option("--epsilon", "-e", help="Privacy loss to spend at most.")
]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

console = Console()
"""Where tables go."""

notices = Console(stderr=True)
"""Where progress and errors go."""


@app.command()
def agreements(
    *, hub: HubOption = None, profile: ProfileOption = None, as_json: AsJson = False
) -> None:
    """List the agreements under which you may ask."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreements()
    records = [
        {
            "name": summary.name,
            "version": summary.version,
            "purposes": list(summary.purposes),
            "parties": list(summary.parties),
            "valid_from": summary.valid_from,
            "valid_until": summary.valid_until,
            "accounting": summary.accounting,
        }
        for summary in found
    ]
    if as_json:
        _print_json({"agreements": records})
        return
    shown = [
        record
        | {name: ", ".join(_words(record[name])) for name in ("purposes", "parties")}
        for record in records
    ]
    console.print(records_table("agreements", shown))


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else [str(value)]


@app.command()
def describe(
    name: str,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what an agreement lets you ask."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreement(name).describe()
    if as_json:
        _print_json(found.as_json())
        return
    console.print(f"[bold]{found.summary.name}[/] version {found.summary.version}")
    console.print(f"measures: {', '.join(found.measures)}")
    console.print(f"purposes: {', '.join(found.summary.purposes)}")
    console.print(f"editions: {', '.join(found.editions) or 'none yet'}")
    console.print(
        f"at most {found.at_most_dimensions} dimensions; one release may cost up to "
        f"ε = {found.each_release_epsilon:g} (δ = {found.delta:g})"
    )
    console.print(
        records_table(
            "dimensions",
            [
                {
                    "dimension": dimension.name,
                    "level": level,
                    "values": len(values),
                    "such as": ", ".join(values[:6]),
                }
                for dimension in found.dimensions
                for level, values in dimension.levels.items()
            ],
        )
    )


@app.command()
def query(
    *,
    measure: Measure = "persons",
    by: By = None,
    where: Where = None,
    epsilon: Epsilon,
    purpose: Purpose,
    agreement: AgreementOption = None,
    edition: Edition = "",
    wait: Annotated[
        bool, typer.Option(help="Wait for the answer, or print its id at once.")
    ] = True,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.")
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask the agencies and print the answer with its error bars."""
    with accord.connect(hub, profile=profile) as session:
        question = _question(session, agreement, measure, by, where, edition)
        pending = question.release(epsilon=epsilon, purpose=purpose, wait=False)
        if not wait and not pending.done:
            _print_pending(pending, as_json=as_json)
            return
        result = waiting(pending, notices, timeout=timeout, quiet=as_json)
    _print_result(result, as_json=as_json)


@app.command()
def price(
    *,
    measure: Measure = "persons",
    by: By = None,
    where: Where = None,
    epsilon: Epsilon,
    purpose: Purpose,
    agreement: AgreementOption = None,
    edition: Edition = "",
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what a question would cost and how exact it would be; charges nothing."""
    with accord.connect(hub, profile=profile) as session:
        question = _question(session, agreement, measure, by, where, edition)
        found = question.price(epsilon=epsilon, purpose=purpose)
    if as_json:
        _print_json(found.as_json())
        return
    console.print(
        f"{found.cells} cells, each ±{found.half_width:g} at {found.level:.1%}, for "
        f"ε = {found.cost.epsilon:.3g}; edition {found.edition}"
        + ("; already paid for: free" if found.from_archive else "")
    )


@app.command()
def releases(
    *,
    agreement: AgreementOption = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """List what was released, newest first; asking for it again is free."""
    with accord.connect(hub, profile=profile) as session:
        found = [release.as_json() for release in session.releases(agreement or "")]
    if as_json:
        _print_json({"releases": found})
        return
    shown = [
        {
            "id": record["id"],
            "agreement": record["agreement"],
            "edition": record["edition"],
            "measure": record["measure"],
            "by": ", ".join(record["by"]),
            "ε": f"{record['cost']['epsilon']:.3g}",
            "released": record["released_at"][:16],
        }
        for record in found
    ]
    console.print(records_table("releases", shown))


@app.command()
def release(
    identifier: str,
    *,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.")
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Print a release, or the answer to a question asked earlier, by its id."""
    with accord.connect(hub, profile=profile) as session:
        result = session.release(identifier, timeout=timeout)
    _print_result(result, as_json=as_json)


@app.command()
def budget(
    agreement: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what is spent and what is left."""
    with accord.connect(hub, profile=profile) as session:
        found = session.agreement(_only_agreement(session, agreement)).budget()
    if as_json:
        _print_json(found.as_json())
        return
    console.print(budget_table(found.accounts))


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


@profile_app.command("add")
def add_profile(
    name: Annotated[str, typer.Argument()] = profiles.DEFAULT,
    *,
    hub: Annotated[str, typer.Option("--hub", prompt="Hub (HOST:PORT)")],
    token: Annotated[
        str,
        typer.Option("--token", prompt="Token", hide_input=True, envvar="ACCORD_TOKEN"),
    ],
) -> None:
    """Save an address and a token; the token is asked for, so that it stays hidden."""
    parse_address(hub)
    parse(token, TokenKind.ANALYST)
    path = profiles.profiles_path()
    known = profiles.load_profiles(path)
    known[name] = profiles.Profile(hub=hub, token=token)
    profiles.save_profiles(path, known)
    console.print(f"saved profile {name} in {path}")


@profile_app.command("list")
def list_profiles(*, as_json: AsJson = False) -> None:
    """List saved profiles, without their tokens."""
    known = profiles.load_profiles(profiles.profiles_path())
    records = [{"name": name, "hub": entry.hub} for name, entry in known.items()]
    if as_json:
        _print_json({"profiles": records})
        return
    console.print(records_table("profiles", records))


@profile_app.command("remove")
def remove_profile(name: str) -> None:
    """Forget a profile."""
    path: Path = profiles.profiles_path()
    known = profiles.load_profiles(path)
    if known.pop(name, None) is None:
        raise profiles.unknown_profile(name, known)
    profiles.save_profiles(path, known)


def _question(
    session: accord.Hub,
    agreement: str | None,
    measure: str,
    by: list[str] | None,
    where: list[str] | None,
    edition: str,
) -> Question:
    name = _only_agreement(session, agreement)
    question = session.agreement(name).measure(measure).by(*(by or []))
    for wanted in where or []:
        dimension, equals, values = wanted.partition("=")
        if not equals or not values:
            raise InvalidQuery(
                "FILTER_MALFORMED",
                "A filter is DIMENSION=VALUE or DIMENSION=VALUE,VALUE, such as "
                "--where exploitation_type=forced_labour.",
            )
        question = question.where(**{dimension: values.split(",")})
    return question.edition(edition)


def _only_agreement(session: accord.Hub, named: str | None) -> str:
    if named is not None:
        return named
    names = [summary.name for summary in session.agreements()]
    if len(names) == 1:
        return names[0]
    raise InvalidQuery(
        "AGREEMENT_NEEDED",
        "Say which agreement, with its name: " + (", ".join(names) or "none is open."),
    )


def _print_pending(pending: accord.Pending, *, as_json: bool) -> None:
    if as_json:
        _print_json({"submission": {"id": pending.id, "state": "collecting"}})
    else:
        console.print(f"asked; look later with: accord release {pending.id}")


def _print_result(result: accord.Result, *, as_json: bool) -> None:
    if as_json:
        _print_json(result.as_json())
    else:
        console.print(with_notes(result))


def _print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    typer.echo(json.dumps(value, ensure_ascii=False))


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
