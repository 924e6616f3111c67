# SPDX-License-Identifier: Apache-2.0
"""What this agency says to each message of a round, one query at a time.

A query that is refused, or at which something breaks, has a reply of its own and never
holds or ends the others. Of what strangers raise, only the type is logged. What there
is to log is kept until `Replies.log`, which the worker calls when the slot of an answer
is over: the time of a line would else tell how long records took.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

import structlog

from accord.agent.network.spans import NO_SPANS, Spans, now
from accord.agent.rounds.steps import Answerer, MaskStep
from accord.core.errors import AccordError, RequisitionRefused
from accord.rpc.codec import UNKNOWN_PAYLOAD, payload_digest
from accord.rpc.rounds import (
    MOST_TOGETHER,
    PART_BYTES,
    encapsulation_from_message,
    erased_to_message,
    masked_requests,
    masked_to_messages,
    ready_to_message,
    receipts_from_messages,
)
from accord.trust.trusted import Fetch
from accord.v1 import agent_pb2, common_pb2

_MOST_DIGESTS: Final = 4096
_MOST_CLAUSES: Final = 32
_MOST_CODE: Final = 64
_AWAITED: Final = "APPROVAL_AWAITED"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A masked vector that has not been cut into messages yet."""

    query_id: str
    attempt: int
    step: MaskStep

    @property
    def size(self) -> int:
        """Bytes of the vector; public, as its layout is."""
        return self.step.vector.nbytes


Reply: TypeAlias = (
    Masked | agent_pb2.Ready | agent_pb2.Reveal | agent_pb2.Erased | agent_pb2.Refusal
)

Part = TypeVar(
    "Part", agent_pb2.Ready, agent_pb2.Reveal, agent_pb2.Erased, agent_pb2.Refusal
)


class Replies:
    """Asks an `Answerer`; belongs to the answerer's thread."""

    def __init__(
        self, answerer: Answerer, fetch: Fetch, spans: Spans = NO_SPANS
    ) -> None:
        """Remember nothing yet.

        Args:
            answerer: knows store and state.
            fetch: gets a file of the signed policies.
            spans: told of each step with its line.
        """
        self._spans = spans
        self._answerer = answerer
        self._fetch = fetch
        self._digests: OrderedDict[str, str] = OrderedDict()
        self._lines: list[Callable[[], None]] = []

    def log(self) -> None:
        """Write the lines of the replies since the last call."""
        lines, self._lines = self._lines, []
        for write in lines:
            write()

    def ready(
        self, query_id: str, asked: agent_pb2.Requisition
    ) -> agent_pb2.Ready | agent_pb2.Refusal:
        """Reply to a requisition whose payload names *query_id*."""
        self._digests[query_id] = payload_digest(asked.payload)
        self._digests.move_to_end(query_id)
        if len(self._digests) > _MOST_DIGESTS:
            self._digests.popitem(last=False)

        def work() -> agent_pb2.Ready:
            step = self._answerer.ready(
                asked.payload, asked.signature, asked.attempt, self._fetch
            )
            return ready_to_message(query_id, step.ready, step.lacking)

        return self._guarded("requisition.accepted", query_id, asked.attempt, work)

    def masked(self, call: agent_pb2.CohortCall) -> Masked | agent_pb2.Refusal:
        """Reply to what the hub says of who is ready."""

        def work() -> Masked:
            step = self._answerer.mask(
                call.query_id,
                call.attempt,
                call.cohort,
                call.readies,
                [encapsulation_from_message(each) for each in call.encapsulations],
            )
            return Masked(query_id=call.query_id, attempt=call.attempt, step=step)

        return self._guarded("vector.masked", call.query_id, call.attempt, work)

    def reveal(
        self, call: agent_pb2.RevealCall
    ) -> agent_pb2.Reveal | agent_pb2.Refusal:
        """Reply to what the hub says of everybody's receipts."""

        def work() -> agent_pb2.Reveal:
            receipts = receipts_from_messages(call.receipts)
            seed = self._answerer.reveal(call.query_id, call.attempt, receipts)
            return agent_pb2.Reveal(
                query_id=call.query_id, attempt=call.attempt, seed=seed
            )

        return self._guarded("seed.revealed", call.query_id, call.attempt, work)

    def settled(self, query_ids: Sequence[str]) -> list[agent_pb2.Erased]:
        """Reply to the end of queries, which nothing can refuse."""
        try:
            steps = self._answerer.settle(query_ids)
        except Exception as error:  # noqa: BLE001  # boundary: of strangers only the type
            self._lines.append(partial(_log_failure, error))
            return []
        return [erased_to_message(each.query_id, each.erased) for each in steps]

    def _guarded(
        self, done: str, query_id: str, attempt: int, work: Callable[[], _Done]
    ) -> _Done | agent_pb2.Refusal:
        """Return what *work* does or a refusal; a question can never end the agent."""
        log = structlog.get_logger().bind(query_id=query_id, attempt=attempt)
        codes, begin = "", now()

        def over(reason: str = "") -> None:
            self._spans.step(
                done, begin, query_id=query_id, attempt=attempt, reason=reason
            )

        try:
            found = work()
        except RequisitionRefused as error:
            reason, codes = error.reason, error.metadata.get("codes", "")
        except Exception as error:  # noqa: BLE001  # boundary: of strangers only the type
            self._lines.append(partial(_log_failure, error, query_id=query_id))
            reason = "STORE_UNAVAILABLE"
        else:
            self._lines += [partial(log.info, done), over]
            return found
        self._lines.append(partial(over, reason))
        if reason != _AWAITED:  # people are told of it, and the hub
            line = partial(log.info, "requisition.refused", reason=reason, code=codes)
            self._lines.append(line)
        return agent_pb2.Refusal(
            query_id=query_id,
            attempt=attempt,
            payload_digest=self._digests.get(query_id, UNKNOWN_PAYLOAD),
            reason=_refusal_reason(reason),
            clauses=[code[:_MOST_CODE] for code in codes.split(",") if code][
                :_MOST_CLAUSES
            ],
        )


_Done = TypeVar("_Done", Masked, agent_pb2.Ready, agent_pb2.Reveal)


def requests(replies: Sequence[Reply]) -> Iterator[agent_pb2.ConnectRequest]:
    """Yield as few messages as hold all replies, vectors last."""
    refused = [each for each in replies if isinstance(each, agent_pb2.Refusal)]
    for refusals in _together(refused):
        yield agent_pb2.ConnectRequest(refusals=agent_pb2.Refusals(refusals=refusals))
    ready = [each for each in replies if isinstance(each, agent_pb2.Ready)]
    for readies in _together(ready):
        yield agent_pb2.ConnectRequest(readies=agent_pb2.Readies(readies=readies))
    revealed = [each for each in replies if isinstance(each, agent_pb2.Reveal)]
    for reveals in _together(revealed):
        yield agent_pb2.ConnectRequest(reveals=agent_pb2.Reveals(reveals=reveals))
    erased = [each for each in replies if isinstance(each, agent_pb2.Erased)]
    for erasures in _together(erased):
        yield agent_pb2.ConnectRequest(erasures=agent_pb2.Erasures(erasures=erasures))
    yield from masked_requests(
        message
        for each in replies
        if isinstance(each, Masked)
        for message in masked_to_messages(
            each.query_id, each.attempt, each.step.receipt, each.step.vector
        )
    )


def _together(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield groups of at most `MOST_TOGETHER` and of about `PART_BYTES`."""
    held: list[Part] = []
    size = 0
    for each in parts:
        length = each.ByteSize()
        if held and (len(held) == MOST_TOGETHER or size + length > PART_BYTES):
            yield held
            held, size = [], 0
        held.append(each)
        size += length
    if held:
        yield held


def _log_failure(error: Exception, **about: str) -> None:
    log = structlog.get_logger().bind(**about)
    if isinstance(error, AccordError):
        log.error("answer.failed", reason=error.reason)
    else:
        log.error("answer.failed", error_type=type(error).__name__)


def _refusal_reason(reason: str) -> common_pb2.RefusalReason.ValueType:
    """Return the entry of the closed list; what is not in it says least."""
    try:
        return common_pb2.RefusalReason.Value(f"REFUSAL_REASON_{reason}")
    except ValueError:
        return common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE
