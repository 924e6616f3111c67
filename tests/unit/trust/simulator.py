# SPDX-License-Identifier: Apache-2.0
"""A publisher in memory whose signed files a test can spoil, after python-tuf's own.

It plays an honest board and hub until a test makes one of them do something else::

    world = World()
    world.publish({"agreements/trends.yaml": agreement(version=2)})
    world.edit("metadata/timestamp.json", later, FRESHNESS)
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical

from accord.core.canonical import bytes_digest
from accord.core.errors import NotFound, PolicyDenied
from accord.trust.freshness import freshen
from accord.trust.keys import text_of
from accord.trust.metadata import key_of
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted, View
from tests.policies import NOW, THREE, Board, founding, key, proposed

HUB, FRESHNESS = key("hub"), key("freshness")
PARTIES = ("health", "hotline", "police", "shelter", "work")
HOUR = datetime.timedelta(hours=1)
TIMESTAMP = "metadata/timestamp.json"

MODEL = """\
data_model: tiny-1
dimensions:
  age:
    title: Age
    levels: [fine, broad]
    values: {young: [0-8, 9-17], grown: [18-20, 21+]}
  place: {title: Place, levels: [place], values: [north, south]}
"""


def members(parties: Iterable[str] = PARTIES) -> str:
    """Return ``members.yaml`` without keys."""
    lines = ["network: net", "members:"]
    for each in parties:
        lines += [
            f"  {each}:",
            f"    name: {each.title()}",
            "    remit: {description: A test}",
            "    lifetime: {zcdp: {epsilon: 30, delta: 1e-9}, pure: {epsilon: 10}}",
        ]
    return "\n".join(lines) + "\n"


def agreement(
    name: str = "trends",
    version: int = 1,
    *,
    parties: Iterable[str] = PARTIES,
    suppress: int = 10,
    approval: str = "{quorum: 2, loosening_needs: [survivor representative]}",
    more: str = "",
) -> str:
    """Return an agreement; a smaller *suppress* is looser."""
    listed = list(parties)
    return f"""\
agreement: {name}
version: {version}
purpose: [planning]
hub_operator: observatory
parties: [{", ".join(listed)}]
cohorts: {{all: everyone}}
recipients: {{roles: [analyst], organisations: [university]}}
data_model: tiny-1
editions: {{every: quarter, embargo: 30 days}}
may_ask:
  measures: [persons]
  group_by: {{age: broad, place: all}}
  at_most_dimensions: 2
protect: {{groups_per_person: 2, suppress_below: {suppress}, noise: shared}}
spend:
  accounting: zcdp
  delta: 1e-9
  each_release_at_most: {{epsilon: 2}}
  each_analyst: {{epsilon: 6, every: 90 days}}
  everyone: {{epsilon: 12, every: 365 days}}
approval: {approval}
valid: {{from: 2026-01-01, until: 2027-12-31, review_by: 2027-06-30}}
{more}"""


EMERGENCY = """\
emergency:
  purpose: rescue
  spend: {epsilon: 2}
  at_most: 30 days
  approvers: [alice, bela, chidi]
"""
DECLARATION = """\
emergency: trends
reason: An earthquake.
from: 2026-03-10
until: 2026-03-30
"""
BY_PARTIES = "{quorum: 2, signatories: parties}"
DOCUMENTS: Mapping[str, str] = {
    "members.yaml": members(),
    "models/tiny-1.yaml": MODEL,
    "agreements/trends.yaml": agreement(),
}


class World:
    """A board, a hub, and whoever fetches from it."""

    def __init__(
        self,
        documents: Mapping[str, str] = DOCUMENTS,
        *,
        board: Board = THREE,
        freshness: Ed25519PrivateKey = FRESHNESS,
        lifetime: datetime.timedelta | None = None,
    ) -> None:
        """Found the board and publish the first policies."""
        self.now = NOW
        self.board = board
        self.freshness = freshness
        self.fetched: list[str] = []
        proposal = founding(
            documents,
            hub_key=HUB,
            freshness_key=freshness,
            agencies={each: key(each) for each in PARTIES},
            signatories={each: key(f"{each}/signatory") for each in PARTIES},
            board=board,
        )
        self.repository = proposal.publish()
        self.files: dict[str, bytes] = {}
        self.vouch()

    def publish(
        self,
        changes: Mapping[str, str | bytes | None],
        *,
        signers: Iterable[str] | None = None,
        keys: Iterable[Ed25519PrivateKey] = (),
        freshness: Ed25519PrivateKey | None = None,
    ) -> Repository:
        """Publish a change that has every signature that it needs."""
        return self.take(
            self.propose(changes, signers=signers, keys=keys), freshness=freshness
        )

    def propose(
        self,
        changes: Mapping[str, str | bytes | None],
        *,
        signers: Iterable[str] | None = None,
        keys: Iterable[Ed25519PrivateKey] = (),
    ) -> Proposal:
        """Return a change, signed by members of the board and others."""
        return proposed(
            self.repository,
            changes,
            board=self.board,
            signers=signers,
            keys=keys,
            now=self.now,
        )

    def take(
        self,
        proposal: Proposal,
        *,
        unchecked: bool = False,
        freshness: Ed25519PrivateKey | None = None,
    ) -> Repository:
        """Put a proposal in force; *unchecked* as a hub that does not look."""
        if unchecked:
            files = {**self.repository.files, **proposal.files()}
            self.repository = Repository(files)
        else:
            self.repository = proposal.onto(self.repository)
        self.freshness = freshness or self.freshness
        self.vouch()
        return self.repository

    def vouch(self, repository: Repository | None = None) -> None:
        """Let the hub sign that this is the newest."""
        self.now += HOUR
        self.files |= (repository or self.repository).files
        self.files |= freshen(
            repository or self.repository,
            self.freshness,
            now=self.now,
            previous=self.files,
        )

    def fetch(self, name: str) -> bytes:
        """Hand out a file as a hub does."""
        self.fetched.append(name)
        if name not in self.files:
            raise NotFound("POLICY_UNKNOWN", f"There is no {name}.")
        return self.files[name]

    def newest(self, role: str) -> str:
        """Return the name of a role's newest metadata."""
        return f"metadata/{self.repository.versions[role][-1]}.{role}.json"

    def edit(
        self,
        name: str,
        change: Callable[[dict[str, Any]], object],
        *keys: Ed25519PrivateKey,
    ) -> bytes:
        """Change what a file says and sign it again with *keys*; return it."""
        found = json.loads(self.files[name])
        change(found["signed"])
        self.files[name] = signed(found["signed"], *keys)
        return self.files[name]

    def point(
        self, *, snapshot: Mapping[str, bytes | int | None] | None = None
    ) -> None:
        """Let a hub that lies sign a snapshot and timestamp over any files.

        Args:
            snapshot: by role, the file to name, or a version in its place, or nothing
                to leave the role out.
        """
        timestamp = json.loads(self.files[TIMESTAMP])["signed"]
        (meta,) = timestamp["meta"].values()
        name = f"metadata/{meta['version']}.snapshot.json"
        body = json.loads(self.files[name])["signed"]
        for role, content in (snapshot or {}).items():
            entry = body["meta"].setdefault(f"{role}.json", {})
            if content is None:
                del body["meta"][f"{role}.json"]
            elif isinstance(content, int):
                entry["version"] = content
            else:
                entry |= meta_of(content)
        body["version"] += 1
        meta["version"] = body["version"]
        content = signed(body, self.freshness)
        self.files[f"metadata/{body['version']}.snapshot.json"] = content
        meta |= meta_of(content)
        timestamp["version"] += 1
        self.files[TIMESTAMP] = signed(timestamp, self.freshness)

    def agent(self, folder: Path, agency: str | None = "police") -> Agent:
        """Return somebody who pinned this board and looked once."""
        agent = Agent(self, folder, agency)
        agent.look()
        return agent


class Agent:
    """Somebody who believes what is signed."""

    def __init__(self, world: World, folder: Path, agency: str | None) -> None:
        """Pin the board's root as it is."""
        self.world = world
        self.folder = folder
        self.trusted = Trusted(folder, agency)
        self.trusted.pin(world.repository.root())

    def look(self, **later: float) -> View:
        """Refresh, possibly some time after the hub did anything."""
        now = self.world.now + datetime.timedelta(**later)
        return self.trusted.refresh(self.world.fetch, now)


def meta_of(content: bytes) -> dict[str, Any]:
    """Return how a snapshot or timestamp names a file."""
    return {
        "version": json.loads(content)["signed"]["version"],
        "length": len(content),
        "hashes": {"sha256": bytes_digest(content)},
    }


def signed(body: dict[str, Any], *keys: Ed25519PrivateKey) -> bytes:
    """Return metadata over *body* with one signature of each key."""
    payload = (encode_canonical(body) or "").encode()
    signatures = [
        {"keyid": key_of(text_of(each)).keyid, "sig": each.sign(payload).hex()}
        for each in keys
    ]
    return json.dumps({"signed": body, "signatures": signatures}).encode()


def tighten(world: World, version: int = 2) -> None:
    """Publish a change that nobody could mind."""
    world.publish(
        {"agreements/trends.yaml": agreement(version=version, suppress=10 + version)}
    )


def refused(agent: Agent, reason: str, **later: float) -> None:
    """Expect that a refresh fails and that the agent stays where it was."""
    before = agent.trusted.view()
    with pytest.raises(PolicyDenied) as caught:
        agent.look(**later)
    assert caught.value.reason == reason
    assert caught.value.__cause__ is None, "no text of another library"
    assert agent.trusted.view() == before
    assert Trusted(agent.folder, "police").view() == before
    trouble = agent.trusted.trouble()
    assert trouble is not None
    assert trouble[0] == reason
