# SPDX-License-Identifier: Apache-2.0
"""A submission that agencies are being asked for, with what its round needs."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from accord.core.agreement import Agreement
from accord.core.coverage import covering_cohorts
from accord.core.errors import AccordError, InvalidQuery, PreconditionFailed
from accord.core.model import DataModel
from accord.core.placement import NoisePlan
from accord.core.policy import Policy
from accord.core.terms import Requisition, Terms, noise_plan, terms
from accord.hub.policies import Policies
from accord.hub.rounds import rows, submissions
from accord.hub.rounds.calls import Calls
from accord.hub.rounds.endings import Why
from accord.hub.rounds.round import Round
from accord.hub.rounds.stages import Call, half_of_what_is_left, publishable
from accord.hub.rounds.submissions import Submission
from accord.rpc.codec import payload_digest, requisition_from_bytes
from accord.secagg.directory import directory_of
from accord.secagg.keys import Directory
from accord.secagg.messages import Spec


@dataclasses.dataclass(slots=True, kw_only=True)
class Waiting:
    """One of them."""

    submission: Submission
    policy: Policy
    requisition: Requisition
    terms: Terms
    directory: Directory
    """The agreement's parties with the keys that the board signed."""
    plans: Mapping[str, NoisePlan]
    """Who adds which noise, for every cohort that may answer."""
    round: Round
    calls: Calls
    """What agencies are sent."""
    settling: bool = False
    """Whether its end is being committed: nothing more is taken."""
    why: Why | None = None
    """Why it ends without a release, where that is known before."""

    @property
    def agreement(self) -> Agreement:
        """The agreement that it was admitted under."""
        return self.policy.agreement

    def is_under(self, policies: Policies) -> bool:
        """Tell whether what it was admitted under is still the same."""
        submission = self.submission
        known = policies.still(submission.agreement, submission.policy_digest)
        return known is not None


def take_up(
    submission: Submission, policies: Policies | None, *, unsafe: bool, now: dt.datetime
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
        found = terms(agreement, model, requisition.query, requisition.bounding)
        covering = covering_cohorts(policy, requisition.query)
        directory = directory_of(policy)
        cohorts = publishable(
            {
                name: agreement.cohorts[name]
                for name in covering
                if not submission.complete_only or name == submission.cohort
            },
            requisition.members,
        )
    except AccordError:
        return None
    if (
        found.layout.digest() != requisition.layout_digest
        or requisition.policy_digest != policy.digest
    ):
        return None
    plans = dict(_plans(agreement, found, requisition, cohorts))
    spec = Spec(
        query_id=submission.id,
        payload=submission.payload,
        directory_digest=directory.digest,
    )
    call = Call(
        submission=submission.id,
        payload_digest=payload_digest(submission.payload),
        spec_digest=spec.digest,
        size=found.layout.size,
        members=requisition.members,
        cohorts={name: cohorts[name] for name in plans},
        noise={name: plan.digest() for name, plan in plans.items()},
        expires_at=submission.expires_at,
    )
    until = half_of_what_is_left(now, submission.expires_at)
    return Waiting(
        submission=submission,
        policy=policy,
        requisition=requisition,
        terms=found,
        directory=directory,
        plans=plans,
        round=Round.begin(call, until),
        calls=Calls(submission),
    )


def _plans(
    agreement: Agreement,
    found: Terms,
    requisition: Requisition,
    cohorts: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[str, NoisePlan]]:
    """Yield the plans of the cohorts that have one; agencies refuse the others."""
    for name, members in cohorts.items():
        with contextlib.suppress(InvalidQuery):
            yield (
                name,
                noise_plan(agreement, found, requisition.mechanism, len(members)),
            )


def restore(tx: sa.Connection, found: Waiting, now: dt.datetime) -> bool:
    """Go on where the hub stopped; tell whether the question still waits at all."""
    standing = rows.standing(tx, found.submission.id)
    if standing is None:
        return False
    call = found.round.call
    found.round = Round.resume(
        call,
        rows.attempt(tx, call, standing),
        refused=standing.refused,
        missing=standing.missing,
        asking_people=standing.approving,
        now=now,
    )
    return True


def waiting_of(tx: sa.Connection, owner: int | None) -> list[Submission]:
    """Return what waits and belongs to a process; all of it where only one serves."""
    found = submissions.collecting(tx)
    if owner is None:
        return found
    own = rows.owned(tx, owner)
    return [each for each in found if each.id in own]
