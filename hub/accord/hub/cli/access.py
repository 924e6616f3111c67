# SPDX-License-Identifier: Apache-2.0
"""Let agencies and analysts in, and out again."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

import typer

from accord.core.agreement_form import LABEL
from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery, NotFound, suggestion
from accord.core.members import EXCHANGE, KEM, KEY, MembersForm, load_members
from accord.core.policy import MEMBERS
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    day_and_time,
    governed,
    now,
    opened,
    reading,
    require_form,
    show,
    show_table,
    writing,
)
from accord.hub.db.engine import microseconds
from accord.hub.identity import registry
from accord.hub.identity.authority import load_authority
from accord.hub.settings import load_settings
from accord.hub.state import State
from accord.rpc.tokens import TokenKind, mint

token_app = typer.Typer(
    no_args_is_help=True, help="One-time tokens with which agencies enrol."
)
analyst_app = typer.Typer(no_args_is_help=True, help="Analysts and their tokens.")
member_app = typer.Typer(no_args_is_help=True, help="Agencies of the network.")

Agency = Annotated[str, typer.Argument(help="Label of the agency in members.yaml.")]


@token_app.command("create")
def create_token(
    agency: Agency, state: StateOption = None, as_json: AsJson = False
) -> None:
    """Make a token for an agency; it is shown once and works once."""
    place = opened(state)
    _require_member(_members(place), agency)
    settings = load_settings(place.config)
    token = mint(TokenKind.ENROLMENT, load_authority(place.keys, now()).fingerprint)
    created = now()
    expires = created + dt.timedelta(hours=settings.enrolment_token_hours)
    with writing(place) as tx:
        name = registry.create_token(
            tx, agency, token.secret_digest(), now=created, expires_at=expires
        )
    shown = day_and_time(microseconds(expires))
    show(
        {"id": name, "agency": agency, "token": str(token), "expires_at": shown},
        as_json=as_json,
        text=(
            f"{token}\n\n"
            f"Give it to {agency} over a safe channel. It works once, until {shown}:\n"
            f"accord-agent enrol --hub HOST:{settings.public_port} --token TOKEN"
        ),
    )


@token_app.command("list")
def list_tokens(state: StateOption = None, as_json: AsJson = False) -> None:
    """List enrolment tokens; the secrets themselves are not kept."""
    with reading(opened(state)) as tx:
        found = registry.tokens(tx)
    at = microseconds(now())
    rows = [
        {
            "id": row.id,
            "agency": row.agency,
            "state": _state_of_token(row, at),
            "created_at": day_and_time(row.created_at),
            "expires_at": day_and_time(row.expires_at),
        }
        for row in found
    ]
    show_table("tokens", rows, as_json=as_json, empty="There are no tokens.")


def _state_of_token(row: Any, at: int) -> str:  # noqa: ANN401  # a database row
    if row.used_at is not None:
        return "used"
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if at >= row.expires_at else "unused"


@token_app.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Id from `token list`.")],
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """End an unused token."""
    with writing(opened(state)) as tx:
        registry.revoke_token(tx, token, now=now())
    show({"revoked": token}, as_json=as_json, text=f"The token {token} is revoked.")


@analyst_app.command("add")
def add_analyst(
    name: Annotated[str, typer.Argument(help="How the analyst is called.")],
    organisation: Annotated[
        str, typer.Option("--organisation", help="As agreements name it.")
    ],
    role: Annotated[
        list[str], typer.Option("--role", help="As agreements name it; repeat.")
    ],
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Add an analyst and make their token, which is shown once."""
    place = opened(state)
    analyst = Analyst(
        id=require_form(name, LABEL, "an analyst's name"),
        organisation=require_form(organisation, LABEL, "an organisation"),
        roles=frozenset(require_form(each, LABEL, "a role") for each in role),
    )
    token = mint(TokenKind.ANALYST, load_authority(place.keys, now()).fingerprint)
    with writing(place) as tx:
        registry.add_analyst(tx, analyst, token.secret_digest(), now=now())
    show(
        {
            "analyst": analyst.id,
            "organisation": analyst.organisation,
            "roles": sorted(analyst.roles),
            "token": str(token),
        },
        as_json=as_json,
        text=f"{token}\n\nGive it to {name} over a safe channel; nobody can show it"
        " again.",
    )


@analyst_app.command("list")
def list_analysts(state: StateOption = None, as_json: AsJson = False) -> None:
    """List analysts."""
    with reading(opened(state)) as tx:
        found = registry.analysts(tx)
    rows = [
        {
            "analyst": row.id,
            "organisation": row.organisation,
            "roles": row.roles,
            "added_at": day_and_time(row.created_at),
            "revoked_at": day_and_time(row.revoked_at),
        }
        for row in found
    ]
    show_table("analysts", rows, as_json=as_json, empty="There are no analysts.")


@analyst_app.command("revoke")
def revoke_analyst(
    name: Annotated[str, typer.Argument(help="How the analyst is called.")],
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """End an analyst's token; what they spent stays spent."""
    with writing(opened(state)) as tx:
        registry.revoke_analyst(tx, name, now=now())
    show({"revoked": name}, as_json=as_json, text=f"The token of {name} is revoked.")


@member_app.command("list")
def list_members(state: StateOption = None, as_json: AsJson = False) -> None:
    """List agencies: in members.yaml, enrolled or not, when last seen."""
    place = opened(state)
    members = _members(place)
    with reading(place) as tx:
        seen = registry.sightings(tx)
        held = registry.certificates(tx)
        editions = registry.editions(tx, members.members)
    at = microseconds(now())
    rows = [
        {
            "agency": label,
            "name": member.name,
            "enrolled": any(
                row.revoked_at is None and row.expires_at > at
                for row in held.get(label, ())
            ),
            "certificate_until": day_and_time(
                max(
                    (
                        row.expires_at
                        for row in held.get(label, ())
                        if row.revoked_at is None
                    ),
                    default=None,
                )
            ),
            "last_hello": (
                day_and_time(microseconds(seen[label].at)) if label in seen else None
            ),
            "editions": sorted(each.name for each in editions[label]),
        }
        for label, member in members.members.items()
    ]
    show_table("members", rows, as_json=as_json, empty="members.yaml is empty.")


@member_app.command("revoke")
def revoke_member(
    agency: Agency, state: StateOption = None, as_json: AsJson = False
) -> None:
    """End all certificates and tokens of an agency; its stream ends within seconds."""
    with writing(opened(state)) as tx:
        ended = registry.revoke_agency(tx, agency, now=now())
    show(
        {"revoked": agency, "ended": ended},
        as_json=as_json,
        text=f"{agency} is cut off ({ended} certificates and tokens ended). A new token"
        " lets it in again.",
    )


@member_app.command("create")
def create_member(
    agency: Annotated[str, typer.Argument(help="Label for the new agency.")],
    name: Annotated[str, typer.Option("--name", help="Its name for people.")],
    description: Annotated[
        str, typer.Option("--description", help="What it is there for, in public.")
    ],
    key: Annotated[
        str | None, typer.Option(help="Line `key:` of `accord-agent keys`.")
    ] = None,
    exchange: Annotated[
        str | None, typer.Option(help="Line `exchange:`; needed with `--key`.")
    ] = None,
    kem: Annotated[
        str | None, typer.Option(help="Line `kem:`, where there is one.")
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Draft an entry of members.yaml for the boards to agree on; changes nothing."""
    import json

    place = opened(state)
    members = _members(place)
    require_form(agency, LABEL, "an agency's label")
    if agency in members.members:
        raise InvalidQuery("MEMBER_EXISTS", f"{agency!r} is in {MEMBERS} already.")
    first = next(iter(members.members.values())).lifetime
    draft = (
        f"  {agency}:\n"
        f"    name: {json.dumps(name, ensure_ascii=False)}\n"
        + "".join(
            f"    {entry}: {require_key(given, form)}\n"
            for entry, given, form in (
                ("key", key, KEY),
                ("exchange", exchange, EXCHANGE),
                ("kem", kem, KEM),
            )
            if given
        )
        + f"    remit: {{description: {json.dumps(description, ensure_ascii=False)}}}\n"
        "    lifetime:\n"
        f"      zcdp: {{epsilon: {float(first.zcdp.epsilon):g},"
        f" delta: {float(first.zcdp.delta):g}}}\n"
        f"      pure: {{epsilon: {float(first.pure.epsilon):g}}}\n"
    )
    load_members(f"network: draft\nmembers:\n{draft}", "the draft")
    show(
        {"agency": agency, "draft": draft},
        as_json=as_json,
        text=f"{draft}\nGive it to the board, which adds it to {MEMBERS} and signs.",
    )


def require_key(text: str, form: str) -> str:
    """Return a public key if it is written as one of its kind.

    Raises:
        InvalidQuery: KEY_INVALID.
    """
    if re.fullmatch(form, text) is None:
        raise InvalidQuery(
            "KEY_INVALID",
            "A key is written as `accord-agent keys` prints it: ed25519: or x25519: and"
            " 64 hexadecimal digits in lower case, mlkem768: and 1580 characters.",
        )
    return text


def _members(place: State) -> MembersForm:
    with governed(place) as standing:
        return standing.newest().members


def _require_member(members: MembersForm, agency: str) -> None:
    if agency not in members.members:
        known = members.members
        raise NotFound(
            "MEMBER_UNKNOWN",
            f"There is no agency {agency!r} in {MEMBERS}."
            + (suggestion(agency, known) or f" There are: {', '.join(known)}."),
            agency=agency,
        )
