# SPDX-License-Identifier: Apache-2.0
"""From the policies that were accepted to the newest, one change after another.

What a board may loosen without a seat's signature is decided by the version in force.
An agency that was away compares every version in between with the one before, so that
a loosening that a seat did sign, some versions ago, is not taken for one that it did
not sign. A change that is not allowed is passed over: the next is compared with the
last that was allowed, so that one bad version does not shut an agency out for ever.

Who signs a change has compared it with what it says that it follows. So a signature
counts for a loosening only where that is what was last allowed here: else two who have
no seat could let the seat's holder sign something tighter than a version that no agency
accepted, and looser than the one that they all have. What is not looser than that needs
no such care, and is allowed with signatures that were given on top of something else.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tuf.api.metadata import Root, TargetFile, Targets

from accord.core.approval import board_needs, check_change, loosened
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
    follows_of,
    malformed,
    metadata_name,
    read_metadata,
    signed_digest,
    signers,
)
from accord.trust.state import AnyMetadata, State
from accord.trust.workflow import Fetch, obtain

MOST_CHANGES: Final = 500
"""Changes between two refreshes that are looked at one by one."""

MOST_EVER: Final = 10_000
"""Versions of all roles that a member's first look goes through."""

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
    before: State | None,
    after: State,
    sets: Sequence[PolicySet | None],
    *,
    whatever_they_follow: bool = False,
) -> Signed:
    """Return who signed the roles that a change is made of.

    Signatures count that were given on top of *before*, or, where it does not matter,
    on top of anything.
    """
    old = dict(before.roles()) if before else {}
    keys = known_keys(*sets)
    return {
        role: signers(metadata, keys)
        for role, metadata in after.roles()
        if (role not in old or signed_digest(old[role]) != signed_digest(metadata))
        and (
            whatever_they_follow
            or before is None
            or follows_of(metadata.signed, role) == before.id
        )
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
        held: what is accepted now; at a first contact nothing. Then an agency takes
            the newest policies as they are. Who believes all of them (a member of the
            board, who will sign on top) begins with the change of the pinned root.
        newest: metadata that TUF's rules were applied to.
        roots: all that are newer than the one held; at a first contact, all.
        fetch: for documents, and metadata in between.
        agency: whose agreements to fetch; None for all.

    Raises:
        PolicyDenied: with one of the reasons of trust.
        Unreachable: POLICIES_INCOMPLETE
    """
    if held is not None and held.state is newest:
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
    if held is None and agency is None:
        held = _first(newest, roots[0], documents)
        roots = roots[1:]
    if held is None or held.state.id == newest.id:
        return accepted
    reached = held
    for step in _between(held, newest, roots, documents):
        with contextlib.suppress(PolicyDenied):
            _check(reached, step)
            reached = step
    _check(reached, accepted)
    return accepted


def _check(before: Accepted, after: Accepted) -> None:
    """Check that a change was approved by people who compared it with *before*.

    Raises:
        PolicyDenied: as `check_change` does.
    """
    sets = (before.policies, after.policies)
    try:
        check_change(*sets, signatures(before.state, after.state, sets))
    except PolicyDenied:
        if not _is_harmless(*sets):
            raise
        signed = signatures(before.state, after.state, sets, whatever_they_follow=True)
        check_change(*sets, signed)


def _is_harmless(before: PolicySet, after: PolicySet) -> bool:
    """Tell whether a change is neither looser nor about who may sign.

    Then it cannot hurt that who signed compared it with something else. An agreement
    whose approvers keep their names and get other keys would be looser too, so nobody
    on the board may change.
    """
    return (
        before.board == after.board
        and not board_needs(before, after)
        and not loosened(before, after)
    )


def _first(newest: State, root: bytes, documents: Documents) -> Accepted:
    """Return the policies that were published together with a confirmed root.

    Raises:
        Unreachable: POLICIES_INCOMPLETE
        PolicyDenied: with one of the reasons of trust.
    """
    pinned = read_metadata(root, Root, ROOT)
    number = change_of(pinned.signed, ROOT)
    targets: AnyMetadata | None = None
    delegated: dict[str, AnyMetadata] = {}
    left = MOST_EVER
    for role, metadata in newest.roles():
        if role == ROOT:
            continue
        left -= metadata.signed.version
        if left < 0:
            raise malformed(role, f"changed more than {MOST_EVER} times")
        versions = _versions(role, 0, metadata, documents.fetch)
        until = [each for change, _, each in versions if change <= number]
        if role == TARGETS:
            targets = until[-1] if until else None
        elif until:
            delegated[role] = until[-1]
    if targets is None or change_of(targets.signed, TARGETS) != number:
        raise Unreachable(
            "POLICIES_INCOMPLETE",
            "The hub does not hand out the policies that belong to the root that was"
            " confirmed; it must keep all that were ever published.",
        )
    return _accepted(
        State(root=pinned, targets=targets, delegated=delegated), documents
    )


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


Piece = tuple[int, str, AnyMetadata]


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
        if role == ROOT:
            continue
        known = old[role].signed.version if role in old else 0
        left -= max(0, metadata.signed.version - known - 1)
        if left < 0:
            raise malformed(role, f"changed more than {MOST_CHANGES} times")
        yield from _versions(role, known, metadata, fetch)


def _versions(
    role: str, known: int, newest: AnyMetadata, fetch: Fetch
) -> Iterator[Piece]:
    """Yield a role's metadata after a version, as far as they can be had."""
    last = newest.signed.version
    for version in range(known + 1, last):
        piece = _piece(role, version, fetch)
        if piece is not None:
            yield piece
    if last > known:
        yield change_of(newest.signed, role), role, newest


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


def _with(state: State, role: str, metadata: AnyMetadata) -> State:
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
