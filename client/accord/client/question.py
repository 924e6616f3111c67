# SPDX-License-Identifier: Apache-2.0
"""A question under construction; every step returns a new one."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import Literal, overload

from accord.client.budget import Price
from accord.client.decode import cost_of
from accord.client.pending import Pending, Progress
from accord.client.result import Result
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

    def price(self, *, epsilon: float, purpose: str) -> Price:
        """Return what it would cost and how exact it would be; charges nothing."""
        response = self.wire.call(
            self.wire.stub.PriceQuery,
            pb.PriceQueryRequest(
                query=self._message(), spending=_spending(epsilon), purpose=purpose
            ),
        )
        return Price(
            cost=cost_of(response.cost),
            half_width=response.half_width,
            level=response.level,
            cells=response.cells,
            edition=response.edition,
            from_archive=response.from_archive,
        )

    @overload
    def release(
        self,
        *,
        epsilon: float,
        purpose: str,
        wait: Literal[True] = True,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
    ) -> Result: ...

    @overload
    def release(
        self,
        *,
        epsilon: float,
        purpose: str,
        wait: Literal[False],
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
    ) -> Pending: ...

    def release(
        self,
        *,
        epsilon: float,
        purpose: str,
        wait: bool = True,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        submission_id: str | None = None,
    ) -> Result | Pending:
        """Ask the agencies; the answer is charged for once and then free for ever.

        Args:
            epsilon: privacy loss to spend at most, at the agreement's delta.
            purpose: one of the agreement's purposes.
            wait: return the answer; otherwise return at once with its id.
            timeout: seconds to wait at most.
            on_progress: called with who has answered.
            submission_id: a UUID chosen by the caller; asking again with the same
                one after a lost connection never pays twice.

        Raises:
            PolicyDenied: the agreement does not allow it; every reason is named.
            BudgetExhausted: an account cannot pay.
            InvalidQuery: a name or number is wrong.
        """
        request = pb.SubmitQueryRequest(
            id=submission_id or str(uuid.uuid4()),
            query=self._message(),
            spending=_spending(epsilon),
            purpose=purpose,
        )
        response = self.wire.call(self.wire.stub.SubmitQuery, request)
        pending = Pending(self.wire, response.submission)
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


def _spending(epsilon: float) -> pb.Spending:
    return pb.Spending(epsilon=epsilon)
