# SPDX-License-Identifier: Apache-2.0
"""Check the whole log against its signatures, and against what agencies have kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from accord.core.errors import ConfigurationError, IntegrityError
from accord.hub.cli.common import AsJson, StateOption, now, opened, reading, show
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.identity.authority import load_authority
from accord.hub.log.verifying import Verified, verify_log
from accord.merkle.heads import SignedHead


def verify_audit(
    head: Annotated[
        list[Path] | None,
        typer.Option(
            "--head",
            help="Head that an agency has kept: what `accord-agent log show --json`"
            " printed there. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Check every entry, signed head, cosignature, release and charge of the log."""
    outside = [_kept(file) for file in head or ()]
    place = opened(state)
    authority = load_authority(place.keys, now())
    with reading(place) as tx:
        found = verify_log(tx, hub_keys=hub_keys(tx, authority), outside=outside)
    if as_json:
        show(_content(found), as_json=True)
    else:
        for line in _lines(found, outside):
            typer.echo(line)
    if found.findings:
        raise IntegrityError(
            "LOG_INCONSISTENT",
            "The log is not what was signed and witnessed: release nothing, keep a copy"
            " of the database as it is, and tell the board.",
        )


def _kept(file: Path) -> SignedHead:
    """Read a head as an agency prints it.

    Raises:
        ConfigurationError: HEAD_FILE_INVALID.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return SignedHead.from_json(content["seen"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            "HEAD_FILE_INVALID",
            f"{file} holds no head of a log: it is what `accord-agent log show --json`"
            " prints at an agency that has seen one.",
        ) from error


def _content(found: Verified) -> dict[str, object]:
    return {
        "entries": found.size,
        "root": found.root.hex(),
        "heads": found.heads,
        "cosignatures": found.cosignatures,
        "witnesses": list(found.witnesses),
        "releases": found.releases,
        "erased": found.erased,
        "findings": [
            {"code": each.code, "text": each.sentence} for each in found.findings
        ],
    }


def _lines(found: Verified, outside: list[SignedHead]) -> Iterator[str]:
    for each in found.findings:
        yield f"{each.code}: {each.sentence}"
    if found.findings:
        return
    yield (
        f"{found.size} entries, {found.heads} signed heads, {found.cosignatures}"
        f" cosignatures and {found.releases} releases agree."
    )
    if found.erased:
        yield f"Of {found.erased} entries retention has left the hash."
    seen = ", ".join(found.witnesses)
    yield f"Cosigned last by: {seen}." if seen else "No agency has cosigned a head yet."
    if outside:
        yield f"It has grown from each of the {len(outside)} heads that were given."
    if found.size:
        yield f"Root: {found.root.hex()}"
