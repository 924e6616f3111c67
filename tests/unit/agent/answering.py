# SPDX-License-Identifier: Apache-2.0
"""An answerer without a store, and what a hub asks it: for tests of the network side.

It says yes to everything that its hub signed, or does as a test tells it; every step is
remembered in the order in which it was asked for.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence

import numpy as np

from accord.agent.network.asked import Asked
from accord.agent.rounds.steps import (
    ErasedStep,
    MaskStep,
    ReadyLike,
    ReadyStep,
    Request,
    Words,
)
from accord.agent.witness.countersigning import Page
from accord.agent.witness.log import Growth
from accord.core.calendar import Period
from accord.core.errors import AccordError
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, Witnessed
from accord.rpc import codec
from accord.rpc.codec import HeldEdition
from accord.secagg.keys import Encapsulation
from accord.secagg.messages import Erased, Ready, Receipt
from accord.trust.trusted import Fetch
from accord.v1 import agent_pb2, common_pb2

LABEL = "shelter-north"


def edition(name: str) -> HeldEdition:
    return HeldEdition(
        every=Period.MONTH,
        embargo_days=30,
        name=name,
        data_model="cases-v1",
        data_model_digest="a" * 64,
    )


def payload(query_id: str | None = None, purpose: str = "planning") -> bytes:
    message = agent_pb2.RequisitionPayload(
        query_id=query_id or str(uuid.uuid4()),
        query=common_pb2.Query(agreement="x", edition="2026", measure="persons"),
        agreement_version=1,
        agreement_digest="a" * 64,
        data_model_digest="b" * 64,
        policy_digest="d" * 64,
        cohort="all",
        members=["a", "b", "c"],
        mechanism=agent_pb2.Mechanism(
            kind=agent_pb2.Mechanism.KIND_DISCRETE_GAUSSIAN, scale_numerator=1
        ),
        loss=common_pb2.Loss(nano_rho=1),
        layout_digest="c" * 64,
        purpose=purpose,
        analyst=agent_pb2.Analyst(id="x"),
    )
    return message.SerializeToString()


def new_ids(number: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(number)]


def cohort_calls(*query_ids: str, attempt: int = 1) -> agent_pb2.CohortCalls:
    readies = [
        agent_pb2.MemberReady(
            agency=agency, ephemeral_key=bytes(32), signature=bytes(64)
        )
        for agency in ("police", LABEL)
    ]
    return agent_pb2.CohortCalls(
        calls=[
            agent_pb2.CohortCall(
                query_id=query_id, attempt=attempt, cohort="all", readies=readies
            )
            for query_id in query_ids
        ]
    )


def reveal_calls(*query_ids: str, attempt: int = 1) -> agent_pb2.RevealCalls:
    receipts = [
        agent_pb2.MemberReceipt(
            agency=agency,
            transcript=bytes(32),
            vector_digest=bytes(32),
            seed_commitment=bytes(32),
            input_commitment=bytes(32),
            signature=bytes(64),
        )
        for agency in ("police", LABEL)
    ]
    return agent_pb2.RevealCalls(
        calls=[
            agent_pb2.RevealCall(query_id=query_id, attempt=attempt, receipts=receipts)
            for query_id in query_ids
        ]
    )


def response(asked: Asked) -> agent_pb2.ConnectResponse:
    """Put what a hub asks of a round into a message of its stream."""
    match asked:
        case agent_pb2.Requisitions():
            return agent_pb2.ConnectResponse(requisitions=asked)
        case agent_pb2.CohortCalls():
            return agent_pb2.ConnectResponse(cohorts=asked)
        case agent_pb2.RevealCalls():
            return agent_pb2.ConnectResponse(reveals=asked)
        case agent_pb2.Settled():
            return agent_pb2.ConnectResponse(settled=asked)


def encapsulation(receiver: str) -> Encapsulation:
    return Encapsulation(
        sender=LABEL, receiver=receiver, ciphertext=bytes(1088), signature=bytes(64)
    )


class AnswererDouble:
    """Says yes in every round, or as a test tells it."""

    def __init__(self, hub_key: bytes | None = None) -> None:
        self.hub_key = hub_key
        self.held: list[HeldEdition] = [edition("2026-01")]
        self.made: list[Encapsulation] = []
        self.masked: list[tuple[str, Ready]] = []
        self.wanted = ["metadata/timestamp.json"]
        self.fetched: list[bytes | str] = []
        self.refreshed = 0
        self.expired = 0
        self.heard: list[int] = []
        self.threads: set[int] = set()
        self.asked: list[tuple[str, str]] = []
        """Step and query, in order."""
        self.encapsulated: list[Sequence[Encapsulation]] = []
        self.work: Callable[[str], None] = lambda _query_id: None
        """Runs in every step that belongs to a query."""
        self.vector: Words = np.array([4, 0, 2**64 - 8, 1], np.uint64)
        self.erases = True
        self.decisions: list[Request] = []
        """What people decided on, to be said once."""
        self.loss = Loss(nano_rho=5)
        """What it says to have charged."""
        self.compared: list[tuple[Loss, Loss | None]] = []
        self.pages: list[Page] = []
        """What it can prove; nothing once they are gone."""
        self.proofs: list[tuple[int, int]] = []
        self.seen: SignedHead | None = None
        self.heads: list[tuple[SignedHead | None, Growth]] = []

    def editions(self) -> Sequence[HeldEdition]:
        self._called()
        return list(self.held)

    def ledger_height(self) -> int:
        self._called()
        return 7

    def state_sequence(self) -> int:
        self._called()
        return 41

    def charged(self) -> Loss:
        self._called()
        return self.loss

    def compare(self, charged: Loss, held: Loss | None) -> None:
        self._called()
        self.compared.append((charged, held))

    def proven(self, *, since: int, beyond: int) -> Page | None:
        self._called()
        self.proofs.append((since, beyond))
        return self.pages.pop(0) if self.pages else None

    def log_seen(self) -> SignedHead | None:
        self._called()
        return self.seen

    def greet(self, shown: SignedHead | None, growth: Growth) -> Witnessed | None:
        self._called()
        self.heads.append((shown, growth))
        return None if shown is None else self._witnessed(shown)

    def grown(self, shown: SignedHead, growth: Growth) -> Witnessed | None:
        return self.greet(shown, growth)

    def _witnessed(self, shown: SignedHead) -> Witnessed:
        return Witnessed(head=shown.head, agency=LABEL, signature=bytes(64))

    def heard_of(self, sequence: int) -> None:
        self._called()
        self.heard.append(sequence)

    def encapsulations(self) -> Sequence[Encapsulation]:
        self._called()
        return list(self.made)

    def unopened(self) -> Sequence[tuple[str, Ready]]:
        self._called()
        return list(self.masked)

    def expire(self) -> None:
        self._called()
        self.expired += 1

    def refresh(self, fetch: Fetch) -> bool:
        """Fetch what is wanted; new content counts as newer policies."""
        self._called()
        before = list(self.fetched)
        for name in self.wanted:
            try:
                self.fetched.append(fetch(name))
            except AccordError as error:
                self.fetched.append(error.reason)
        self.refreshed += 1
        return bool(self.wanted) and self.fetched[-1] not in before

    def ready(
        self, payload: bytes, signature: bytes, attempt: int, fetch: Fetch
    ) -> ReadyStep:
        self.fetch = fetch
        if self.hub_key is not None:
            codec.verify_requisition(self.hub_key, payload, signature)
        self._step("ready", codec.query_id_of(payload))
        ready = Ready(
            agency=LABEL,
            spec_digest=bytes(32),
            attempt=attempt,
            ephemeral_key=bytes(32),
            signature=bytes(64),
        )
        return ReadyStep(ready=ready, lacking=("police",))

    def decided(self) -> Sequence[Request]:
        self._called()
        found, self.decisions = self.decisions, []
        return found

    def mask(
        self,
        query_id: str,
        attempt: int,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep:
        assert [each.agency for each in readies] == ["police", LABEL]
        assert (cohort, attempt > 0) == ("all", True)
        self.encapsulated.append(encapsulations)
        self._step("mask", query_id)
        receipt = Receipt(
            agency=LABEL,
            transcript=bytes(32),
            vector_digest=bytes(32),
            seed_commitment=bytes(32),
            input_commitment=bytes(32),
            signature=bytes(64),
        )
        return MaskStep(receipt=receipt, vector=self.vector)

    def reveal(self, query_id: str, attempt: int, receipts: Sequence[Receipt]) -> bytes:
        assert [each.agency for each in receipts] == ["police", LABEL]
        self._step("reveal", query_id)
        return bytes([attempt]) * 32

    def settle(self, query_ids: Sequence[str]) -> Sequence[ErasedStep]:
        for query_id in query_ids:
            self._step("settle", query_id)
        if not self.erases:
            return []
        erased = Erased(
            agency=LABEL, spec_digest=bytes(32), attempt=1, signature=bytes(64)
        )
        return [ErasedStep(query_id=each, erased=erased) for each in query_ids]

    def _called(self) -> None:
        self.threads.add(threading.get_ident())

    def _step(self, step: str, query_id: str) -> None:
        self._called()
        self.asked.append((step, query_id))
        self.work(query_id)


class Gate:
    """Holds steps up, in the worker's thread, until a test lets them go on."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, _query_id: str = "") -> None:
        assert self._open.wait(30), "nobody let the step go on"

    def open(self) -> None:
        self._open.set()
