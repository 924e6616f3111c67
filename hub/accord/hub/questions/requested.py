# SPDX-License-Identifier: Apache-2.0
"""A request as the hub understands it, for the record and where it is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Final, TypeAlias

from accord.core.decide import Analyst
from accord.core.epsilon_delta import LARGEST_EPSILON, exact_epsilon
from accord.core.errors import AccordError
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.hub.questions.accuracy import exact_error
from accord.hub.questions.asked import Asked
from accord.hub.questions.planning import Question, decide_question
from accord.hub.questions.pricing import loss_for
from accord.rpc.codec import query_from_message
from accord.v1 import analyst_pb2

UNDECIDED: Final = "0000"
"""Stands for the edition until one is chosen."""

Words: TypeAlias = analyst_pb2.SubmitQueryRequest | analyst_pb2.PriceQueryRequest


def question_of(policy: Policy, analyst: Analyst, words: Words) -> Question:
    """Return the question of a request, with its names checked.

    Raises:
        InvalidQuery: a name or number is wrong.
    """
    by_error = words.spending.WhichOneof("amount") == "error"
    return Question(
        query=query_from_message(words.query, policy.model, edition=UNDECIDED),
        edition=words.query.edition,
        epsilon=None if by_error else exact_epsilon(words.spending.epsilon),
        error=exact_error(words.spending.error) if by_error else None,
        purpose=words.purpose,
        analyst=analyst,
        complete_only=words.complete_only,
    )


def asked_of(
    analyst: Analyst,
    request: analyst_pb2.SubmitQueryRequest,
    now: dt.datetime,
    epsilon: float,
) -> Asked:
    """Return a request as it is kept, with the epsilon that it comes to."""
    return Asked(
        submission=request.id,
        at=now,
        analyst=analyst,
        query=request.query,
        purpose=request.purpose,
        epsilon=epsilon,
    )


def refusal_of(
    policy: Policy,
    analyst: Analyst,
    request: analyst_pb2.SubmitQueryRequest,
    error: AccordError,
    day: dt.date,
) -> tuple[list[str], Loss]:
    """Return the clauses that deny a question, and the most that it would have cost.

    Who may not know of an agreement hears only that there is none; the board sees why.
    """
    codes = error.metadata.get("codes", "").split(",")
    loss = Loss()
    epsilon = request.spending.epsilon or needed_of(policy, error)
    with contextlib.suppress(AccordError):
        loss = loss_for(policy.agreement, exact_epsilon(epsilon))
    if error.reason == "AGREEMENT_UNKNOWN":
        with contextlib.suppress(AccordError):
            question = question_of(policy, analyst, request)
            codes = [
                each.code for each in decide_question(policy, question, day).reasons
            ]
    return [code for code in codes if code], loss


def needed_of(policy: Policy | None, error: AccordError) -> float:
    """Return the epsilon that a refused question stands for in the list of questions.

    For one that names an error it is what that would take, or, where something else
    refused it before that was known, what one release may cost at most.
    """
    if "least_epsilon" in error.metadata:
        return min(float(error.metadata["least_epsilon"]), float(LARGEST_EPSILON))
    if policy is None:
        return 0.0
    return float(policy.agreement.form.spend.each_release_at_most.epsilon)
