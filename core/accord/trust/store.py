# SPDX-License-Identifier: Apache-2.0
"""The hub's copy of signed policies, as files.

``timestamp.json`` is what makes a change published: it is written last, at one moment,
and names the snapshot, which names the rest. Whatever a crash left beyond it is not
read, and written over by the next change. Nothing else is ever removed.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import MetaFile, Snapshot, Timestamp

from accord.core.errors import AccordError, IntegrityError
from accord.core.policy import LARGEST
from accord.trust.durable import make_folder, write_file
from accord.trust.metadata import (
    OWN,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    check_signed,
    metadata_name,
    read_metadata,
)
from accord.trust.repository import Repository

_VERSIONED: Final = re.compile(r"metadata/([1-9]\d{0,14})\.([a-z0-9_-]+)\.json")


@dataclasses.dataclass(frozen=True)
class Stored:
    """Published policies, with the hub's word that they are the newest."""

    repository: Repository
    fresh: Mapping[str, bytes]
    """Snapshot and timestamp."""

    @functools.cached_property
    def files(self) -> Mapping[str, bytes]:
        """Everything that can be fetched, by name."""
        return {**self.repository.files, **self.fresh}

    def file(self, name: str) -> bytes | None:
        """Return what can be fetched under a name."""
        return self.files.get(name)


def save(folder: Path, repository: Repository, fresh: Mapping[str, bytes]) -> None:
    """Write what is not there yet; the timestamp last.

    Args:
        folder: gets ``metadata`` and ``targets``.
        repository: what is published.
        fresh: what `accord.trust.freshness.freshen` returned for it.
    """
    timestamp = metadata_name(TIMESTAMP)
    for name, content in {**repository.files, **fresh}.items():
        path = folder / name
        if name != timestamp and not _holds(path, content):
            make_folder(path.parent)
            write_file(path, content)
    write_file(folder / timestamp, fresh[timestamp])


def load(folder: Path) -> Stored | None:
    """Read and verify what was published; None where nothing was yet.

    Raises:
        IntegrityError: POLICIES_DAMAGED
    """
    if not (folder / metadata_name(TIMESTAMP)).exists():
        return None
    try:
        return _load(folder)
    except (AccordError, OSError) as error:
        if isinstance(error, IntegrityError):
            raise
        reason = error.sentence if isinstance(error, AccordError) else error.strerror
        raise IntegrityError(
            "POLICIES_DAMAGED",
            f"The signed policies in {folder} cannot be used: {reason} Restore them.",
        ) from None


def _load(folder: Path) -> Stored:
    name = metadata_name(TIMESTAMP)
    fresh = {name: _read(folder / name)}
    timestamp = read_metadata(fresh[name], Timestamp, TIMESTAMP)
    name = metadata_name(SNAPSHOT, timestamp.signed.snapshot_meta.version)
    fresh[name] = _read(folder / name)
    snapshot = read_metadata(fresh[name], Snapshot, SNAPSHOT)
    newest = {
        file.removesuffix(".json"): meta.version
        for file, meta in snapshot.signed.meta.items()
    }
    own = timestamp.signed.unrecognized_fields.get(OWN)
    newest[ROOT] = own.get("root", 0) if isinstance(own, dict) else 0
    files = dict(_published(folder, newest))
    repository = Repository(files)
    repository.verify()
    found = {role: versions[-1] for role, versions in repository.versions.items()}
    if found != newest:
        raise IntegrityError(
            "POLICIES_DAMAGED",
            f"Signed policies are missing in {folder}. Restore them.",
        )
    root = repository.state.root.signed
    check_signed(root, timestamp, TIMESTAMP)
    check_signed(root, snapshot, SNAPSHOT)
    _check_digests(timestamp.signed.snapshot_meta, fresh[name])
    for file, meta in snapshot.signed.meta.items():
        role = file.removesuffix(".json")
        _check_digests(meta, files[metadata_name(role, meta.version)])
    return Stored(repository, fresh)


def _published(folder: Path, newest: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield metadata up to the versions that count, and all documents."""
    for path in sorted((folder / "metadata").glob("[1-9]*.json")):
        match = _VERSIONED.fullmatch(f"metadata/{path.name}")
        if match is None or match[2] == SNAPSHOT:
            continue
        if int(match[1]) <= newest.get(match[2], 0):
            yield f"metadata/{path.name}", _read(path)
    for path in sorted((folder / TARGETS).rglob("[0-9a-f]*.yaml")):
        yield path.relative_to(folder).as_posix(), _read(path)


def _check_digests(meta: MetaFile, content: bytes) -> None:
    """Check what agents will check, so that damage shows here first."""
    try:
        meta.verify_length_and_hashes(content)
    except LengthOrHashMismatchError:
        raise IntegrityError(
            "POLICIES_DAMAGED", "A signed file was changed on the disk. Restore it."
        ) from None


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise IntegrityError("POLICIES_DAMAGED", f"{path} is longer than it may be.")
    return path.read_bytes()


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False
