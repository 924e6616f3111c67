# SPDX-License-Identifier: Apache-2.0
"""Look at a ledger that is in doubt, and make it whole again."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer

from accord.core.privacy import Loss
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    governed,
    moment_text,
    now,
    opened,
    show,
    show_table,
    writing,
)
from accord.hub.contact import reconcile
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.contact.reconcile import Reconciled
from accord.hub.contact.standing import Cause, Doubt
from accord.hub.contact.survey import Agency, Missing, Survey, survey
from accord.hub.identity.authority import load_authority
from accord.hub.policies import Policies
from accord.hub.state import State
from accord.ledger import Unit
from accord.ledger.account import shown

_CAUSES = {
    Cause.RESTORED: "This hub was restored from a copy",
    Cause.AGENCY: "An agency ({agency}) has seen more than this hub's ledger has",
}


def reconcile_ledger(
    apply: Annotated[
        bool, typer.Option("--apply", help="Charge what is missing, and go on.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", help="Go on without this agency's word; repeat for others."
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what agencies know of charges that this hub has lost; rebuild them.

    The hub has to serve while agencies report. Without --apply nothing is changed.
    """
    place = opened(state)
    policies = _policies(place)
    done: Reconciled | None = None
    with writing(place) as tx:
        keys = hub_keys(tx, load_authority(place.keys, now()))
        found = survey(tx, policies, keys)
        if apply:
            done = reconcile.apply(tx, policies, keys, without=without or [], at=now())
    if as_json:
        show(_content(found, done), as_json=True)
    else:
        _tell(found, done)


def _tell(found: Survey, done: Reconciled | None) -> None:
    """Say it to an operator, who may have a bad night."""
    doubt = found.standing.doubt
    if doubt is None:
        typer.echo("Nobody doubts this hub's ledger: there is nothing to reconcile.")
        return
    typer.echo(_headline(doubt))
    rows = [
        {
            "agency": each.label,
            "last_hello": _text(each.last_hello),
            "has_reported": each.reported,
            "claims_without_proof": _amounts(each.unproven) if each.unproven else None,
        }
        for each in found.agencies
    ]
    show_table("agencies", rows, as_json=False, empty="The board lists no agency.")
    charges = [
        {
            "question": each.charge.query_id,
            "agreement": each.charge.agreement,
            "analyst": each.charge.analyst,
            "cohort": each.cohort,
            "charged_at": moment_text(each.charged_at),
            "cost": _amounts(each.charge.loss),
            "proven_by": list(each.proven_by),
        }
        for each in found.missing
    ]
    typer.echo(f"\nCharges that this hub has lost: {len(charges)}")
    if charges:
        show_table("missing", charges, as_json=False, empty="")
    typer.echo("\n" + _next_step(found, done))


def _headline(doubt: Doubt) -> str:
    cause = _CAUSES[doubt.cause].format(agency=doubt.agency)
    return (
        f"{cause}. Since {moment_text(doubt.since)} it takes no question and releases"
        " nothing.\n"
    )


def _next_step(found: Survey, done: Reconciled | None) -> str:
    if done is not None:
        left = (
            f" Without the word of {', '.join(done.without)}." if done.without else ""
        )
        return (
            f"Done: {len(done.rebuilt)} charges are back, {len(done.ended)} open"
            f" questions have ended, and the ledger is of epoch {done.epoch}.{left} The"
            " hub takes questions again."
        )
    if found.awaited:
        return (
            f"Still to report: {', '.join(found.awaited)}. Keep the hub serving until"
            " they have come. For one that cannot come, add --without AGENCY."
        )
    if found.unproven:
        return (
            f"Talk to {', '.join(found.unproven)}: they claim charges that this hub"
            " never signed. To go on without their word, add --without AGENCY."
        )
    return "Everybody has reported. Next: `accord-hub ledger reconcile --apply`."


def _agency(each: Agency) -> dict[str, Any]:
    return {
        "agency": each.label,
        "last_hello": _text(each.last_hello),
        "reported": each.reported,
        "unproven": None if each.unproven is None else _loss(each.unproven),
    }


def _missing(each: Missing) -> dict[str, Any]:
    return {
        "submission": each.charge.query_id,
        "agreement": each.charge.agreement,
        "analyst": each.charge.analyst,
        "purpose": each.charge.purpose,
        "cohort": each.cohort,
        "agencies": list(each.members),
        "charged_at": moment_text(each.charged_at),
        "proven_by": list(each.proven_by),
        **_loss(each.charge.loss),
    }


def _loss(loss: Loss) -> dict[str, int]:
    return {"nano_rho": loss.nano_rho, "nano_epsilon": loss.nano_epsilon}


def _amounts(loss: Loss) -> str:
    """Return a loss as people read it."""
    amounts = ((loss.nano_rho, Unit.NANO_RHO), (loss.nano_epsilon, Unit.NANO_EPSILON))
    parts = [shown(amount, unit) for amount, unit in amounts if amount]
    return ", ".join(parts) or "seen in a later ledger than there can be"


def _text(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _policies(place: State) -> Policies | None:
    with governed(place) as standing:
        return standing.newest() if standing.in_force else None


def _content(found: Survey, done: Reconciled | None) -> dict[str, Any]:
    standing, doubt = found.standing, found.standing.doubt
    return {
        "doubt": doubt
        and {
            "since": moment_text(doubt.since),
            "cause": doubt.cause.value,
            "agency": doubt.agency,
        },
        "restored_at": _text(standing.restored_at),
        "copied_at": _text(standing.copied_at),
        "epoch": done.epoch if done else standing.epoch,
        "agencies": [_agency(each) for each in found.agencies],
        "missing": [_missing(each) for each in found.missing],
        "applied": done is not None,
        "ended": list(done.ended) if done else [],
    }
