# SPDX-License-Identifier: Apache-2.0
"""The analyst's SDK: ask agencies together, read answers with honest error bars.

::

    import accord.client as accord

    hub = accord.connect("hub.example.org:8443", token="accord_a1_…")
    trend = (
        hub.agreement("regional-trends")
        .persons()
        .by("registered_month", "region")
        .where(exploitation_type="forced_labour")
        .release(epsilon=0.5, purpose="prevention planning")
    )
    trend.to_polars()

Asking is in `Hub`, `Agreement` and `Question`; waiting in `Pending`; reading in
`Result`, and of several releases in `concat`; reviewers decide with `Reviews`.
Everything that can go wrong is an `AccordError` with a stable ``reason``.
"""

from accord.client.coverage import Coverage, PartialCoverageWarning
from accord.client.covered import Covered, CoveredLevel
from accord.client.moments import Expectation
from accord.client.pending import Pending
from accord.client.profile import Profile
from accord.client.proof import Proof, Proven
from accord.client.question import Question
from accord.client.result import Cost, Definition, Estimate, Result, Row
from accord.client.reviewed import Review
from accord.client.reviewing import Held, Reason, Reviews
from accord.client.session import Agreement, Hub, connect
from accord.client.sql.error import SqlError
from accord.client.stages import Progress
from accord.client.together import Releases, concat
from accord.core.errors import (
    AccordError,
    BudgetExhausted,
    Conflict,
    DeadlineExceeded,
    IntegrityError,
    InternalError,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    RequisitionRefused,
    Unauthenticated,
    Unreachable,
)

__all__ = [
    "AccordError",
    "Agreement",
    "BudgetExhausted",
    "Conflict",
    "Cost",
    "Coverage",
    "Covered",
    "CoveredLevel",
    "DeadlineExceeded",
    "Definition",
    "Estimate",
    "Expectation",
    "Held",
    "Hub",
    "IntegrityError",
    "InternalError",
    "InvalidQuery",
    "NotFound",
    "PartialCoverageWarning",
    "Pending",
    "PolicyDenied",
    "PreconditionFailed",
    "Profile",
    "Progress",
    "Proof",
    "Proven",
    "Question",
    "Reason",
    "Releases",
    "RequisitionRefused",
    "Result",
    "Review",
    "Reviews",
    "Row",
    "SqlError",
    "Unauthenticated",
    "Unreachable",
    "concat",
    "connect",
]
