# SPDX-License-Identifier: Apache-2.0
"""What must be signed, as a function of the documents.

Nobody writes metadata: who signs what follows from ``board.yaml``, ``members.yaml``
and the agreements alone, and whoever receives metadata makes them again to compare.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Role,
    Root,
    TargetFile,
    Targets,
)

from accord.core.agreement import Agreement
from accord.core.board import BoardForm
from accord.core.canonical import bytes_digest
from accord.core.errors import ConfigurationError, PolicyDenied
from accord.core.members import HubForm
from accord.core.policy import (
    AGREEMENTS,
    BOARD,
    EMERGENCIES,
    MEMBERS,
    MODELS,
    PRESETS,
    PolicySet,
)
from accord.trust.metadata import (
    MOST_ROLES,
    OWN,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    check_signed,
    key_of,
    malformed,
)
from accord.trust.state import State

EMERGENCY_APPROVERS = 2
"""Signatures under an emergency."""

Drafted = dict[str, Root | Targets]
"""New metadata by role, without signatures."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What metadata say beside what follows from documents."""

    comment: str
    expires: datetime.datetime
    renew: frozenset[str] = frozenset()
    """Roles to sign again although they say nothing new."""


def draft(base: State | None, policies: PolicySet, occasion: Occasion) -> Drafted:
    """Return the metadata that differ from those in force.

    Raises:
        ConfigurationError: the documents lack what signing needs, or
            SIGNED_AGREEMENTS_TOO_MANY.
    """
    check_complete(policies)
    number = 1 if base is None else base.change + 1
    own = {"change": number, "comment": occasion.comment}
    if base is not None:
        # Who signs has compared with this state; for agencies that accepted another
        # one the signature says nothing.
        own["follows"] = base.id
    drafted: Drafted = {}
    root = _root(policies, own, occasion)
    old_root = base.root.signed if base else None
    if old_root is None or ROOT in occasion.renew or not same_root(root, old_root):
        root.version = old_root.version + 1 if old_root else 1
        drafted[ROOT] = root
    targets = _targets(policies, own, occasion)
    old_targets = base.targets.signed if base else None
    if (
        old_targets is None
        or drafted
        or TARGETS in occasion.renew
        or not _same_targets(targets, old_targets)
    ):
        targets.version = old_targets.version + 1 if old_targets else 1
        drafted[TARGETS] = targets
    for role in delegated_roles(policies):
        each = _delegated(role, policies, own, occasion)
        if not _stands(role, each, base, targets, occasion):
            previous = base.delegated.get(role) if base else None
            each.version = previous.signed.version + 1 if previous else 1
            drafted[role] = each
    _check_number({*drafted, *(base.delegated if base else ())})
    return drafted


def _check_number(roles: Iterable[str]) -> None:
    if len({*roles, TARGETS} - {ROOT}) > MOST_ROLES:
        raise ConfigurationError(
            "SIGNED_AGREEMENTS_TOO_MANY",
            "Agreements that parties sign, and emergencies, are more than agencies"
            f" read: {MOST_ROLES - 1} in all that ever were.",
        )


def _stands(
    role: str,
    wanted: Targets,
    base: State | None,
    targets: Targets,
    occasion: Occasion,
) -> bool:
    """Tell whether a delegated role needs no new metadata."""
    previous = base.delegated.get(role) if base else None
    if role in occasion.renew:
        return False
    if previous is None or not previous.signed.targets:
        return not wanted.targets
    try:
        check_signed(targets, previous, role)
    except PolicyDenied:
        # The people who sign it are others now: what they said has ended.
        return not wanted.targets
    return previous.signed.targets == wanted.targets


def check_complete(policies: PolicySet) -> tuple[BoardForm, HubForm]:
    """Return the board and the hub's keys, which founding needs.

    Raises:
        ConfigurationError: BOARD_MISSING, HUB_KEYS_MISSING, KEY_REPEATED,
            SIGNATORIES_MISSING, EMERGENCY_UNKNOWN
    """
    board, hub = policies.board, policies.members.hub
    if board is None:
        raise ConfigurationError(
            "BOARD_MISSING", f"{BOARD} is missing: nobody could sign anything."
        )
    if hub is None:
        raise ConfigurationError(
            "HUB_KEYS_MISSING",
            f"{MEMBERS} does not have the hub's keys: `accord-hub keys` prints them.",
        )
    for key in (hub.key, hub.freshness):
        holder = board.holder_of(key)
        if holder is not None:
            raise ConfigurationError(
                "KEY_REPEATED",
                f"{holder!r} in {BOARD} has a key of the hub, which lies on its disk.",
            )
    for name, agreement in policies.agreements.items():
        if signed_by_parties(agreement):
            _check_signatories(name, agreement, policies)
    for name in policies.emergencies:
        agreement_of = policies.agreements.get(name)
        if agreement_of is None or agreement_of.form.emergency is None:
            raise ConfigurationError(
                "EMERGENCY_UNKNOWN",
                f"{EMERGENCIES}/{name}.yaml declares an emergency that no agreement"
                " provides for.",
            )
    return board, hub


def _check_signatories(name: str, agreement: Agreement, policies: PolicySet) -> None:
    keys = signatories(agreement, policies)
    if len(set(keys.values())) < len(keys):
        raise ConfigurationError(
            "KEY_REPEATED",
            f"Two parties of {AGREEMENTS}/{name}.yaml have the same signatory key in"
            f" {MEMBERS}: it would count twice.",
        )
    if len(keys) < agreement.form.approval.quorum:
        raise ConfigurationError(
            "SIGNATORIES_MISSING",
            f"{AGREEMENTS}/{name}.yaml needs {agreement.form.approval.quorum}"
            f" signatures of parties; {MEMBERS} has a signatory key for {len(keys)}.",
        )


def signed_by_parties(agreement: Agreement) -> bool:
    """Tell whether an agreement is delegated to its own parties."""
    return agreement.form.approval.signatories == "parties"


def signatories(agreement: Agreement, policies: PolicySet) -> dict[str, str]:
    """Return the signatory keys of an agreement's parties, by label."""
    known = policies.members.members
    return {
        party: key
        for party in agreement.parties
        if party in known and (key := known[party].signatory) is not None
    }


def approvers(agreement: Agreement, policies: PolicySet) -> dict[str, str]:
    """Return the keys of those who can declare an emergency, by label."""
    clause, board = agreement.form.emergency, policies.board
    if clause is None or board is None:
        return {}
    return {each: board.members[each].key for each in clause.approvers}


def delegated_roles(policies: PolicySet) -> dict[str, tuple[dict[str, str], int]]:
    """Return who signs which delegated role, and how many of them must."""
    found = {}
    for name, agreement in sorted(policies.agreements.items()):
        if signed_by_parties(agreement):
            quorum = agreement.form.approval.quorum
            found[f"agreement-{name}"] = (signatories(agreement, policies), quorum)
        if agreement.form.emergency is not None:
            keys = approvers(agreement, policies)
            found[f"emergency-{name}"] = (keys, EMERGENCY_APPROVERS)
    return found


def role_for(path: str, policies: PolicySet) -> str:
    """Return the role that signs a document."""
    folder, _, file = path.partition("/")
    name = file.removesuffix(".yaml")
    if folder == EMERGENCIES:
        return f"emergency-{name}"
    if folder == AGREEMENTS and signed_by_parties(policies.agreements[name]):
        return f"agreement-{name}"
    return TARGETS


def target_file(path: str, policies: PolicySet) -> TargetFile:
    """Return how metadata name a document.

    An agreement's entry says whom it concerns and what it is read with, so that an
    agency need not fetch what is no business of its own.
    """
    content = policies.documents[path]
    folder, _, file = path.partition("/")
    custom: dict[str, object] = {}
    if folder == AGREEMENTS:
        agreement = policies.agreements[file.removesuffix(".yaml")]
        needs = [f"{MODELS}/{agreement.form.data_model}.yaml"]
        if agreement.preset is not None:
            needs.append(f"{PRESETS}/{agreement.preset.name}.yaml")
        custom = {"custom": {"parties": list(agreement.parties), "needs": needs}}
    hashes = {"sha256": bytes_digest(content)}
    return TargetFile(len(content), hashes, path, custom)


def same_root(one: Root, other: Root) -> bool:
    """Tell whether two roots say the same, apart from version, dates and comment."""
    return (
        one.keys == other.keys and one.roles == other.roles and _who(one) == _who(other)
    )


def _who(root: Root) -> Mapping[str, object]:
    own = root.unrecognized_fields.get(OWN, {})
    return {key: own[key] for key in own if key not in ("change", "comment", "follows")}


def _same_targets(one: Targets, other: Targets) -> bool:
    return one.targets == other.targets and one.delegations == other.delegations


def _root(policies: PolicySet, own: Mapping[str, object], occasion: Occasion) -> Root:
    board, hub = check_complete(policies)
    people = sorted(each.key for each in board.members.values())
    keys = {key.keyid: key for key in map(key_of, (*people, hub.freshness))}
    of_board = [key_of(each).keyid for each in people]
    of_hub = [key_of(hub.freshness).keyid]
    who = {
        "board": board.board,
        "network": policies.members.network,
        "members": {
            label: {
                name: value
                for name, value in each.model_dump(mode="json").items()
                if value is not None
            }
            for label, each in board.members.items()
        },
    }
    return Root(
        version=1,
        expires=occasion.expires,
        keys=dict(sorted(keys.items())),
        roles={
            ROOT: Role(list(of_board), board.threshold),
            TARGETS: Role(list(of_board), board.threshold),
            SNAPSHOT: Role(list(of_hub), 1),
            TIMESTAMP: Role(list(of_hub), 1),
        },
        consistent_snapshot=True,
        unrecognized_fields={OWN: {**own, **who}},
    )


def delegations_of(policies: PolicySet) -> Delegations | None:
    """Return the delegations that follow from the documents."""
    wanted = delegated_roles(policies)
    if not wanted:
        return None
    keys = {
        key.keyid: key
        for people, _ in wanted.values()
        for key in map(key_of, people.values())
    }
    roles = {
        role: DelegatedRole(
            role,
            sorted(key_of(each).keyid for each in people.values()),
            threshold,
            terminating=True,
            paths=[_path_of(role)],
        )
        for role, (people, threshold) in wanted.items()
    }
    return Delegations(dict(sorted(keys.items())), roles)


def _path_of(role: str) -> str:
    kind, _, name = role.partition("-")
    return f"{AGREEMENTS if kind == 'agreement' else EMERGENCIES}/{name}.yaml"


def _files(paths: Iterable[str], policies: PolicySet) -> dict[str, TargetFile]:
    return {path: target_file(path, policies) for path in sorted(paths)}


def _targets(
    policies: PolicySet, own: Mapping[str, object], occasion: Occasion
) -> Targets:
    paths = [p for p in policies.documents if role_for(p, policies) == TARGETS]
    return Targets(
        version=1,
        expires=occasion.expires,
        targets=_files(paths, policies),
        delegations=delegations_of(policies),
        unrecognized_fields={OWN: dict(own)},
    )


def _delegated(
    role: str, policies: PolicySet, own: Mapping[str, object], occasion: Occasion
) -> Targets:
    path = _path_of(role)
    return Targets(
        version=1,
        expires=occasion.expires,
        targets=_files([path] if path in policies.documents else [], policies),
        unrecognized_fields={OWN: dict(own)},
    )


def check_consistent(state: State, policies: PolicySet, *, whole: bool) -> None:
    """Check that metadata say what follows from the documents, and nothing else.

    Whoever signs and whoever believes checks it: what a board reads in its documents
    is then all there is to know of who may sign what.

    Args:
        state: metadata whose signatures hold.
        policies: the documents that they name.
        whole: all of the documents are here; else only what one agency holds.

    Raises:
        ConfigurationError: see `check_complete`.
        PolicyDenied: POLICY_MALFORMED
    """
    occasion = Occasion(comment="", expires=state.root.signed.expires)
    if not same_root(_root(policies, {}, occasion), state.root.signed):
        raise malformed(ROOT, "names others than the documents do")
    wanted, found = delegations_of(policies), state.targets.signed.delegations
    if whole and wanted != found:
        raise malformed(TARGETS, "delegates otherwise than the documents say")
    wanted_roles = (wanted.roles or {}) if wanted else {}
    found_roles = (found.roles or {}) if found else {}
    for path in policies.documents:
        role = role_for(path, policies)
        signed = state.targets if role == TARGETS else state.delegated.get(role)
        if (
            signed is None
            or signed.signed.targets.get(path) != target_file(path, policies)
            or wanted_roles.get(role) != found_roles.get(role)
        ):
            raise malformed(role, "says otherwise than the documents that it names")
    for name in policies.agreements:
        for role in (f"agreement-{name}", f"emergency-{name}"):
            if wanted_roles.get(role) != found_roles.get(role):
                raise malformed(TARGETS, "delegates otherwise than an agreement says")
