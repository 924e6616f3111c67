# SPDX-License-Identifier: Apache-2.0
"""Somebody who has the hub's keys, its place and its database, and wants one agency's.

A `MaliciousHub` says to real agents whatever a test tells it to, in any order, signed
as a hub signs; what they answer goes to it alone, and the real hub goes on with all
else. It keeps everything that it is told and, in `guesses`, tries to open something
with it: whatever vectors it combines, under whatever seeds it has.

It can also be in league with an agency: `keys` are those of an agency that gives them
away (`tests.federation.insider`).
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.stats

from accord.agent.state import AgentState
from accord.agent.witness.suspicion import suspicions
from accord.core.decide import Analyst
from accord.core.policy import Policy
from accord.core.query import canonical_query
from accord.core.terms import Requisition, Terms, mechanism_for, terms
from accord.hub.questions.pricing import loss_for
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from accord.rpc.rounds import (
    encapsulation_to_message,
    member_readies_to_messages,
    ready_from_message,
    receipt_from_masked,
    receipts_to_messages,
)
from accord.secagg.directory import directory_of
from accord.secagg.keys import Directory, Encapsulation, SecretKeys
from accord.secagg.masks import WORD, add_stream, self_key
from accord.secagg.messages import Ready, Receipt, Spec, seed_commitment
from accord.v1 import agent_pb2, common_pb2
from tests.federation import insider
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import Message, MessageRelay, each
from tests.federation.small_world import AGENCIES, PURPOSE

Words = npt.NDArray[np.uint64]

UNIFORM = 1e-9
"""Chance at which something uniform is taken for something else."""

_ANSWERS = ("readies", "masked", "reveals", "refusals", "erasures")


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """What an agency says instead, with its closed reason."""

    reason: str


Reply: TypeAlias = "agent_pb2.Ready | agent_pb2.Masked | agent_pb2.Reveal | Refused"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One signed question."""

    requisition: Requisition
    policy: Policy
    terms: Terms
    payload: bytes
    signature: bytes

    @property
    def id(self) -> str:
        return self.requisition.query_id

    @property
    def directory(self) -> Directory:
        return directory_of(self.policy)

    @property
    def spec(self) -> Spec:
        return Spec(
            query_id=self.id,
            payload=self.payload,
            directory_digest=self.directory.digest,
        )

    def members(self, cohort: str) -> tuple[str, ...]:
        return self.policy.agreement.cohorts[cohort]


class MaliciousHub:
    """Whoever holds everything that a hub holds."""

    def __init__(self, network: Network, relay: MessageRelay) -> None:
        """Stand between the real hub of a network and its agents."""
        self.network = network
        self._relay = relay
        self._authority = insider.authority(network)
        self._asked: dict[str, Asking] = {}
        self._told: set[str] = set()
        self._before = self._charged()
        self.vectors: dict[bytes, dict[str, agent_pb2.Masked]] = (
            collections.defaultdict(dict)
        )
        """Everything masked that it was ever told, by transcript and agency."""
        self.seeds: set[bytes] = set()
        """All seeds that it was ever told."""
        for label, kind in itertools.product(AGENCIES, _ANSWERS):
            relay.change(label, kind, each(self._not_mine))
        for label in AGENCIES:
            relay.change(label, "hello", _charged_nothing)
            relay.change(label, "welcome", _holds_enough)

    # what it asks

    def ask(
        self,
        *,
        agreement: str = "five",
        cohort: str = "all",
        epsilon: int = 2,
        where: Mapping[str, Sequence[str]] | None = None,
        **changes: Any,  # noqa: ANN401  # fields of a requisition
    ) -> Asking:
        """Return a signed question: an honest one but for *changes*."""
        policy = self.network.in_force().policy(agreement)
        assert policy is not None
        query = canonical_query(
            agreement=agreement,
            edition=self._edition(),
            measure="persons",
            group_by=[("parish", None), ("gender", None)],
            where=where or {},
            model=policy.model,
        )
        found = terms(policy.agreement, policy.model, query)
        most = loss_for(policy.agreement, Fraction(epsilon))
        mechanism = mechanism_for(policy.agreement, found, at_most=most)
        now = insider.utc_now().replace(microsecond=0)
        requisition = Requisition(
            query_id=str(uuid.uuid4()),
            query=query,
            agreement_version=policy.agreement.form.version,
            agreement_digest=policy.agreement.digest,
            model_digest=policy.model.digest,
            policy_digest=policy.digest,
            cohort=cohort,
            members=policy.agreement.cohorts[cohort],
            mechanism=mechanism,
            loss=found.loss(mechanism),
            layout_digest=found.layout.digest(),
            purpose=PURPOSE,
            analyst=Analyst(
                id="ana", organisation="observatory", roles=frozenset({"analyst"})
            ),
            issued_at=now,
            expires_at=now + datetime.timedelta(minutes=10),
        )
        requisition = dataclasses.replace(requisition, **changes)
        payload = requisition_to_bytes(requisition)
        asking = Asking(
            requisition=requisition,
            policy=policy,
            terms=found,
            payload=payload,
            signature=sign_requisition(self._authority.requisition_key, payload),
        )
        self._asked[asking.id] = asking
        return asking

    def _edition(self) -> str:
        sql = (
            "SELECT max(name) FROM editions WHERE agency = 'alpha' AND every = 'month'"
        )
        return str(self.network.rows(sql)[0][0])

    # what it says, and hears

    def requisitions(
        self, asking: Asking, labels: Iterable[str], *, attempt: int = 1
    ) -> dict[str, Reply]:
        """Say the first call to agencies."""
        call = agent_pb2.Requisition(
            payload=asking.payload, signature=asking.signature, attempt=attempt
        )
        calls = agent_pb2.Requisitions(requisitions=[call])
        message = agent_pb2.ConnectResponse(requisitions=calls)
        return self._heard(asking, dict.fromkeys(labels, message), "readies")

    def cohorts(
        self,
        asking: Asking,
        labels: Iterable[str],
        readies: Sequence[Ready],
        *,
        cohort: str = "all",
        attempt: int = 1,
    ) -> dict[str, Reply]:
        """Say the second call: who is ready, in the order that is given."""
        said: dict[str, agent_pb2.ConnectResponse] = {}
        for label in labels:
            call = agent_pb2.CohortCall(
                query_id=asking.id,
                attempt=attempt,
                cohort=cohort,
                readies=member_readies_to_messages(readies),
                encapsulations=map(encapsulation_to_message, self._pairs(label)),
            )
            calls = agent_pb2.CohortCalls(calls=[call])
            said[label] = agent_pb2.ConnectResponse(cohorts=calls)
        heard = self._heard(asking, said, "masked")
        for label, reply in heard.items():
            if isinstance(reply, agent_pb2.Masked):
                self.vectors[reply.transcript][label] = reply
        return heard

    def receipts(
        self,
        asking: Asking,
        labels: Iterable[str],
        receipts: Sequence[Receipt],
        *,
        attempt: int = 1,
    ) -> dict[str, Reply]:
        """Say the third call: what everybody signed."""
        call = agent_pb2.RevealCall(
            query_id=asking.id,
            attempt=attempt,
            receipts=receipts_to_messages(receipts),
        )
        calls = agent_pb2.RevealCalls(calls=[call])
        message = agent_pb2.ConnectResponse(reveals=calls)
        heard = self._heard(asking, dict.fromkeys(labels, message), "reveals")
        self.seeds |= {
            reply.seed
            for reply in heard.values()
            if isinstance(reply, agent_pb2.Reveal)
        }
        return heard

    def ready(
        self, asking: Asking, cohort: str = "all", *, attempt: int = 1
    ) -> list[Ready]:
        """Return the readies of a cohort that sees nothing wrong."""
        heard = self.requisitions(asking, asking.members(cohort), attempt=attempt)
        return [ready_from_message(label, _said(heard[label])) for label in heard]

    def masked(
        self, asking: Asking, cohort: str = "all", *, attempt: int = 1
    ) -> list[Receipt]:
        """Let a cohort that sees nothing wrong mask; return its receipts."""
        readies = self.ready(asking, cohort, attempt=attempt)
        members = asking.members(cohort)
        heard = self.cohorts(asking, members, readies, cohort=cohort, attempt=attempt)
        return receipts_of(heard)

    def settle(self, asking: Asking, labels: Iterable[str] = AGENCIES) -> None:
        """Say that a question has ended; return when agencies have done with it."""
        message = agent_pb2.ConnectResponse(
            settled=agent_pb2.Settled(query_ids=[asking.id])
        )
        chosen = list(labels)
        for label in chosen:
            self._relay.say(label, message)
        for label in chosen:
            wait_until(
                lambda label=label: (
                    self.stage(asking, label)  # type: ignore[misc]  # bound now
                    in {None, "revealed", "erased"}
                ),
                f"{label} has done with it",
            )

    def stage(self, asking: Asking, label: str) -> str | None:
        """Return how far an agency is with a question."""
        sql = "SELECT state FROM round WHERE query_id = ?"
        found = self.network.agent_rows(label, sql, asking.id)
        return found[0][0] if found else None

    def _heard(
        self,
        asking: Asking,
        said: Mapping[str, agent_pb2.ConnectResponse],
        kind: str,
    ) -> dict[str, Reply]:
        """Say something to agencies and return what each says to it, sorted."""
        counts = {label: len(self._all(asking, label, kind)) for label in said}
        for label, message in said.items():
            self._relay.say(label, message)
            self._told.add(label)

        def newest(label: str) -> list[Reply]:
            return self._all(asking, label, kind)[counts[label] :]

        return {
            label: wait_until(
                lambda label=label: newest(label),  # type: ignore[misc]  # bound now
                f"{label} says something of {kind}",
            )[0]
            for label in sorted(said)
        }

    def _all(self, asking: Asking, label: str, kind: str) -> list[Reply]:
        """Return replies of a kind, and refusals in their place, in order."""
        found: list[Reply] = []
        for seen in list(self._relay.seen):
            if seen.agency != label or seen.kind not in {kind, "refusals"}:
                continue
            for part in seen.parts:
                if part.query_id != asking.id:
                    continue
                if isinstance(part, agent_pb2.Refusal):
                    name = common_pb2.RefusalReason.Name(part.reason)
                    found.append(Refused(name.removeprefix("REFUSAL_REASON_")))
                else:
                    found.append(part)
        return found

    def _not_mine(self, part: Any) -> list[Any]:  # noqa: ANN401  # any of a query
        """Keep from the real hub what is said to this one."""
        return [] if part.query_id in self._asked else [part]

    def _pairs(self, receiver: str) -> list[Encapsulation]:
        """Return what others encapsulated for an agency, as the hub keeps it."""
        sql = (
            "SELECT sender, receiver, ciphertext, signature FROM encapsulations"
            " WHERE receiver = ? ORDER BY sender"
        )
        names = ("sender", "receiver", "ciphertext", "signature")
        return [
            Encapsulation(**dict(zip(names, row, strict=True)))
            for row in self.network.rows(sql, receiver)
        ]

    # what it can do with all that

    def guesses(self) -> Iterator[tuple[str, Words]]:
        """Yield everything that it can make of what it has, with how it was made.

        Sums of any vectors of one attempt, with the masks of all fitting seeds taken
        away, or of any others; and differences of such sums between attempts.
        """
        sums: list[tuple[str, Words]] = []
        for number, (seen, said) in enumerate(self.vectors.items()):
            for size in range(1, len(said) + 1):
                for labels in itertools.combinations(sorted(said), size):
                    where = f"{number}:{'+'.join(labels)}"
                    sums.append((where, self._opened(seen, said, labels)))
                    sums.append((f"{where}, raw", self._total(said, labels)))
        yield from sums
        for (one, first), (two, second) in itertools.combinations(sums, 2):
            if one.split(":")[0] != two.split(":")[0]:
                yield f"{one} - {two}", first - second

    def opened(self, seen: bytes) -> npt.NDArray[np.int64]:
        """Return the sum of everything that was masked under one transcript."""
        said = self.vectors[seen]
        return self._opened(seen, said, sorted(said)).view(np.int64)

    def _total(
        self, said: Mapping[str, agent_pb2.Masked], labels: Iterable[str]
    ) -> Words:
        words = [np.frombuffer(said[label].vector, WORD) for label in labels]
        total: Words = np.sum(words, axis=0, dtype=np.uint64)
        return total

    def _opened(
        self,
        seen: bytes,
        said: Mapping[str, agent_pb2.Masked],
        labels: Sequence[str],
    ) -> Words:
        total = self._total(said, labels)
        for label in labels:
            promised = said[label].seed_commitment
            fitting = [
                s for s in self.seeds if seed_commitment(s, seen, label) == promised
            ]
            for seed in fitting or list(self.seeds)[:1]:
                add_stream(total, self_key(seed, seen, label), -1)
        return total

    # what came of it

    def assert_in_vain(self) -> None:
        """End everything: nobody has paid for anything, and nothing can be opened."""
        self.assert_opened({})

    def assert_opened(self, charged: Mapping[str, int], *sums: str) -> None:
        """End everything: only some sums can be opened, and what they cost is paid.

        Args:
            charged: how many questions each agency has paid for, where it has any.
            sums: as `guesses` calls them.
        """
        for asking in self._asked.values():
            self.settle(asking)
        sql = "SELECT sum(reserved) FROM ledger_account"
        for label in AGENCIES:
            wait_until(
                lambda label=label: not self.network.agent_rows(label, sql)[0][0],  # type: ignore[misc]  # bound now
                f"{label} has nothing reserved",
            )
        paid = {
            label: amount - self._before[label]
            for label, amount in self._charged().items()
        }
        prices = {each.requisition.loss.nano_rho for each in self._asked.values()}
        assert len(prices) == 1
        (price,) = prices
        assert paid == {label: charged.get(label, 0) * price for label in AGENCIES}
        assert self.found() == set(sums)

    def found(self) -> set[str]:
        """Return which of its guesses are not random."""
        return {how for how, words in self.guesses() if not looks_uniform(words)}

    def _charged(self) -> dict[str, int]:
        """Return what each agency's own account was charged for good, in nano-rho."""
        sql = (
            "SELECT coalesce(sum(used - reserved), 0) FROM ledger_account"
            " WHERE unit = 'nano-rho' AND name = ?"
        )
        return {
            label: self.network.agent_rows(label, sql, f"agency/{label}")[0][0]
            for label in AGENCIES
        }

    def doubts(self, label: str) -> set[str]:
        """Return what an agency's staff is shown as reasons to doubt its hub."""
        state = AgentState.open(self.network.agent_state(label))
        return {doubt.reason for doubt in suspicions(state)}


def looks_uniform(words: Words) -> bool:
    """Tell whether the bytes of a vector could be random, all of them."""
    content = np.ascontiguousarray(words, WORD).view(np.uint8)
    seen = np.bincount(content, minlength=256)
    return bool(scipy.stats.chisquare(seen).pvalue > UNIFORM)


def _charged_nothing(message: Message) -> list[Message]:
    """Keep from the real hub what agencies charged for questions of this one."""
    assert isinstance(message, agent_pb2.ConnectRequest)
    other = copy.deepcopy(message)
    other.hello.ClearField("charged")
    return [other]


def _holds_enough(message: Message) -> list[Message]:
    """Say to agencies that everything they charged is held for them."""
    assert isinstance(message, agent_pb2.ConnectResponse)
    other = copy.deepcopy(message)
    other.welcome.held.nano_rho = other.welcome.held.nano_epsilon = 2**60
    return [other]


def receipts_of(heard: Mapping[str, Reply]) -> list[Receipt]:
    """Return the receipts of agencies that masked, sorted."""
    return [
        receipt_from_masked(label, _said(reply))
        for label, reply in sorted(heard.items())
    ]


def reasons(heard: Mapping[str, Reply]) -> set[str]:
    """Return why agencies refused, all of them."""
    found = set()
    for label, reply in heard.items():
        assert isinstance(reply, Refused), f"{label} said {type(reply).__name__}"
        found.add(reply.reason)
    return found


def signed(keys: SecretKeys, ready: Ready) -> Ready:
    """Return a ready, changed or not, signed with some key."""
    return dataclasses.replace(ready, signature=keys.sign(ready.body()))


def _said(reply: Reply) -> Any:  # noqa: ANN401  # the message that was asked for
    assert not isinstance(reply, Refused), reply
    return reply
