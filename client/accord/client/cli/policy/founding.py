# SPDX-License-Identifier: Apache-2.0
"""``accord policy found``: the first day of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, console, print_json
from accord.client.cli.policy.asking import pairs
from accord.client.cli.policy.keys import (
    Agencies,
    FreshnessKey,
    HubKey,
    Signatories,
    with_keys,
)
from accord.client.cli.policy.showing import print_review
from accord.client.policy.desk import utc_now
from accord.client.policy.drafting import draft
from accord.client.policy.founding import (
    Founder,
    board_text,
    start_folder,
    write_documents,
)
from accord.client.policy.keys import public_key
from accord.client.policy.proposal_files import file_name, write_proposal
from accord.client.policy.review import review
from accord.core.errors import InvalidQuery, suggestion
from accord.core.members import load_members
from accord.core.messages import sentence
from accord.core.policy import MEMBERS


def found(
    folder: Annotated[Path, typer.Argument(help="Where the policies are kept.")],
    *,
    board_name: Annotated[str, typer.Option("--board-name", help="Of the board.")],
    network: Annotated[
        str | None, typer.Option("--network", help="Of the network, in members.yaml.")
    ] = None,
    member: Annotated[
        list[str],
        typer.Option("--member", help="LABEL=ed25519:… or .pub file; repeat."),
    ],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="LABEL='Full Name'; repeat."),
    ] = None,
    organisation: Annotated[
        list[str] | None,
        typer.Option("--organisation", help="LABEL='Where they work'; repeat."),
    ] = None,
    threshold: Annotated[
        int, typer.Option("--threshold", help="Signatures for every decision.")
    ],
    seat: Annotated[
        list[str] | None,
        typer.Option("--seat", help="'survivor representative=LABEL'; repeat."),
    ] = None,
    from_samples: Annotated[
        bool, typer.Option("--from-samples", help="Start from the shipped policies.")
    ] = False,
    hub_key: HubKey = None,
    freshness_key: FreshnessKey = None,
    agency: Agencies = None,
    signatory: Signatories = None,
    comment: Annotated[
        str | None, typer.Option("--comment", "-c", help="What the members read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Form a board: write board.yaml, and the proposal that its members sign."""
    names = pairs(name, "--name")
    organisations = pairs(organisation, "--organisation")
    keys = pairs(member, "--member")
    for label in {*names, *organisations} - set(keys):
        raise InvalidQuery(
            "MEMBER_UNKNOWN",
            f"There is no --member {label!r}." + suggestion(label, keys),
        )
    text = board_text(
        board=board_name,
        threshold=threshold,
        members={
            label: Founder(
                name=names.get(label, label),
                key=public_key(key),
                organisation=organisations.get(label, ""),
            )
            for label, key in keys.items()
        },
        seats=pairs(seat, "--seat"),
    )
    documents = start_folder(folder, text, network=network, from_samples=from_samples)
    members = documents[MEMBERS].decode("utf-8", "replace")
    entered = with_keys(members, hub_key, freshness_key, agency, signatory)
    if entered != members:
        documents[MEMBERS] = entered.encode()
        write_documents(folder, {MEMBERS: documents[MEMBERS]})
    if load_members(entered, MEMBERS).hub is None:
        _say_what_lacks(folder, as_json=as_json)
        return
    why = comment or sentence("board.founding-comment", board=board_name)
    proposal = draft(None, documents, comment=why, now=utc_now())
    path = folder / file_name(proposal)
    write_proposal(path, proposal)
    shown = review(proposal)
    if as_json:
        print_json({"folder": str(folder), "proposal": str(path)} | shown.as_json())
        return
    print_review(shown)
    console.print(f"next, each member: accord policy sign {path}", soft_wrap=True)


def _say_what_lacks(folder: Path, *, as_json: bool) -> None:
    """Say that the board stands, and that the hub's keys come next."""
    if as_json:
        print_json({"folder": str(folder), "proposal": None, "lacks": ["hub keys"]})
        return
    console.print(f"wrote {folder}; the keys of the hub are missing.", soft_wrap=True)
    console.print(
        f"next: accord policy keys {folder} --hub-key … --freshness-key … (as "
        f"`accord-hub keys` prints them), then: accord policy propose {folder}",
        soft_wrap=True,
    )
