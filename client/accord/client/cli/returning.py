# SPDX-License-Identifier: Apache-2.0
"""Coming back to what was asked: how far it is, what is open, and the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import accord.client as accord
from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    notices,
    print_json,
)
from accord.client.moments import spoken
from accord.client.progress import waiting
from accord.client.tables import with_notes
from accord.core.errors import ConfigurationError, InvalidQuery, NotFound
from accord.core.members import MembersForm, load_members


def release(
    identifier: str,
    *,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.")
    ] = None,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof", help="Prove instead that the release stands in the hub's log."
        ),
    ] = False,
    members: Annotated[
        Path | None,
        typer.Option(
            help="With --proof: the board's members.yaml, whose keys count.",
            show_default=False,
        ),
    ] = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Print a release, or the answer to a question asked earlier, by its id."""
    if members is not None and not proof:
        raise InvalidQuery("OPTION_ALONE", "--members goes with --proof only.")
    with accord.connect(hub, profile=profile) as session:
        if proof:
            print_proof(session.proof(identifier), members, as_json=as_json)
            return
        try:
            pending = session.submission(identifier)
        except NotFound:
            result = session.release(identifier)
        else:
            result = waiting(pending, notices, timeout=timeout, quiet=as_json)
    print_result(result, as_json=as_json)


def print_proof(found: accord.Proof, members: Path | None, *, as_json: bool) -> None:
    """Check a proof, and print what it shows; as JSON it can be kept and checked."""
    keys = None if members is None else members_of(members)
    proven = found.verify(keys)
    if as_json:
        print_json({"proof": found.as_json(), "proven": proven.as_json()})
        return
    for line in proof_lines(proven):
        console.print(line, soft_wrap=True)


def members_of(file: Path) -> MembersForm:
    """Read the board's list of keys.

    Raises:
        ConfigurationError: MEMBERS_UNREADABLE.
        DocumentError: with every problem found.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "MEMBERS_UNREADABLE",
            f"{file} cannot be read: name the board's members.yaml.",
        ) from error
    return load_members(text, file.name)


def proof_lines(proven: accord.Proven) -> Iterator[str]:
    """Yield what a proof shows, in words."""
    yield (
        f"release {proven.release} is entry {proven.number} of the hub's log, which had"
        f" {proven.entries} entries at {proven.at:%Y-%m-%d %H:%M:%S} UTC"
    )
    yield "the release is, byte for byte, the one that was published"
    if not proven.signed:
        yield (
            "no signature was checked: give the board's list of keys with --members"
            " members.yaml"
        )
    elif proven.witnesses:
        seen = ", ".join(proven.witnesses)
        yield f"signed by the hub; agencies that saw the log only grow to there: {seen}"
    else:
        yield "signed by the hub; no agency has cosigned it yet, ask again later"


def submission(
    identifier: str,
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Say how far a question is, without waiting for its answer."""
    with accord.connect(hub, profile=profile) as session:
        print_pending(session.submission(identifier), as_json=as_json)


def pending(
    *,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """List the questions asked from this machine whose answers you have not read."""
    with accord.connect(hub, profile=profile) as session:
        found = session.pending()
    if as_json:
        print_json({"submissions": [_asked(each) | each.as_json() for each in found]})
        return
    if not found:
        console.print("no question is open; what was released: accord releases")
        return
    for each in found:
        for line in _lines(each):
            console.print(line, soft_wrap=True)
    console.print("read an answer, or wait for it, with: accord release ID")


def print_pending(found: accord.Pending, *, as_json: bool) -> None:
    """Print how a question is, and how to come back."""
    if as_json:
        print_json({"submission": found.as_json()})
        return
    for line in found.receipt():
        console.print(line, soft_wrap=True)


def print_result(result: accord.Result, *, as_json: bool) -> None:
    """Print an answer with what has to be read with it."""
    if as_json:
        print_json(result.as_json())
    else:
        console.print(with_notes(result))


def _asked(found: accord.Pending) -> dict[str, Any]:
    asked = found.asked
    return {
        "agreement": asked and asked.agreement,
        "question": asked and asked.question,
        "asked_at": asked and asked.asked_at.isoformat(),
    }


def _lines(found: accord.Pending) -> list[str]:
    lines = [found.id]
    if (asked := found.asked) is not None:
        lines += [f"  {asked.question} ({asked.agreement})"]
        lines += [f"  asked {spoken(asked.asked_at)}"]
    if found.failure is not None:
        return [*lines, f"  ended without an answer ({found.failure.reason})"]
    if found.done:
        return [*lines, "  answered"]
    phrase = found.when
    return [*lines, f"  {found.progress}", *([f"  {phrase}"] if phrase else [])]
