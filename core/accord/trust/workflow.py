# SPDX-License-Identifier: Apache-2.0
"""The client's side of TUF, over python-tuf's state machine.

python-tuf's ``Updater`` would do the same with files and the clock of its own. Here the
state machine beneath it (`TrustedMetadataSet`) is fed directly: the caller's clock
decides what has expired, every file is looked at before it is believed, nothing is
written before everything holds, and what is written is on the disk. The steps are
those of the TUF specification, section 5.3 to 5.6.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from accord.core.errors import NotFound, PolicyDenied, Unreachable
from accord.core.policy import LARGEST
from accord.trust.metadata import (
    LONGEST,
    MOST_ROLES,
    OWN,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    delegated_path,
    malformed,
    metadata_name,
    read_metadata,
    signatures_missing,
    signed_digest,
)
from accord.trust.state import State

Fetch = Callable[[str], bytes]
"""Returns a file by its name; raises NotFound where there is none."""

MOST_ROTATIONS: Final = 256
"""Roots that may follow one another since the last refresh."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """Metadata that were verified together, as bytes."""

    roots: tuple[bytes, ...]
    """From the pinned one to the newest."""
    timestamp: bytes | None = None
    snapshot: bytes | None = None
    targets: bytes | None = None
    delegated: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    def same_policies(self, other: Files) -> bool:
        """Tell whether they differ at most in what the hub signs."""
        return (self.roots, self.targets, self.delegated) == (
            other.roots,
            other.targets,
            other.delegated,
        )

    def state(self) -> State | None:
        """Return them read, or nothing where only a root is known."""
        if self.targets is None:
            return None
        return State(
            root=read_metadata(self.roots[-1], Root, ROOT),
            targets=read_metadata(self.targets, Targets, TARGETS),
            delegated={
                role: read_metadata(each, Targets, role)
                for role, each in self.delegated.items()
            },
        )


def update(held: Files, fetch: Fetch, now: datetime.datetime) -> Files:
    """Return the newest metadata, verified by those held.

    A root may be replaced while an agent fetches: then what follows is signed by keys
    that the root fetched before does not name. So newer roots are looked for once
    more before anything is refused or believed.

    Raises:
        PolicyDenied: POLICY_ROLLBACK, POLICY_EXPIRED, POLICY_SIGNATURES_MISSING,
            POLICY_MIXED, POLICY_MALFORMED
        Unreachable: POLICIES_INCOMPLETE, and what *fetch* raises.
    """
    roots = list(held.roots)
    try:
        files = _update(held, roots, fetch, now)
    except PolicyDenied as error:
        if error.reason != "POLICY_SIGNATURES_MISSING" or not _is_there(
            metadata_name(ROOT, _version(roots[-1]) + 1), fetch
        ):
            raise
        return _update(held, list(held.roots), fetch, now)
    if _names_newer_root(files):
        return _update(held, list(held.roots), fetch, now)
    return files


def _update(
    held: Files, roots: list[bytes], fetch: Fetch, now: datetime.datetime
) -> Files:
    """Go through the files once; *roots* gets those that are newer."""
    trusted = TrustedMetadataSet(held.roots[-1], EnvelopeType.METADATA)
    trusted.reference_time = now.astimezone(datetime.UTC)
    for content in _newer_roots(trusted, fetch):
        roots.append(content)  # noqa: PERF402  # kept where the next one fails
    timestamp = _timestamp(trusted, held.timestamp, fetch)
    snapshot = _snapshot(trusted, held.snapshot, fetch)
    targets = _targets(trusted, held.targets, fetch)
    return Files(
        roots=tuple(roots),
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        delegated=dict(_delegated(trusted, held.delegated, fetch)),
    )


def _version(root: bytes) -> int:
    return read_metadata(root, Root, ROOT).signed.version


def _names_newer_root(files: Files) -> bool:
    """Tell whether the hub vouched for a root that was published in between."""
    timestamp = read_metadata(files.timestamp or b"", Timestamp, TIMESTAMP).signed
    own = timestamp.unrecognized_fields.get(OWN)
    named = own.get("root") if isinstance(own, dict) else None
    return isinstance(named, int) and named > _version(files.roots[-1])


def _is_there(name: str, fetch: Fetch) -> bool:
    try:
        fetch(name)
    except NotFound:
        return False
    return True


def fresh_until(files: Files) -> datetime.datetime:
    """Return when the first of the four files of every repository expires."""
    if files.timestamp is None or files.snapshot is None or files.targets is None:
        raise malformed(TIMESTAMP, "is missing")
    return min(
        read_metadata(files.roots[-1], Root, ROOT).signed.expires,
        read_metadata(files.timestamp, Timestamp, TIMESTAMP).signed.expires,
        read_metadata(files.snapshot, Snapshot, SNAPSHOT).signed.expires,
        read_metadata(files.targets, Targets, TARGETS).signed.expires,
    )


def check_unforked(before: State, after: State) -> None:
    """Refuse other content under a version that was accepted before.

    Raises:
        PolicyDenied: POLICY_MIXED, POLICY_ROLLBACK
    """
    known = before.vouched
    for role, metadata in after.vouched.items():
        old = known.get(role)
        if old is None or metadata.signed.version > old.signed.version:
            continue
        if signed_digest(metadata) != signed_digest(old):
            raise PolicyDenied(
                "POLICY_MIXED",
                f"The hub shows other content of {role} under a version that it showed"
                " before.",
            )
    if after.id != before.id and after.change <= before.change:
        after.verify()  # what too few signed does not count, and says no number
        raise PolicyDenied(
            "POLICY_ROLLBACK", "The hub shows policies that are older than it says."
        )


def obtain(fetch: Fetch, name: str, role: str) -> bytes:
    """Fetch a file that is announced.

    Raises:
        Unreachable: POLICIES_INCOMPLETE
        PolicyDenied: POLICY_MALFORMED where it is too long.
    """
    try:
        content = fetch(name)
    except NotFound:
        raise Unreachable(
            "POLICIES_INCOMPLETE",
            f"The hub does not hand out {name}, which its policies need; try again.",
        ) from None
    if len(content) > LONGEST.get(role, LARGEST):
        raise malformed(role, "is longer than it may be")
    return content


def _newer_roots(trusted: TrustedMetadataSet, fetch: Fetch) -> Iterator[bytes]:
    """Load every root after the newest known one; specification 5.3."""
    for _ in range(MOST_ROTATIONS):
        name = metadata_name(ROOT, trusted.root.version + 1)
        try:
            content = fetch(name)
        except NotFound:
            return
        read_metadata(content, Root, ROOT)
        with _refusing(ROOT):
            trusted.update_root(content)
        yield content
    raise malformed(ROOT, f"was replaced more than {MOST_ROTATIONS} times")


def _timestamp(trusted: TrustedMetadataSet, held: bytes | None, fetch: Fetch) -> bytes:
    """Load the newest timestamp; specification 5.4."""
    if held is not None:
        # One that another freshness key signed counts for nothing since the root
        # names the new key: so ends a version that was raised beyond all reason.
        with contextlib.suppress(RepositoryError):
            trusted.update_timestamp(held)
    known = TIMESTAMP in trusted
    content = obtain(fetch, metadata_name(TIMESTAMP), TIMESTAMP)
    read_metadata(content, Timestamp, TIMESTAMP)
    try:
        with _refusing(TIMESTAMP):
            trusted.update_timestamp(content)
    except EqualVersionNumberError:
        if held is not None and known:
            return held
    return content


def _snapshot(trusted: TrustedMetadataSet, held: bytes | None, fetch: Fetch) -> bytes:
    """Load the snapshot that the timestamp names; specification 5.5."""
    meta = trusted.timestamp.snapshot_meta
    if held is not None:
        with contextlib.suppress(RepositoryError):
            trusted.update_snapshot(held, trusted=True)
            with _refusing(SNAPSHOT):
                meta.verify_length_and_hashes(held)
            return held
    content = obtain(fetch, metadata_name(SNAPSHOT, meta.version), SNAPSHOT)
    found = read_metadata(content, Snapshot, SNAPSHOT).signed
    with _refusing(SNAPSHOT):
        trusted.update_snapshot(content)
        if len(found.meta) > MOST_ROLES:
            raise malformed(SNAPSHOT, "names more files than it may")
    return content


def _targets(trusted: TrustedMetadataSet, held: bytes | None, fetch: Fetch) -> bytes:
    """Load what the board signed; specification 5.6."""
    if held is not None:
        with contextlib.suppress(RepositoryError):
            trusted.update_targets(held)
            return held
    content = obtain(fetch, _name(trusted, TARGETS), TARGETS)
    read_metadata(content, Targets, TARGETS)
    with _refusing(TARGETS):
        trusted.update_targets(content)
    return content


def _delegated(
    trusted: TrustedMetadataSet, held: Mapping[str, bytes], fetch: Fetch
) -> Iterator[tuple[str, bytes]]:
    """Load all delegated roles, by what the snapshot says of them; 5.6.7.

    Which of them are in force, and whether the right people signed, is for
    `State.digests`: an emergency may be declared by people who since were replaced.
    """
    for file, meta in sorted(trusted.snapshot.meta.items()):
        role = file.removesuffix(".json")
        if role == TARGETS:
            continue
        delegated_path(role)
        content = held.get(role)
        with contextlib.suppress(LengthOrHashMismatchError):
            if content is not None:
                meta.verify_length_and_hashes(content)
                yield role, content
                continue
        content = obtain(fetch, _name(trusted, role), role)
        found = read_metadata(content, Targets, role)
        with _refusing(role):
            meta.verify_length_and_hashes(content)
            if found.signed.version != meta.version:
                raise BadVersionNumberError
        yield role, content


def _name(trusted: TrustedMetadataSet, role: str) -> str:
    meta = trusted.snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise malformed(SNAPSHOT, f"does not name {role}")
    return metadata_name(role, meta.version)


@contextlib.contextmanager
def _refusing(role: str) -> Iterator[None]:
    """Say in Accord's words why python-tuf does not believe a file."""
    try:
        yield
    except EqualVersionNumberError:
        raise
    except ExpiredMetadataError:
        raise PolicyDenied(
            "POLICY_EXPIRED",
            f"The signed file {role} has expired: nobody vouches any more that these"
            " policies are the newest.",
        ) from None
    except UnsignedMetadataError:
        raise signatures_missing(role) from None
    except LengthOrHashMismatchError:
        raise _mixed(role) from None
    except BadVersionNumberError:
        if role not in (ROOT, TIMESTAMP, SNAPSHOT):
            raise _mixed(role) from None
        raise _older(role) from None
    except RepositoryError:
        if role == SNAPSHOT:  # one that lacks a file that was there
            raise _older(role) from None
        raise malformed(role, "cannot be believed") from None


def _mixed(role: str) -> PolicyDenied:
    return PolicyDenied(
        "POLICY_MIXED",
        f"The signed file {role} is not the one that the newest policies name.",
    )


def _older(role: str) -> PolicyDenied:
    return PolicyDenied(
        "POLICY_ROLLBACK",
        f"The hub shows a signed file {role} that is older than one that it showed.",
    )
