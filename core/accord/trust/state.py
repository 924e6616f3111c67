# SPDX-License-Identifier: Apache-2.0
"""One state of the policies: the metadata that were in force together."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from accord.core.errors import PolicyDenied
from accord.trust.metadata import (
    ROOT,
    TARGETS,
    change_of,
    check_signed,
    malformed,
    signed_digest,
)

AnyMetadata = Metadata[Any]
"""Of a root or of targets; which, the role tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Metadata of all roles after one change; nothing is verified by itself."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    delegated: Mapping[str, Metadata[Targets]]
    """The newest of every delegated role that ever was, also of those that ended.

    Nobody vouches for one that ended, or that the hub invented: see `vouched`.
    """

    @functools.cached_property
    def change(self) -> int:
        """Number of the newest change, of all that somebody vouches for."""
        return max(change_of(each.signed, role) for role, each in self.vouched.items())

    @functools.cached_property
    def vouched(self) -> Mapping[str, AnyMetadata]:
        """Root, targets, and the delegated roles whose signatures hold.

        Only these say which change is the newest: the hub alone names the others, and
        could give them any number.
        """
        found: dict[str, AnyMetadata] = {ROOT: self.root, TARGETS: self.targets}
        for role, metadata in sorted(self.delegated.items()):
            try:
                check_signed(self.targets.signed, metadata, role)
            except PolicyDenied:
                continue
            found[role] = metadata
        return found

    @functools.cached_property
    def expires(self) -> datetime.datetime:
        """When the first of root and targets expires."""
        return min(self.root.signed.expires, self.targets.signed.expires)

    def roles(self) -> Iterator[tuple[str, Metadata[Root] | Metadata[Targets]]]:
        """Yield the metadata of every role, by name."""
        yield ROOT, self.root
        yield TARGETS, self.targets
        yield from sorted(self.delegated.items())

    @functools.cached_property
    def id(self) -> str:
        """SHA-256 over everything that is signed by those who must."""
        whole = hashlib.sha256()
        for role, metadata in self.vouched.items():
            whole.update(f"{role}\0{signed_digest(metadata)}\n".encode())
        return whole.hexdigest()

    def in_force(self) -> Iterator[tuple[str, Targets]]:
        """Yield every role whose documents are in force, with its metadata.

        Raises:
            PolicyDenied: POLICY_SIGNATURES_MISSING
        """
        yield TARGETS, self.targets.signed
        delegations = self.targets.signed.delegations
        for role in sorted((delegations.roles or {}) if delegations else ()):
            metadata = self.delegated.get(role)
            if metadata is None:
                continue
            try:
                check_signed(self.targets.signed, metadata, role)
            except PolicyDenied:
                if self.outdated(role):
                    continue
                raise
            yield role, metadata.signed

    def outdated(self, role: str) -> bool:
        """Tell whether an emergency was declared by people who since were replaced.

        The board signed other approvers after them, so the declaration has ended. It
        is no attack, and never makes anything looser.
        """
        return role.startswith("emergency-") and change_of(
            self.delegated[role].signed, role
        ) < change_of(self.targets.signed, TARGETS)

    def digests(self) -> dict[str, str]:
        """Return the digest of every document in force, by path.

        Raises:
            PolicyDenied: POLICY_SIGNATURES_MISSING
        """
        return {
            path: file.hashes["sha256"]
            for _, signed in self.in_force()
            for path, file in signed.targets.items()
        }

    def expired(self, now: datetime.datetime) -> frozenset[str]:
        """Return documents whose own signatories let them expire.

        They end alone: parties or approvers who forgot to sign again shut nobody out
        of the agreements of others.
        """
        return frozenset(
            path
            for role, signed in self.in_force()
            if role != TARGETS and signed.is_expired(now)
            for path in signed.targets
        )

    def verify(self) -> None:
        """Check that the board signed the targets, and delegates what is theirs.

        Raises:
            PolicyDenied: POLICY_SIGNATURES_MISSING
        """
        check_signed(self.root.signed, self.root, ROOT)
        check_signed(self.root.signed, self.targets, TARGETS)
        self.digests()
        self._check_ended()

    def _check_ended(self) -> None:
        """Refuse roles that nobody delegated, unless the board ended them.

        What it ended is older than the targets that ended it.
        """
        delegations = self.targets.signed.delegations
        delegated = (delegations.roles or {}) if delegations else {}
        newest = change_of(self.targets.signed, TARGETS)
        for role in sorted(self.delegated.keys() - delegated.keys()):
            if change_of(self.delegated[role].signed, role) >= newest:
                raise malformed(role, "has a role that nobody delegated")
