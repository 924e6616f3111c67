# SPDX-License-Identifier: Apache-2.0
"""Who may call what. A method that is missing here is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class Caller(enum.Enum):
    """How a caller must have proved who it is before a service sees the call."""

    ANYBODY = "anybody"
    """Nothing is shown that needs proof."""
    TOKEN_IN_REQUEST = "enrolment token"  # noqa: S105  # no secret
    """The service trades the token that the request holds."""
    AGENT = "agent"
    """A client certificate of an agency."""
    ANALYST = "analyst"
    """A bearer token; the service finds out whose, and whether a board's or a
    reviewer's."""


AUTHORITY: Mapping[str, Caller] = MappingProxyType(
    {
        "/accord.v1.EnrolmentService/Enrol": Caller.TOKEN_IN_REQUEST,
        "/accord.v1.AgentService/Connect": Caller.AGENT,
        "/accord.v1.AgentService/Renew": Caller.AGENT,
        "/accord.v1.AgentService/FetchPolicy": Caller.AGENT,
        "/accord.v1.AnalystService/ListAgreements": Caller.ANALYST,
        "/accord.v1.AnalystService/DescribeAgreement": Caller.ANALYST,
        "/accord.v1.AnalystService/PriceQuery": Caller.ANALYST,
        "/accord.v1.AnalystService/SubmitQuery": Caller.ANALYST,
        "/accord.v1.AnalystService/GetSubmission": Caller.ANALYST,
        "/accord.v1.AnalystService/ListReleases": Caller.ANALYST,
        "/accord.v1.AnalystService/GetRelease": Caller.ANALYST,
        "/accord.v1.AnalystService/ProveRelease": Caller.ANALYST,
        "/accord.v1.AnalystService/GetBudget": Caller.ANALYST,
        "/accord.v1.AnalystService/DeriveRelease": Caller.ANALYST,
        "/accord.v1.AnalystService/GetCoverage": Caller.ANALYST,
        "/accord.v1.AnalystService/CancelSubmission": Caller.ANALYST,
        "/accord.v1.PolicyService/FetchPolicyFile": Caller.ANALYST,
        "/accord.v1.PolicyService/ListProposals": Caller.ANALYST,
        "/accord.v1.PolicyService/FetchProposal": Caller.ANALYST,
        "/accord.v1.PolicyService/OfferProposal": Caller.ANALYST,
        "/accord.v1.PolicyService/PublishProposal": Caller.ANALYST,
        "/accord.v1.PolicyService/ListQueries": Caller.ANALYST,
        "/accord.v1.ReviewService/ListHeld": Caller.ANALYST,
        "/accord.v1.ReviewService/GetHeld": Caller.ANALYST,
        "/accord.v1.ReviewService/DecideHeld": Caller.ANALYST,
        "/grpc.health.v1.Health/Check": Caller.ANYBODY,
        "/grpc.health.v1.Health/Watch": Caller.ANYBODY,
    }
)
"""Every method with what its caller needs; a test compares it with the protocol."""
