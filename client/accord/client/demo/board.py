# SPDX-License-Identifier: Apache-2.0
"""The demo's governance board: three people, their keys, and what they sign.

They do what ``accord policy`` does, in one process. Their keys and texts lie in the
demo's folder, so that ``accord demo --keep`` leaves a board to play with.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.client.policy.agency_keys import AgencyKeys
from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import sample_documents
from accord.client.policy.founding import Founder, board_text, write_documents
from accord.client.policy.keys import make_key, open_key, read_key_file
from accord.core.policy import BOARD, MEMBERS
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import to_file
from accord.trust.repository import Repository, root_digest
from accord.trust.words import six_words

AGREEMENT = "regional-trends"
PATH = f"agreements/{AGREEMENT}.yaml"
PASSPHRASE = "these people are invented"  # noqa: S105 - it protects nothing
THRESHOLD = 2
SEAT = "survivor representative"

PEOPLE = {
    "alice": ("Alice Okafor", "Survivors' Council"),
    "bela": ("Bela Kovacs", "Shelter North"),
    "chidi": ("Chidi Eze", "City Police"),
}


@dataclasses.dataclass(slots=True)
class DemoBoard:
    """Three people who sign, and what they have signed so far."""

    folder: Path
    """Of the documents, as a board keeps them."""
    keys: Mapping[str, Ed25519PrivateKey] = dataclasses.field(repr=False)
    signed_by: tuple[str, ...] = ()
    """Who signed the newest change."""
    repository: Repository | None = None

    @property
    def words(self) -> str:
        """The board's fingerprint, as its members tell it to agencies."""
        assert self.repository is not None  # noqa: S101 - for the type checker
        return six_words(root_digest(self.repository.root()))

    def documents(self) -> dict[str, bytes]:
        """Return what is in force."""
        return self.repository.documents() if self.repository else {}

    def found(
        self,
        hub: Mapping[str, str],
        agencies: Mapping[str, AgencyKeys],
        now: datetime.datetime,
    ) -> Path:
        """Sign the sample policies with everybody's keys in them; two of three do.

        Args:
            hub: its public keys, ``key`` and ``freshness``.
            agencies: public keys of the agents.
            now: the moment.

        Returns:
            The file to publish.
        """
        documents = sample_documents()
        text = documents[MEMBERS].decode()
        documents[MEMBERS] = enter_keys(
            text, hub=hub["key"], freshness=hub["freshness"], agencies=agencies
        ).encode()
        documents[PATH] = _renewed(documents[PATH].decode(), now.date()).encode()
        documents[BOARD] = self._text().encode()
        write_documents(self.folder, documents)
        proposal = Proposal.founding(documents, comment="the first policies", now=now)
        return self._sign(proposal, ("alice", "bela"))

    def change(
        self,
        path: str,
        text: str,
        comment: str,
        now: datetime.datetime,
        signers: tuple[str, ...] = ("bela", "chidi"),
    ) -> Path:
        """Sign a change; two of three do, who can loosen nothing without the seat.

        Returns:
            The file to publish.
        """
        assert self.repository is not None  # noqa: S101 - for the type checker
        documents = {**self.documents(), path: text.encode()}
        write_documents(self.folder, {path: documents[path]})
        proposal = Proposal.change(self.repository, documents, comment=comment, now=now)
        return self._sign(proposal, signers)

    def _sign(self, proposal: Proposal, signers: tuple[str, ...]) -> Path:
        for label in signers:
            proposal = proposal.sign(self.keys[label])
        self.signed_by = signers
        self.repository = proposal.onto(self.repository)
        place = self.folder.parent / f"proposal-{proposal.version}.json"
        place.write_bytes(to_file(proposal))
        return place

    def _text(self) -> str:
        folder = self.folder.parent / "board-keys"
        members = {
            label: Founder(
                name=name,
                organisation=organisation,
                key=(folder / f"{label}.pub").read_text("utf-8").split()[0],
            )
            for label, (name, organisation) in PEOPLE.items()
        }
        return board_text(
            board="demo-board",
            threshold=THRESHOLD,
            members=members,
            seats={SEAT: "alice"},
        )


def gather(folder: Path) -> DemoBoard:
    """Make a key for everybody on the board, sealed like real ones."""
    keys = {}
    for label in PEOPLE:
        made = make_key(folder / "board-keys", label, PASSPHRASE)
        pem = read_key_file(made.private)
        keys[label] = open_key(pem, PASSPHRASE, made.private.name)
    return DemoBoard(folder=folder / "board", keys=keys)


def _renewed(text: str, today: datetime.date) -> str:
    """Return the sample agreement with dates of this year and the next."""
    valid = (
        f"valid: {{from: {today.year}-01-01, until: {today.year + 1}-12-31, "
        f"review_by: {today.year}-12-31}}"
    )
    lines = [valid if line.startswith("valid:") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"
