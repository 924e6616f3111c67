# SPDX-License-Identifier: Apache-2.0
"""What enough agencies cover, as analysts are told: by signed remits, not records."""

from __future__ import annotations

from typing import Final

from accord.core.covering import Covering, covering_of_agreement, covering_of_query
from accord.core.policy import Policy
from accord.rpc.codec import query_from_message
from accord.v1 import analyst_pb2

_ANY: Final = "0000"
"""Stands for an edition where it makes no difference."""


def coverage(
    policy: Policy, request: analyst_pb2.GetCoverageRequest
) -> analyst_pb2.GetCoverageResponse:
    """Return which values enough agencies cover, of a question or of an agreement.

    Raises:
        InvalidQuery: the question has a name that does not exist.
    """
    if request.HasField("query"):
        asked = query_from_message(request.query, policy.model, edition=_ANY)
        return _message(covering_of_query(policy, asked))
    return _message(covering_of_agreement(policy))


def _message(found: Covering) -> analyst_pb2.GetCoverageResponse:
    return analyst_pb2.GetCoverageResponse(
        needed=found.needed,
        levels=[
            analyst_pb2.CoveredLevel(
                dimension=each.dimension,
                level=each.level,
                values=[
                    analyst_pb2.CoveredValue(
                        value=value.value, agencies=value.agencies, enough=value.enough
                    )
                    for value in each.values
                ],
                roll_up=each.roll_up,
            )
            for each in found.levels
        ],
        cohorts=found.cohorts,
    )
