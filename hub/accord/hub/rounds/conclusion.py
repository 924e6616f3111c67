# SPDX-License-Identifier: Apache-2.0
"""How a round ends: the opening is committed, the release published, or given up.

Each step is one transaction in the journal, after everything that it depends on. What
an opened sum is made of is in memory between two of them, and nowhere else.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

from accord.core.bulletins import bulletin_of
from accord.core.decide import needs_review
from accord.core.errors import AccordError, InternalError, Unreachable
from accord.hub.contact.records import opened_entry
from accord.hub.contact.standing import LedgerDoubted
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.releases.opening import opened_sum
from accord.hub.releases.release import Published, make_noisy, make_release
from accord.hub.rounds import rows
from accord.hub.rounds.endings import Why, failed, mistake, policies_changed, revoked
from accord.hub.rounds.journal import RETRY_SECONDS, Journal
from accord.hub.rounds.submissions import Submission
from accord.hub.rounds.waiting import Waiting
from accord.hub.settling.failure import Failed, fail
from accord.hub.settling.opening import (
    AnswersRevoked,
    Opening,
    PoliciesReplaced,
    commit_opening,
)
from accord.hub.settling.publication import publish
from accord.v1 import analyst_pb2

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Ends rounds of a hub."""

    store: Store
    standing: Standing
    journal: Journal
    clock: Callable[[], dt.datetime]

    async def open(self, found: Waiting) -> None:
        """Commit that a cohort may be asked for its seeds.

        Raises:
            AnswersRevoked: another attempt is needed, without some agencies.
            PoliciesReplaced: the question has to be given up.
            AlreadyEnded: somebody else has ended it.
            BudgetExhausted: the same; a fallback cohort cannot pay.
            InternalError: LOSS_MISMATCH, it was not reserved what it costs.
            LedgerDoubted: nothing is opened until the ledger is whole.
        """
        if found.terms.loss(found.requisition.mechanism) != found.submission.loss:
            raise InternalError(
                "LOSS_MISMATCH", "The release would cost what nobody reserved."
            )
        current, at = found.round.current, self.clock()
        opening = Opening(
            submission=found.submission.id,
            attempt=current.number,
            cohort=current.cohort or "",
            entry=opened_entry(
                found.submission.id, found.submission.cohort, current.cohort or ""
            ),
            snapshot=rows.snapshot(found.round),
        )

        def commit(tx: sa.Connection) -> None:
            policies = self.standing.current()
            if policies is None:
                raise PoliciesReplaced
            self.standing.require_current(tx, policies)
            commit_opening(tx, policies, opening, at)

        await self._committed(commit)

    async def publish(self, found: Waiting) -> list[str] | Why:
        """Open the sum, draw the rest of the noise, charge, and publish or hold.

        Returns:
            The submissions that agencies are not asked for any more, or why there is
            no release.

        Raises:
            Unreachable: the hub stops, and its database cannot be written.
            LedgerDoubted: nothing is published until the ledger is whole.
        """
        submission, round_ = found.submission, found.round
        current = round_.current
        cohort = current.cohort or ""
        published = Published(
            id=str(uuid.uuid4()),
            policy=found.policy,
            query=found.requisition.query,
            terms=found.terms,
            plan=found.plans[cohort],
            cohort=cohort,
            at=self.clock(),
            unsafe=submission.unsafe,
            standing=bulletin_of(submission.analyst) or "",
        )
        reviewers = (
            found.agreement.form.review.reviewers
            if needs_review(found.agreement, found.requisition.query)
            else None
        )

        def read(tx: sa.Connection) -> dict[str, bytes]:
            return rows.vectors(tx, submission.id, current.number)

        def make(
            vectors: dict[str, bytes],
        ) -> tuple[list[int], analyst_pb2.Release]:
            receipts = current.cohort_receipts()
            opened = opened_sum(receipts, vectors, current.seeds, published.plan)
            noisy = make_noisy(published, opened, charged=submission.loss)
            return noisy, make_release(published, noisy)

        try:
            vectors = await self.journal.put(read)
            noisy, release = await asyncio.to_thread(make, vectors)

            def commit(tx: sa.Connection) -> list[str]:
                policies = self.standing.current()
                if policies is None:
                    raise PoliciesReplaced
                self.standing.require_current(tx, policies)
                return publish(
                    tx,
                    policies,
                    round_,
                    release,
                    noisy,
                    at=published.at,
                    reviewers=reviewers,
                )

            ended = await self._committed(commit)
        except AnswersRevoked as error:
            return revoked(error.agencies)
        except PoliciesReplaced:
            return policies_changed
        except (Unreachable, LedgerDoubted):
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            known = error if isinstance(error, AccordError) else mistake()
            structlog.get_logger().error(
                "release.failed",
                query_id=submission.id,
                reason=known.reason,
                error_type=type(error).__name__,
            )
            return failed(known)
        structlog.get_logger().info(
            "release.published" if reviewers is None else "release.held",
            query_id=submission.id,
            release_id=published.id,
            agreement=submission.agreement,
            cohort=cohort,
        )
        return ended

    async def give_up(
        self,
        submission: Submission,
        why: Why,
        *,
        promote: bool = True,
    ) -> tuple[Failed, dt.datetime]:
        """End a question without a release; return what that did, and when."""
        at = self.clock()

        def commit(tx: sa.Connection) -> Failed:
            return fail(
                tx,
                self.standing.current(),
                submission.id,
                why,
                at=at,
                promote=promote,
            )

        failed_ = await self._committed(commit)
        structlog.get_logger().info(
            "query.failed",
            query_id=submission.id,
            agreement=submission.agreement,
            reason=failed_.reason,
        )
        return failed_, at

    async def _committed(self, work: Callable[[sa.Connection], Made]) -> Made:
        """Commit, however often policies are being changed by another process."""
        while True:
            try:
                return await self.journal.put(work)
            except Unreachable as error:
                if self.journal.is_stopping:
                    raise
                structlog.get_logger().error("round.delayed", reason=error.reason)
                await asyncio.sleep(RETRY_SECONDS)
                await self.store.run(self.standing.look)
