# SPDX-License-Identifier: Apache-2.0
"""A question under construction; every step returns a new one."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import Literal, overload

from accord.client.asked import Asked
from accord.client.budget import Price
from accord.client.covered import Covered, covered_of
from accord.client.decode import cost_of, result_of
from accord.client.moments import expectation_of, utc_now
from accord.client.notes import title_of
from accord.client.pending import Pending
from accord.client.result import Result
from accord.client.reviewed import review_of
from accord.client.sending import Interrupted, Sent
from accord.client.stages import Progress
from accord.client.wire import Wire
from accord.core.errors import InvalidQuery
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is counted, by what, where; nothing has been asked yet."""

    wire: Wire = dataclasses.field(repr=False)
    agreement: str
    measure: str
    groups: tuple[tuple[str, str], ...] = ()
    """Dimension and level; an empty level means the finest one."""
    filters: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    named_edition: str = ""

    def by(self, *dimensions: str, **levels: str) -> Question:
        """Group by dimensions.

        Args:
            dimensions: names, or ``name:level`` as in ``registered_month:quarter``.
            levels: the same as keywords, as in ``registered_month="quarter"``.
        """
        added = [name.partition(":")[::2] for name in dimensions]
        added += list(levels.items())
        groups = (*self.groups, *((name, level) for name, level in added))
        return dataclasses.replace(self, groups=groups)

    def where(self, **wanted: str | list[str] | tuple[str, ...]) -> Question:
        """Keep the cases that have one of the wanted values, of any level."""
        filters = dict(self.filters)
        for name, values in wanted.items():
            chosen = (values,) if isinstance(values, str) else tuple(values)
            if name in filters:
                raise InvalidQuery(
                    "DUPLICATE_DIMENSION",
                    f"The dimension {name!r} is filtered twice; give all its values "
                    "at once.",
                )
            filters[name] = chosen
        return dataclasses.replace(self, filters=filters)

    def edition(self, name: str) -> Question:
        """Ask about a named edition instead of the newest one."""
        return dataclasses.replace(self, named_edition=name)

    def title(self) -> str:
        """Return the question in one line."""
        names = [name for name, _ in self.groups]
        return title_of(self.measure, names, self.filters)

    def price(
        self,
        *,
        epsilon: float | None = None,
        error: float | None = None,
        purpose: str,
        complete: bool = False,
    ) -> Price:
        """Return what it would cost, how exact it would be, and when to expect it.

        Charges nothing. The arguments are those of `release`.
        """
        response = self.wire.call(
            self.wire.stub.PriceQuery,
            pb.PriceQueryRequest(
                query=self._message(),
                spending=_spending(epsilon, error),
                purpose=purpose,
                complete_only=complete,
            ),
        )
        described = self.wire.call(
            self.wire.stub.DescribeAgreement,
            pb.DescribeAgreementRequest(agreement=self.agreement),
        )
        review = review_of(described.document)
        touched = {*(name for name, _ in self.groups), *self.filters}
        return Price(
            cost=cost_of(response.cost),
            half_width=response.half_width,
            level=response.level,
            cells=response.cells,
            edition=response.edition,
            from_archive=response.from_archive,
            expectation=expectation_of(response.expected_at, response.deadline_at),
            complete=complete,
            reviewers=review.reviewers if review.holds(touched) else (),
            derivable_from=response.derivable_from,
            derivable_half_width=response.derivable_half_width,
            share_of_left=response.share_of_left,
            tightest_account=response.tightest_account,
            typical=response.typical or None,
            useful=response.useful,
            advice=response.advice,
            expected_dropped_share=(
                response.expected_dropped_share if response.dropped_share_of else None
            ),
            dropped_share_of=response.dropped_share_of,
            bounding=response.bounding,
            unit=response.unit,
        )

    def coverage(self) -> Covered:
        """Return which of its figures enough agencies cover; nobody is asked."""
        request = pb.GetCoverageRequest(agreement=self.agreement, query=self._message())
        response = self.wire.call(self.wire.stub.GetCoverage, request)
        return covered_of(self.agreement, response, of_question=True)

    def derived(self, *, purpose: str, error: float | None = None) -> Result:
        """Return the answer that a stored finer release holds; it costs nothing.

        Args:
            purpose: one of the agreement's purposes.
            error: half-width at 95 % that no figure may exceed; without it, any.

        Raises:
            PreconditionFailed: NOT_DERIVABLE, with the nearest thing to read or ask;
                DERIVED_TOO_INEXACT.
            PolicyDenied: the agreement does not allow the question.
        """
        found = self._derived(purpose, error)
        return result_of(found, charged=None, from_archive=True)

    def _derived(self, purpose: str, error: float | None) -> pb.Release:
        request = pb.DeriveReleaseRequest(
            query=self._message(), purpose=purpose, error=error or 0.0
        )
        return self.wire.call(self.wire.stub.DeriveRelease, request).release

    @overload
    def release(
        self,
        *,
        epsilon: float | None = None,
        error: float | None = None,
        purpose: str,
        complete: bool = False,
        wait: Literal[True] = True,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
        accept_derived: bool = False,
    ) -> Result: ...

    @overload
    def release(
        self,
        *,
        epsilon: float | None = None,
        error: float | None = None,
        purpose: str,
        complete: bool = False,
        wait: Literal[False],
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
        accept_derived: bool = False,
    ) -> Pending: ...

    def release(  # noqa: PLR0913  # each has a name and a meaning of its own
        self,
        *,
        epsilon: float | None = None,
        error: float | None = None,
        purpose: str,
        complete: bool = False,
        wait: bool = True,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
        accept_derived: bool = False,
    ) -> Result | Pending:
        """Ask the agencies; the answer is charged for once and then free for ever.

        Args:
            epsilon: privacy loss to spend at most, at the agreement's delta.
            error: instead of it, the half-width at 95 % that no counted figure may
                exceed, in the unit of the measure; the least loss that reaches it is
                spent. Means have none beforehand.
            purpose: one of the agreement's purposes.
            complete: all or nothing; an answer of a fallback cohort will not do, a
                stored one neither.
            wait: return the answer; otherwise return at once with what to come back
                with (`Pending`), for answers that are hours or days away.
            timeout: seconds to wait at most.
            on_progress: called with how far it is and who is awaited.
            submission_id: a UUID chosen by the caller; asking again with the same
                one after a lost connection never pays twice.
            accept_derived: take the answer that a stored finer release gives for
                nothing, if it is exact enough (`Price.is_derivable_within`).

        Raises:
            PolicyDenied: the agreement does not allow it; every reason is named.
            BudgetExhausted: an account cannot pay.
            InvalidQuery: a name or number is wrong, or not one of epsilon and error.
            DeadlineExceeded: STILL_WAITING after the timeout; RELEASE_HELD, also
                without one, where a reviewer has to let the answer go. One comes back
                later with ``hub.release(id)``.
            Interrupted: Ctrl-C before the hub has said whether it takes the question.
        """
        if accept_derived and not complete:
            price = self.price(epsilon=epsilon, error=error, purpose=purpose)
            if price.is_derivable_within(error) and not price.from_archive:
                found = self._derived(purpose, error)
                pending = Pending(self.wire, _answered(found))
                return pending.result() if wait else pending
        request = pb.SubmitQueryRequest(
            id=submission_id or str(uuid.uuid4()),
            query=self._message(),
            spending=_spending(epsilon, error),
            purpose=purpose,
            complete_only=complete,
        )
        asked = Asked(
            id=request.id,
            agreement=self.agreement,
            question=self.title(),
            asked_at=utc_now(),
        )
        sent = Sent(self.wire, request, asked=asked)
        try:
            pending = sent.pending()
        except KeyboardInterrupt:
            sent.keep()
            raise Interrupted(sent) from None
        if not wait:
            return pending
        return pending.wait(timeout=timeout, on_progress=on_progress)

    def _message(self) -> common_pb2.Query:
        return common_pb2.Query(
            agreement=self.agreement,
            edition=self.named_edition,
            measure=self.measure,
            group_by=[
                common_pb2.Grouping(dimension=name, level=level)
                for name, level in self.groups
            ],
            where=[
                common_pb2.Filter(dimension=name, values=values)
                for name, values in self.filters.items()
            ],
        )


def _answered(release: pb.Release) -> pb.Submission:
    """Return the end of a question that nobody had to be asked for."""
    return pb.Submission(
        id=release.id,
        state=pb.SUBMISSION_STATE_RELEASED,
        reply=pb.Reply(release=release, from_archive=True),
    )


def _spending(epsilon: float | None, error: float | None) -> pb.Spending:
    """Return what is to be spent.

    Raises:
        InvalidQuery: SPENDING_NEEDED.
    """
    if epsilon is not None and error is None:
        return pb.Spending(epsilon=epsilon)
    if error is not None and epsilon is None:
        return pb.Spending(error=error)
    raise InvalidQuery(
        "SPENDING_NEEDED",
        "Say what to spend or how exact the answer has to be: either epsilon or"
        " error, such as error=15.",
    )
