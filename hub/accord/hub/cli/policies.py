# SPDX-License-Identifier: Apache-2.0
"""What the board signed: look at it, and put in force what it has completed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.core.canonical import bytes_digest
from accord.core.errors import ConfigurationError
from accord.hub.cli.common import (
    AsJson,
    StateOption,
    governed,
    moment_text,
    now,
    opened,
    reading,
    show,
)
from accord.hub.governance import proposals
from accord.hub.governance.standing import InForce, Standing
from accord.hub.identity.authority import load_authority
from accord.hub.state import State
from accord.trust.metadata import read_board
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file

policies_app = typer.Typer(no_args_is_help=True, help="Policies that the board signed.")


def keys(state: StateOption = None, as_json: AsJson = False) -> None:
    """Show the hub's public keys, as the board writes them into members.yaml."""
    place = opened(state)
    form = load_authority(place.keys, now()).hub_form
    show(
        {"key": form.key, "freshness": form.freshness},
        as_json=as_json,
        text=f"hub:\n  key: {form.key}\n  freshness: {form.freshness}",
    )


@policies_app.command("publish")
def publish(
    file: Annotated[
        Path, typer.Argument(help="A proposal that the board has completed.")
    ],
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Put a complete proposal in force; a hub that serves takes it over at once."""
    place = opened(state)
    proposal = from_file(_content(file), file.name)
    with governed(place) as standing:
        version = _publish(place, standing, proposal)
    show(
        {
            "proposal": proposal.id,
            "policies_version": version,
            "paths": list(proposal.changed()),
        },
        as_json=as_json,
        text=f"In force: version {version} ({proposal.words}).\n"
        f"Changed: {', '.join(proposal.changed()) or 'signatures only'}.",
    )


@policies_app.command("show")
def show_policies(state: StateOption = None, as_json: AsJson = False) -> None:
    """Show which policies are in force, who the board is, and what waits."""
    place = opened(state)
    with governed(place) as standing:
        found, fresh_until = standing.in_force, standing.fresh_until
    with reading(place) as tx:
        waiting = [each for each in proposals.listed(tx) if each.version is None]
    payload: dict[str, object] = {
        "policies_version": 0,
        "proposals": [
            {
                "id": each.id,
                "comment": each.comment,
                "paths": each.paths,
                "signed": each.signed,
                "missing": each.missing,
            }
            for each in waiting
        ],
    }
    lines = ["No policies are in force."]
    if found is not None and fresh_until is not None:
        payload |= _described(found)
        payload["fresh_until"] = moment_text(fresh_until)
        lines = _lines(found, moment_text(fresh_until))
    lines.extend(
        f"Waits for signatures: {each.comment} ({', '.join(each.paths)}), signed by"
        f" {', '.join(each.signed) or 'nobody'}."
        for each in waiting
    )
    show(payload, as_json=as_json, text="\n".join(lines))


def _publish(place: State, standing: Standing, proposal: Proposal) -> int:
    """Return the version in force afterwards."""
    found = standing.in_force
    if found is not None and proposal.is_in(found.stored.repository):
        return found.policies.version
    with reading(place) as tx:
        complete = proposals.with_signatures(tx, proposal)
    standing.publish(standing.prepare(complete), by=None)
    return standing.version


def _described(found: InForce) -> dict[str, object]:
    board = read_board(found.stored.repository.root())
    documents = found.policies.documents.documents
    return {
        "policies_version": found.policies.version,
        "board": board.name,
        "network": board.network,
        "threshold": board.threshold,
        "members": [member.label for member in board.members],
        "fingerprint": board.digest,
        "words": board.words,
        "signed_until": moment_text(found.expires),
        "documents": {
            path: bytes_digest(content) for path, content in sorted(documents.items())
        },
    }


def _lines(found: InForce, fresh_until: str) -> list[str]:
    board = read_board(found.stored.repository.root())
    members = ", ".join(member.label for member in board.members)
    return [
        f"Policies: version {found.policies.version}.",
        f"Signed until {moment_text(found.expires)}, fresh until {fresh_until}.",
        f"Board: {board.name} ({board.threshold} of {members}).",
        f"Its fingerprint: {board.words} ({board.digest}).",
        *(
            f"{path}  {bytes_digest(content)}"
            for path, content in sorted(found.policies.documents.documents.items())
        ),
    ]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "PROPOSAL_UNREADABLE",
            f"The file {file.name} cannot be read:"
            f" {error.strerror or 'it is no ordinary file'}.",
        ) from None
