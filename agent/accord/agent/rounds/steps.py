# SPDX-License-Identifier: Apache-2.0
"""What the network asks of the side that knows the store, step by step.

Every step answers from durable state: the same message gets the same bytes again, in
another process too, and what was not committed was never said. All of it belongs to
one thread at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accord.agent.witness.countersigning import Page
from accord.agent.witness.log import Growth
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, Witnessed
from accord.rpc.codec import HeldEdition
from accord.secagg.keys import Encapsulation
from accord.secagg.messages import Erased, Ready, Receipt
from accord.trust.trusted import Fetch

Words = npt.NDArray[np.uint64]


class ReadyLike(Protocol):
    """What a cohort call says of one member; the rest of its ready is known here."""

    @property
    def agency(self) -> str:
        """Label of the member."""

    @property
    def ephemeral_key(self) -> bytes:
        """X25519, 32 bytes."""

    @property
    def signature(self) -> bytes:
        """Over the whole ready, 64 bytes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the hub asked, as it came."""

    payload: bytes = dataclasses.field(repr=False)
    signature: bytes = dataclasses.field(repr=False)
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadyStep:
    """The first round's answer."""

    ready: Ready
    lacking: tuple[str, ...]
    """Members whose encapsulation this agency has not got yet, sorted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MaskStep:
    """The second round's answer."""

    receipt: Receipt
    vector: Words = dataclasses.field(repr=False)
    """Masked; its digest stands in the receipt."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErasedStep:
    """That the seed of a query's attempt is gone and was never revealed."""

    query_id: str
    erased: Erased


class Answerer(Protocol):
    """The side of the agent that knows its store; called from one thread only."""

    def editions(self) -> Sequence[HeldEdition]:
        """Freeze what the calendar asks for and return what is held."""

    def refresh(self, fetch: Fetch) -> bool:
        """Ask for newer policies, verify them, and return whether there were any."""

    def ledger_height(self) -> int:
        """Return the number of events in the agency's own ledger."""

    def state_sequence(self) -> int:
        """Return how many steps in rounds this agent's state has taken."""

    def charged(self) -> Loss:
        """Return what this agency can prove that its own ledger has charged, ever."""

    def compare(self, charged: Loss, held: Loss | None) -> None:
        """Answer nothing from here on if the hub holds less than was charged.

        Args:
            charged: when this agency said hello.
            held: what the hub says; nothing where it does not say.
        """

    def proven(self, *, since: int, beyond: int) -> Page | None:
        """Return some of the charges that this agency proves, under its signature.

        Nothing where it cannot say, since it is an old copy.
        """

    def log_seen(self) -> SignedHead | None:
        """Return the newest head of the hub's log that this agency has accepted."""

    def greet(self, shown: SignedHead | None, growth: Growth) -> Witnessed | None:
        """Hold the first head of a stream against `log_seen`; cosign what follows it.

        Raises:
            Unreachable: LOG_MOVED, a new stream is needed.
        """

    def grown(self, shown: SignedHead, growth: Growth) -> Witnessed | None:
        """Hold a later head of a stream against `log_seen`; cosign what follows it."""

    def heard_of(self, sequence: int) -> None:
        """Note the highest sequence that the hub has heard from this agency.

        Where the state has taken fewer steps, it is an old copy: nothing is answered
        until staff has confirmed that.
        """

    def encapsulations(self) -> Sequence[Encapsulation]:
        """Return all that this agency is the sender of, made once and kept.

        There may be more after a refresh, also after one that `ready` made by itself.
        """

    def unopened(self) -> Sequence[tuple[str, Ready]]:
        """Return what was said in the first round of queries that are masked yet.

        Whoever is told of it again says if such a query has ended meanwhile.
        """

    def ready(
        self, payload: bytes, signature: bytes, attempt: int, fetch: Fetch
    ) -> ReadyStep:
        """Check a requisition and answer with a fresh key, the same at every retry.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """

    def decided(self) -> Sequence[Request]:
        """Return what people have decided on since, to be answered as it was asked."""

    def mask(
        self,
        query_id: str,
        attempt: int,
        cohort: str,
        readies: Sequence[ReadyLike],
        encapsulations: Sequence[Encapsulation],
    ) -> MaskStep:
        """Check a cohort, pay, and answer with the masked vector.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """

    def reveal(self, query_id: str, attempt: int, receipts: Sequence[Receipt]) -> bytes:
        """Check everybody's receipts and give away the 32 bytes of the own mask.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """

    def settle(self, query_ids: Sequence[str]) -> Sequence[ErasedStep]:
        """Erase what is kept for queries that have ended; say what can never open."""

    def expire(self) -> None:
        """Erase what has expired; called now and then."""
