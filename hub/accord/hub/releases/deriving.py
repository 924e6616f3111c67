# SPDX-License-Identifier: Apache-2.0
"""Answers coarser questions from stored finer releases: free, and decided afresh.

The coarser question is decided on as if it were asked: what an analyst may not ask is
not derived either. Where its own answer was looked at by reviewers, or would be, only a
release that reviewers let go gives one. Nothing here looks at anything but public facts
and what was released.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Iterable
from typing import Final

from accord.core.coverage import covering_cohorts
from accord.core.decide import Analyst, needs_review
from accord.core.derivation import Derivation, Obstacle, derive
from accord.core.epsilon_delta import exact_epsilon
from accord.core.errors import InvalidQuery, PreconditionFailed
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.core.query import Query
from accord.hub.audit import Event, note
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.policies import Policies
from accord.hub.questions.asking import Desk
from accord.hub.questions.planning import (
    Plan,
    Question,
    choose_edition,
    decide_question,
    policy_for,
)
from accord.hub.releases import archive
from accord.hub.releases.derived import Finer, derived_release, finer_of
from accord.hub.releases.reading import Reader
from accord.hub.settling.admission import require_not_kept_back
from accord.rpc.codec import query_from_message
from accord.v1 import analyst_pb2, common_pb2

MOST_READ: Final = 8
"""Releases whose integers are read for one question, the most promising first."""

_UNDECIDED: Final = "0000"
"""Stands for the edition until one is chosen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a question would get without paying."""

    release: str
    """Id of the finer release."""
    half_width: float
    """Of its least exact figure at 95 %, in counts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """A release that does not hold the answer, and why."""

    summary: analyst_pb2.ReleaseSummary
    why: str
    """A message id."""
    dimension: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Possible:
    """A release whose integers may hold the answer."""

    summary: analyst_pb2.ReleaseSummary
    query: Query
    derivation: Derivation

    @property
    def noisiness(self) -> float:
        """Return about how the variance of its least exact figure compares."""
        loss = self.summary.cost.loss
        return self.derivation.most / max(1, loss.nano_rho or loss.nano_epsilon**2)


class Deriving:
    """Finds finer releases."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        desk: Desk,
        reader: Reader,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep where to look."""
        self._store = store
        self._standing = standing
        self._desk = desk
        self._reader = reader
        self._clock = clock

    async def offer(self, found: Plan) -> Offer | None:
        """Return what a permitted question would get without paying, if anything."""
        cohorts = (found.cohort,) if found.complete_only else None
        best, _ = await self._best(found.policy, found.query, cohorts)
        if best is None:
            return None
        return Offer(release=best.release.id, half_width=_width(best))

    async def release(
        self, analyst: Analyst, request: analyst_pb2.DeriveReleaseRequest
    ) -> analyst_pb2.Release:
        """Return the answer to a question that stored releases hold, and note it.

        Raises:
            PolicyDenied: the question may not be asked.
            PreconditionFailed: NOT_DERIVABLE, with the nearest thing to read or ask;
                DERIVED_TOO_INEXACT; RELEASE_KEPT_BACK or EDITION_UNAVAILABLE.
        """
        policies = self._standing.now()
        policy = policy_for(policies, request.query.agreement, analyst)
        query = await self._decided(policy, analyst, request)
        best, near = await self._best(policy, query, None)
        if best is None:
            raise self._refusal(policies, analyst, query, near)
        width = _width(best)
        if request.error and width > request.error:
            raise PreconditionFailed(
                "DERIVED_TOO_INEXACT",
                f"The stored release {best.release.id} gives this with ±{width:g} at"
                f" 95 %, and ±{request.error:g} was asked for: take that, or ask the"
                " question anew, which is charged.",
                release=best.release.id,
                half_width=f"{width:g}",
            )
        made = await asyncio.to_thread(derived_release, policy, best, query)
        await self._store.run(self._note, policies, policy, analyst, request, best)
        return made

    async def _decided(
        self,
        policy: Policy,
        analyst: Analyst,
        request: analyst_pb2.DeriveReleaseRequest,
    ) -> Query:
        """Return the question with its edition, if it may be asked today."""
        asked = Question(
            query=query_from_message(request.query, policy.model, edition=_UNDECIDED),
            edition=request.query.edition,
            epsilon=exact_epsilon(1),
            purpose=request.purpose,
            analyst=analyst,
        )
        decide_question(policy, asked, self._clock().date()).require()
        edition = asked.edition
        if not edition:
            edition, _ = choose_edition(
                policy.agreement,
                policy.model,
                await self._desk.announced(policy.agreement),
                "",
                covering_cohorts(policy, asked.query),
            )
        return dataclasses.replace(asked.query, edition=edition)

    async def _best(
        self, policy: Policy, query: Query, cohorts: Iterable[str] | None
    ) -> tuple[Finer | None, list[_Near]]:
        """Return the release that gives the most exact answer, or why others do not."""
        allowed = frozenset(cohorts or covering_cohorts(policy, query))
        stored = await self._store.run(self._stored, policy, query)
        return await asyncio.to_thread(self._choose, policy, query, allowed, stored)

    def _stored(
        self, policy: Policy, query: Query
    ) -> list[tuple[str, analyst_pb2.ReleaseSummary]]:
        """Return what was released of the edition under the same terms.

        Raises:
            PreconditionFailed: RELEASE_KEPT_BACK.
        """
        digest = policy.agreement.archive_digest(policy.model)
        unsafe = self._desk.is_unsafe
        own = archive.Question(
            query_key=query.key(),
            archive_digest=digest,
            at_least=Loss(),
            unsafe=unsafe,
        )
        with self._store.read() as tx:
            if archive.find(tx, own) is None:
                require_not_kept_back(tx, own, policy.agreement.digest)
            found = archive.under(tx, policy.name, digest, unsafe=unsafe)
        return [each for each in found if each[1].edition == query.edition]

    def _choose(
        self,
        policy: Policy,
        query: Query,
        cohorts: frozenset[str],
        stored: list[tuple[str, analyst_pb2.ReleaseSummary]],
    ) -> tuple[Finer | None, list[_Near]]:
        near: list[_Near] = []
        possible: list[_Possible] = []
        looked_at = needs_review(policy.agreement, query)
        for cohort, summary in stored:
            if cohort not in cohorts:
                continue
            try:
                finer = query_from_message(_question_of(summary), policy.model)
                found = derive(policy.model, finer, query)
            except InvalidQuery:
                continue  # of a data model that has changed since
            if isinstance(found, Obstacle):
                why = f"derived.not.{found.why.value}"
                near.append(_Near(summary=summary, why=why, dimension=found.dimension))
            elif not looked_at or needs_review(policy.agreement, finer):
                possible.append(
                    _Possible(summary=summary, query=finer, derivation=found)
                )
        possible.sort(key=lambda each: each.noisiness)
        best: Finer | None = None
        for each in possible[:MOST_READ]:
            made = self._read(policy, each)
            if isinstance(made, _Near):
                near.append(made)
            elif best is None or _width(made) < _width(best):
                best = made
        return best, near

    def _read(self, policy: Policy, possible: _Possible) -> Finer | _Near:
        """Return a release with its integers, or why it does not do after all."""
        summary = possible.summary
        with self._store.read() as tx:
            content = archive.content(tx, summary.id)
        made = content and finer_of(
            policy, *content, possible.query, possible.derivation
        )
        if not made or made.half_width() is None:
            return _Near(summary=summary, why="derived.not.law")
        if not made.is_kept_whole:
            return _Near(summary=summary, why="derived.not.dropped")
        return made

    def _refusal(
        self, policies: Policies, analyst: Analyst, query: Query, near: list[_Near]
    ) -> PreconditionFailed:
        """Return why nothing is derived, naming the nearest thing that may be read."""
        asked = {group.dimension for group in query.group_by}

        def distance(each: _Near) -> tuple[bool, int]:
            by = {group.dimension for group in each.summary.by}
            other = each.summary.measure != query.measure.name
            return other, len(asked ^ by)

        for each in sorted(near, key=distance):
            if not self._reader.may_read(policies, analyst, each.summary):
                continue
            why = sentence(
                each.why, measure=query.measure.name, dimension=each.dimension
            )
            by = ", ".join(group.dimension for group in each.summary.by) or "nothing"
            return PreconditionFailed(
                "NOT_DERIVABLE",
                "No stored release holds this answer. The nearest one is"
                f" {each.summary.id} ({each.summary.measure} by {by}): {why}. Read that"
                " one as it is, or ask this question anew, which is charged.",
                release=each.summary.id,
            )
        return PreconditionFailed(
            "NOT_DERIVABLE",
            f"No release of the edition {query.edition} is stored that holds this"
            " answer. Ask the question anew, which is charged; a finer one, such as by"
            " month and region, can answer others for nothing later.",
            release="",
        )

    def _note(
        self,
        policies: Policies,
        policy: Policy,
        analyst: Analyst,
        request: analyst_pb2.DeriveReleaseRequest,
        best: Finer,
    ) -> None:
        with self._store.write() as tx:
            note(
                tx,
                Event.QUERY_DERIVED,
                self._clock(),
                analyst=analyst.id,
                agreement=policy.name,
                agreement_version=policy.agreement.form.version,
                policies_version=policies.version,
                policy_digest=policy.digest,
                purpose=request.purpose,
                edition=best.query.edition,
                release=best.release.id,
            )


def _width(finer: Finer) -> float:
    found = finer.half_width()
    return math.inf if found is None else found


def _question_of(summary: analyst_pb2.ReleaseSummary) -> common_pb2.Query:
    return common_pb2.Query(
        agreement=summary.agreement,
        edition=summary.edition,
        measure=summary.measure,
        group_by=summary.by,
        where=summary.where,
    )
