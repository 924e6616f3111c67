# SPDX-License-Identifier: Apache-2.0
"""A board member's own machine: what it believes of one hub's policies, and drafts.

What lies here was verified here; the hub only passes it on. The state of each hub is
kept under the fingerprint of its certificate authority, as the member's token names it:

::

    boards/<fingerprint>/trusted/          the pinned root, the policies in force
    boards/<fingerprint>/proposals/ID.json  drafts, and signatures not yet passed on
    signed/ID                              that a proposal was signed here
    keys/NAME.key                          sealed with a passphrase
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from accord.client.policy.hub_access import HubPolicies, ProposalSummary
from accord.client.policy.proposal_files import (
    LARGEST_PROPOSAL,
    read_proposal,
    write_proposal,
)
from accord.client.profile import data_folder
from accord.core.errors import (
    AccordError,
    Conflict,
    IntegrityError,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.trust.durable import make_folder, write_file
from accord.trust.metadata import BoardOfRoot, read_board
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted, View

MOST_ROOTS = 10_000
"""Versions of the board; a hub that shows more is making them up."""

_ID = re.compile(r"[0-9a-f]{64}")


def keys_folder() -> Path:
    """Return where keys are made and looked for when no folder is named."""
    return data_folder() / "keys"


def utc_now() -> datetime.datetime:
    """Return the time by this machine's clock."""
    return datetime.datetime.now(datetime.UTC)


class Desk:
    """What one member knows and does about one hub."""

    def __init__(self, access: HubPolicies, folder: Path | None = None) -> None:
        """Open the state; the hub is asked nothing yet.

        Args:
            access: an open connection.
            folder: of all state; else this user's.
        """
        self.access = access
        root = folder or data_folder()
        self._root = root
        self._folder = root / "boards" / access.identity[:32]
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.trusted = Trusted(self._folder / "trusted", None)

    def shown_board(self) -> BoardOfRoot:
        """Return the board that the hub shows; it is not believed yet.

        Raises:
            PreconditionFailed: POLICIES_MISSING.
        """
        return read_board(self._shown_root())

    def is_confirmed(self) -> bool:
        """Tell whether the member has confirmed the board before."""
        return self.trusted.pinned() is not None

    def confirm(self, told: str) -> BoardOfRoot:
        """Pin the board that the hub shows, if it is the one that somebody told.

        Args:
            told: its fingerprint, in six words or in hex.

        Raises:
            PolicyDenied: BOARD_DIFFERS.
            PreconditionFailed: POLICIES_MISSING.
        """
        root = self._shown_root()
        board = read_board(root)
        check_told(told, board.digest, board.words)
        self.trusted.pin(root)
        return board

    def board(self) -> BoardOfRoot | None:
        """Return the board that is believed: the newest verified one."""
        view = self.trusted.view()
        root = view.root if view is not None else self.trusted.pinned()
        return read_board(root) if root is not None else None

    def refresh(self, now: datetime.datetime) -> View:
        """Fetch and verify what is in force.

        Raises:
            PreconditionFailed: BOARD_NOT_PINNED.
            PolicyDenied: with what is wrong about what the hub shows.
        """
        if not self.is_confirmed():
            raise PreconditionFailed(
                "BOARD_NOT_PINNED",
                "Confirm the board first: on the page, or with `accord policy fetch`.",
            )
        return self.trusted.refresh(self.access.file, now)

    def in_force(self, now: datetime.datetime) -> Repository | None:
        """Return the verified policies in force; None where nothing is published."""
        if not self.is_confirmed() and not self.has_policies():
            return None
        self.refresh(now)
        return self.trusted.repository()

    def has_policies(self) -> bool:
        """Tell whether anything was ever published at the hub, as it says."""
        try:
            self.access.file("metadata/1.root.json")
        except NotFound:
            return False
        return True

    def waiting(self) -> list[ProposalSummary]:
        """Return what was offered at the hub, newest first."""
        return self.access.proposals()

    def proposal(self, identifier: str) -> Proposal:
        """Return a proposal with all signatures known here and at the hub.

        Raises:
            NotFound: PROPOSAL_UNKNOWN.
            IntegrityError: PROPOSAL_OTHER, when the hub shows another under that id.
        """
        here = self.drafted(identifier)
        try:
            content = self.access.proposal(_checked(identifier))
        except NotFound:
            if here is None:
                raise
            return here
        if len(content) > LARGEST_PROPOSAL:
            raise _other(identifier)
        there = from_file(content, f"proposal {identifier[:12]}")
        if there.id != identifier:
            raise _other(identifier)
        return there.merge(here) if here is not None else there

    def drafted(self, identifier: str) -> Proposal | None:
        """Return the proposal that lies on this machine, if it does."""
        path = self._path(identifier)
        return read_proposal(path) if path.exists() else None

    def drafts(self) -> list[Proposal]:
        """Return what lies on this machine only, or with signatures of its own."""
        folder = self._folder / "proposals"
        names = sorted(path.stem for path in folder.glob("*.json"))
        found = []
        for name in names:
            try:
                proposal = self.drafted(name)
            except AccordError:
                # A file that somebody damaged must not hide the others.
                continue
            if proposal is not None:
                found.append(proposal)
        return found

    def keep(self, proposal: Proposal) -> None:
        """Keep a proposal on this machine."""
        write_proposal(self._path(proposal.id), proposal)

    def drop(self, identifier: str) -> None:
        """Forget the copy on this machine."""
        self._path(identifier).unlink(missing_ok=True)

    def offer(self, proposal: Proposal) -> ProposalSummary:
        """Bring a proposal, or signatures under it, to the hub."""
        summary = self.access.offer(to_file(proposal))
        self.drop(proposal.id)
        return summary

    def publish(
        self, proposal: Proposal, *, compared: bool = False
    ) -> tuple[ProposalSummary, int]:
        """Put a proposal in force, and pin a board that was founded by it.

        It is pinned only where somebody looked: a member who signed it on this machine,
        or who *compared* its words. Who just passes it on confirms the board later.

        Raises:
            PolicyDenied: SIGNATURES_MISSING.
        """
        published = proposal.publish()
        self.access.offer(to_file(proposal))
        done = self.access.publish(proposal.id)
        looked = compared or _signed_path(proposal, self._root).exists()
        if is_founding(proposal) and looked and not self.is_confirmed():
            self.trusted.pin(published.root())
        self.drop(proposal.id)
        return done

    def check_current(self, proposal: Proposal, now: datetime.datetime) -> None:
        """Refuse a proposal that does not start from what is in force.

        Raises:
            Conflict: PROPOSAL_OUTDATED.
        """
        in_force = self.in_force(now)
        check_base(proposal, in_force)

    def _shown_root(self) -> bytes:
        root: bytes | None = None
        for version in range(1, MOST_ROOTS):
            try:
                root = self.access.file(f"metadata/{version}.root.json")
            except NotFound:
                break
        if root is None:
            raise PreconditionFailed(
                "POLICIES_MISSING",
                "The hub has no policies yet: a board has to be founded and publish "
                "the first ones.",
            )
        return root

    def _path(self, identifier: str) -> Path:
        return self._folder / "proposals" / f"{_checked(identifier)}.json"


def remember_signed(proposal: Proposal, folder: Path | None = None) -> None:
    """Note that somebody looked at a proposal on this machine and signed it."""
    path = _signed_path(proposal, folder or data_folder())
    make_folder(path.parent)
    write_file(path, b"")


def _signed_path(proposal: Proposal, root: Path) -> Path:
    return root / "signed" / _checked(proposal.id)


def is_founding(proposal: Proposal) -> bool:
    """Tell whether a proposal founds a board: there is nothing before it."""
    return proposal.base is None


def check_base(proposal: Proposal, in_force: Repository | None) -> None:
    """Refuse a proposal that does not start from what is in force.

    Raises:
        Conflict: PROPOSAL_OUTDATED.
    """
    if in_force is None:
        current = is_founding(proposal)
    else:
        current = not is_founding(proposal) and proposal.is_onto(in_force)
    if not current:
        raise Conflict(
            "PROPOSAL_OUTDATED",
            "The proposal does not start from the policies in force: something else "
            "was published since, or it is another board's. Make it again from what "
            "is in force.",
        )


def check_not_older(proposal: Proposal) -> None:
    """Refuse a base that is no newer than what this machine verified, and other.

    Raises:
        Conflict: PROPOSAL_OUTDATED.
    """
    if proposal.base is None:
        return
    board = read_board(proposal.base.root())
    for folder in sorted((data_folder() / "boards").glob("*/trusted")):
        try:
            known = Trusted(folder, None).repository()
        except AccordError:
            continue
        ours = read_board(known.root())
        if (board.name, board.network) != (ours.name, ours.network):
            continue
        if known.id != proposal.base.id and proposal.base_version <= known.version:
            check_base(proposal, known)


def check_told(told: str, digest: str, words: str) -> None:
    """Refuse a board that is not the one that somebody told.

    Raises:
        PolicyDenied: BOARD_DIFFERS.
    """
    given = " ".join(told.lower().split())
    if given not in {digest, words}:
        raise PolicyDenied(
            "BOARD_DIFFERS",
            "These are not the words of this board. Either they were heard wrongly, or "
            "the hub shows another board than the one you were told of; ask again, by "
            "telephone.",
        )


def _checked(identifier: str) -> str:
    if _ID.fullmatch(identifier) is None:
        raise InvalidQuery(
            "PROPOSAL_ID_INVALID",
            "A proposal's id has 64 hexadecimal digits in lower case.",
        )
    return identifier


def _other(identifier: str) -> IntegrityError:
    return IntegrityError(
        "PROPOSAL_OTHER",
        f"The hub shows another proposal under the id {identifier[:12]}…; tell its "
        "operator, and sign nothing.",
    )
