# SPDX-License-Identifier: Apache-2.0
"""Signed files as they arrive: their names, their form, and whose signatures hold.

python-tuf reads any well-formed TUF metadata. Here stands what Accord asks beyond it,
so that signed files leave no room for two readings: Ed25519 keys only, and each under
the one key id that follows from it (two ids for one key would count twice); SHA-256
only; delegations of one document each; whole numbers that are whole numbers.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from accord.core.canonical import bytes_digest
from accord.core.errors import PolicyDenied
from accord.core.policy import AGREEMENTS, EMERGENCIES, LARGEST, is_policy_path
from accord.trust.keys import public_text, raw_public
from accord.trust.words import six_words

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"

LONGEST: Final = {ROOT: 500_000, TIMESTAMP: 16_000, SNAPSHOT: 500_000}
"""Bytes of one file by role; `LARGEST` for every other."""

OWN: Final = "accord"
"""The entry of signed metadata that is Accord's and not TUF's."""

MOST_COMMENT: Final = 500

MOST_ROLES: Final = 1_000
"""Roles, of targets and delegated, that a snapshot may name."""

_DELEGATED: Final = re.compile(r"(agreement|emergency)-([a-z0-9][a-z0-9_-]{0,62})")
_FOLDERS: Final = {"agreement": AGREEMENTS, "emergency": EMERGENCIES}
_HEX: Final = re.compile(r"[0-9a-f]{64}")

Kind = TypeVar("Kind", Root, Snapshot, Targets, Timestamp)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RootMember:
    """A member of the board, as the root names it."""

    label: str
    name: str
    organisation: str | None
    key: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BoardOfRoot:
    """What an agency confirms when it joins."""

    name: str
    network: str
    threshold: int
    members: tuple[RootMember, ...]
    digest: str
    words: str
    expires: datetime.datetime


def malformed(what: str, how: str) -> PolicyDenied:
    """Return the refusal of a file whose form is wrong."""
    return PolicyDenied("POLICY_MALFORMED", f"The signed file {what} {how}.")


def metadata_name(role: str, version: int | None = None) -> str:
    """Return the name of a role's metadata."""
    stem = role if version is None else f"{version}.{role}"
    return f"metadata/{stem}.json"


def document_name(path: str, digest: str) -> str:
    """Return the name of a document: its path with its digest."""
    folder, slash, file = path.rpartition("/")
    return f"targets/{folder}{slash}{digest}.{file}"


def delegated_path(role: str) -> str:
    """Return the one document that a delegated role signs.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    match = _DELEGATED.fullmatch(role)
    if match is None:
        raise malformed("targets", "delegates to a role that Accord does not know")
    return f"{_FOLDERS[match[1]]}/{match[2]}.yaml"


def key_of(text: str) -> SSlibKey:
    """Return a public key as TUF has it."""
    keyval = {"public": raw_public(text).hex()}
    return SSlibKey(_key_id(keyval["public"]), "ed25519", "ed25519", keyval)


def _key_id(public_hex: str) -> str:
    """Return the key id that TUF gives a key: SHA-256 of its canonical form."""
    value = f'"keyval":{{"public":"{public_hex}"}}'
    form = f'{{"keytype":"ed25519",{value},"scheme":"ed25519"}}'
    return hashlib.sha256(form.encode()).hexdigest()


def text_of_key(key: object) -> str:
    """Return a key that was checked as documents write it."""
    if not isinstance(key, SSlibKey):
        raise malformed("root", "has a key of a kind that Accord does not use")
    return public_text(bytes.fromhex(key.keyval["public"]))


def read_metadata(content: bytes, kind: type[Kind], role: str) -> Metadata[Kind]:
    """Read metadata and check their form; no signature is looked at.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    if len(content) > LONGEST.get(role, LARGEST):
        raise malformed(role, "is longer than it may be")
    try:
        found = Metadata[Kind].from_bytes(content)
        found.signed_bytes  # noqa: B018  # that it has a canonical form
    except (RepositoryError, RecursionError):
        raise malformed(role, "is not TUF metadata") from None
    signed = found.signed
    if not isinstance(signed, kind):
        raise malformed(role, "is metadata of another kind")
    if not _is_count(signed.version):
        raise malformed(role, "has no proper version")
    if isinstance(signed, Root):
        _check_root(signed)
    if isinstance(signed, Targets):
        _check_targets(signed, role)
    return found


def _is_count(value: object) -> bool:
    """Tell whole numbers that computers agree on; JSON's ``true`` is none."""
    return type(value) is int and 0 < value < 1 << 53


def _check_root(root: Root) -> None:
    if root.consistent_snapshot is not True:
        raise malformed(ROOT, "does not keep old versions apart")
    _check_keys(ROOT, root.keys)
    for role in root.roles.values():
        _check_role(ROOT, role, root.keys)
    change_of(root, ROOT)
    follows_of(root, ROOT)


def _check_targets(targets: Targets, role: str) -> None:
    change_of(targets, role)
    follows_of(targets, role)
    for path, file in targets.targets.items():
        _check_target(path, file, role)
    if role != TARGETS:
        if targets.delegations is not None:
            raise malformed(role, "passes on what was delegated to it")
        if not set(targets.targets) <= {delegated_path(role)}:
            raise malformed(role, "signs a document that is not its own")
        return
    delegations = targets.delegations
    if delegations is None:
        return
    if delegations.roles is None or delegations.succinct_roles is not None:
        raise malformed(role, "delegates in a way that Accord does not use")
    _check_keys(role, delegations.keys)
    for name, each in delegations.roles.items():
        path = delegated_path(name)
        if each.paths != [path] or not each.terminating or path in targets.targets:
            raise malformed(role, "delegates more than one document, or less")
        _check_role(role, each, delegations.keys)


def _check_target(path: str, file: TargetFile, role: str) -> None:
    digests: Mapping[str, Any] = file.hashes
    if (
        not is_policy_path(path)
        or list(digests) != ["sha256"]
        or not isinstance(digests["sha256"], str)
        or _HEX.fullmatch(digests["sha256"]) is None
        or type(file.length) is not int
        or not 0 <= file.length <= LARGEST
    ):
        raise malformed(role, "names a document in a way that Accord does not use")
    concerned_by(file, role)


def concerned_by(file: TargetFile, role: str) -> tuple[list[str], list[str]]:
    """Return the parties of an agreement, and the documents that it is read with.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    custom: Any = file.unrecognized_fields.get("custom", {})
    if not isinstance(custom, dict):
        raise malformed(role, "does not say properly whom a document concerns")
    parties: Any = custom.get("parties", [])
    needs: Any = custom.get("needs", [])
    for entry in (parties, needs):
        if not isinstance(entry, list) or not all(isinstance(e, str) for e in entry):
            raise malformed(role, "does not say properly whom a document concerns")
    return parties, needs


def _check_keys(role: str, keys: Mapping[str, object]) -> None:
    """Refuse every key but Ed25519, and a key under any id but its own."""
    for key_id, key in keys.items():
        public = key.keyval.get("public") if isinstance(key, SSlibKey) else None
        if (
            not isinstance(key, SSlibKey)
            or (key.keytype, key.scheme) != ("ed25519", "ed25519")
            or not isinstance(public, str)
            or _HEX.fullmatch(public) is None
        ):
            raise malformed(role, "has a key of a kind that Accord does not use")
        if key_id != _key_id(public):
            raise malformed(
                role, "has a key under another id than its own, which could count twice"
            )


def _check_role(name: str, role: Role, keys: Mapping[str, object]) -> None:
    ids: list[Any] = role.keyids
    known = all(isinstance(each, str) and each in keys for each in ids)
    if not known or not _is_count(role.threshold) or role.threshold > len(role.keyids):
        raise malformed(name, "asks for signatures that nobody can give")


def change_of(signed: Signed, role: str) -> int:
    """Return the number of the published change that metadata belong to.

    All metadata of one change have the same number, so that their order is known
    although each role counts its versions by itself.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    own = signed.unrecognized_fields.get(OWN)
    number: Any = own.get("change") if isinstance(own, dict) else None
    if not _is_count(number):
        raise malformed(role, "does not say which change it belongs to")
    return int(number)


def follows_of(signed: Signed, role: str) -> str | None:
    """Return the id of the state that a change was compared with by who signed it.

    None where a board was founded: nothing came before.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    own = signed.unrecognized_fields.get(OWN)
    found: Any = own.get("follows") if isinstance(own, dict) else None
    if found is None:
        return None
    if not isinstance(found, str) or _HEX.fullmatch(found) is None:
        raise malformed(role, "does not say properly what it follows")
    return found


def comment_of(signed: Signed) -> str:
    """Return what the proposer said of the change; part of what is signed."""
    own = signed.unrecognized_fields.get(OWN)
    comment = own.get("comment") if isinstance(own, dict) else None
    return comment if isinstance(comment, str) else ""


def signers(metadata: Metadata[Any], known: Iterable[str]) -> frozenset[str]:
    """Return which of the *known* keys signed; each counts once."""
    payload = metadata.signed_bytes
    found = set()
    for text in known:
        key = key_of(text)
        signature = metadata.signatures.get(key.keyid)
        if signature is None:
            continue
        try:
            key.verify_signature(signature, payload)
        except UnverifiedSignatureError:
            continue
        found.add(text)
    return frozenset(found)


def role_of(delegator: Root | Targets, name: str) -> tuple[frozenset[str], int]:
    """Return the keys of a role and how many of them must sign.

    Raises:
        PolicyDenied: POLICY_SIGNATURES_MISSING where it was not delegated.
    """
    try:
        role = delegator.get_delegated_role(name)
    except ValueError:
        raise signatures_missing(name) from None
    keys = frozenset(text_of_key(delegator.get_key(each)) for each in role.keyids)
    return keys, role.threshold


def check_signed(delegator: Root | Targets, metadata: Metadata[Any], name: str) -> None:
    """Check the signatures that a role needs.

    Raises:
        PolicyDenied: POLICY_SIGNATURES_MISSING
    """
    keys, threshold = role_of(delegator, name)
    if len(signers(metadata, keys)) < threshold:
        raise signatures_missing(name)


def signatures_missing(name: str) -> PolicyDenied:
    """Return the refusal of a file that too few of the right people signed."""
    return PolicyDenied(
        "POLICY_SIGNATURES_MISSING",
        f"Not enough of the people who must sign {name} have signed it.",
    )


def signed_digest(metadata: Metadata[Any]) -> str:
    """Return the digest of what is signed; more signatures do not change it."""
    return bytes_digest(metadata.signed_bytes)


def root_digest(root: bytes) -> str:
    """Return the board's fingerprint: SHA-256 over the signed part of its root.

    Raises:
        PolicyDenied: POLICY_MALFORMED
    """
    return signed_digest(read_metadata(root, Root, ROOT))


def read_board(root: bytes) -> BoardOfRoot:
    """Return who the board is, by its root, which must be signed by itself.

    Raises:
        PolicyDenied: POLICY_MALFORMED, POLICY_SIGNATURES_MISSING
    """
    metadata = read_metadata(root, Root, ROOT)
    check_signed(metadata.signed, metadata, ROOT)
    keys, threshold = role_of(metadata.signed, ROOT)
    own = metadata.signed.unrecognized_fields[OWN]
    try:
        members = tuple(
            RootMember(
                label=str(label),
                name=str(each["name"]),
                organisation=each.get("organisation"),
                key=str(each["key"]),
            )
            for label, each in sorted(own["members"].items())
        )
        name, network = str(own["board"]), str(own["network"])
    except (KeyError, TypeError, AttributeError):
        raise malformed(ROOT, "does not say who the board is") from None
    if {each.key for each in members} != keys:
        raise malformed(ROOT, "names other people than those whose keys it has")
    digest = signed_digest(metadata)
    return BoardOfRoot(
        name=name,
        network=network,
        threshold=threshold,
        members=members,
        digest=digest,
        words=six_words(digest),
        expires=metadata.signed.expires,
    )
