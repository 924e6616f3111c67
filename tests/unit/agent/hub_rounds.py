# SPDX-License-Identifier: Apache-2.0
"""A hub of tests that leads members through three rounds, and members without a store.

`HubRounds` asks whatever members it is given, the real `StoreAnswerer` among them, and
opens the sum. A `Puppet` is an honest member that counts nothing: with puppets for all
others, the sum is the one real agency's vector.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from accord.agent.rounds.steps import MaskStep, ReadyLike, ReadyStep
from accord.core.model import DataModel
from accord.core.policy import Policy
from accord.core.terms import Requisition, noise_plan, terms
from accord.rpc.codec import query_id_of, requisition_from_bytes
from accord.secagg.directory import directory_of
from accord.secagg.keys import (
    Encapsulation,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
    uses_kem,
)
from accord.secagg.masks import vector_bytes
from accord.secagg.member import commit_input, make_masked, make_ready, pair_keys
from accord.secagg.messages import Ready, Receipt, Spec, transcript
from accord.secagg.opening import open_sum
from accord.trust.trusted import Fetch

Vector = npt.NDArray[np.int64]


class Member(Protocol):
    """What a hub asks of a member in rounds."""

    def encapsulations(self) -> Sequence[Encapsulation]: ...

    def ready(
        self, payload: bytes, signature: bytes, attempt: int, fetch: Fetch
    ) -> ReadyStep: ...

    def mask(
        self,
        query_id: str,
        attempt: int,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep: ...

    def reveal(
        self, query_id: str, attempt: int, receipts: Sequence[Receipt]
    ) -> bytes: ...


@dataclasses.dataclass
class _Asked:
    spec: Spec
    requisition: Requisition
    ready: Ready
    ephemeral: bytes
    seed: bytes = b""


class Puppet:
    """An honest member without records, which believes its hub."""

    def __init__(self, keys: SecretKeys, policy: Policy) -> None:
        self.keys = keys
        self.policy = policy
        self.directory = directory_of(policy)
        self.kem: dict[str, bytes] = {}
        self.sent = tuple(self._sent())
        self.asked: dict[tuple[str, int], _Asked] = {}

    def _sent(self) -> Any:  # noqa: ANN401 - an iterator of encapsulations
        for peer in self.directory.values():
            if self.keys.label < peer.label and uses_kem(self.keys.public, peer):
                made, self.kem[peer.label] = encapsulate(self.keys, peer)
                yield made

    def encapsulations(self) -> Sequence[Encapsulation]:
        return self.sent

    def ready(
        self, payload: bytes, signature: bytes, attempt: int, fetch: Fetch
    ) -> ReadyStep:
        assert len(signature) == 64
        assert callable(fetch)
        requisition = requisition_from_bytes(payload, self._model)
        spec = Spec(
            query_id=requisition.query_id,
            payload=payload,
            directory_digest=self.directory.digest,
        )
        made, ephemeral = make_ready(self.keys, spec, attempt)
        asked = _Asked(spec, requisition, made, ephemeral)
        self.asked[requisition.query_id, attempt] = asked
        lacking = [
            label
            for label, peer in self.directory.items()
            if label < self.keys.label
            and label not in self.kem
            and uses_kem(peer, self.keys.public)
        ]
        return ReadyStep(ready=made, lacking=tuple(lacking))

    def _model(self, *_named: str) -> DataModel:
        return self.policy.model

    def mask(
        self,
        query_id: str,
        attempt: int,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep:
        for each in encapsulations:
            sender = self.directory[each.sender]
            self.kem[each.sender] = opened(self.keys, sender, each)
        asked = self.asked[query_id, attempt]
        shown = complete(readies, asked.ready)
        agreement = self.policy.agreement
        found = terms(agreement, self.policy.model, asked.requisition.query)
        mechanism = asked.requisition.mechanism
        plan = noise_plan(agreement, found, mechanism, len(shown))
        seen = transcript(asked.spec.digest, attempt, cohort, plan.digest(), shown)
        secrets = {
            each.agency: pair_secret(
                self.keys,
                self.directory[each.agency],
                self.directory.digest,
                self.kem.get(each.agency),
            )
            for each in shown
            if each.agency != self.keys.label
        }
        asked.seed = os.urandom(32)
        receipt, words = make_masked(
            self.keys,
            transcript=seen,
            vector=np.zeros(found.layout.size, np.int64),
            input_commitment=commit_input(bytes(32), bytes(32), bytes(32)),
            self_seed=asked.seed,
            pair_keys=pair_keys(self.keys, asked.ephemeral, shown, seen, secrets),
        )
        return MaskStep(receipt=receipt, vector=words)

    def reveal(self, query_id: str, attempt: int, receipts: Sequence[Receipt]) -> bytes:
        assert receipts
        return self.asked[query_id, attempt].seed


@dataclasses.dataclass(kw_only=True)
class Round:
    """What was said about one query in one attempt."""

    query_id: str
    attempt: int
    cohort: str
    steps: dict[str, ReadyStep]
    masked: dict[str, MaskStep] = dataclasses.field(default_factory=dict)
    seeds: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        return sorted(self.steps)

    @property
    def readies(self) -> list[Ready]:
        return [self.steps[label].ready for label in self.labels]

    @property
    def receipts(self) -> list[Receipt]:
        return [self.masked[label].receipt for label in self.labels]

    def sum(self) -> Vector:
        """Return what a hub opens."""
        vectors = {
            label: vector_bytes(step.vector) for label, step in self.masked.items()
        }
        return open_sum(self.receipts, vectors, self.seeds)


class HubRounds:
    """Leads members through rounds; every part can be asked for again."""

    def __init__(self, members: Mapping[str, Member], fetch: Fetch) -> None:
        self.members = dict(members)
        self.fetch = fetch
        self.stored: dict[tuple[str, str], Encapsulation] = {}

    def collect(self) -> None:
        """Take everybody's encapsulations, as they come with every new stream."""
        for member in self.members.values():
            for made in member.encapsulations():
                self.stored[made.sender, made.receiver] = made

    def ready(
        self,
        signed: tuple[bytes, bytes],
        cohort: str,
        labels: Sequence[str],
        attempt: int = 1,
    ) -> Round:
        """Ask these members whether they are ready."""
        steps = {
            label: self.members[label].ready(*signed, attempt, self.fetch)
            for label in labels
        }
        self.collect()
        return Round(
            query_id=query_id_of(signed[0]),
            attempt=attempt,
            cohort=cohort,
            steps=steps,
        )

    def lacked(self, found: Round, label: str) -> list[Encapsulation]:
        """Return what a member said that it lacked, as far as it is here."""
        wanted = [(sender, label) for sender in found.steps[label].lacking]
        return [self.stored[pair] for pair in wanted if pair in self.stored]

    def mask_one(self, found: Round, label: str) -> MaskStep:
        """Call one member to the cohort."""
        found.masked[label] = self.members[label].mask(
            found.query_id,
            found.attempt,
            found.cohort,
            found.readies,
            self.lacked(found, label),
        )
        return found.masked[label]

    def mask(self, found: Round) -> Round:
        """Call everybody to the cohort."""
        for label in found.labels:
            self.mask_one(found, label)
        return found

    def reveal_one(self, found: Round, label: str) -> bytes:
        """Show one member all receipts."""
        found.seeds[label] = self.members[label].reveal(
            found.query_id, found.attempt, found.receipts
        )
        return found.seeds[label]

    def reveal(self, found: Round) -> Round:
        """Show everybody all receipts."""
        for label in found.labels:
            self.reveal_one(found, label)
        return found

    def whole(
        self,
        signed: tuple[bytes, bytes],
        cohort: str,
        labels: Sequence[str],
        attempt: int = 1,
    ) -> Round:
        """Lead members through all three rounds."""
        return self.reveal(self.mask(self.ready(signed, cohort, labels, attempt)))


def complete(readies: Sequence[ReadyLike], own: Ready) -> list[Ready]:
    """Return readies with what a member knows of each."""
    return [
        dataclasses.replace(
            own,
            agency=each.agency,
            ephemeral_key=each.ephemeral_key,
            signature=each.signature,
        )
        for each in readies
    ]
