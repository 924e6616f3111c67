# SPDX-License-Identifier: Apache-2.0
"""Takes questions: checks, prices, pays, and hands them to the collection."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from accord.core.agreement import Agreement
from accord.core.canonical import bytes_digest, digest
from accord.core.decide import Analyst
from accord.core.epsilon_delta import exact_epsilon
from accord.core.errors import (
    AccordError,
    BudgetExhausted,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.hub.audit import Event, Fact, note
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority
from accord.hub.policies import Policies
from accord.hub.questions.planning import Announced, Plan, Question, agreement_for, plan
from accord.hub.releases import archive
from accord.hub.rounds import submissions
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.submissions import Submission
from accord.hub.settling.admission import Request, admit, same_request
from accord.rpc.codec import query_from_message
from accord.v1 import analyst_pb2

_UNDECIDED: Final = "0000"
"""Stands for the edition until one is chosen."""

Asked = analyst_pb2.SubmitQueryRequest | analyst_pb2.PriceQueryRequest


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How this hub asks agencies."""

    answer_within: dt.timedelta
    unsafe: bool
    """The unsafe test mode: nothing is too dear."""


class Desk:
    """Where questions come in."""

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        policies: Policies,
        collection: Collection,
        terms: Terms,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep what a question needs on its way."""
        self._store = store
        self._authority = authority
        self._policies = policies
        self._collection = collection
        self._terms = terms
        self._clock = clock

    async def announced(self, agreement: Agreement) -> Announced:
        """Return what every party can answer from."""

        def look() -> Announced:
            with self._store.read() as tx:
                return registry.editions(tx, agreement.parties)

        return await self._store.run(look)

    async def plan(self, analyst: Analyst, asked: Asked) -> Plan:
        """Return what follows from a question.

        Raises:
            AccordError: as `accord.hub.questions.planning.plan`.
        """
        agreement = agreement_for(self._policies, asked.query.agreement, analyst)
        model = self._policies.model_of(agreement)
        question = Question(
            query=query_from_message(asked.query, model, edition=_UNDECIDED),
            edition=asked.query.edition,
            epsilon=exact_epsilon(asked.spending.epsilon),
            purpose=asked.purpose,
            analyst=analyst,
        )
        return await asyncio.to_thread(
            plan,
            self._policies,
            question,
            await self.announced(agreement),
            day=self._clock().date(),
            unsafe=self._terms.unsafe,
        )

    async def is_archived(self, found: Plan) -> bool:
        """Tell whether a stored release would answer a question."""
        question = archive.Question(
            query_key=found.query.key(),
            archive_digest=found.archive_digest,
            at_least=found.loss,
            unsafe=self._terms.unsafe,
        )

        def look() -> bool:
            with self._store.read() as tx:
                return archive.find(tx, question) is not None

        return await self._store.run(look)

    async def submit(
        self, analyst: Analyst, request: analyst_pb2.SubmitQueryRequest
    ) -> Submission:
        """Take a question; the same id with the same content is the same question.

        Raises:
            AccordError: it is refused; nothing was charged.
        """
        content = digest(
            {
                "analyst": analyst.id,
                "request": bytes_digest(request.SerializeToString(deterministic=True)),
            }
        )
        known = await self.find(request.id)
        if known is not None:
            submission = same_request(known, content)
            if submission.follows is None:
                self._collection.open(submission)
            return submission
        try:
            return await self._admit(analyst, request, content)
        except (BudgetExhausted, NotFound, PolicyDenied, PreconditionFailed) as error:
            await self._store.run(self._note_refusal, analyst, request, error)
            raise

    async def find(self, submission: str) -> Submission | None:
        """Return the submission with an id, if there is one."""

        def look() -> Submission | None:
            with self._store.read() as tx:
                return submissions.find(tx, submission)

        return await self._store.run(look)

    async def _admit(
        self, analyst: Analyst, request: analyst_pb2.SubmitQueryRequest, content: str
    ) -> Submission:
        found = await self.plan(analyst, request)
        now = self._clock()
        asked = Request(
            id=request.id,
            digest=content,
            now=now,
            expires_at=now + self._terms.answer_within,
            unsafe=self._terms.unsafe,
        )

        def commit() -> Submission:
            with self._store.write() as tx:
                return admit(tx, self._policies, self._authority, asked, found)

        return await self._collection.admit(commit)

    def _note_refusal(
        self,
        analyst: Analyst,
        request: analyst_pb2.SubmitQueryRequest,
        error: AccordError,
    ) -> None:
        facts: dict[str, Fact] = {
            "analyst": analyst.id,
            "submission": request.id,
            "reason": error.reason,
        }
        if request.query.agreement in self._policies.agreements:
            facts["agreement"] = request.query.agreement
        if "codes" in error.metadata:
            facts["clauses"] = error.metadata["codes"].split(",")
        with self._store.write() as tx:
            note(tx, Event.QUERY_REFUSED, self._clock(), **facts)
