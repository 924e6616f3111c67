# SPDX-License-Identifier: Apache-2.0
"""From what an analyst asks to everything that follows from it, before any record.

A *plan* is a permitted question with its edition, cohort, layout, noise and price. It
is a pure function of the question, the policies, the day and what agencies announced.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from fractions import Fraction

from accord.core.agreement import Agreement
from accord.core.calendar import is_edition
from accord.core.coverage import covering_cohorts
from accord.core.decide import Analyst, Ask, Decision, decide, decide_cost
from accord.core.errors import InvalidQuery, PreconditionFailed
from accord.core.measure import Bounding
from accord.core.model import DataModel
from accord.core.placement import NoisePlan
from accord.core.policy import Policy
from accord.core.privacy import Loss, Mechanism
from accord.core.query import Query
from accord.core.terms import Terms, mechanism_for, noise_plan, terms
from accord.hub.policies import Policies, agreement_unknown
from accord.hub.questions.accuracy import mechanism_within
from accord.hub.questions.bounding import Past, choose_bounding
from accord.hub.questions.pricing import loss_for
from accord.rpc.codec import HeldEdition

Announced = Mapping[str, frozenset[HeldEdition]]
"""What each agency can answer from."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an analyst asks, with names checked but no edition chosen yet."""

    query: Query
    """Canonical, but for its edition, which `plan` chooses."""
    edition: str
    """The edition that was named; empty where the newest is wanted."""
    purpose: str
    analyst: Analyst
    epsilon: Fraction | None = None
    """The most that it may cost."""
    error: Fraction | None = None
    """Half-width that is wanted at most, instead of an epsilon; see `accuracy`."""
    complete_only: bool = False
    """Only an answer of the largest cohort will do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A permitted question with everything that it fixes."""

    policy: Policy
    policies_version: int
    query: Query
    analyst: Analyst
    purpose: str
    cohort: str
    members: tuple[str, ...]
    terms: Terms
    mechanism: Mechanism
    loss: Loss
    noise: NoisePlan
    """Who adds what, if that cohort answers."""
    complete_only: bool = False
    """Only an answer of this cohort will do."""
    past: Past | None = None
    """What was released before with the same groups."""

    @property
    def agreement(self) -> Agreement:
        """The agreement that permits it."""
        return self.policy.agreement

    @property
    def model(self) -> DataModel:
        """The data model of the agreement."""
        return self.policy.model

    @property
    def archive_digest(self) -> str:
        """With the query key, what stored releases are found by."""
        return self.agreement.archive_digest(self.model)


def visible(policies: Policies, analyst: Analyst) -> dict[str, Agreement]:
    """Return the agreements whose recipients include the analyst."""
    return {
        name: agreement
        for name, agreement in sorted(policies.agreements.items())
        if receives(agreement, analyst)
    }


def receives(agreement: Agreement, analyst: Analyst) -> bool:
    """Tell whether the analyst is a recipient of an agreement."""
    recipients = agreement.form.recipients
    return (
        not analyst.roles.isdisjoint(recipients.roles)
        and analyst.organisation in recipients.organisations
    )


def policy_for(policies: Policies, name: str, analyst: Analyst) -> Policy:
    """Return an agreement that the analyst may know of, with what it depends on.

    Raises:
        NotFound: AGREEMENT_UNKNOWN, also where it exists for others.
    """
    known = visible(policies, analyst)
    if name not in known:
        raise agreement_unknown(name, known)
    return policies.policy(name)


def decide_question(policy: Policy, question: Question, day: dt.date) -> Decision:
    """Return the agreement's decision on a question; nothing about its price."""
    ask = Ask(
        query=question.query,
        analyst=question.analyst,
        purpose=question.purpose,
        day=day,
    )
    return decide(policy, ask)


def plan(
    policies: Policies,
    question: Question,
    announced: Announced,
    *,
    day: dt.date,
    unsafe: bool,
    past: Past | None = None,
    bounding: Bounding | None = None,
) -> Plan:
    """Decide on a question and fix what follows from it.

    Args:
        policies: the policies in force.
        question: what is asked.
        announced: the editions of all parties.
        day: today, UTC.
        unsafe: the hub's unsafe test mode, in which no release is too dear.
        past: what was released before with the same groups.
        bounding: how the bound is kept; without it, as *past* suggests.

    Raises:
        NotFound: the agreement is not for this analyst.
        PolicyDenied: with every reason; or ERROR_TOO_SMALL.
        PreconditionFailed: EDITION_UNAVAILABLE.
        InvalidQuery: too many cells, too little epsilon, or so much of it that shares
            of noise would be too small; an error that cannot be asked for.
    """
    policy = policy_for(policies, question.query.agreement, question.analyst)
    agreement, model = policy.agreement, policy.model
    decision = decide_question(policy, question, day)
    if not unsafe and question.epsilon is not None:
        costly = decide_cost(agreement, question.epsilon)
        decision = dataclasses.replace(decision, reasons=decision.reasons + costly)
    decision.require()
    cohorts = covering_cohorts(policy, question.query)
    may_answer = cohorts[:1] if question.complete_only else cohorts
    edition, cohort = choose_edition(
        agreement, model, announced, question.edition, may_answer
    )
    query = dataclasses.replace(question.query, edition=edition)
    if bounding is None:
        bounding = choose_bounding(agreement, query, past)
    found = terms(agreement, model, query, bounding)
    members = agreement.cohorts[cohort]
    if question.error is not None:
        mechanism = mechanism_within(
            agreement,
            found,
            question.error,
            members=len(members),
            sizes=[len(agreement.cohorts[each]) for each in may_answer],
            unsafe=unsafe,
        )
    elif question.epsilon is not None:
        at_most = loss_for(agreement, question.epsilon)
        mechanism = mechanism_for(agreement, found, at_most=at_most)
    else:
        raise InvalidQuery(
            "EPSILON_INVALID", "Say what to spend, or how exact the answer has to be."
        )
    return Plan(
        policy=policy,
        policies_version=policies.version,
        query=query,
        analyst=question.analyst,
        purpose=question.purpose,
        cohort=cohort,
        members=members,
        terms=found,
        mechanism=mechanism,
        loss=found.loss(mechanism),
        noise=noise_plan(agreement, found, mechanism, len(members)),
        complete_only=question.complete_only,
        past=past,
    )


def common_editions(
    agreement: Agreement, model: DataModel, announced: Announced, cohort: str
) -> list[str]:
    """Return the editions that every member of a cohort has, newest first."""
    return sorted(
        frozenset.intersection(
            *(
                usable_editions(agreement, model, announced.get(agency, frozenset()))
                for agency in agreement.cohorts[cohort]
            )
        ),
        reverse=True,
    )


def usable_editions(
    agreement: Agreement, model: DataModel, announced: frozenset[HeldEdition]
) -> frozenset[str]:
    """Return the names of the editions that are of the agreement's kind."""
    calendar = agreement.form.editions
    return frozenset(
        each.name
        for each in announced
        if each.every is calendar.every
        and each.embargo_days == calendar.embargo
        and each.data_model == model.name
        and each.data_model_digest == model.digest
    )


def choose_edition(
    agreement: Agreement,
    model: DataModel,
    announced: Announced,
    named: str,
    cohorts: Sequence[str],
) -> tuple[str, str]:
    """Return the edition and the cohort to ask.

    Without a name it is the newest edition that the largest cohort has in common. A
    named one is asked of the largest cohort in which everybody has it.

    Args:
        agreement: the agreement in force.
        model: its data model.
        announced: what every party can answer from.
        named: the edition that is wanted; empty for the newest.
        cohorts: those that cover every figure, the largest first; not none.

    Raises:
        InvalidQuery: EDITION_INVALID.
        PreconditionFailed: EDITION_UNAVAILABLE, naming who lacks it.
    """
    largest = cohorts[0]
    if not named:
        common = common_editions(agreement, model, announced, largest)
        if common:
            return common[0], largest
    elif not is_edition(named):
        raise InvalidQuery(
            "EDITION_INVALID",
            "An edition is called like 2026-03, 2026-Q1 or 2026; leave it out to get"
            " the newest one.",
        )
    else:
        for cohort in cohorts:
            if named in common_editions(agreement, model, announced, cohort):
                return named, cohort
    raise _unavailable(agreement, model, announced, named)


def _unavailable(
    agreement: Agreement, model: DataModel, announced: Announced, named: str
) -> PreconditionFailed:
    have = {
        agency: usable_editions(agreement, model, announced.get(agency, frozenset()))
        for agency in sorted(agreement.parties)
    }
    lacking = [
        agency
        for agency, names in have.items()
        if (named not in names if named else not names)
    ]
    if lacking:
        who = ", ".join(lacking)
        what = f"the edition {named}" if named else "any edition for this agreement"
        sentence = f"These agencies do not have {what} yet: {who}."
    else:
        sentence = "The agencies have editions, but none that all of them have."
    return PreconditionFailed(
        "EDITION_UNAVAILABLE",
        f"{sentence} Nothing was asked and nothing was charged.",
        agreement=agreement.name,
        edition=named,
        lacking=",".join(lacking),
    )
