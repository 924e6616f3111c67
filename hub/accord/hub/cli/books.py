# SPDX-License-Identifier: Apache-2.0
"""Look at what was spent, what happened, and how the hub is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from accord.core.errors import ConfigurationError, PreconditionFailed
from accord.hub import audit
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    day_and_time,
    governed,
    opened,
    reading,
    show,
    show_table,
)
from accord.hub.cli.databases import described, in_words
from accord.hub.contact.standing import standing as ledger_standing
from accord.hub.db.engine import LedgerTransaction, microseconds, place_of
from accord.hub.db.tables import RELEASES
from accord.hub.governance import proposals
from accord.hub.identity import registry
from accord.hub.questions.lifetime import Held, lifetimes
from accord.hub.replicas import membership
from accord.hub.rounds import evidence, submissions
from accord.hub.settings import load_settings
from accord.hub.state import State
from accord.ledger import Unit, height, verify
from accord.ledger.account import shown

ledger_app = typer.Typer(no_args_is_help=True, help="Spent privacy budget.")
audit_app = typer.Typer(no_args_is_help=True, help="What happened.")

_ACCOUNTS = """
SELECT name, unit, used, reserved FROM ledger_account ORDER BY name, unit
"""

_EACH = {"readies": "ready", "receipts": "receipt"}
"""Lists of what each member signed."""

_SERVED = {
    True: "The hub is being served.",
    False: "Nobody serves this hub now; `accord-hub serve` does.",
}


_IN_DOUBT = (
    "NO QUESTION IS TAKEN: this hub may have forgotten what was spent. `accord-hub"
    " ledger reconcile` says who still has to report, and what to do.\n"
)


@ledger_app.command("show")
def show_ledger(state: StateOption = None, as_json: AsJson = False) -> None:
    """Show every account, and what that means for one person, over a lifetime."""
    place = opened(state)
    with reading(place) as tx:
        ledger = LedgerTransaction(tx)
        reached = verify(ledger)
        found = ledger.execute(_ACCOUNTS, {}).fetchall()
        published = proposals.published_after(tx, 0)
    rows = [
        {
            "account": row[0],
            "unit": row[1],
            "charged": row[2] - row[3],
            "reserved": row[3],
        }
        for row in found
    ]
    guarantee = _guarantee(
        place,
        [Held(account=row[0], unit=Unit(row[1]), used=row[2]) for row in found],
        published,
    )
    if as_json:
        content = {"height": reached, "accounts": rows, "guarantee": guarantee}
        show(content, as_json=True)
        return
    for row in rows:
        unit = Unit(row["unit"])
        row["charged"] = shown(row["charged"], unit)
        row["reserved"] = shown(row["reserved"], unit)
    show_table("accounts", rows, as_json=False, empty="Nothing was ever spent.")
    typer.echo(f"Height {reached}; the ledger is consistent.")
    if guarantee:
        typer.echo(
            "\nWhat one person can have lost by all releases, and can lose ever:"
        )
        show_table("guarantee", guarantee, as_json=False, empty="")


def _guarantee(
    place: State, held: Sequence[Held], published: Sequence[bytes]
) -> list[dict[str, Any]]:
    """Return what persons lose, by how many agencies know them."""
    try:
        with governed(place) as standing:
            policies = standing.newest()
    except (ConfigurationError, PreconditionFailed):
        # A copy without keys or policies: its accounts can be looked at all the same.
        return []
    return [
        {
            "unit": each.unit.value,
            "known_to": each.known_to,
            "epsilon": _rounded_up(each.lost),
            "epsilon_at_most": _rounded_up(each.at_most),
            "delta": float(each.delta),
        }
        for each in lifetimes(policies, held, published)
    ]


def _rounded_up(epsilon: Fraction) -> float:
    """Return an epsilon with four places, never less than it is."""
    return math.ceil(epsilon * 10_000) / 10_000


@audit_app.command("show")
def show_audit(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 50,
    event: Annotated[
        str | None, typer.Option(help="Only this event, such as release.published.")
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the last events, oldest first."""
    with reading(opened(state)) as tx:
        notes = audit.newest(tx, last, event=event)
    rows = [
        {
            "number": each.number,
            "at": day_and_time(microseconds(each.at)),
            "event": each.event,
            "facts": each.facts,
        }
        for each in notes
    ]
    show_table("events", rows, as_json=as_json, empty="Nothing has happened yet.")


@audit_app.command("transcript")
def show_transcript(
    release: Annotated[
        str, typer.Argument(help="Id of a release, or of its question.")
    ],
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what every member of a release signed, to compare with its own audit.

    The transcript and the vector digests are those that `accord-agent audit` prints.
    """
    with reading(opened(state)) as tx:
        found, signed = evidence.transcript_of(tx, release)
    content = {"release": found, **signed.as_json()}
    show(content, as_json=as_json, text="\n".join(_lines(content)))


@audit_app.command("evidence")
def show_evidence(
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what agencies signed where one of them was shown something else."""
    with reading(opened(state)) as tx:
        found = evidence.equivocations(tx, last)
    rows = [each.as_json() for each in found]
    if as_json:
        show({"equivocations": rows}, as_json=True)
        return
    for row in rows:
        typer.echo("\n".join(_lines(row)) + "\n")
    if not rows:
        typer.echo("No agency has said that it was shown something else.")


def _lines(content: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield what was signed, one value a line."""
    for name, value in content.items():
        label = name.replace("_", " ")
        if name in _EACH:
            for each in value:
                yield f"{indent}{_EACH[name]}:"
                yield from _lines(each, indent + "  ")
        elif isinstance(value, Mapping):
            yield f"{indent}{label}:"
            yield from _lines(value, indent + "  ")
        else:
            text = ", ".join(value) if isinstance(value, list) else value or "none"
            yield f"{indent}{label}: {text}"


def status(state: StateOption = None, as_json: AsJson = False) -> None:
    """Tell how the hub is: served or not, agencies, questions, releases, ledger."""
    place = opened(state)
    with reading(place) as tx:
        seen = registry.sightings(tx)
        counts = submissions.counts(tx)
        counted = sa.select(sa.func.count()).select_from(RELEASES)
        releases = tx.execute(counted).scalar_one()
        reached = height(LedgerTransaction(tx))
        doubt = ledger_standing(tx).doubt
        hubs = membership.alive(tx)
    served = place.is_served()
    database = place_of(place, load_settings(place.config))
    agencies = [
        {
            "agency": each.agency,
            "last_hello": day_and_time(microseconds(each.at)),
            "agent_version": each.agent_version,
        }
        for _, each in sorted(seen.items())
    ]
    show(
        {
            "state": str(place.root),
            "serving": served,
            "hubs": hubs or int(served),
            "database": described(database),
            "agencies": agencies,
            "submissions": counts,
            "releases": releases,
            "ledger_height": reached,
            "ledger_in_doubt": doubt is not None,
        },
        as_json=as_json,
        text=(
            f"{'' if doubt is None else _IN_DOUBT}{_SERVED[served]}\n"
            f"{in_words(database)}{f' Hubs that serve it: {hubs}.' if hubs else ''}\n"
            f"Agencies seen: {', '.join(sorted(seen)) or 'none'}.\n"
            f"Questions waiting for agencies: {counts['collecting']}, for reviewers:"
            f" {counts['held']}, released: {counts['released']}, failed:"
            f" {counts['failed']}.\n"
            f"Releases: {releases}. Ledger height: {reached}."
        ),
    )
