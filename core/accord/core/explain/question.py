# SPDX-License-Identifier: Apache-2.0
"""What an agreement says to one question: every clause that binds, or allows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

from accord.core.afford import (
    Sensitivity,
    amount,
    as_loss,
    cap_of,
    cost_of_width,
    epsilon_of,
    noise_of,
    width_of,
)
from accord.core.agreement import Agreement
from accord.core.agreement_form import ALL_VALUES
from accord.core.coverage import covering_cohorts
from accord.core.decide import Ask, Decision, Reason, decide, decide_cost
from accord.core.explain.passage import (
    Passage,
    as_written,
    listed,
    passage,
    rounded_up,
    width,
)
from accord.core.explain.places import Place, place_of
from accord.core.explain.spending import WANTED
from accord.core.measure import Component
from accord.core.messages import sentence
from accord.core.policy import Policy
from accord.core.privacy import Loss
from accord.core.query import Kind, finest_levels
from accord.core.terms import Terms, mechanism_for, terms


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One clause that speaks against a question, and where it is written."""

    reason: Reason
    agreement: Agreement = dataclasses.field(repr=False)

    @property
    def place(self) -> Place:
        """Where the clause is written."""
        return place_of(self.agreement, self.clause)

    @property
    def clause(self) -> str:
        """Path of the clause in the agreement."""
        return self.reason.clause

    def text(self, language: str = "en") -> str:
        """Return the sentence, with the clause and its place."""
        return sentence(
            "explain.binding",
            language,
            reason=self.reason.text(language),
            clause=self.clause,
            place=self.place,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a release costs, and how accurate it is."""

    loss: Loss
    """Rounded up."""
    epsilon: Fraction
    """The same as epsilon at the agreement's delta, rounded up."""
    half_width: Fraction
    """Of a cell's 95 % interval, in counts, where the largest cohort answers."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueryExplanation:
    """The decision on one question with the clauses that it follows from."""

    decision: Decision
    reasons: tuple[Binding, ...]
    """Every clause that denies it, the cap on one release included."""
    allowed_by: tuple[Passage, ...]
    """The clauses that allow it; empty where it is denied."""
    cost: Cost | None
    """Of what was asked; where no epsilon was named, of ±15 or, where that is more than
    one release may cost, of the dearest release."""

    @property
    def permitted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def sentences(self, language: str = "en") -> tuple[str, ...]:
        """Return everything that it says, the decision first."""
        if not self.permitted:
            head = sentence("explain.denied", language, count=len(self.reasons))
            return (head, *(each.text(language) for each in self.reasons))
        verdict = "reviewed" if self.decision.needs_review else "permitted"
        found = [sentence(f"explain.{verdict}", language)]
        found.extend(each.text(language) for each in self.allowed_by)
        if self.cost is not None:
            found.append(
                sentence(
                    "explain.cost",
                    language,
                    epsilon=rounded_up(self.cost.epsilon),
                    width=width(self.cost.half_width),
                )
            )
        return tuple(found)


def explain_query(
    policy: Policy, ask: Ask, epsilon: Fraction | None = None
) -> QueryExplanation:
    """Return what *policy* says to *ask*, clause by clause.

    Args:
        policy: the agreement that the question names, with what it depends on.
        ask: the question; its query is canonical under the policy's data model.
        epsilon: what the question may cost; without it, ±15 is priced, or the dearest
            release where that is less.

    Raises:
        InvalidQuery: OUTSIDE_EDITION, TOO_MANY_CELLS, or an epsilon that buys nothing.
    """
    decision = decide(policy, ask)
    found = terms(policy.agreement, policy.model, ask.query)
    cohort = next(iter(covering_cohorts(policy, ask.query)), None)
    answering = policy.agreement.cohorts[cohort] if cohort else policy.agreement.parties
    cost = _cost(policy, found, epsilon, len(answering))
    dear = () if epsilon is None else decide_cost(policy.agreement, epsilon)
    denied = (*decision.reasons, *dear)
    return QueryExplanation(
        decision=decision,
        reasons=tuple(
            Binding(reason=each, agreement=policy.agreement) for each in denied
        ),
        allowed_by=() if denied else tuple(_allowing(policy, ask)),
        cost=cost,
    )


def _cost(
    policy: Policy, found: Terms, epsilon: Fraction | None, answering: int
) -> Cost:
    """Price a question that a cohort of *answering* agencies answers."""
    agreement = policy.agreement
    sensitivity = Sensitivity(
        d1=found.d1, d2_squared=found.d2_squared, scale=_counted(found).scale
    )
    noise = noise_of(agreement, cohort_members=answering)
    if epsilon is None:
        single = cap_of(agreement, agreement.form.spend.each_release_at_most.epsilon)
        wanted = cost_of_width(noise, WANTED, sensitivity)
        nano = single if wanted is None else min(wanted, single)
    else:
        nano = cap_of(agreement, epsilon)
    mechanism = mechanism_for(agreement, found, as_loss(agreement.accounting, nano))
    loss = found.loss(mechanism)
    return Cost(
        loss=loss,
        epsilon=epsilon_of(agreement, amount(agreement.accounting, loss)),
        half_width=width_of(noise, mechanism, sensitivity),
    )


def _counted(found: Terms) -> Component:
    """Return the slot that counts persons or cases; every measure has one."""
    match found.layout.measure.kind:
        case Kind.MEAN:
            return found.vector.slots[1]
        case Kind.SUM:
            return found.vector.slots[-1]
        case _:
            return found.vector.slots[0]


def _allowing(policy: Policy, ask: Ask) -> Iterator[Passage]:
    """Yield the clauses that a permitted question stands on."""
    form = policy.agreement.form
    roles = [role for role in form.recipients.roles if role in ask.analyst.roles]
    yield passage("question", "recipients.roles", "allows-role", roles=listed(roles))
    yield passage(
        "question",
        "recipients.organisations",
        "allows-organisation",
        organisation=ask.analyst.organisation,
    )
    emergency = form.emergency
    if emergency is not None and ask.purpose == emergency.purpose:
        clause, code = "emergency", "allows-emergency"
    else:
        clause, code = "purpose", "allows-purpose"
    yield passage("question", clause, code, purpose=ask.purpose)
    yield passage(
        "question", "may_ask.measures", "allows-measure", measure=ask.query.measure.name
    )
    touched = finest_levels(ask.query, policy.model)
    yield passage(
        "question",
        "may_ask.at_most_dimensions",
        "allows-dimensions",
        asked=len(touched),
        limit=form.may_ask.at_most_dimensions,
    )
    for name in sorted(touched):
        finest = form.may_ask.group_by[name]
        levels = policy.model.dimension(name).levels
        yield passage(
            "question",
            f"may_ask.group_by.{name}",
            "allows-dimension",
            dimension=name,
            levels=listed(each for each in levels if each in touched[name]),
            finest=levels[0] if finest == ALL_VALUES else finest,
        )
    cohorts = covering_cohorts(policy, ask.query)
    yield passage(
        "question",
        "protect.covered_by_at_least",
        "allows-coverage",
        cohorts=listed(cohorts),
    )
    yield passage(
        "question",
        "spend.each_release_at_most",
        "allows-cost",
        limit=as_written(form.spend.each_release_at_most.epsilon),
    )
    yield passage(
        "question",
        "valid",
        "allows-day",
        day=ask.day,
        first=form.valid.first,
        until=form.valid.until,
    )
