# SPDX-License-Identifier: Apache-2.0
"""Keys: making one's own, and entering those of hub and agencies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, console, print_json
from accord.client.cli.policy.asking import PassphraseFile, pairs, passphrase
from accord.client.policy.agency_keys import agency_keys
from accord.client.policy.desk import keys_folder
from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import documents_in
from accord.client.policy.founding import write_documents
from accord.client.policy.keys import make_key, public_key
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.policy import MEMBERS

HubKey = Annotated[
    str | None, typer.Option("--hub-key", help="As `accord-hub keys` prints it.")
]
FreshnessKey = Annotated[
    str | None, typer.Option("--freshness-key", help="As `accord-hub keys` prints it.")
]
Agencies = Annotated[
    list[str] | None,
    typer.Option(
        "--agency",
        help="LABEL=FILE with what `accord-agent keys` prints, or the lines; repeat.",
    ),
]
Signatories = Annotated[
    list[str] | None,
    typer.Option(
        "--signatory", help="LABEL=ed25519:… or .pub file, who signs for it; repeat."
    ),
]


def keygen(
    name: Annotated[str, typer.Argument(help="Of the key, such as your first name.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; else your data folder.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key to sign with; its secret half is sealed with a passphrase."""
    made = make_key(out or keys_folder(), name, passphrase(passphrase_file, new=True))
    if as_json:
        print_json(
            {
                "key": made.key,
                "private_file": str(made.private),
                "public_file": str(made.public),
            }
        )
        return
    console.print(f"secret half: {made.private}", soft_wrap=True)
    console.print(f"to give away: {made.public}", soft_wrap=True)
    console.print(made.key, soft_wrap=True)
    console.print(
        "Keep a copy of the secret half on a stick in a drawer. Nobody can restore it, "
        "or its passphrase."
    )


def keys(
    folder: Annotated[Path, typer.Argument(help="The board's folder.")],
    *,
    hub_key: HubKey = None,
    freshness_key: FreshnessKey = None,
    agency: Agencies = None,
    signatory: Signatories = None,
    as_json: AsJson = False,
) -> None:
    """Enter public keys in members.yaml; comments and layout stay."""
    documents = documents_in(folder)
    if MEMBERS not in documents:
        raise ConfigurationError(
            "POLICIES_MISSING", f"{folder} has no {MEMBERS} to enter keys in."
        )
    before = documents[MEMBERS].decode("utf-8", "replace")
    after = with_keys(before, hub_key, freshness_key, agency, signatory)
    if after == before:
        raise InvalidQuery("NOTHING_CHANGED", "These keys are there already.")
    write_documents(folder, {MEMBERS: after.encode()})
    if as_json:
        print_json({"file": str(folder / MEMBERS), "changed": True})
        return
    console.print(f"entered in {folder / MEMBERS}", soft_wrap=True)
    console.print(f"next: accord policy propose {folder}", soft_wrap=True)


def with_keys(
    text: str,
    hub_key: str | None,
    freshness_key: str | None,
    agency: list[str] | None,
    signatory: list[str] | None,
) -> str:
    """Return ``members.yaml`` with the keys that options named."""
    if not (hub_key or freshness_key or agency or signatory):
        return text
    return enter_keys(
        text,
        hub=public_key(hub_key) if hub_key else None,
        freshness=public_key(freshness_key) if freshness_key else None,
        agencies={
            label: agency_keys(label, given)
            for label, given in pairs(agency, "--agency").items()
        },
        signatories={
            label: public_key(key)
            for label, key in pairs(signatory, "--signatory").items()
        },
    )
