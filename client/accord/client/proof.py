# SPDX-License-Identifier: Apache-2.0
"""That a release stands in the hub's log, unchanged, and which agencies saw that.

A proof is small, can be kept in a file, and needs no hub to be checked: the entry that
names the release and the SHA-256 of its message, the path from that entry to the root
of the log, the hub's signature under that root, and cosignatures of agencies which
found that the log only grew to there. Whose keys count is said by ``members.yaml``,
which the board has signed; ask it or an agency for it, not the hub.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from accord.client.decode import result_of
from accord.client.result import Result
from accord.core.canonical import bytes_digest
from accord.core.errors import IntegrityError
from accord.merkle.heads import SignedHead, Witnessed
from accord.merkle.proofs import is_included
from accord.merkle.tree import leaf_hash
from accord.v1 import analyst_pb2 as pb

if TYPE_CHECKING:
    from accord.core.members import MembersForm

_EVENT = "release.published"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof shows."""

    release: str
    number: int
    """Of the entry in the log, from 1."""
    entries: int
    """In the log, when its head was signed."""
    at: datetime.datetime
    """When the head was signed, UTC."""
    signed: bool
    """Whether the hub's signature was checked; it takes ``members.yaml``."""
    witnesses: tuple[str, ...]
    """Agencies whose cosignature was checked."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self) | {
            "at": self.at.isoformat(),
            "witnesses": list(self.witnesses),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Proof of one release; believe it after `verify` only."""

    release: str
    """Id that was asked for."""
    message: bytes = dataclasses.field(repr=False)
    """The release, as every reader gets it."""
    entry: bytes
    """As it is hashed: RFC 8785 text."""
    index: int
    """Entries that stand before it."""
    path: tuple[bytes, ...] = dataclasses.field(repr=False)
    head: SignedHead
    witnesses: tuple[Witnessed, ...]

    @property
    def result(self) -> Result:
        """The release that is proved, as it was published."""
        message = pb.Release.FromString(self.message)
        return result_of(message, charged=None, from_archive=True)

    def verify(self, members: MembersForm | None = None) -> Proven:
        """Check everything that can be checked, and say what that was.

        Args:
            members: the board's list of keys; without it no signature is checked, and
                the proof shows no more than what the hub claims.

        Raises:
            IntegrityError: RELEASE_UNPROVEN, naming what is wrong.
        """
        facts = self._facts()
        if facts.get("release") != self.release:
            raise self._invalid("its entry is of another release")
        if facts.get("release_digest") != bytes_digest(self.message):
            raise self._invalid("the release is not the one that was published")
        if pb.Release.FromString(self.message).id != self.release:
            raise self._invalid("the message is of another release")
        head = self.head.head
        leaf = leaf_hash(self.entry)
        if not is_included(leaf, self.index, head.size, self.path, head.root):
            raise self._invalid("its entry does not stand in the log")
        if any(each.head != head for each in self.witnesses):
            raise self._invalid("an agency has cosigned another head")
        return Proven(
            release=self.release,
            number=self.index + 1,
            entries=head.size,
            at=head.at,
            signed=members is not None,
            witnesses=() if members is None else self._witnessed(members),
        )

    def _facts(self) -> Mapping[str, Any]:
        try:
            entry = json.loads(self.entry)
            facts = entry["facts"]
            if entry["event"] == _EVENT and isinstance(facts, dict):
                return facts
        except (ValueError, KeyError, TypeError):
            pass
        raise self._invalid("its entry is of no release")

    def _witnessed(self, members: MembersForm) -> tuple[str, ...]:
        """Check signatures; return the agencies that are listed and have cosigned."""
        from accord.trust.keys import raw_public

        hub = members.hub
        if hub is None or not self.head.is_signed_by(raw_public(hub.key)):
            raise self._invalid("the hub of that list has not signed the log")
        found = []
        for each in self.witnesses:
            member = members.members.get(each.agency)
            if member is None or member.key is None:
                continue  # listed no longer: says nothing
            if not each.is_signed_by(raw_public(member.key)):
                raise self._invalid(f"{each.agency!r} has not cosigned it")
            found.append(each.agency)
        return tuple(sorted(found))

    def as_json(self) -> dict[str, Any]:
        """Return the documented form; `proof_from_json` reads it again."""
        return {
            "release": self.release,
            "message": self.message.hex(),
            "entry": self.entry.decode(),
            "index": self.index,
            "path": [each.hex() for each in self.path],
            "head": self.head.as_json(),
            "witnesses": [
                {"agency": each.agency, "signature": each.signature.hex()}
                for each in self.witnesses
            ],
        }

    def _invalid(self, why: str) -> IntegrityError:
        return IntegrityError(
            "RELEASE_UNPROVEN",
            f"Release {self.release} is not proved: {why}. Keep the proof, and tell the"
            " board by another way than through the hub.",
        )


def proof_of(release: str, message: pb.ProveReleaseResponse) -> Proof:
    """Return the hub's answer as a proof; nothing of it is believed yet.

    Raises:
        IntegrityError: HEAD_MALFORMED.
    """
    from accord.rpc.contact import cosignature_from_message, head_from_message

    proof = message.proof
    return Proof(
        release=release,
        message=message.release,
        entry=proof.entry,
        index=proof.index,
        path=tuple(proof.path),
        head=head_from_message(proof.head),
        witnesses=tuple(
            cosignature_from_message(each.agency, each.cosignature)
            for each in proof.witnesses
        ),
    )


def proof_from_json(content: Mapping[str, Any]) -> Proof:
    """Return a proof that was kept.

    Raises:
        ValueError: it is none.
        KeyError: something is missing.
    """
    head = SignedHead.from_json(content["head"])
    return Proof(
        release=content["release"],
        message=bytes.fromhex(content["message"]),
        entry=content["entry"].encode(),
        index=content["index"],
        path=tuple(bytes.fromhex(each) for each in content["path"]),
        head=head,
        witnesses=tuple(
            Witnessed(
                head=head.head,
                agency=each["agency"],
                signature=bytes.fromhex(each["signature"]),
            )
            for each in content["witnesses"]
        ),
    )
