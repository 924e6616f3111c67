# SPDX-License-Identifier: Apache-2.0
"""Signed policies for tests, made as a board would make them.

Keys are new in every run and the same for one name within it. A board of three signs
what a test writes::

    repository = signed_repository(
        {"members.yaml": MEMBERS, "models/small-v1.yaml": MODEL, ...},
        hub_key=hub, freshness_key=freshness, agencies={"alpha": key("alpha")},
    )
    tighter = republish(repository, {"agreements/three.yaml": text})

Texts of ``members.yaml`` are written without keys, and ``board.yaml`` need not be
given at all: both are filled in here.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from ruamel.yaml import YAML

from accord.core.errors import NotFound
from accord.core.policy import BOARD, MEMBERS
from accord.trust.freshness import freshen
from accord.trust.keys import public_text, text_of
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.store import load
from tests.member_keys import AnyKey, other_keys

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "policies"

SEAT = "survivor representative"
OFFICER = "data protection officer"

NOW = datetime.datetime(2026, 3, 15, 12, tzinfo=datetime.UTC)
"""For tests with a clock of their own."""

Listed = AnyKey | Mapping[str, str]
"""An agency's identity key, or all lines of its entry by name."""

Text = str | bytes

Changes = Mapping[str, Text | None]
"""New texts by path; None takes a document away."""


@functools.cache
def key(name: str) -> Ed25519PrivateKey:
    """Return the key of that name: the same in every process of a test run."""
    assert name
    seed = hashlib.sha256(b"accord.tests/" + name.encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def written(given: AnyKey) -> str:
    """Return a public key as policies write it."""
    if isinstance(given, str):
        return given
    if isinstance(given, Ed25519PublicKey):
        return public_text(given.public_bytes_raw())
    return text_of(given)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Who signs, with which keys, and who has a seat."""

    name: str = "test-board"
    members: tuple[str, ...] = ("alice", "bela", "chidi")
    threshold: int = 2
    seats: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {SEAT: "alice"}
    )
    keys: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Names of keys of members whose key is not called like them: a replaced one."""

    def key(self, label: str) -> Ed25519PrivateKey:
        """Return the private key of a member."""
        return key(f"board/{self.keys.get(label, label)}")

    def text(self) -> str:
        """Return ``board.yaml``."""
        lines = [f"board: {self.name}", f"threshold: {self.threshold}", "members:"]
        for label in self.members:
            lines += [
                f"  {label}:",
                f"    name: {label.capitalize()} of the tests",
                f"    key: {text_of(self.key(label))}",
            ]
        if self.seats:
            lines.append("seats:")
            lines += [f"  {seat}: {holder}" for seat, holder in self.seats.items()]
        return "\n".join(lines) + "\n"


THREE = Board()
"""alice, bela and chidi; two of them decide; alice represents survivors."""


def filled_members(
    text: Text,
    *,
    hub_key: AnyKey | None = None,
    freshness_key: AnyKey | None = None,
    agencies: Mapping[str, Listed] | None = None,
    signatories: Mapping[str, AnyKey] | None = None,
) -> bytes:
    """Write the keys of the hub and of agencies into a text of ``members.yaml``.

    Who is not named keeps what the text says; the rest of the text keeps its form and
    its exact numbers.
    """
    yaml = YAML(typ="rt")
    yaml.width = 4096
    tree = yaml.load(_bytes(text).decode())
    for entry, given in (("key", hub_key), ("freshness", freshness_key)):
        if given is not None:
            tree.setdefault("hub", {})[entry] = written(given)
    for label, each in (agencies or {}).items():
        tree["members"][label] |= (
            each
            if isinstance(each, Mapping)
            else {"key": written(each), **other_keys(each)}
        )
    for label, each in (signatories or {}).items():
        tree["members"][label]["signatory"] = written(each)
    out = io.BytesIO()
    yaml.dump(tree, out)
    return out.getvalue()


def shipped(*paths: str) -> dict[str, bytes]:
    """Return the sample policies that are shipped, all or only those named.

    ``members.yaml`` is without keys, as a board starts from it.
    """
    kinds = ("models", "presets", "agreements")
    found = {MEMBERS: (SHIPPED / MEMBERS).read_bytes()}
    for kind in kinds:
        for file in sorted((SHIPPED / kind).glob("*.yaml")):
            found[f"{kind}/{file.name}"] = file.read_bytes()
    return {path: found[path] for path in paths} if paths else found


def founding(
    documents: Mapping[str, Text],
    *,
    hub_key: AnyKey,
    freshness_key: AnyKey,
    agencies: Mapping[str, Listed] | None = None,
    signatories: Mapping[str, AnyKey] | None = None,
    board: Board = THREE,
    signers: Iterable[str] | None = None,
    now: datetime.datetime = NOW,
) -> Proposal:
    """Return a board's first decision, signed; ``board.yaml`` is added.

    Args:
        documents: by target path; ``members.yaml`` without keys.
        hub_key: signs requisitions.
        freshness_key: signs snapshot and timestamp.
        agencies: keys of the agents that may join.
        signatories: keys with which parties sign agreements of their own.
        board: who decides.
        signers: labels of those who sign; all, where nothing is said.
        now: the moment of the decision.
    """
    complete = {path: _bytes(text) for path, text in documents.items()}
    complete.setdefault(BOARD, board.text().encode())
    complete[MEMBERS] = filled_members(
        complete[MEMBERS],
        hub_key=hub_key,
        freshness_key=freshness_key,
        agencies=agencies or {},
        signatories=signatories,
    )
    proposal = Proposal.founding(complete, comment="the first policies", now=now)
    return _signed(proposal, board, signers)


def signed_repository(
    documents: Mapping[str, Text],
    *,
    hub_key: AnyKey,
    freshness_key: AnyKey,
    agencies: Mapping[str, Listed] | None = None,
    signatories: Mapping[str, AnyKey] | None = None,
    board: Board = THREE,
    now: datetime.datetime = NOW,
) -> Repository:
    """Return policies that a board has signed and published."""
    return founding(
        documents,
        hub_key=hub_key,
        freshness_key=freshness_key,
        agencies=agencies,
        signatories=signatories,
        board=board,
        now=now,
    ).publish()


def proposed(
    repository: Repository,
    changes: Changes,
    *,
    board: Board = THREE,
    signers: Iterable[str] | None = None,
    keys: Iterable[Ed25519PrivateKey] = (),
    now: datetime.datetime = NOW,
) -> Proposal:
    """Return a change of policies, signed by members of the board.

    Args:
        repository: what is in force.
        changes: new texts by path; None takes a document away. ``members.yaml`` is
            given with its keys here, best made with `edited`.
        board: who decides.
        signers: labels of those who sign; all, where nothing is said.
        keys: others that sign: signatories of a party, a member's new key.
        now: the moment of the decision.
    """
    documents = dict(repository.documents())
    for path, text in changes.items():
        if text is None:
            del documents[path]
        else:
            documents[path] = _bytes(text)
    proposal = Proposal.change(repository, documents, comment="a change", now=now)
    return _signed(proposal, board, signers, keys)


def republish(
    repository: Repository,
    changes: Changes,
    *,
    board: Board = THREE,
    signers: Iterable[str] | None = None,
    keys: Iterable[Ed25519PrivateKey] = (),
    now: datetime.datetime = NOW,
) -> Repository:
    """Return policies after a change that has every signature that it needs.

    See `proposed` for the arguments.
    """
    proposal = proposed(
        repository, changes, board=board, signers=signers, keys=keys, now=now
    )
    return proposal.onto(repository)


def edited(repository: Repository, path: str, *replacements: tuple[str, str]) -> bytes:
    """Return the text of a document in force with parts of it replaced."""
    text = repository.documents()[path].decode()
    for old, new in replacements:
        assert old in text, f"{path} does not say {old!r}"
        text = text.replace(old, new)
    return text.encode()


def served(
    repository: Repository,
    freshness_key: Ed25519PrivateKey,
    *,
    now: datetime.datetime = NOW,
    previous: Mapping[str, bytes] | None = None,
    lifetime: datetime.timedelta = datetime.timedelta(hours=24),
) -> dict[str, bytes]:
    """Return every file that a hub hands out, by name."""
    fresh = freshen(
        repository, freshness_key, now=now, previous=previous, lifetime=lifetime
    )
    return {**repository.files, **(previous or {}), **fresh}


def fetching(files: Mapping[str, bytes]) -> Callable[[str], bytes]:
    """Return what `Trusted.refresh` calls, over files in memory."""

    def fetch(name: str) -> bytes:
        try:
            return files[name]
        except KeyError:
            raise NotFound("POLICY_UNKNOWN", f"There is no {name}.") from None

    return fetch


def forced(proposal: Proposal, repository: Repository) -> Repository:
    """Return what a hub could show that asks nobody whether signatures suffice."""
    return Repository({**repository.files, **proposal.files()})


def repository_of(
    documents: Mapping[str, Text], *, board: Board, now: datetime.datetime = NOW
) -> Repository:
    """Return the policies of a board that says and signs what it likes.

    Args:
        documents: with all keys in them; ``board.yaml`` becomes this board's.
        board: whose keys sign, a second version of their root too.
        now: the moment of both decisions.
    """
    own = {**documents, BOARD: board.text()}
    complete = {path: _bytes(text) for path, text in own.items()}
    proposal = Proposal.founding(complete, comment="another board", now=now)
    first = _signed(proposal, board, None).publish()
    second = dataclasses.replace(board, name=f"{board.name}-2")
    return republish(first, {BOARD: second.text()}, board=second, now=now)


def fresh_in(folder: Path) -> Mapping[str, bytes]:
    """Read snapshot and timestamp, by name, of a hub's folder ``policies``."""
    stored = load(folder)
    assert stored is not None, f"nothing was published in {folder}"
    return stored.fresh


def repository_in(folder: Path) -> Repository:
    """Read what a hub keeps in its folder ``policies``."""
    stored = load(folder)
    assert stored is not None, f"nothing was published in {folder}"
    return stored.repository


def _signed(
    proposal: Proposal,
    board: Board,
    signers: Iterable[str] | None,
    keys: Iterable[Ed25519PrivateKey] = (),
) -> Proposal:
    for label in board.members if signers is None else signers:
        proposal = proposal.sign(board.key(label))
    for each in keys:
        proposal = proposal.sign(each)
    return proposal


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
