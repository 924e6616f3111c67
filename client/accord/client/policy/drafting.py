# SPDX-License-Identifier: Apache-2.0
"""From edited files to a proposal that can be signed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

from accord.client.policy.folder import documents_in
from accord.client.policy.proposal_files import write_whole
from accord.client.profile import data_folder
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    PreconditionFailed,
)
from accord.core.lint import Finding, errors, lint
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted

FETCHED = Path(".accord") / "repository"

MOST_FILES = 20_000


def placed(finding: Finding) -> str:
    """Return what is wrong, with file, line and column before it."""
    entry = f"{finding.entry}: " if finding.entry else ""
    return f"{finding.path}:{finding.line}:{finding.column}: {entry}{finding.sentence}"


def draft(
    base: Repository | None,
    documents: Mapping[str, bytes],
    *,
    comment: str,
    now: datetime.datetime,
) -> Proposal:
    """Return the proposal that brings *documents* in force; without *base*, a founding.

    Raises:
        ConfigurationError: DOCUMENT_INVALID, with every problem.
        InvalidQuery: NOTHING_CHANGED.
    """
    problems = errors(lint(documents))
    if problems:
        raise ConfigurationError("DOCUMENT_INVALID", "\n".join(map(placed, problems)))
    if base is None:
        return Proposal.founding(documents, comment=comment, now=now)
    return Proposal.change(base, documents, comment=comment, now=now)


def fetched_repository(folder: Path) -> Repository | None:
    """Return what was fetched into a board's folder; None where nothing was.

    Raises:
        ConfigurationError: FOLDER_UNREADABLE.
    """
    root = folder / FETCHED
    if not root.is_dir():
        return None
    files: dict[str, bytes] = {}
    try:
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                files[path.relative_to(root).as_posix()] = path.read_bytes()
            if len(files) > MOST_FILES:
                raise OSError
    except OSError:
        raise ConfigurationError(
            "FOLDER_UNREADABLE", f"{root} cannot be read; fetch it again."
        ) from None
    return Repository(files)


def place_fetched(folder: Path, repository: Repository) -> tuple[str, ...]:
    """Write what is in force into a board's folder; return what was kept.

    Files that somebody edited since the last fetch stay as they are. The repository is
    replaced last file first, so that what is there verifies or is fetched again.

    Returns:
        The paths of documents that differ from what is in force.
    """
    previous = fetched_repository(folder)
    known = _documents_of(previous)
    here = documents_in(folder) if folder.is_dir() else {}
    now = repository.documents()
    for path, content in now.items():
        if here.get(path) == known.get(path):
            write_whole(folder / path, content)
            here[path] = content
    for path in known:
        if path not in now and here.get(path) == known[path]:
            (folder / path).unlink(missing_ok=True)
            here.pop(path, None)
    for name, content in sorted(repository.files.items(), reverse=True):
        if previous is None or previous.files.get(name) != content:
            write_whole(folder / FETCHED / name, content)
    for name in previous.files if previous is not None else ():
        if name not in repository.files:
            (folder / FETCHED / name).unlink(missing_ok=True)
    return tuple(
        path for path in sorted({*here, *now}) if here.get(path) != now.get(path)
    )


def _documents_of(repository: Repository | None) -> Mapping[str, bytes]:
    """Return its documents; none where a fetch was interrupted: then all was edited."""
    try:
        return repository.documents() if repository is not None else {}
    except AccordError:
        return {}


def renewal(
    base: Repository | None, *, comment: str, now: datetime.datetime, role: str
) -> Proposal:
    """Return the proposal that only makes signatures last longer.

    Raises:
        PreconditionFailed: POLICIES_MISSING.
    """
    if base is None:
        raise PreconditionFailed(
            "POLICIES_MISSING",
            "There is nothing to renew here: fetch the policies in force first.",
        )
    return Proposal.renewal(base, comment=comment, now=now, role=role)


def is_known_base(proposal: Proposal) -> bool:
    """Tell whether a proposal starts from policies that this machine verified."""
    for folder in sorted((data_folder() / "boards").glob("*/trusted")):
        try:
            if proposal.is_onto(Trusted(folder, None).repository()):
                return True
        except AccordError:
            continue
    return False
