# SPDX-License-Identifier: Apache-2.0
"""Proposing a change, signing it, and putting it in force."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import (
    AsJson,
    HubOption,
    ProfileOption,
    console,
    notices,
    print_json,
)
from accord.client.cli.policy.asking import (
    PassphraseFile,
    Words,
    Yes,
    check_words,
    confirm,
    passphrase,
)
from accord.client.cli.policy.showing import print_review, print_standing
from accord.client.policy.desk import (
    Desk,
    check_base,
    check_not_older,
    is_founding,
    remember_signed,
    utc_now,
)
from accord.client.policy.drafting import (
    draft,
    fetched_repository,
    is_known_base,
    renewal,
)
from accord.client.policy.folder import documents_in
from accord.client.policy.hub_access import connect_board
from accord.client.policy.keys import open_key, read_key_file
from accord.client.policy.proposal_files import (
    file_name,
    read_proposal,
    write_proposal,
)
from accord.client.policy.review import Review, review
from accord.core.errors import (
    Conflict,
    InvalidQuery,
    PolicyDenied,
    PreconditionFailed,
)
from accord.core.messages import sentence
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository

Which = Annotated[
    str,
    typer.Argument(help="A proposal's file; or its id at the hub, or its start."),
]

_ID = re.compile(r"[0-9a-f]{8,64}")


def propose(
    folder: Annotated[Path, typer.Argument(help="The board's folder, as edited.")],
    *,
    comment: Annotated[str, typer.Option("--comment", "-c", help="Why.")],
    renew: Annotated[
        bool,
        typer.Option("--renew", help="Change nothing: sign again before it expires."),
    ] = False,
    role: Annotated[
        str,
        typer.Option("--role", help="What is renewed: board, or agreement-NAME."),
    ] = "board",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the proposal.")
    ] = None,
    offer: Annotated[
        bool, typer.Option("--offer", help="Bring it to the hub, for all to sign.")
    ] = False,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a proposal of the files as they are now; nothing is in force by it."""
    online = offer or hub is not None or profile is not None
    base = _base(folder, hub, profile) if online else fetched_repository(folder)
    if renew:
        proposal = renewal(base, comment=comment, now=utc_now(), role=role)
    else:
        documents = documents_in(folder)
        proposal = draft(base, documents, comment=comment, now=utc_now())
    path = out or folder / file_name(proposal)
    write_proposal(path, proposal)
    if online:
        with connect_board(hub, profile) as access:
            Desk(access).offer(proposal)
    shown = review(proposal)
    if as_json:
        print_json({"proposal": str(path), "offered": online} | shown.as_json())
        return
    print_review(shown)
    target = f"{proposal.id[:12]} --hub …" if online else str(path)
    console.print(f"next, each member: accord policy sign {target}", soft_wrap=True)


def sign(
    which: Which,
    *,
    key: Annotated[Path, typer.Option("--key", help="Your .key file.")],
    passphrase_file: PassphraseFile = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="The board's folder, with what was fetched."),
    ] = None,
    yes: Yes = False,
    words: Words = None,
    unverified_base: Annotated[
        bool,
        typer.Option(
            "--unverified-base",
            help="Sign although this machine did not verify what the proposal starts"
            " from. Risk: its 'before' may be made up, and what looks tighter be looser"
            " than what is in force.",
        ),
    ] = False,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Look at a proposal and sign it with your own key, on this machine."""
    found = _find(which, hub, profile)
    if words is not None:
        check_words(words, found.proposal.words)
    known = _check_start(found, folder, unverified=unverified_base)
    shown = review(found.proposal)
    if not as_json:
        print_review(shown)
    if words is None and not (yes and known):
        if not known:
            notices.print(sentence("board.show.base-unknown"), soft_wrap=True)
        confirm(sentence("board.ask.sign"))
    private = open_key(read_key_file(key), passphrase(passphrase_file), str(key))
    signed = found.proposal.sign(private)
    remember_signed(signed)
    _keep(found, signed, hub, profile)
    _print_end(review(signed), as_json=as_json)


def publish(
    which: Which,
    *,
    words: Words = None,
    hub: HubOption = None,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Put a proposal in force that has every signature that it needs."""
    with connect_board(hub, profile) as access:
        desk = Desk(access)
        proposal = _proposal(which, desk)
        missing = proposal.standing().missing
        if missing:
            raise PolicyDenied("SIGNATURES_MISSING", " ".join(missing))
        if words is not None:
            check_words(words, proposal.words)
        summary, version = desk.publish(proposal, compared=words is not None)
    if as_json:
        print_json({"id": summary.id, "version": version, "published": True})
        return
    console.print(sentence("board.show.published", version=version))


def proposals(
    *, hub: HubOption = None, profile: ProfileOption = None, as_json: AsJson = False
) -> None:
    """List the proposals at the hub, newest first."""
    with connect_board(hub, profile) as access:
        found = access.proposals()
    if as_json:
        print_json({"proposals": [dataclasses.asdict(each) for each in found]})
        return
    if not found:
        console.print(sentence("board.show.no-proposals"))
    for each in found:
        state = sentence(f"board.show.{'in-force' if each.published else 'waits'}")
        console.print(f"{each.id[:12]}  {each.comment}", style="bold", soft_wrap=True)
        console.print(f"  {state} {', '.join(each.paths)}", soft_wrap=True)
        names = ", ".join(each.signed) or sentence("board.show.nobody")
        console.print(f"  {sentence('board.show.signed', names=names)}")
        for missing in each.missing if not each.published else ():
            console.print(f"  {sentence('board.show.missing', missing=missing)}")


def merge(
    file: Annotated[Path, typer.Argument(help="A proposal; it is written anew.")],
    others: Annotated[list[Path], typer.Argument(help="The same, signed by others.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring the signatures of several copies of one proposal together."""
    merged = read_proposal(file)
    for other in others:
        merged = merged.merge(read_proposal(other))
    write_proposal(file, merged)
    _print_end(review(merged), as_json=as_json)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A proposal, where it came from, and what is in force as far as that is known."""

    proposal: Proposal
    file: Path | None
    online: bool


def _find(which: str, hub: str | None, profile: str | None) -> _Found:
    path = Path(which)
    online = hub is not None or profile is not None or not path.exists()
    if not online:
        return _Found(proposal=read_proposal(path), file=path, online=False)
    with connect_board(hub, profile) as access:
        desk = Desk(access)
        proposal = _proposal(which, desk)
        desk.check_current(proposal, utc_now())
    file = path if path.exists() else None
    return _Found(proposal=proposal, file=file, online=True)


def _proposal(which: str, desk: Desk) -> Proposal:
    path = Path(which)
    if path.exists():
        return read_proposal(path)
    if _ID.fullmatch(which) is None:
        raise InvalidQuery(
            "PROPOSAL_ID_INVALID",
            f"{which[:100]!r} is neither a file nor the id of a proposal.",
        )
    ids = [each.id for each in desk.waiting() if each.id.startswith(which)]
    if len(ids) > 1:
        raise InvalidQuery(
            "PROPOSAL_ID_INVALID", f"Several proposals begin with {which}; say more."
        )
    return desk.proposal(ids[0] if ids else which)


def _check_start(found: _Found, folder: Path | None, *, unverified: bool) -> bool:
    """Tell whether the proposal starts from policies that this machine verified.

    Raises:
        Conflict: PROPOSAL_OUTDATED.
        PreconditionFailed: BASE_UNVERIFIED, unless that is accepted.
    """
    if found.online or found.file is None:
        return True
    near = folder or found.file.absolute().parent
    fetched = fetched_repository(near)
    if fetched is not None:
        check_base(found.proposal, fetched)
    # What lies beside a file may have come with it; a folder that is named did not.
    named = folder is not None and fetched is not None
    if named or is_founding(found.proposal) or is_known_base(found.proposal):
        return True
    check_not_older(found.proposal)
    if not unverified:
        raise PreconditionFailed(
            "BASE_UNVERIFIED",
            "This machine did not verify what the proposal starts from, so what it says"
            " of the change may be made up. Run `accord policy fetch`, or sign with"
            " --hub; --unverified-base signs nevertheless.",
        )
    return False


def _keep(
    found: _Found, signed: Proposal, hub: str | None, profile: str | None
) -> None:
    """Write the signature down before it is passed on, so that neither is lost."""
    if found.file is not None:
        write_proposal(found.file, signed)
    if not found.online:
        return
    with connect_board(hub, profile) as access:
        desk = Desk(access)
        desk.keep(signed)
        desk.offer(signed)


def _base(folder: Path, hub: str | None, profile: str | None) -> Repository | None:
    """Return what is in force at the hub, if the folder was made from it.

    Raises:
        Conflict: FOLDER_OUTDATED.
        PreconditionFailed: BOARD_NOT_PINNED.
    """
    with connect_board(hub, profile) as access:
        in_force = Desk(access).in_force(utc_now())
    fetched = fetched_repository(folder)
    if (in_force.id if in_force else None) != (fetched.id if fetched else None):
        raise Conflict(
            "FOLDER_OUTDATED",
            f"{folder} was not made from what is in force now; a proposal from it "
            f"would undo what others changed. Run: accord policy fetch {folder}",
        )
    return in_force


def _print_end(shown: Review, *, as_json: bool) -> None:
    if as_json:
        print_json(shown.as_json())
    else:
        print_standing(shown)
