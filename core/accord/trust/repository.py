# SPDX-License-Identifier: Apache-2.0
"""A TUF repository in memory: everything that was ever signed, by name.

Old versions stay, because an agency that was away for long walks through them.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tuf.api.metadata import Metadata, Root, Targets

from accord.core.canonical import bytes_digest
from accord.core.errors import AccordError, IntegrityError, PolicyDenied
from accord.core.policy import PolicySet
from accord.trust.documents import read_policies
from accord.trust.drafting import check_consistent
from accord.trust.metadata import (
    ROOT,
    TARGETS,
    Kind,
    change_of,
    check_signed,
    document_name,
    malformed,
    metadata_name,
    read_metadata,
)
from accord.trust.metadata import root_digest as root_digest  # noqa: PLC0414
from accord.trust.state import State

_METADATA: Final = re.compile(
    r"metadata/([1-9]\d{0,14})\.(root|targets|(?:agreement|emergency)-[a-z0-9_-]{1,63})"
    r"\.json"
)
_DOCUMENT: Final = re.compile(r"targets/(?:[a-z]+/)?[0-9a-f]{64}\.[a-z0-9_-]+\.yaml")


@dataclasses.dataclass(frozen=True)
class Repository:
    """Signed files by name, without snapshot and timestamp.

    Names are those under which they are fetched: ``metadata/3.root.json``,
    ``targets/agreements/<sha256>.x.yaml``. What is in force are the highest versions.
    """

    files: Mapping[str, bytes]

    @functools.cached_property
    def versions(self) -> Mapping[str, tuple[int, ...]]:
        """Return the versions that are here of each role, lowest first."""
        found: dict[str, list[int]] = {}
        for name in self.files:
            match = _METADATA.fullmatch(name)
            if match is not None:
                found.setdefault(match[2], []).append(int(match[1]))
        return {role: tuple(sorted(each)) for role, each in found.items()}

    @functools.cached_property
    def state(self) -> State:
        """Return the metadata in force.

        Raises:
            PolicyDenied: POLICY_MALFORMED
        """
        missing = {ROOT, TARGETS} - set(self.versions)
        if missing:
            raise malformed(min(missing), "is missing")
        newest = {role: versions[-1] for role, versions in self.versions.items()}
        return State(
            root=self._metadata(ROOT, newest[ROOT], Root),
            targets=self._metadata(TARGETS, newest[TARGETS], Targets),
            delegated={
                role: self._metadata(role, version, Targets)
                for role, version in newest.items()
                if role not in (ROOT, TARGETS)
            },
        )

    def _metadata(self, role: str, version: int, kind: type[Kind]) -> Metadata[Kind]:
        found = read_metadata(self.files[metadata_name(role, version)], kind, role)
        if found.signed.version != version:
            raise malformed(role, "has another version than its name")
        return found

    @property
    def version(self) -> int:
        """Number of the newest change."""
        return self.state.change

    @property
    def root_version(self) -> int:
        """Version of the root."""
        return self.state.root.signed.version

    @property
    def targets_version(self) -> int:
        """Version of what the board signed; parties and approvers do not raise it."""
        return self.state.targets.signed.version

    @property
    def expires(self) -> datetime.datetime:
        """When the board must have signed again."""
        return self.state.expires

    @property
    def id(self) -> str:
        """SHA-256 over everything in force."""
        return self.state.id

    def root(self) -> bytes:
        """Return the newest root."""
        return self.files[metadata_name(ROOT, self.root_version)]

    def documents(self) -> dict[str, bytes]:
        """Return the documents in force, by path.

        Raises:
            PolicyDenied: POLICY_MALFORMED where one is missing.
        """
        return dict(self._documents)

    @functools.cached_property
    def _documents(self) -> Mapping[str, bytes]:
        found = {}
        for path, digest in self.state.digests().items():
            content = self.files.get(document_name(path, digest))
            if content is None or bytes_digest(content) != digest:
                raise PolicyDenied(
                    "POLICY_MIXED", f"The signed document {path} is not here."
                )
            found[path] = content
        return found

    def policies(self, now: datetime.datetime | None = None) -> PolicySet:
        """Return the documents in force, read.

        Args:
            now: leaves out what parties or approvers let expire, as agents do.
        """
        ended = frozenset[str]() if now is None else self.state.expired(now)
        found = {p: c for p, c in self._documents.items() if p not in ended}
        return read_policies(found)

    def newest_only(self) -> Repository:
        """Return what is in force, without the past."""
        names = dict(self._newest_names())
        return Repository({name: self.files[name] for name in names})

    def _newest_names(self) -> Iterator[tuple[str, None]]:
        for role, metadata in self.state.roles():
            yield metadata_name(role, metadata.signed.version), None
        for path, digest in self.state.digests().items():
            yield document_name(path, digest), None

    def verify(self) -> None:
        """Check every version by those before it, and every document by its digest.

        Raises:
            IntegrityError: POLICIES_DAMAGED
        """
        try:
            self._verify()
        except AccordError as error:
            raise IntegrityError(
                "POLICIES_DAMAGED",
                f"The signed policies contradict themselves. {error.sentence}",
            ) from None

    def _verify(self) -> None:
        for name in self.files:
            if not (_METADATA.fullmatch(name) or _DOCUMENT.fullmatch(name)):
                raise malformed(name[:100], "has a name that Accord does not use")
        state = self.state
        roots = [self._metadata(ROOT, each, Root) for each in self.versions[ROOT]]
        for older, newer in itertools.pairwise(roots):
            check_successor(older, newer)
        for version in self.versions[TARGETS]:
            targets = self._metadata(TARGETS, version, Targets)
            number = change_of(targets.signed, TARGETS)
            reigning = [e for e in roots if change_of(e.signed, ROOT) <= number]
            # Of a history that was cut short only the newest root is known.
            root = reigning[-1] if reigning else roots[0]
            check_signed(root.signed, targets, TARGETS)
        state.verify()
        check_consistent(state, self.policies(), whole=True)


def check_successor(older: Metadata[Root], newer: Metadata[Root]) -> None:
    """Check that a root follows another: both boards must have signed it.

    Raises:
        PolicyDenied: POLICY_ROLLBACK, POLICY_SIGNATURES_MISSING
    """
    if newer.signed.version != older.signed.version + 1:
        raise PolicyDenied(
            "POLICY_ROLLBACK", "The signed roots do not follow one another."
        )
    check_signed(older.signed, newer, ROOT)
    check_signed(newer.signed, newer, ROOT)
