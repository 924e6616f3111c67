# SPDX-License-Identifier: Apache-2.0
"""Agencies' part in the three rounds, on `accord.secagg` alone: no network, no store.

An `Agency` outlives its connections, as an agent's database does, and answers the same
to the same. It pays nothing and checks only what a round needs.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import RequisitionRefused
from accord.core.layout import Layout, lay_out
from accord.core.placement import NoisePlan, PolyaShare
from accord.core.policy import Policy
from accord.core.privacy import DiscreteGaussian, Loss
from accord.core.terms import Requisition, noise_plan, terms
from accord.noise.gaussian import discrete_gaussian
from accord.noise.polya import polya
from accord.noise.randomness import Words as Randomness
from accord.rpc.codec import requisition_from_bytes
from accord.rpc.contact import ChargeRecord
from accord.rpc.rounds import (
    encapsulation_from_message,
    erased_to_message,
    masked_to_messages,
    member_readies_from_messages,
    ready_to_message,
    receipts_from_messages,
)
from accord.secagg.directory import directory_of
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
    uses_kem,
)
from accord.secagg.masks import Words
from accord.secagg.member import (
    check_readies,
    check_receipts,
    make_erased,
    make_masked,
    make_ready,
    pair_keys,
)
from accord.secagg.messages import Ready, Receipt, Spec, transcript
from accord.v1 import agent_pb2


@dataclasses.dataclass(slots=True)
class Part:
    """What an agency remembers of one attempt of one query."""

    payload: bytes
    requisition: Requisition
    layout: Layout
    attempt: int
    ready: Ready
    ephemeral: bytes
    vector: list[int]
    transcript: bytes = b""
    cohort: tuple[str, ...] = ()
    receipt: Receipt | None = None
    masked: Words | None = None
    seed: bytes = b""
    revealed: bool = False
    signature: bytes = b""
    """The hub's, over the payload."""
    opened_in: str = ""
    """Name of the cohort."""


class Agency:
    """One agency with its keys and what it remembers."""

    def __init__(
        self, label: str, key: Ed25519PrivateKey, policy: Callable[[], Policy]
    ) -> None:
        self.label = label
        self.secret = SecretKeys.from_seed(label, key.private_bytes_raw())
        self.parts: dict[str, Part] = {}
        self.erased: list[str] = []
        self._policy = policy
        self._sent: dict[str, tuple[Encapsulation, bytes]] = {}
        self._got: dict[str, bytes] = {}

    @property
    def directory(self) -> Directory:
        return directory_of(self._policy())

    def encapsulations(self) -> list[Encapsulation]:
        """Return one for every member that it is the lower label of."""
        for label, member in self.directory.items():
            if (
                self.label < label
                and uses_kem(self.secret.public, member)
                and label not in self._sent
            ):
                self._sent[label] = encapsulate(self.secret, member)
        return [made for made, _ in self._sent.values()]

    def _lacking(self, members: Iterable[str]) -> list[str]:
        directory = self.directory
        return [
            label
            for label in members
            if label < self.label
            and uses_kem(directory[label], self.secret.public)
            and label not in self._got
        ]

    def ready(self, message: agent_pb2.Requisition) -> Part:
        """Get ready for an attempt, the same way if it was asked before."""
        model = self._policy().model
        requisition = requisition_from_bytes(message.payload, lambda *_: model)
        known = self.parts.get(requisition.query_id)
        if known is not None and known.revealed:
            raise RequisitionRefused("ALREADY_OPENED", "It was answered before.")
        if known is not None and known.attempt == message.attempt:
            return known
        if known is not None and known.attempt > message.attempt:
            raise RequisitionRefused("OUT_OF_ORDER", "A later attempt has begun.")
        layout = lay_out(requisition.query, model)
        spec = Spec(
            query_id=requisition.query_id,
            payload=message.payload,
            directory_digest=self.directory.digest,
        )
        ready, ephemeral = make_ready(self.secret, spec, message.attempt)
        part = Part(
            message.payload,
            requisition,
            layout,
            message.attempt,
            ready,
            ephemeral,
            [40] * (layout.size - 2) + [7, 1] if known is None else known.vector,
            signature=message.signature,
        )
        self.parts[requisition.query_id] = part
        return part

    def ready_message(self, part: Part) -> agent_pb2.Ready:
        return ready_to_message(
            part.requisition.query_id,
            part.ready,
            self._lacking(part.requisition.members),
        )

    def mask(
        self, call: agent_pb2.CohortCall
    ) -> list[agent_pb2.Masked | agent_pb2.VectorPart]:
        """Mask the vector for a cohort; the same bytes if it was asked before."""
        part, policy = self.parts[call.query_id], self._policy()
        members = policy.agreement.cohorts[call.cohort]
        spec = Spec(
            query_id=call.query_id,
            payload=part.payload,
            directory_digest=self.directory.digest,
        )
        readies = member_readies_from_messages(
            call.readies, spec_digest=spec.digest, attempt=call.attempt
        )
        check_readies(spec, call.attempt, readies, members, self.directory, part.ready)
        asked = part.requisition
        found = terms(policy.agreement, policy.model, asked.query, asked.bounding)
        plan = noise_plan(
            policy.agreement, found, part.requisition.mechanism, len(members)
        )
        shown = transcript(
            spec.digest, call.attempt, call.cohort, plan.digest(), readies
        )
        if part.receipt is None:
            self._take(call.encapsulations)
            part.transcript, part.cohort = shown, members
            part.opened_in = call.cohort
            part.seed = os.urandom(32)
            vector = np.array(part.vector, np.int64) + share(plan, len(part.vector))
            part.receipt, part.masked = make_masked(
                self.secret,
                transcript=shown,
                vector=vector,
                input_commitment=os.urandom(32),
                self_seed=part.seed,
                pair_keys=pair_keys(
                    self.secret, part.ephemeral, readies, shown, self._pairs(members)
                ),
            )
        if shown != part.transcript:
            raise RequisitionRefused("COHORT_CHANGED", "Another cohort was answered.")
        assert part.masked is not None
        return list(
            masked_to_messages(call.query_id, call.attempt, part.receipt, part.masked)
        )

    def _take(self, messages: Iterable[agent_pb2.Encapsulation]) -> None:
        for message in messages:
            made = encapsulation_from_message(message)
            secret = opened(self.secret, self.directory[made.sender], made)
            self._got[made.sender] = secret

    def _pairs(self, members: Iterable[str]) -> dict[str, bytes]:
        self.encapsulations()
        directory = self.directory
        return {
            label: pair_secret(
                self.secret,
                directory[label],
                directory.digest,
                self._sent[label][1] if label in self._sent else self._got.get(label),
            )
            for label in members
            if label != self.label
        }

    def reveal(self, call: agent_pb2.RevealCall) -> agent_pb2.Reveal:
        """Give the seed away once all receipts are the same."""
        part = self.parts[call.query_id]
        assert part.attempt == call.attempt
        receipts = receipts_from_messages(call.receipts)
        check_receipts(receipts, part.cohort, part.transcript, self.directory)
        part.revealed = True
        return agent_pb2.Reveal(
            query_id=call.query_id, attempt=call.attempt, seed=part.seed
        )

    def charged(self) -> Loss:
        """Return what it has charged: everything that it revealed."""
        losses = [e.requisition.loss for e in self.parts.values() if e.revealed]
        return sum(losses, Loss())

    def records(self) -> list[ChargeRecord]:
        """Return what it proves of that."""
        return [self.record(each) for each in self.parts.values() if each.revealed]

    def record(self, part: Part) -> ChargeRecord:
        """Return its word that a question was opened."""
        found = ChargeRecord(
            payload=part.payload,
            signature=part.signature,
            cohort=part.opened_in,
            transcript=part.transcript,
            charged_at=part.requisition.issued_at,
        )
        countersignature = self.secret.sign(found.signed_bytes(self.label))
        return dataclasses.replace(found, countersignature=countersignature)

    def settle(self, query: str) -> agent_pb2.Erased | None:
        """Erase what is kept for a query; say so if it had masked, and not revealed."""
        part = self.parts.get(query)
        if part is None or part.revealed or part.receipt is None:
            return None
        self.erased.append(query)
        made = make_erased(self.secret, part.ready.spec_digest, part.attempt)
        return erased_to_message(query, made)


def share(plan: NoisePlan, size: int) -> npt.NDArray[np.int64]:
    """Return one agency's part of the noise."""
    match plan.share:
        case None:
            return np.zeros(size, np.int64)
        case DiscreteGaussian(scale=scale):
            return discrete_gaussian(Randomness(os.urandom(32)), scale, size)
        case PolyaShare(scale=scale, parts=parts):
            return polya(Randomness(os.urandom(32)), scale, parts, size)
