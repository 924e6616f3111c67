# SPDX-License-Identifier: Apache-2.0
"""A change of policies on its way from one signer to the next.

What is signed follows from the policies in force and the documents as they shall be;
whoever receives a proposal makes it again from them and refuses what differs.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import Signature

from accord.core.canonical import bytes_digest
from accord.core.errors import Conflict, InvalidQuery, PolicyDenied
from accord.core.policy import BOARD
from accord.trust.documents import read_policies
from accord.trust.drafting import Occasion, draft
from accord.trust.keys import text_of
from accord.trust.metadata import (
    MOST_COMMENT,
    ROOT,
    TARGETS,
    comment_of,
    document_name,
    key_of,
    metadata_name,
    signed_digest,
)
from accord.trust.repository import Repository
from accord.trust.standing import Standing as Standing  # noqa: PLC0414
from accord.trust.standing import Step
from accord.trust.state import AnyMetadata
from accord.trust.words import six_words

LIFETIME: Final = datetime.timedelta(days=400)
"""How long what a board signs holds: a yearly signature, and a month to be late."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """New metadata over the policies in force, with the signatures so far."""

    base: Repository | None
    """What is in force, without its past; None when a board is founded."""
    after: Mapping[str, bytes]
    """All documents as they shall be, by path."""
    metadata: Mapping[str, AnyMetadata]
    """What is new, by role."""

    @classmethod
    def founding(
        cls,
        documents: Mapping[str, bytes],
        *,
        comment: str,
        now: datetime.datetime,
        lifetime: datetime.timedelta = LIFETIME,
    ) -> Proposal:
        """Propose the first policies of a board.

        Raises:
            ConfigurationError: a document is wrong, or what signing needs is missing.
            InvalidQuery: COMMENT_INVALID
        """
        return cls._drafted(None, documents, _occasion(comment, now, lifetime))

    @classmethod
    def change(
        cls,
        base: Repository,
        documents: Mapping[str, bytes],
        *,
        comment: str,
        now: datetime.datetime,
        lifetime: datetime.timedelta = LIFETIME,
    ) -> Proposal:
        """Propose other documents than those in force.

        Raises:
            ConfigurationError: as for `founding`.
            InvalidQuery: NOTHING_CHANGED, COMMENT_INVALID
        """
        return cls._drafted(base, documents, _occasion(comment, now, lifetime))

    @classmethod
    def renewal(
        cls,
        base: Repository,
        *,
        comment: str,
        now: datetime.datetime,
        role: str = "board",
        lifetime: datetime.timedelta = LIFETIME,
    ) -> Proposal:
        """Propose that what is in force holds for longer.

        Args:
            base: what is in force.
            comment: why.
            now: the time.
            role: ``board``, or a delegated role that its own people renew.
            lifetime: for how long.

        Raises:
            InvalidQuery: NOTHING_CHANGED where there is no such role,
                COMMENT_INVALID
        """
        renew = frozenset({ROOT, TARGETS} if role == "board" else {role})
        occasion = _occasion(comment, now, lifetime)
        return cls._drafted(
            base, base.documents(), dataclasses.replace(occasion, renew=renew)
        )

    @classmethod
    def _drafted(
        cls, base: Repository | None, after: Mapping[str, bytes], occasion: Occasion
    ) -> Proposal:
        short = base.newest_only() if base is not None else None
        drafted = draft(short.state if short else None, read_policies(after), occasion)
        if not drafted:
            raise InvalidQuery(
                "NOTHING_CHANGED", "These are the policies that are in force already."
            )
        return cls(
            base=short,
            after=dict(after),
            metadata={role: AnyMetadata(signed) for role, signed in drafted.items()},
        )

    @functools.cached_property
    def id(self) -> str:
        """SHA-256 over all that is to be signed; signatures do not change it."""
        whole = hashlib.sha256()
        for role, metadata in sorted(self.metadata.items()):
            whole.update(f"{role}\0{signed_digest(metadata)}\n".encode())
        return whole.hexdigest()

    @property
    def words(self) -> str:
        """The id as six words, to compare by telephone."""
        return six_words(self.id)

    @property
    def comment(self) -> str:
        """What the proposer says of it; it is signed too."""
        return comment_of(self._first().signed)

    @property
    def expires(self) -> datetime.datetime:
        """Until when it holds unless it is renewed."""
        expires: datetime.datetime = self._first().signed.expires
        return expires

    @property
    def version(self) -> int:
        """Number of the change, once it is published."""
        return self.base_version + 1

    @property
    def base_version(self) -> int:
        """Number of the change that it follows; 0 when a board is founded."""
        return 0 if self.base is None else self.base.version

    @property
    def before(self) -> Mapping[str, bytes]:
        """All documents in force, by path."""
        return {} if self.base is None else self.base.documents()

    def changed(self) -> list[str]:
        """Return the paths of documents that are new, other or gone."""
        before = self.before
        return sorted(
            path
            for path in before.keys() | self.after.keys()
            if before.get(path) != self.after.get(path)
        )

    def sign(self, private: Ed25519PrivateKey) -> Proposal:
        """Return it with one more signature, wherever that key's counts.

        Raises:
            PolicyDenied: NOT_A_SIGNER
        """
        public = text_of(private)
        key_id = key_of(public).keyid
        roles = [role for role in self.metadata if public in self.may_sign(role)]
        if not roles:
            raise PolicyDenied(
                "NOT_A_SIGNER",
                f"Nothing in this proposal is for the key {public[:20]}… to sign:"
                f" it is not in {BOARD}, and no signatory's whom the change concerns.",
            )
        return self._with(
            (
                role,
                Signature(key_id, private.sign(self.metadata[role].signed_bytes).hex()),
            )
            for role in roles
        )

    def merge(self, other: Proposal) -> Proposal:
        """Return it with the signatures of both.

        Raises:
            InvalidQuery: PROPOSAL_OTHER
        """
        if self.id != other.id:
            raise InvalidQuery(
                "PROPOSAL_OTHER",
                "These are two proposals: their signatures do not belong together.",
            )
        return self._with(
            (role, signature)
            for role, metadata in other.metadata.items()
            for signature in metadata.signatures.values()
        )

    def may_sign(self, role: str) -> Mapping[str, str]:
        """Return whose signatures under a role count, by key, with their labels."""
        return self._step.may_sign(role)

    def standing(self, language: str = "en") -> Standing:
        """Return who has signed, and what is missing: thresholds and seats."""
        return self._step.standing(language)

    def is_in(self, repository: Repository) -> bool:
        """Tell whether it was published there."""
        for role, metadata in self.metadata.items():
            name = metadata_name(role, metadata.signed.version)
            content = repository.files.get(name)
            if content is None:
                return False
            found = AnyMetadata.from_bytes(content)
            if found.signed_bytes != metadata.signed_bytes:
                return False
        return True

    def is_onto(self, repository: Repository) -> bool:
        """Tell whether it changes what is in force there, and nothing older."""
        return self.base is not None and self.base.id == repository.id

    def onto(self, repository: Repository | None) -> Repository:
        """Return what is in force after it; the same again where it was published.

        Args:
            repository: with its whole past; None before the first publication.

        Raises:
            Conflict: PROPOSAL_OUTDATED
            PolicyDenied: SIGNATURES_MISSING
        """
        if repository is not None and self.is_in(repository):
            return repository
        current = self.base is None if repository is None else self.is_onto(repository)
        if not current:
            raise Conflict(
                "PROPOSAL_OUTDATED",
                "The policies in force are others than those that this proposal"
                " changes: propose it again.",
            )
        missing = self.standing().missing
        if missing:
            raise PolicyDenied("SIGNATURES_MISSING", " ".join(missing))
        return Repository({**(repository.files if repository else {}), **self.files()})

    def publish(self) -> Repository:
        """Return what is in force after it, without the past.

        Raises:
            PolicyDenied: SIGNATURES_MISSING
        """
        return self.onto(self.base)

    def files(self) -> dict[str, bytes]:
        """Return what it adds, by name."""
        return {
            metadata_name(role, metadata.signed.version): metadata.to_bytes()
            for role, metadata in sorted(self.metadata.items())
        } | {
            document_name(path, bytes_digest(content)): content
            for path, content in sorted(self.after.items())
        }

    def _with(self, added: Iterable[tuple[str, Signature]]) -> Proposal:
        signatures_of = {
            role: dict(metadata.signatures) for role, metadata in self.metadata.items()
        }
        for role, signature in added:
            signatures_of[role].setdefault(signature.keyid, signature)
        metadata = {}
        for role, each in self.metadata.items():
            ordered = dict(sorted(signatures_of[role].items()))
            metadata[role] = AnyMetadata(each.signed, ordered)
        return dataclasses.replace(self, metadata=metadata)

    def _first(self) -> AnyMetadata:
        return self.metadata[min(self.metadata)]

    @functools.cached_property
    def _step(self) -> Step:
        files = {**(self.base.files if self.base else {}), **self.files()}
        return Step(
            metadata=self.metadata,
            old=self.base.state if self.base else None,
            new=Repository(files).state,
            before=self.base.policies() if self.base else None,
            after=read_policies(self.after),
        )


def _occasion(
    comment: str, now: datetime.datetime, lifetime: datetime.timedelta
) -> Occasion:
    if len(comment) > MOST_COMMENT or not comment.strip() or not comment.isprintable():
        raise InvalidQuery(
            "COMMENT_INVALID",
            f"A comment is one line of at most {MOST_COMMENT} characters; it says why.",
        )
    expires = (now.astimezone(datetime.UTC) + lifetime).replace(microsecond=0)
    return Occasion(comment=comment, expires=expires)
