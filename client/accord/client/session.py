# SPDX-License-Identifier: Apache-2.0
"""Connecting to a hub, and what it offers."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from accord.client.asked import Asked, AskedQuestions
from accord.client.budget import Account, Budget
from accord.client.covered import Covered, covered_of
from accord.client.decode import account_of, cost_of, result_of
from accord.client.pending import Pending
from accord.client.profile import find_profile
from accord.client.proof import Proof, proof_of
from accord.client.question import Question
from accord.client.result import Cost, Result
from accord.client.reviewed import Review, review_of
from accord.client.reviewing import Reviews
from accord.client.wire import Wire
from accord.core.errors import NotFound
from accord.v1 import analyst_pb2 as pb

__all__ = ["Account", "Agreement", "Description", "Hub", "connect"]


def connect(
    hub: str | None = None, *, token: str | None = None, profile: str | None = None
) -> Hub:
    """Connect to a hub.

    Args:
        hub: ``host:port``; without it, ``$ACCORD_HUB`` or the profile.
        token: the analyst's token; without it, ``$ACCORD_TOKEN`` or the profile.
        profile: name of a saved profile.

    Raises:
        ConfigurationError: no hub is configured.
        Unauthenticated: the token is wrong, or the hub is not the one that issued it.
        Unreachable: nobody answers.
    """
    found = find_profile(
        hub=hub, token=token, name=profile, environment=dict(os.environ)
    )
    return Hub(Wire(found))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSummary:
    """One line about an agreement."""

    name: str
    version: int
    purposes: tuple[str, ...]
    parties: tuple[str, ...]
    valid_from: str
    valid_until: str
    accounting: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DimensionDescription:
    """A dimension that may be asked for, with the values of each allowed level."""

    name: str
    title: str
    multi_valued: bool
    levels: dict[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that an agreement lets one ask."""

    summary: AgreementSummary
    measures: tuple[str, ...]
    dimensions: tuple[DimensionDescription, ...]
    editions: tuple[str, ...]
    document: str
    at_most_dimensions: int
    each_release_epsilon: float
    delta: float
    suppress_below: int
    review: Review
    """Which answers people look at before they are published."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self) | {"review": self.review.as_json()}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSummary:
    """One line about a stored release."""

    id: str
    agreement: str
    edition: str
    measure: str
    by: tuple[str, ...]
    where: dict[str, tuple[str, ...]]
    cost: Cost
    released_at: datetime.datetime

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            **dataclasses.asdict(self),
            "cost": self.cost.as_json(),
            "released_at": self.released_at.isoformat(),
        }


class Hub:
    """An open connection; close it, or use it in a ``with``."""

    def __init__(self, wire: Wire) -> None:
        """Wrap a wire; use `connect` instead."""
        self._wire = wire

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; questions that were asked go on."""
        self._wire.close()

    def agreements(self) -> list[AgreementSummary]:
        """Return the agreements under which this analyst may ask."""
        response = self._wire.call(
            self._wire.stub.ListAgreements, pb.ListAgreementsRequest()
        )
        return [_summary(message) for message in response.agreements]

    def agreement(self, name: str) -> Agreement:
        """Return an agreement to ask under; nothing is looked up yet."""
        return Agreement(self._wire, name)

    def submission(self, identifier: str) -> Pending:
        """Return a question that was asked earlier, as it is now.

        Raises:
            NotFound: SUBMISSION_UNKNOWN
        """
        response = self._wire.call(
            self._wire.stub.GetSubmission, pb.GetSubmissionRequest(id=identifier)
        )
        kept = (each for each in self._asked() if each.id == identifier)
        return Pending(self._wire, response.submission, asked=next(kept, None))

    def pending(self) -> list[Pending]:
        """Return the questions of this user whose answers nobody has read yet.

        They were asked from this machine, of this hub; oldest first. Some may have
        ended meanwhile (`Pending.done`). What was asked elsewhere is found by its id.
        """
        found = []
        for asked in self._asked():
            with contextlib.suppress(NotFound):
                found.append(self.submission(asked.id))
        return found

    @property
    def reviews(self) -> Reviews:
        """Releases that wait until this person, as a reviewer, has decided."""
        return Reviews(self._wire)

    def _asked(self) -> list[Asked]:
        return AskedQuestions(self._wire.hub_identity).all()

    def release(self, identifier: str, *, timeout: float | None = None) -> Result:
        """Return the release, or the answer to the submission, of that id.

        Raises:
            NotFound: there is none that this analyst may read.
            DeadlineExceeded: STILL_WAITING, when the timeout is over; RELEASE_HELD,
                also without one, while a reviewer has to let it go.
        """
        try:
            pending = self.submission(identifier)
        except NotFound:
            stored = self._wire.call(
                self._wire.stub.GetRelease, pb.GetReleaseRequest(id=identifier)
            )
            return result_of(stored.release, charged=None, from_archive=True)
        return pending.wait(timeout=timeout)

    def proof(self, identifier: str) -> Proof:
        """Return the proof that a release stands in the hub's log; `verify` it.

        Args:
            identifier: of the release (``Result.id``).

        Raises:
            NotFound: RELEASE_UNKNOWN, or RELEASE_ERASED after the agreement's days.
        """
        request = pb.ProveReleaseRequest(id=identifier)
        found = self._wire.call(self._wire.stub.ProveRelease, request)
        return proof_of(identifier, found)

    def releases(self, agreement: str = "") -> Iterator[ReleaseSummary]:
        """Yield what was released, newest first."""
        token = ""
        while True:
            response = self._wire.call(
                self._wire.stub.ListReleases,
                pb.ListReleasesRequest(
                    agreement=agreement, page_size=100, page_token=token
                ),
            )
            yield from (_release(message) for message in response.releases)
            token = response.next_page_token
            if not token:
                return


class Agreement:
    """A sharing agreement, to ask under."""

    def __init__(self, wire: Wire, name: str) -> None:
        """Remember the name."""
        self._wire = wire
        self.name = name

    def describe(self) -> Description:
        """Return dimensions, levels, values, editions and limits."""
        response = self._wire.call(
            self._wire.stub.DescribeAgreement,
            pb.DescribeAgreementRequest(agreement=self.name),
        )
        return Description(
            summary=_summary(response.summary),
            measures=tuple(response.measures),
            dimensions=tuple(_dimension(message) for message in response.dimensions),
            editions=tuple(response.editions),
            document=response.document,
            at_most_dimensions=response.at_most_dimensions,
            each_release_epsilon=response.each_release_epsilon,
            delta=response.delta,
            suppress_below=response.suppress_below,
            review=review_of(response.document),
        )

    def budget(self) -> Budget:
        """Return what is spent and left in every account concerned."""
        response = self._wire.call(
            self._wire.stub.GetBudget, pb.GetBudgetRequest(agreement=self.name)
        )
        return Budget(
            agreement=self.name,
            accounting=response.accounting,
            delta=response.delta,
            accounts=tuple(account_of(message) for message in response.accounts),
        )

    def coverage(self) -> Covered:
        """Return which values of which levels enough agencies cover.

        By their signed remits; ``question.coverage()`` is about one question.
        """
        response = self._wire.call(
            self._wire.stub.GetCoverage, pb.GetCoverageRequest(agreement=self.name)
        )
        return covered_of(self.name, response, of_question=False)

    def persons(self) -> Question:
        """Count persons, each once in an agency."""
        return self.measure("persons")

    def cases(self) -> Question:
        """Count cases."""
        return self.measure("cases")

    def measure(self, name: str) -> Question:
        """Ask for a measure by its name."""
        return Question(wire=self._wire, agreement=self.name, measure=name)


def _summary(message: pb.AgreementSummary) -> AgreementSummary:
    return AgreementSummary(
        name=message.name,
        version=message.version,
        purposes=tuple(message.purposes),
        parties=tuple(message.parties),
        valid_from=message.valid_from,
        valid_until=message.valid_until,
        accounting=message.accounting,
    )


def _dimension(message: pb.DimensionDescription) -> DimensionDescription:
    return DimensionDescription(
        name=message.name,
        title=message.title,
        multi_valued=message.multi_valued,
        levels={level.name: tuple(level.values) for level in message.levels},
    )


def _release(message: pb.ReleaseSummary) -> ReleaseSummary:
    return ReleaseSummary(
        id=message.id,
        agreement=message.agreement,
        edition=message.edition,
        measure=message.measure,
        by=tuple(group.dimension for group in message.by),
        where={part.dimension: tuple(part.values) for part in message.where},
        cost=cost_of(message.cost),
        released_at=datetime.datetime.fromtimestamp(message.released_at, datetime.UTC),
    )
