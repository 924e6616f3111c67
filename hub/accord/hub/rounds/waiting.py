# SPDX-License-Identifier: Apache-2.0
"""A submission that agencies are being asked for, with what its round needs."""

from __future__ import annotations

import dataclasses

from accord.core.agreement import Agreement
from accord.core.coverage import covering_cohorts
from accord.core.errors import AccordError, PreconditionFailed
from accord.core.model import DataModel
from accord.core.terms import Requisition, Terms, terms
from accord.hub.policies import Policies
from accord.hub.rounds.round import Call, Round, publishable
from accord.hub.rounds.submissions import Submission
from accord.rpc.codec import payload_digest, requisition_from_bytes
from accord.v1 import agent_pb2


@dataclasses.dataclass(slots=True, kw_only=True)
class Waiting:
    """One of them."""

    submission: Submission
    agreement: Agreement
    requisition: Requisition
    terms: Terms
    round: Round
    message: agent_pb2.ConnectResponse
    """The signed requisition, the same bytes every time."""
    settling: bool = False
    """Whether its end is being committed: nothing more is taken."""
    retry_at: float = 0.0
    """Time of the event loop before which nothing is tried again."""

    def is_under(self, policies: Policies) -> bool:
        """Tell whether what it was admitted under is still the same."""
        submission = self.submission
        known = policies.still(submission.agreement, submission.policy_digest)
        return known is not None


def take_up(
    submission: Submission, policies: Policies | None, *, unsafe: bool
) -> Waiting | None:
    """Return a submission ready to be asked, from its own signed bytes.

    Returns:
        Nothing where the agreement, something that it depends on, or the mode are not
        those under which it was admitted: what agencies answer would be read with
        other words, and they would refuse.
    """
    if policies is None or submission.unsafe != unsafe:
        return None
    policy = policies.still(submission.agreement, submission.policy_digest)
    if policy is None:
        return None
    agreement, model = policy.agreement, policy.model

    def same_model(_name: str, _agreement: str, digest: str) -> DataModel:
        if digest != model.digest:
            raise PreconditionFailed(
                "MODEL_CHANGED", "The data model was changed meanwhile."
            )
        return model

    try:
        requisition = requisition_from_bytes(submission.payload, same_model)
        found = terms(agreement, model, requisition.query)
        covering = covering_cohorts(policy, requisition.query)
    except AccordError:
        return None
    if (
        found.layout.digest() != requisition.layout_digest
        or requisition.policy_digest != policy.digest
    ):
        return None
    call = Call(
        submission=submission.id,
        payload_digest=payload_digest(submission.payload),
        layout_digest=requisition.layout_digest,
        size=found.layout.size,
        members=requisition.members,
        cohorts=publishable(
            {name: agreement.cohorts[name] for name in covering}, requisition.members
        ),
    )
    message = agent_pb2.Requisition(
        payload=submission.payload, signature=submission.signature
    )
    return Waiting(
        submission=submission,
        agreement=agreement,
        requisition=requisition,
        terms=found,
        round=Round(call),
        message=agent_pb2.ConnectResponse(requisition=message),
    )
