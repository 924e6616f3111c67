# SPDX-License-Identifier: Apache-2.0
"""Connecting to a hub, and what it offers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from accord.client.asked import Asked, AskedQuestions
from accord.client.budget import Account, Budget
from accord.client.covered import Covered, covered_of
from accord.client.decode import account_of, result_of
from accord.client.described import (
    AgreementSummary,
    Description,
    ReleaseSummary,
    description_of,
    release_summary_of,
    summary_of,
)
from accord.client.frames import missing
from accord.client.pending import Pending
from accord.client.profile import find_profile
from accord.client.proof import Proof, proof_of
from accord.client.question import Question
from accord.client.result import Result
from accord.client.reviewing import Reviews
from accord.client.wire import Wire
from accord.core.errors import InvalidQuery, NotFound
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
        return [summary_of(message) for message in response.agreements]

    def agreement(self, name: str) -> Agreement:
        """Return an agreement to ask under; nothing is looked up yet."""
        return Agreement(self._wire, name)

    def only_agreement(self) -> Agreement:
        """Return the agreement to ask under where there is exactly one.

        Raises:
            InvalidQuery: AGREEMENT_NEEDED.
        """
        names = [summary.name for summary in self.agreements()]
        if len(names) == 1:
            return self.agreement(names[0])
        raise InvalidQuery(
            "AGREEMENT_NEEDED",
            "Say which agreement, with its name: "
            + (", ".join(names) or "none is open."),
        )

    def sql_question(self, text: str, *, agreement: str | None = None) -> Question:
        """Return the question that a SELECT asks; nothing has been asked yet.

        ::

            hub.sql_question(
                "SELECT region, COUNT(DISTINCT person) FROM cases GROUP BY region"
            ).price(epsilon=2, purpose="prevention planning")

        Args:
            text: one SELECT from the table ``cases``; see ``docs/ref-sql.md``.
            agreement: its name; not needed where there is one.

        Raises:
            SqlError: it asks for something that cannot be asked, or names something
                that the agreement does not offer; with the place and a way out.
        """
        chosen = self.agreement(agreement) if agreement else self.only_agreement()
        return chosen.sql_question(text)

    def sql(
        self,
        text: str,
        *,
        epsilon: float | None = None,
        error: float | None = None,
        purpose: str,
        agreement: str | None = None,
        complete: bool = False,
        timeout: float | None = None,
        accept_derived: bool = False,
    ) -> Result:
        """Ask the agencies in SQL and return the answer.

        As ``hub.sql_question(text).release(...)``, where the arguments are explained.

        Raises:
            SqlError: as from `sql_question`; nothing was charged.
            AccordError: as from `Question.release`.
        """
        question = self.sql_question(text, agreement=agreement)
        return question.release(
            epsilon=epsilon,
            error=error,
            purpose=purpose,
            complete=complete,
            timeout=timeout,
            accept_derived=accept_derived,
        )

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
            yield from (release_summary_of(message) for message in response.releases)
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
        return description_of(response)

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

    def sql_question(self, text: str) -> Question:
        """Return the question that a SELECT asks under this agreement.

        Raises:
            SqlError: as from `Hub.sql_question`.
        """
        try:
            from accord.client.sql.translation import offer_of, translate
        except ImportError as error:
            raise missing("sqlglot", extra="client") from error
        described = self._wire.call(
            self._wire.stub.DescribeAgreement,
            pb.DescribeAgreementRequest(agreement=self.name),
        )
        asked = translate(text, offer_of(self.name, described))
        return Question(
            wire=self._wire,
            agreement=self.name,
            measure=asked.measure,
            groups=asked.groups,
            filters=asked.filters,
        )

    def persons(self) -> Question:
        """Count persons, each once in an agency."""
        return self.measure("persons")

    def cases(self) -> Question:
        """Count cases."""
        return self.measure("cases")

    def sum(self, quantity: str) -> Question:
        """Add up a quantity, each number within its public bounds."""
        return self.measure(f"sum({quantity})")

    def mean(self, quantity: str) -> Question:
        """Average a quantity over the cases that have one."""
        return self.measure(f"mean({quantity})")

    def quantile(self, quantity: str) -> Question:
        """Count cases by the bins of a quantity; `derive.quantile` reads them."""
        return self.measure(f"quantile({quantity})")

    def median(self, quantity: str) -> Question:
        """Ask the same as `quantile`; `derive.median` reads the median."""
        return self.quantile(quantity)

    def share(self, dimension: str, *, level: str = "") -> Question:
        """Say of which part each value of a dimension is recorded.

        Of those with any information on it; parts can add up to more than one.

        Args:
            dimension: its name.
            level: a coarser level of it; without one, the finest.
        """
        named = f"{dimension}:{level}" if level else dimension
        return self.measure(f"share({named})")

    def values(self, dimension: str) -> Question:
        """Count by how many values of a dimension are recorded."""
        return self.measure(f"values({dimension})")

    def measure(self, name: str) -> Question:
        """Ask for a measure by its name."""
        return Question(wire=self._wire, agreement=self.name, measure=name)
