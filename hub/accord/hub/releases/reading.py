# SPDX-License-Identifier: Apache-2.0
"""What analysts read: submissions on their way, and releases, decided afresh."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from collections.abc import Collection as Names
from typing import Final

from accord.core.decide import Analyst
from accord.core.epsilon_delta import exact_epsilon
from accord.core.errors import InvalidQuery, NotFound, PolicyDenied
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.policies import Policies
from accord.hub.questions.planning import Question, decide_question, visible
from accord.hub.questions.pricing import nothing
from accord.hub.releases import archive, held
from accord.hub.releases.held import Held
from accord.hub.rounds.progress import Progress
from accord.hub.rounds.revisions import FINAL, HELD
from accord.hub.rounds.stages import Stage
from accord.hub.rounds.submissions import Ending, Submission
from accord.rpc.codec import query_from_message
from accord.v1 import analyst_pb2, common_pb2

PAGE: Final = 50
"""Releases on a page where none is asked for."""


_STAGES: Final = {
    None: analyst_pb2.STAGE_UNSPECIFIED,
    Stage.READY: analyst_pb2.STAGE_READY,
    Stage.MASKED: analyst_pb2.STAGE_MASKED,
    Stage.REVEAL: analyst_pb2.STAGE_REVEAL,
}


class Reader:
    """Looks things up for analysts."""

    def __init__(
        self, store: Store, standing: Standing, clock: Callable[[], dt.datetime]
    ) -> None:
        """Keep where to look."""
        self._store = store
        self._standing = standing
        self._clock = clock

    async def released(self, submission: Submission) -> analyst_pb2.Submission:
        """Return a submission that has a release, with it."""

        def look() -> archive.Stored | None:
            with self._store.read() as tx:
                return archive.get(tx, submission.release or "")

        stored = await self._store.run(look)
        if stored is None:
            message = "a released submission has a release"
            raise RuntimeError(message)
        release = stored.release
        free = submission.from_archive
        return analyst_pb2.Submission(
            id=submission.id,
            state=analyst_pb2.SUBMISSION_STATE_RELEASED,
            revision=FINAL,
            answered=release.coverage.answered,
            reply=analyst_pb2.Reply(
                release=release,
                charged=nothing() if free else release.cost,
                from_archive=free,
            ),
        )

    async def held(self, submission: Submission) -> analyst_pb2.Submission:
        """Return a submission whose release waits for a reviewer; no figure of it."""
        policies = self._standing.now()

        def look() -> Held | None:
            with self._store.read() as tx:
                return held.of_submission(tx, submission.follows or submission.id)

        found = await self._store.run(look)
        if found is None:
            message = "a held submission has a held release"
            raise RuntimeError(message)
        return analyst_pb2.Submission(
            id=submission.id,
            state=analyst_pb2.SUBMISSION_STATE_HELD,
            revision=HELD,
            held_at=seconds(found.held_at),
            reviewers=held.reviewers_of(policies, found),
        )

    async def release(self, analyst: Analyst, release: str) -> analyst_pb2.Release:
        """Return a release to somebody who may ask its question today.

        Raises:
            NotFound: RELEASE_UNKNOWN, also where its agreement is for others.
            PolicyDenied: POLICY_DENIED.
        """

        def look() -> archive.Stored | None:
            with self._store.read() as tx:
                return archive.get(tx, release)

        policies = self._standing.now()
        stored = await self._store.run(look)
        if stored is None or stored.agreement not in visible(policies, analyst):
            raise NotFound(
                "RELEASE_UNKNOWN",
                "There is no release with this id that you may read.",
                release=release,
            )
        found = stored.release
        self._require_readable(policies, analyst, archive.summary_of(found))
        return found

    async def page(
        self,
        policies: Policies,
        analyst: Analyst,
        agreements: Names[str],
        token: str,
        size: int,
    ) -> analyst_pb2.ListReleasesResponse:
        """Return one page of the releases that somebody may read, newest first.

        Raises:
            InvalidQuery: PAGE_TOKEN_INVALID.
        """
        after = page_number(token)
        wanted = size or PAGE

        def look() -> analyst_pb2.ListReleasesResponse:
            response = analyst_pb2.ListReleasesResponse()
            number = after
            with self._store.read() as tx:
                while found := archive.before(tx, agreements, number, PAGE):
                    for each in found:
                        if len(response.releases) == wanted:
                            response.next_page_token = str(number)
                            return response
                        number = each.number
                        if self.may_read(policies, analyst, each.summary):
                            response.releases.append(each.summary)
            return response

        return await self._store.run(look)

    def may_read(
        self, policies: Policies, analyst: Analyst, of: analyst_pb2.ReleaseSummary
    ) -> bool:
        """Tell whether the analyst may ask the question of a release today."""
        try:
            self._require_readable(policies, analyst, of)
        except (PolicyDenied, InvalidQuery):
            return False
        return True

    def _require_readable(
        self, policies: Policies, analyst: Analyst, of: analyst_pb2.ReleaseSummary
    ) -> None:
        """Raise unless the analyst may ask the question of a release today.

        Raises:
            PolicyDenied: POLICY_DENIED.
            InvalidQuery: the data model has changed since.
        """
        policy = policies.policy(of.agreement)
        asked = common_pb2.Query(
            agreement=of.agreement,
            edition=of.edition,
            measure=of.measure,
            group_by=of.by,
            where=of.where,
        )
        question = Question(
            query=query_from_message(asked, policy.model),
            edition=of.edition,
            epsilon=exact_epsilon(1),
            purpose=policy.agreement.form.purpose[0],
            analyst=analyst,
        )
        decide_question(policy, question, self._clock().date()).require()


def collecting(
    submission: Submission, progress: Progress, revision: int
) -> analyst_pb2.Submission:
    """Return a submission that waits for agencies."""
    return analyst_pb2.Submission(
        id=submission.id,
        state=analyst_pb2.SUBMISSION_STATE_COLLECTING,
        revision=revision,
        answered=progress.answered,
        awaited=progress.awaited,
        approving=progress.approving,
        refused=progress.refused,
        stage=_STAGES[progress.stage],
        attempt=progress.attempt,
        cohort=progress.cohort,
        expected_at=seconds(progress.expected_at),
        deadline_at=seconds(progress.deadline_at),
    )


def seconds(moment: dt.datetime | None) -> int:
    """Return a moment as it travels, rounded up; 0 where there is none."""
    return 0 if moment is None else math.ceil(moment.timestamp())


def failed(submission: Submission, ending: Ending) -> analyst_pb2.Submission:
    """Return a submission that has no release and never will."""
    return analyst_pb2.Submission(
        id=submission.id,
        state=analyst_pb2.SUBMISSION_STATE_FAILED,
        revision=FINAL,
        failure=analyst_pb2.Failure(
            reason=ending.reason, sentence=ending.sentence, metadata=ending.facts
        ),
        answered=_names(ending, "answered"),
        awaited=_names(ending, "awaited"),
        refused=_names(ending, "refused"),
    )


def _names(ending: Ending, fact: str) -> list[str]:
    joined = ending.facts.get(fact, "")
    return joined.split(",") if joined else []


def page_number(token: str) -> int | None:
    """Return the number that a page token stands for; nothing for the first page.

    Raises:
        InvalidQuery: PAGE_TOKEN_INVALID.
    """
    if not token:
        return None
    if not token.isascii() or not token.isdigit() or len(token) > 18:  # noqa: PLR2004
        raise InvalidQuery(
            "PAGE_TOKEN_INVALID", "The page token is not one that the hub gave out."
        )
    return int(token)
