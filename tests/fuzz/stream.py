# SPDX-License-Identifier: Apache-2.0
"""An agent with a real store and state that hears bytes as if a hub had sent them.

What was signed is signed as its hub would do it, so that a changed byte is met by every
check behind the first one, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError, Message
from structlog.testing import capture_logs

from accord.agent.network.asked import works_of
from accord.agent.network.replies import Masked, Replies, requests
from accord.agent.witness.log import Growth
from accord.core.errors import AccordError, InvalidQuery
from accord.rpc.codec import loss_from_message
from accord.rpc.contact import head_from_message
from accord.rpc.interceptors import check_message
from accord.rpc.rounds import (
    encapsulation_to_message,
    member_readies_to_messages,
    receipts_to_messages,
)
from accord.v1 import agent_pb2
from tests.unit.agent.agency_world import Templates, World
from tests.unit.agent.agreements import AGENCY, signed

MOST_ANSWER = 1 << 20
"""Bytes of all answers to one message, which asks for a few figures."""


class Listener:
    """One agency, in the middle of a question."""

    def __init__(self, folder: Path) -> None:
        """Make it; the question is ready at all three agencies."""
        for name in ("templates", "world"):
            (folder / name).mkdir()
        with capture_logs():
            self.world: World = Templates(folder / "templates").world(folder / "world")
            self.answerer = self.world.answerers[AGENCY]
            self.examples = list(self._examples())
        self._replies = Replies(self.answerer, self.world.offer.fetch)

    def _examples(self) -> Iterator[bytes]:
        """Yield what an honest hub sends of a whole round."""
        world = self.world
        payload, signature = signed(world.asked())
        one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
        asked = agent_pb2.Requisitions(requisitions=[one])
        found = world.ready(world.asked())
        call = agent_pb2.CohortCall(
            query_id=found.query_id,
            attempt=1,
            cohort="fallback",
            readies=member_readies_to_messages(found.readies),
            encapsulations=[
                encapsulation_to_message(each)
                for each in world.hub.lacked(found, AGENCY)
            ],
        )
        masked = world.hub.mask(world.ready(world.asked()))
        reveal = agent_pb2.RevealCall(
            query_id=masked.query_id,
            attempt=1,
            receipts=receipts_to_messages(masked.receipts),
        )
        for message in (
            agent_pb2.ConnectResponse(requisitions=asked),
            agent_pb2.ConnectResponse(cohorts=agent_pb2.CohortCalls(calls=[call])),
            agent_pb2.ConnectResponse(reveals=agent_pb2.RevealCalls(calls=[reveal])),
            agent_pb2.ConnectResponse(
                settled=agent_pb2.Settled(query_ids=[found.query_id])
            ),
        ):
            yield message.SerializeToString()

    def hear(self, content: bytes) -> None:
        """Do what a running agent does with a message.

        Raises:
            Exception: of a stranger, which would have been a traceback in an agent or
                is a line of its log that names no reason.
        """
        try:
            message = agent_pb2.ConnectResponse.FromString(content)
            check_message(message)
        except (DecodeError, InvalidQuery):
            return
        with capture_logs() as lines:
            self._act(message)
        for line in lines:
            assert "error_type" not in line, line

    def _act(self, message: agent_pb2.ConnectResponse) -> None:
        match message.WhichOneof("message"):
            case "requisitions":
                self._answer(message.requisitions)
            case "cohorts":
                self._answer(message.cohorts)
            case "reveals":
                self._answer(message.reveals)
            case "settled":
                self._replies.settled(list(message.settled.query_ids))
            case "welcome":
                with contextlib.suppress(AccordError):
                    self._welcomed(message.welcome)
            case "log":
                with contextlib.suppress(AccordError):
                    growth = Growth(
                        from_size=message.log.from_size,
                        proof=tuple(message.log.consistency),
                    )
                    self.answerer.grown(head_from_message(message.log.head), growth)
            case "charges_wanted":
                since = message.charges_wanted.since
                with contextlib.suppress(AccordError):
                    self.answerer.proven(since=since, beyond=0)
            case _:
                pass
        self._replies.log()

    def _welcomed(self, welcome: agent_pb2.Welcome) -> None:
        self.answerer.heard_of(welcome.state_sequence)
        held = loss_from_message(welcome.held) if welcome.HasField("held") else None
        self.answerer.compare(self.answerer.charged(), held)
        shown = head_from_message(welcome.head) if welcome.HasField("head") else None
        growth = Growth(from_size=0, proof=tuple(welcome.consistency))
        self.answerer.greet(shown, growth)

    def _answer(
        self,
        asked: agent_pb2.Requisitions | agent_pb2.CohortCalls | agent_pb2.RevealCalls,
    ) -> None:
        replies: list[Message | Masked] = []
        for work in works_of(asked)[1]:
            match work.message:
                case agent_pb2.Requisition():
                    replies.append(self._replies.ready(work.query_id, work.message))
                case agent_pb2.CohortCall():
                    replies.append(self._replies.masked(work.message))
                case agent_pb2.RevealCall():
                    replies.append(self._replies.reveal(work.message))
                case None:
                    pytest.fail("nothing was asked")
        said = list(requests(replies))  # type: ignore[arg-type]  # as the worker has them
        for each in said:
            check_message(each)
        assert sum(each.ByteSize() for each in said) < MOST_ANSWER * max(
            1, len(replies)
        )
