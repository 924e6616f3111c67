# SPDX-License-Identifier: Apache-2.0
"""What an agency, or a member of a board, believes; kept in a folder of its own.

One file, ``accepted.json``, holds everything that was accepted together, and is
replaced at one moment: whatever happens, either the old or the new is there. The root
that was confirmed at enrolment stands beside it, and the last failure to refresh.
One process at a time may use a folder.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import pydantic
from tuf.api.metadata import Root

from accord.core.canonical import bytes_digest
from accord.core.errors import (
    AccordError,
    Conflict,
    IntegrityError,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.core.policy import PolicySet
from accord.trust.documents import read_policies
from accord.trust.durable import make_folder, remove_file, write_file
from accord.trust.freshness import LIFETIME
from accord.trust.history import Accepted, accept_newest
from accord.trust.metadata import (
    ROOT,
    TARGETS,
    document_name,
    metadata_name,
    read_board,
    read_metadata,
    root_digest,
)
from accord.trust.repository import Repository, check_successor
from accord.trust.state import State
from accord.trust.workflow import Fetch as Fetch  # noqa: PLC0414
from accord.trust.workflow import Files, check_unforked, fresh_until, update

REASONS: Final = frozenset(
    {
        "POLICY_EXPIRED",
        "POLICY_MALFORMED",
        "POLICY_MIXED",
        "POLICY_ROLLBACK",
        "POLICY_SEAT_MISSING",
        "POLICY_SIGNATURES_MISSING",
        "POLICY_VERSION_REUSED",
    }
)
"""Why policies that a hub shows are not believed."""

_ACCEPTED: Final = "accepted.json"
_PINNED: Final = "pinned.root.json"
_TROUBLE: Final = "trouble.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """Policies that are believed, and until when."""

    documents: Mapping[str, bytes]
    policies: PolicySet
    version: int
    """Number of the newest change; every change raises it by one."""
    targets_version: int
    root_version: int
    root: bytes
    fresh_until: datetime.datetime
    """From then on nobody vouches that there is nothing newer: to be refused."""


class _Kept(pydantic.BaseModel):
    """``accepted.json``: exact texts of everything."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    format: Literal["accord.accepted.v1"] = "accord.accepted.v1"
    roots: list[str]
    timestamp: str
    snapshot: str
    targets: str
    delegated: dict[str, str]
    documents: dict[str, str]
    expired: list[str]
    """Documents whose own signatories let them expire."""
    seen: str
    """When this timestamp was fetched for the first time, by this machine's clock."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Held:
    files: Files
    accepted: Accepted
    expired: frozenset[str]
    seen: datetime.datetime

    def view(self) -> View:
        state, documents = self.accepted.state, self.accepted.documents
        policies = self.accepted.policies
        if self.expired:
            documents = {
                path: content
                for path, content in documents.items()
                if path not in self.expired
            }
            policies = read_policies(documents)
        return View(
            documents=documents,
            policies=policies,
            version=state.change,
            targets_version=state.targets.signed.version,
            root_version=state.root.signed.version,
            root=self.files.roots[-1],
            fresh_until=min(fresh_until(self.files), self.seen + LIFETIME),
        )

    def kept(self) -> _Kept:
        """Return what stands on the disk."""
        files = self.files
        return _Kept(
            roots=[each.decode() for each in files.roots],
            timestamp=(files.timestamp or b"").decode(),
            snapshot=(files.snapshot or b"").decode(),
            targets=(files.targets or b"").decode(),
            delegated={role: each.decode() for role, each in files.delegated.items()},
            documents={p: c.decode() for p, c in self.accepted.documents.items()},
            expired=sorted(self.expired),
            seen=self.seen.astimezone(datetime.UTC).isoformat(),
        )


class Trusted:
    """The policies that one agency believes."""

    def __init__(self, folder: Path, agency: str | None = None) -> None:
        """Use a folder, which need not be there yet.

        Args:
            folder: for this object alone.
            agency: whose agreements to fetch; None for all.
        """
        self._folder = folder
        self._agency = agency
        self._lock = threading.RLock()
        self._held: _Held | None = None

    def pin(self, root: bytes) -> None:
        """Believe a board from now on, as it was confirmed by people.

        A root that is part of the chain that is believed, or that its newest board
        signed as the next, changes nothing. One further on proves nothing by itself:
        refresh first, which fetches those in between.

        Raises:
            Conflict: ROOT_PINNED where another board is believed here.
            PolicyDenied: POLICY_MALFORMED, POLICY_SIGNATURES_MISSING
        """
        read_board(root)
        with self._lock:
            pinned = self.pinned()
            if pinned is None:
                make_folder(self._folder)
                write_file(self._folder / _PINNED, root)
                return
            held = self._read()
            roots = held.files.roots if held else (pinned,)
            if _belongs(root, roots):
                return
        raise Conflict(
            "ROOT_PINNED",
            "Another board is trusted here than the one that the hub shows now, or its"
            " board changed more than once since: fetch the policies first.",
        )

    def pinned(self) -> bytes | None:
        """Return the root that was confirmed, if one was."""
        try:
            return (self._folder / _PINNED).read_bytes()
        except FileNotFoundError:
            return None

    def refresh(self, fetch: Fetch, now: datetime.datetime) -> View:
        """Fetch, verify and accept the newest policies, all of them or nothing.

        Raises:
            PolicyDenied: with one of `REASONS`; the last accepted view stays.
            PreconditionFailed: BOARD_NOT_PINNED
            Unreachable: POLICIES_INCOMPLETE, and whatever *fetch* raises.
        """
        with self._lock:
            try:
                held = self._refreshed(fetch, now)
            except PolicyDenied as error:
                if error.reason in REASONS:
                    self._note(error.reason, now)
                raise
            if (self._folder / _TROUBLE).exists():
                remove_file(self._folder / _TROUBLE)
            return held.view()

    def view(self) -> View | None:
        """Return what was last accepted, from the disk.

        Raises:
            IntegrityError: POLICIES_DAMAGED
        """
        with self._lock:
            held = self._read()
            return None if held is None else held.view()

    def trouble(self) -> tuple[str, datetime.datetime] | None:
        """Return why the last refresh was not believed, and when that was."""
        try:
            found = json.loads((self._folder / _TROUBLE).read_bytes())
            at = datetime.datetime.fromisoformat(found["at"])
            return str(found["reason"]), at
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise self._damaged(_TROUBLE) from None

    def repository(self) -> Repository:
        """Return what is in force, to base a proposal on.

        Raises:
            NotFound: POLICIES_MISSING where nothing was accepted yet.
        """
        with self._lock:
            held = self._read()
        if held is None:
            raise NotFound("POLICIES_MISSING", "No signed policies were fetched yet.")
        state = held.accepted.state
        contents = {ROOT: held.files.roots[-1], TARGETS: held.files.targets or b""}
        contents.update(held.files.delegated)
        digests = state.digests()
        return Repository(
            {
                metadata_name(role, metadata.signed.version): contents[role]
                for role, metadata in state.roles()
            }
            | {
                document_name(path, digests[path]): content
                for path, content in held.accepted.documents.items()
            }
        )

    def _refreshed(self, fetch: Fetch, now: datetime.datetime) -> _Held:
        held = self._read()
        pinned = self.pinned()
        if pinned is None:
            raise PreconditionFailed(
                "BOARD_NOT_PINNED", "No board is trusted here yet: enrol first."
            )
        old = held.files if held else Files(roots=(pinned,))
        files = update(old, fetch, now)
        if held is not None and files.same_policies(held.files):
            newest = held.accepted.state
        else:
            newest = _state(files)
        if held is not None:
            check_unforked(held.accepted.state, newest)
        accepted = accept_newest(
            held.accepted if held else None,
            newest,
            files.roots[len(old.roots) if held else 0 :],
            fetch,
            self._agency,
        )
        # Asking again makes no old timestamp younger: a hub that is honest signs a new
        # one every few hours. A clock that was ahead when it was seen gains nothing.
        again = held is not None and held.files.timestamp == files.timestamp
        new = _Held(
            files=files,
            accepted=accepted,
            expired=accepted.state.expired(now),
            seen=min(held.seen, now) if held and again else now,
        )
        if held is None or new.kept() != held.kept():
            self._write(new)
        self._held = new
        return new

    def _read(self) -> _Held | None:
        if self._held is not None:
            return self._held
        try:
            content = (self._folder / _ACCEPTED).read_bytes()
        except FileNotFoundError:
            return None
        try:
            self._held = _from_kept(_Kept.model_validate_json(content))
        except (pydantic.ValidationError, PolicyDenied, ValueError):
            raise self._damaged(_ACCEPTED) from None
        return self._held

    def _write(self, held: _Held) -> None:
        make_folder(self._folder)
        write_file(self._folder / _ACCEPTED, held.kept().model_dump_json().encode())

    def _note(self, reason: str, now: datetime.datetime) -> None:
        known = self.trouble()
        if known is None or known[0] != reason:
            noted = {"reason": reason, "at": now.astimezone(datetime.UTC).isoformat()}
            make_folder(self._folder)
            write_file(self._folder / _TROUBLE, json.dumps(noted).encode())

    def _damaged(self, name: str) -> AccordError:
        return IntegrityError(
            "POLICIES_DAMAGED",
            f"{self._folder / name} is damaged: restore it, or enrol again with an"
            " empty folder and confirm the board.",
        )


def _state(files: Files) -> State:
    state = files.state()
    if state is None:
        raise PolicyDenied("POLICY_MALFORMED", "The signed file targets is missing.")
    return state


def _from_kept(kept: _Kept) -> _Held:
    files = Files(
        roots=tuple(each.encode() for each in kept.roots),
        timestamp=kept.timestamp.encode(),
        snapshot=kept.snapshot.encode(),
        targets=kept.targets.encode(),
        delegated={role: each.encode() for role, each in kept.delegated.items()},
    )
    state = _state(files)
    documents = {path: each.encode() for path, each in kept.documents.items()}
    digests = state.digests()
    for path, content in documents.items():
        if digests.get(path) != bytes_digest(content):
            raise PolicyDenied("POLICY_MIXED", f"{path} is not what was signed.")
    accepted = Accepted(
        state=state, documents=documents, policies=read_policies(documents)
    )
    return _Held(
        files=files,
        accepted=accepted,
        expired=frozenset(kept.expired),
        seen=datetime.datetime.fromisoformat(kept.seen).astimezone(datetime.UTC),
    )


def _belongs(root: bytes, chain: tuple[bytes, ...]) -> bool:
    """Tell whether a root is part of a chain, or is the next in it."""
    if root_digest(root) in {root_digest(each) for each in chain}:
        return True
    offered = read_metadata(root, Root, ROOT)
    newest = read_metadata(chain[-1], Root, ROOT)
    try:
        check_successor(newest, offered)
    except PolicyDenied:
        return False
    return True
