# SPDX-License-Identifier: Apache-2.0
"""A hub for an analyst's programs: a real port, TLS, and a script in place of rounds.

What it says of a question is a list of submissions: the first answers the question,
each look that waits for news gets the next one, and the last stays. Requests are kept
as they came.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import structlog
from google.protobuf.message import Message

from accord.core.errors import AccordError, NotFound, PreconditionFailed
from accord.rpc import pki
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.logs import configure
from accord.rpc.server import ServerIdentity, public_server
from accord.rpc.tokens import TokenKind, mint
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2
from accord.v1.analyst_pb2_grpc import (
    AnalystServiceServicer,
    add_AnalystServiceServicer_to_server,
)

PURPOSE = "prevention planning"
FIVE = ("city-police", "health-service", "hotline", "labour", "shelter-north")
THREE = ("hotline", "labour", "shelter-north")
DAY = datetime.timedelta(days=1)

Accord: TypeAlias = Callable[..., tuple[int, str, str]]
"""Runs ``accord`` with arguments: exit status, output and errors."""


def seconds(moment: datetime.datetime) -> int:
    """Return a moment as messages have it."""
    return int(moment.timestamp())


def estimate(value: float, half: float = 10.25) -> pb.Estimate:
    """Return an estimate with a symmetric interval."""
    return pb.Estimate(estimate=value, lower=value - half, upper=value + half, sd=5.1)


def release(**changes: Any) -> pb.Release:  # noqa: ANN401
    """Return a release of all five agencies with two rows, one of them suppressed."""
    made = pb.Release(
        id=str(uuid.uuid4()),
        agreement="regional-trends",
        agreement_version=2,
        edition="2026-10",
        measure="persons",
        by=[common_pb2.Grouping(dimension="region", level="region")],
        rows=[
            pb.Row(values=["norvale"], estimate=estimate(123.75)),
            pb.Row(values=["eastmere"], estimate=pb.Estimate(suppressed=True)),
        ],
        persons=estimate(130, 40),
        dropped=estimate(1, 40),
        cost=pb.Cost(epsilon=0.5, rho=0.0031),
        delta=1e-9,
        coverage=pb.Coverage(answered=FIVE, cohort="all"),
        level=0.9532,
        released_at=1_790_000_000,
        groups_per_person=3,
        suppress_below=10,
        noise_placement="shared",
        hub_epsilon=1.0321,
        colluding_at_most=1,
    )
    for name, value in changes.items():
        if isinstance(value, Message):
            getattr(made, name).CopyFrom(value)
        else:
            setattr(made, name, value)
    return made


def partial(**changes: Any) -> pb.Release:  # noqa: ANN401
    """Return a release of the fallback cohort."""
    missing = [name for name in FIVE if name not in THREE]
    coverage = pb.Coverage(answered=THREE, missing=missing, cohort="fallback")
    return release(coverage=coverage, **changes)


def collecting(
    stage: pb.Stage.ValueType,
    answered: tuple[str, ...],
    **more: Any,  # noqa: ANN401
) -> pb.Submission:
    """Return a submission on its way; whom *more* does not name is awaited."""
    given: dict[str, Any] = {
        "awaited": [name for name in FIVE if name not in answered],
        "attempt": 1,
        "cohort": "all",
    }
    return pb.Submission(
        state=pb.SUBMISSION_STATE_COLLECTING,
        stage=stage,
        answered=answered,
        **(given | more),
    )


def held(*reviewers: str, since: datetime.datetime) -> pb.Submission:
    """Return a submission that waits for a reviewer."""
    return pb.Submission(
        state=pb.SUBMISSION_STATE_HELD, reviewers=reviewers, held_at=seconds(since)
    )


def released(answer: pb.Release) -> pb.Submission:
    """Return a submission that has ended with an answer."""
    return pb.Submission(
        state=pb.SUBMISSION_STATE_RELEASED,
        reply=pb.Reply(release=answer, charged=answer.cost),
    )


def failed(reason: str, sentence: str, **metadata: str) -> pb.Submission:
    """Return a submission that has ended without one."""
    failure = pb.Failure(reason=reason, sentence=sentence, metadata=metadata)
    return pb.Submission(state=pb.SUBMISSION_STATE_FAILED, failure=failure)


class AnalystHub(AnalystServiceServicer):
    """Knows one agreement, and says of every question what a test wants."""

    def __init__(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self._key, self._authority = pki.new_authority("test.example.org", now)
        server_key = pki.new_key()
        certificate = pki.issue_server(
            self._key,
            self._authority,
            server_key.public_key(),
            hosts=["localhost"],
            lifetime=DAY,
            now=now,
        )
        self._identity = ServerIdentity(
            key=pki.key_pem(server_key),
            chain=pki.certificate_pem(certificate)
            + pki.certificate_pem(self._authority),
        )
        self.fingerprint = pki.fingerprint(self._authority)
        self.token = str(mint(TokenKind.ANALYST, self.fingerprint))
        self.address = ""
        self.price = pb.PriceQueryResponse()
        self.script: list[pb.Submission] = []
        self.requests: list[Any] = []
        self.ending: pb.Submission | None = None
        # until it is set, nobody hears whether a question is taken
        self.answering = threading.Event()
        self.begin_anew()
        self._said: dict[str, list[pb.Submission]] = {}
        self._releases: dict[str, pb.Release] = {}
        self.proofs: dict[str, pb.ProveReleaseResponse] = {}
        self.coverage = pb.GetCoverageResponse()
        self.derived: pb.Release | None = None

    def begin_anew(self) -> None:
        """Have everybody answer at once; nothing has been asked yet."""
        self.price = pb.PriceQueryResponse(
            cost=pb.Cost(epsilon=2.0, rho=0.05),
            half_width=52,
            level=0.9501,
            cells=24,
            edition="2026-10",
        )
        self.script = [released(release())]
        self.document = ""
        self.offer = pb.DescribeAgreementResponse()
        self.agreements = ["regional-trends"]
        self.derived = None
        # what becomes of a question that is cancelled; nothing where it is too late
        self.ending = failed("CANCELLED", "You ended it. Nothing was charged.")
        self.refusal: AccordError | None = None
        self.answering.set()
        self.requests.clear()

    def store(self, answer: pb.Release) -> str:
        """Put a release into the archive and return its id."""
        self._releases[answer.id] = answer
        return answer.id

    def forget(self) -> None:
        """Know no submission any more."""
        self._said.clear()

    async def serve(self, ready: threading.Event, over: threading.Event) -> None:
        """Serve until *over*."""
        listener = public_server(
            "127.0.0.1:0",
            lambda: self._identity,
            [lambda server: add_AnalystServiceServicer_to_server(self, server)],
            ErrorBoundary(),
        )
        await listener.start()
        self.address = f"127.0.0.1:{listener.port}"
        ready.set()
        await asyncio.to_thread(over.wait)
        await listener.stop(0)

    # the service

    async def ListAgreements(
        self, request: pb.ListAgreementsRequest, context: object
    ) -> pb.ListAgreementsResponse:
        found = [pb.AgreementSummary(name=name, version=2) for name in self.agreements]
        return pb.ListAgreementsResponse(agreements=found)

    async def PriceQuery(
        self, request: pb.PriceQueryRequest, context: object
    ) -> pb.PriceQueryResponse:
        self.requests.append(request)
        return self.price

    async def SubmitQuery(
        self, request: pb.SubmitQueryRequest, context: object
    ) -> pb.SubmitQueryResponse:
        self.requests.append(request)
        await asyncio.to_thread(self.answering.wait)
        if self.refusal is not None:
            raise self.refusal
        self._said[request.id] = list(self.script)
        return pb.SubmitQueryResponse(submission=self._now(request.id))

    async def GetSubmission(
        self, request: pb.GetSubmissionRequest, context: object
    ) -> pb.GetSubmissionResponse:
        self.requests.append(request)
        said = self._said.get(request.id)
        if said is None:
            raise NotFound("SUBMISSION_UNKNOWN", "You have no such submission.")
        if request.wait_seconds and len(said) > 1:
            del said[0]
        elif request.wait_seconds:
            # nobody is told the same at once again and again
            await asyncio.sleep(0.2)
        return pb.GetSubmissionResponse(submission=self._now(request.id))

    async def CancelSubmission(
        self, request: pb.CancelSubmissionRequest, context: object
    ) -> pb.CancelSubmissionResponse:
        self.requests.append(request)
        if request.id not in self._said:
            raise NotFound("SUBMISSION_UNKNOWN", "You have no such submission.")
        if self.ending is not None:
            self._said[request.id] = [self.ending]
        return pb.CancelSubmissionResponse(submission=self._now(request.id))

    async def GetCoverage(
        self, request: pb.GetCoverageRequest, context: object
    ) -> pb.GetCoverageResponse:
        self.requests.append(request)
        return self.coverage

    async def DeriveRelease(
        self, request: pb.DeriveReleaseRequest, context: object
    ) -> pb.DeriveReleaseResponse:
        self.requests.append(request)
        if self.derived is None:
            raise PreconditionFailed("NOT_DERIVABLE", "No stored release answers it.")
        return pb.DeriveReleaseResponse(release=self.derived)

    async def GetRelease(
        self, request: pb.GetReleaseRequest, context: object
    ) -> pb.GetReleaseResponse:
        if request.id not in self._releases:
            raise NotFound("RELEASE_UNKNOWN", "There is no such release.")
        return pb.GetReleaseResponse(release=self._releases[request.id])

    async def ProveRelease(
        self, request: pb.ProveReleaseRequest, context: object
    ) -> pb.ProveReleaseResponse:
        if request.id not in self.proofs:
            raise NotFound("RELEASE_UNKNOWN", "There is no such release.")
        return self.proofs[request.id]

    async def DescribeAgreement(
        self, request: pb.DescribeAgreementRequest, context: object
    ) -> pb.DescribeAgreementResponse:
        described = pb.DescribeAgreementResponse(
            summary=pb.AgreementSummary(name=request.agreement, version=2),
            editions=["2026-10"],
            document=self.document,
        )
        described.MergeFrom(self.offer)
        return described

    async def ListReleases(
        self, request: pb.ListReleasesRequest, context: object
    ) -> pb.ListReleasesResponse:
        found = [
            pb.ReleaseSummary(id=each.id, agreement=each.agreement)
            for each in self._releases.values()
            if request.agreement in ("", each.agreement)
        ]
        return pb.ListReleasesResponse(releases=found)

    async def GetBudget(
        self, request: pb.GetBudgetRequest, context: object
    ) -> pb.GetBudgetResponse:
        return pb.GetBudgetResponse(accounting="zcdp", delta=1e-9)

    def _now(self, identifier: str) -> pb.Submission:
        found = pb.Submission()
        found.CopyFrom(self._said[identifier][0])
        found.id = identifier
        found.revision = int(time.monotonic_ns())
        return found


@contextmanager
def serving() -> Iterator[AnalystHub]:
    """Serve from another thread."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("hub", io.StringIO())
    hub = AnalystHub()
    ready, over = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(hub.serve(ready, over)), daemon=True
    )
    thread.start()
    try:
        assert ready.wait(30)
        yield hub
    finally:
        over.set()
        thread.join(30)
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
