# SPDX-License-Identifier: Apache-2.0
"""From the policies that were accepted to the newest, one change after another.

What a board may loosen without a seat's signature is decided by the version in force.
An agency that was away compares every version in between with the one before, so that
a loosening that a seat did sign, some versions ago, is not taken for one that it did
not sign. A change that is not allowed is passed over: the next is compared with the
last that was allowed, so that one bad version does not shut an agency out for ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from accord.core.approval import check_change
from accord.core.canonical import bytes_digest
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    PolicyDenied,
    Unreachable,
)
from accord.core.policy import AGREEMENTS, BOARD, EMERGENCIES, MEMBERS, PolicySet
from accord.trust.documents import read_policies
from accord.trust.drafting import check_consistent
from accord.trust.metadata import (
    ROOT,
    TARGETS,
    change_of,
    concerned_by,
    document_name,
    malformed,
    metadata_name,
    read_metadata,
    signed_digest,
    signers,
)
from accord.trust.state import State
from accord.trust.workflow import Fetch, obtain

MOST_CHANGES: Final = 500
"""Changes between two refreshes that are looked at one by one."""

Signed = Mapping[str, frozenset[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accepted:
    """Policies that an agency believes."""

    state: State
    documents: Mapping[str, bytes]
    policies: PolicySet


def known_keys(*sets: PolicySet | None) -> dict[str, str]:
    """Return everybody whose signature can mean something, by key, with their label."""
    found: dict[str, str] = {}
    for each in sets:
        if each is None:
            continue
        for label, member in each.members.members.items():
            if member.signatory is not None:
                found.setdefault(member.signatory, label)
        if each.board is not None:
            found.update((m.key, label) for label, m in each.board.members.items())
    return found


def signatures(
    before: State | None, after: State, sets: Sequence[PolicySet | None]
) -> Signed:
    """Return who signed the roles that a change is made of."""
    old = dict(before.roles()) if before else {}
    keys = known_keys(*sets)
    return {
        role: signers(metadata, keys)
        for role, metadata in after.roles()
        if role not in old or signed_digest(old[role]) != signed_digest(metadata)
    }


def accept_newest(
    held: Accepted | None,
    newest: State,
    roots: Sequence[bytes],
    fetch: Fetch,
    agency: str | None,
) -> Accepted:
    """Return the newest policies, if every rule about changing them was kept.

    Args:
        held: what is accepted now; at a first contact nothing, and the newest policies
            are taken as they are.
        newest: metadata that TUF's rules were applied to.
        roots: all that are newer than the one held.
        fetch: for documents, and metadata in between.
        agency: whose agreements to fetch; None for all.

    Raises:
        PolicyDenied: with one of the reasons of trust.
    """
    if held is not None and held.state.id == newest.id:
        return held
    documents = Documents(fetch, held.documents if held else {}, agency)
    try:
        accepted = _accepted(newest, documents)
    except ConfigurationError as error:
        raise PolicyDenied(
            "POLICY_MALFORMED",
            "The signed policies cannot be read by this version of the program:"
            f" {error.sentence}",
        ) from None
    if held is None:
        return accepted
    reached = held
    for step in _between(held, newest, roots, documents):
        if _allowed(reached, step):
            reached = step
    sets = (reached.policies, accepted.policies)
    check_change(*sets, signatures(reached.state, newest, sets))
    return accepted


def _allowed(before: Accepted, after: Accepted) -> bool:
    sets = (before.policies, after.policies)
    try:
        check_change(*sets, signatures(before.state, after.state, sets))
    except PolicyDenied:
        return False
    return True


def _accepted(state: State, documents: Documents) -> Accepted:
    state.verify()
    found = documents.of(state)
    policies = read_policies(found)
    check_consistent(state, policies, whole=documents.agency is None)
    return Accepted(state=state, documents=found, policies=policies)


def _between(
    held: Accepted, newest: State, roots: Sequence[bytes], documents: Documents
) -> Iterator[Accepted]:
    """Yield the states between two, as far as they can be had and hold.

    They only ever help: whoever withholds or spoils one gains nothing, because the
    next is then compared with an older one.
    """
    pieces = sorted(
        _pieces(held.state, newest, roots, documents.fetch), key=lambda each: each[0]
    )
    state = held.state
    for number in sorted({each[0] for each in pieces if each[0] < newest.change}):
        for change, role, metadata in pieces:
            if change == number:
                state = _with(state, role, metadata)
        try:
            step = _accepted(state, documents)
        except (PolicyDenied, ConfigurationError):
            continue
        except Unreachable as error:
            if error.reason != "POLICIES_INCOMPLETE":
                raise
            continue
        yield step


Piece = tuple[int, str, Metadata[Root] | Metadata[Targets]]


def _pieces(
    held: State, newest: State, roots: Sequence[bytes], fetch: Fetch
) -> Iterator[Piece]:
    """Yield metadata of all roles between two states, with their changes' numbers."""
    for content in roots:
        root = read_metadata(content, Root, ROOT)
        yield change_of(root.signed, ROOT), ROOT, root
    old = dict(held.roles())
    left = MOST_CHANGES
    for role, metadata in newest.roles():
        if role == ROOT or role not in old:
            if role != ROOT:
                yield change_of(metadata.signed, role), role, metadata
            continue
        first, last = old[role].signed.version + 1, metadata.signed.version
        left -= max(0, last - first)
        if left < 0:
            raise malformed(role, f"changed more than {MOST_CHANGES} times")
        for version in range(first, last):
            piece = _piece(role, version, fetch)
            if piece is not None:
                yield piece
        if last >= first:
            yield change_of(metadata.signed, role), role, metadata


def _piece(role: str, version: int, fetch: Fetch) -> Piece | None:
    try:
        content = obtain(fetch, metadata_name(role, version), role)
        metadata = read_metadata(content, Targets, role)
    except AccordError as error:
        if error.reason in ("POLICIES_INCOMPLETE", "POLICY_MALFORMED"):
            return None
        raise
    if metadata.signed.version != version:
        return None
    return change_of(metadata.signed, role), role, metadata


def _with(
    state: State, role: str, metadata: Metadata[Root] | Metadata[Targets]
) -> State:
    if isinstance(metadata.signed, Root):
        return State(
            root=metadata,
            targets=state.targets,
            delegated=state.delegated,
        )
    if role == TARGETS:
        return dataclasses.replace(state, targets=metadata)
    return dataclasses.replace(state, delegated={**state.delegated, role: metadata})


class Documents:
    """Documents by their digests, fetched once."""

    def __init__(
        self, fetch: Fetch, held: Mapping[str, bytes], agency: str | None
    ) -> None:
        """Begin with what is held."""
        self.fetch = fetch
        self.agency = agency
        self._known = {bytes_digest(each): each for each in held.values()}

    def of(self, state: State) -> dict[str, bytes]:
        """Return the documents of a state that concern the agency.

        Raises:
            PolicyDenied: POLICY_MIXED, POLICY_MALFORMED, POLICY_SIGNATURES_MISSING
            Unreachable: POLICIES_INCOMPLETE
        """
        files = {
            path: file
            for _, signed in state.in_force()
            for path, file in signed.targets.items()
        }
        concerns = self._concerns(files)
        return {
            path: self._document(path, file)
            for path, file in sorted(files.items())
            if concerns(path)
        }

    def _concerns(self, files: Mapping[str, TargetFile]) -> Callable[[str], bool]:
        if self.agency is None:
            return files.__contains__
        wanted = {BOARD, MEMBERS}
        for path, file in files.items():
            parties, needs = concerned_by(file, TARGETS)
            if path.startswith(f"{AGREEMENTS}/") and self.agency in parties:
                wanted |= {path, *needs, path.replace(AGREEMENTS, EMERGENCIES, 1)}
        return wanted.__contains__

    def _document(self, path: str, file: TargetFile) -> bytes:
        digest = file.hashes["sha256"]
        content = self._known.get(digest)
        if content is None:
            content = obtain(self.fetch, document_name(path, digest), path)
            if len(content) != file.length or bytes_digest(content) != digest:
                raise PolicyDenied(
                    "POLICY_MIXED",
                    f"The hub hands out another document {path} than was signed.",
                )
            self._known[digest] = content
        return content
