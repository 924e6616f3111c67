# SPDX-License-Identifier: Apache-2.0
"""Takes questions: checks, prices, pays, and hands them to the collection."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Iterable
from typing import Final

import sqlalchemy as sa

from accord.core.agreement import Agreement
from accord.core.canonical import bytes_digest, digest
from accord.core.decide import Analyst
from accord.core.errors import (
    AccordError,
    BudgetExhausted,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unreachable,
)
from accord.core.measure import Bounding
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.hub.audit import Event, Fact, note
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority
from accord.hub.policies import Policies
from accord.hub.questions.asked import note_refused
from accord.hub.questions.bounding import (
    Past,
    boundings,
    choose_bounding,
    newest_like,
)
from accord.hub.questions.expectation import patience
from accord.hub.questions.planning import (
    Announced,
    Plan,
    Question,
    plan,
    policy_for,
)
from accord.hub.questions.pricing import epsilon_for
from accord.hub.questions.requested import (
    Words,
    asked_of,
    needed_of,
    question_of,
    refusal_of,
)
from accord.hub.releases import archive, held
from accord.hub.rounds import submissions
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.submissions import Submission
from accord.hub.settling.admission import (
    Request,
    admit,
    require_not_kept_back,
    same_request,
)
from accord.v1 import analyst_pb2

_ATTEMPTS: Final = 3
"""Times that a question is planned while boards publish one change after the other."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How this hub asks agencies."""

    answer_within: dt.timedelta
    """How long a whole cohort is waited for, where the agreement does not say it."""
    unsafe: bool
    """The unsafe test mode: nothing is too dear."""


class Desk:
    """Where questions come in."""

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        standing: Standing,
        collection: Collection,
        terms: Terms,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep what a question needs on its way."""
        self._store = store
        self._authority = authority
        self._standing = standing
        self._collection = collection
        self._terms = terms
        self._clock = clock

    @property
    def is_unsafe(self) -> bool:
        """Whether the hub is in its unsafe test mode."""
        return self._terms.unsafe

    async def announced(self, agreement: Agreement) -> Announced:
        """Return what every party can answer from."""

        def look() -> Announced:
            with self._store.read() as tx:
                return registry.editions(tx, agreement.parties)

        return await self._store.run(look)

    async def plan(self, policies: Policies, analyst: Analyst, words: Words) -> Plan:
        """Return what follows from a question.

        Raises:
            AccordError: as `accord.hub.questions.planning.plan`.
        """
        policy = policy_for(policies, words.query.agreement, analyst)
        question = question_of(policy, analyst, words)
        past = await self._past(policy, question)
        planned = functools.partial(
            plan,
            policies,
            question,
            await self.announced(policy.agreement),
            day=self._clock().date(),
            unsafe=self._terms.unsafe,
            past=past,
        )
        agreement, query = policy.agreement, question.query
        chosen = choose_bounding(agreement, query, past)
        others = {*boundings(agreement, query)} - {chosen}
        try:
            found = await asyncio.to_thread(planned, bounding=chosen)
        except AccordError:
            stored = await self._answered(planned, others)
            if stored is None:
                raise
            return stored
        if not others or await self._is_answered(found):
            return found
        return await self._answered(planned, others) or found

    async def _answered(
        self, planned: Callable[..., Plan], ways: Iterable[Bounding]
    ) -> Plan | None:
        """Return a plan that needs no new answer, of those that are possible.

        What was paid for while the bound was kept otherwise is not paid for again.
        """
        for bounding in ways:
            with contextlib.suppress(AccordError):
                found = await asyncio.to_thread(planned, bounding=bounding)
                if await self._is_answered(found):
                    return found
        return None

    async def _is_answered(self, found: Plan) -> bool:
        """Tell whether an answer is there, waits for a reviewer, or is on its way."""
        question = self._stored_as(found)

        def look() -> bool:
            with self._store.read() as tx:
                return (
                    archive.find(tx, question) is not None
                    or held.leader(tx, question) is not None
                    or submissions.leader(tx, question, self._clock()) is not None
                )

        return await self._store.run(look)

    def _stored_as(self, found: Plan) -> archive.Question:
        """Return what identifies the stored releases that answer a question."""
        return archive.Question(
            query_key=found.query.key(),
            archive_digest=found.archive_digest,
            at_least=found.loss,
            unsafe=self._terms.unsafe,
            cohort=found.cohort if found.complete_only else None,
        )

    async def _past(self, policy: Policy, question: Question) -> Past | None:
        """Return what was released before with the same groups."""
        digest_ = policy.agreement.archive_digest(policy.model)

        def look() -> Past | None:
            with self._store.read() as tx:
                return newest_like(
                    tx, question.query, digest_, unsafe=self._terms.unsafe
                )

        return await self._store.run(look)

    def patience(self, found: Plan) -> dt.timedelta:
        """Return how long the whole cohort is waited for."""
        return patience(found.agreement, self._terms.answer_within)

    async def is_archived(self, found: Plan) -> bool:
        """Tell whether a stored release would answer a question.

        Raises:
            PreconditionFailed: RELEASE_KEPT_BACK, nothing ever will.
        """
        question = self._stored_as(found)

        def look() -> bool:
            with self._store.read() as tx:
                if archive.find(tx, question) is not None:
                    return True
                require_not_kept_back(tx, question, found.agreement.digest)
                return False

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
                await self._collection.take_up(submission)
            return submission
        for attempt in range(_ATTEMPTS):
            policies = self._standing.now()
            try:
                return await self._admit(policies, analyst, request, content)
            except Unreachable as error:
                # Another process has just published policies; its are the right ones.
                if error.reason != "POLICIES_CHANGING" or attempt == _ATTEMPTS - 1:
                    raise
                await self._store.run(self._standing.look)
            except (
                BudgetExhausted,
                InvalidQuery,
                NotFound,
                PolicyDenied,
                PreconditionFailed,
            ) as error:
                await self._note_refusal(policies, analyst, request, error)
                raise
        message = "the last attempt returns or raises"
        raise RuntimeError(message)

    async def find(self, submission: str) -> Submission | None:
        """Return the submission with an id, if there is one."""

        def look() -> Submission | None:
            with self._store.read() as tx:
                return submissions.find(tx, submission)

        return await self._store.run(look)

    async def _admit(
        self,
        policies: Policies,
        analyst: Analyst,
        request: analyst_pb2.SubmitQueryRequest,
        content: str,
    ) -> Submission:
        found = await self.plan(policies, analyst, request)
        now = self._clock()
        admission = Request(
            id=request.id,
            digest=content,
            now=now,
            expires_at=now + 2 * self.patience(found),
            unsafe=self._terms.unsafe,
            complete_only=found.complete_only,
            owner=self._collection.owner,
        )
        epsilon = request.spending.epsilon
        if not epsilon:
            epsilon = float(epsilon_for(found.agreement, found.loss))
        asked = asked_of(analyst, request, now, epsilon)

        def keep(tx: sa.Connection) -> Submission:
            self._standing.require_current(tx, policies)
            return admit(tx, policies, self._authority, admission, found, asked)

        return await self._collection.admit(keep)

    async def _note_refusal(
        self,
        policies: Policies,
        analyst: Analyst,
        request: analyst_pb2.SubmitQueryRequest,
        error: AccordError,
    ) -> None:
        now = self._clock()
        facts: dict[str, Fact] = {
            "analyst": analyst.id,
            "submission": request.id,
            "reason": error.reason,
            "policies_version": policies.version,
        }
        policy = policies.by_name.get(request.query.agreement)
        codes: list[str] = []
        loss = Loss()
        if policy is not None:
            facts["agreement"] = policy.name
            facts["agreement_version"] = policy.agreement.form.version
            facts["policy_digest"] = policy.digest
            codes, loss = await asyncio.to_thread(
                refusal_of, policy, analyst, request, error, now.date()
            )
        if codes:
            facts["clauses"] = codes
        asked = asked_of(
            analyst, request, now, request.spending.epsilon or needed_of(policy, error)
        )

        def write() -> None:
            with self._store.write() as tx:
                note(tx, Event.QUERY_REFUSED, now, **facts)
                if policy is not None:
                    note_refused(
                        tx,
                        asked,
                        policy,
                        policies.version,
                        error,
                        codes=codes,
                        loss=loss,
                    )

        await self._store.run(write)
