# SPDX-License-Identifier: Apache-2.0
"""What an agreement allows: one pure function, the same at the hub and in every agent.

Default is deny: a query is permitted only when no clause speaks against it, and every
clause that does is named, so that an analyst sees all of what to change at once.
Nothing here looks at records, budgets or the clock of the machine.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from fractions import Fraction

from accord.core.agreement import Agreement
from accord.core.agreement_form import ALL_VALUES, MayAsk
from accord.core.coverage import (
    Thin,
    covered_cohorts,
    covering_cohorts,
    least_covering,
    thin_values,
)
from accord.core.dimension import Dimension
from accord.core.errors import PolicyDenied
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.policy import Policy
from accord.core.query import PERSONS, GroupBy, Query, finest_levels

MOST_NAMED = 5
"""Values that one reason names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Analyst:
    """Who asks, as the hub authenticated it."""

    id: str
    organisation: str
    roles: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A canonical query with who asks, why and on which day."""

    query: Query
    analyst: Analyst
    purpose: str
    day: datetime.date
    """UTC."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One clause that speaks against a query."""

    code: str
    """Message id, stable: ``deny.`` and the kind of clash."""
    clause: str
    """Path of the clause in the agreement."""
    values: tuple[tuple[str, str], ...]
    """What the sentence names; public words only."""
    way: str = ""
    """Which of several ways out the sentence offers; part of its message id."""

    def text(self, language: str = "en") -> str:
        """Return the sentence for people."""
        message = f"{self.code}.{self.way}" if self.way else self.code
        return sentence(message, language, **dict(self.values))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Permit, or deny with every reason."""

    agreement: str
    version: int
    reasons: tuple[Reason, ...]
    needs_review: bool = False
    """Whether a person looks at the figures before they are published."""

    @property
    def permitted(self) -> bool:
        """Whether nothing speaks against the query."""
        return not self.reasons

    def require(self, language: str = "en") -> None:
        """Raise unless permitted.

        Raises:
            PolicyDenied: POLICY_DENIED, with one sentence for each reason.
        """
        if self.reasons:
            raise PolicyDenied(
                "POLICY_DENIED",
                " ".join(reason.text(language) for reason in self.reasons),
                agreement=self.agreement,
                version=str(self.version),
                clauses=",".join(reason.clause for reason in self.reasons),
                codes=",".join(reason.code for reason in self.reasons),
            )


def decide(policy: Policy, ask: Ask) -> Decision:
    """Return whether *policy* allows *ask*, with every reason if it does not.

    Args:
        policy: the agreement that the query names, with what it depends on.
        ask: the question; its query is canonical under the policy's data model.
    """
    agreement = policy.agreement
    reasons = (
        *_validity(agreement, ask),
        *_recipient(agreement, ask.analyst),
        *_purpose(policy, ask),
        *_question(policy, ask.query),
    )
    return Decision(
        agreement=agreement.name,
        version=agreement.form.version,
        reasons=reasons,
        needs_review=needs_review(agreement, ask.query),
    )


def needs_review(agreement: Agreement, query: Query) -> bool:
    """Tell whether a person looks at the figures before they are published."""
    form = agreement.form
    touched = {group.dimension for group in query.grouped}
    touched.update(part.dimension for part in query.where)
    return form.review.releases == "human" or not touched.isdisjoint(
        form.may_ask.sensitive
    )


def emergency_on(policy: Policy, day: datetime.date) -> bool:
    """Tell whether the agreement's emergency clause is on, by a signed declaration.

    A declaration for longer than the clause allows is none.
    """
    clause, declared = policy.agreement.form.emergency, policy.emergency
    if clause is None or declared is None:
        return False
    length = declared.until - declared.first
    return (
        length < datetime.timedelta(days=clause.at_most)
        and declared.first <= day <= declared.until
    )


def _reason(code: str, clause: str, way: str = "", **values: str) -> Reason:
    return Reason(
        code=code, clause=clause, way=way, values=tuple(sorted(values.items()))
    )


def _validity(agreement: Agreement, ask: Ask) -> Iterator[Reason]:
    valid = agreement.form.valid
    if ask.day < valid.first:
        yield _reason("deny.not-yet-valid", "valid.from", day=str(valid.first))
    if ask.day > valid.until:
        yield _reason("deny.no-longer-valid", "valid.until", day=str(valid.until))


def _recipient(agreement: Agreement, analyst: Analyst) -> Iterator[Reason]:
    recipients = agreement.form.recipients
    if analyst.roles.isdisjoint(recipients.roles):
        roles = ", ".join(recipients.roles)
        yield _reason("deny.role", "recipients.roles", roles=roles)
    if analyst.organisation not in recipients.organisations:
        organisations = ", ".join(recipients.organisations)
        yield _reason(
            "deny.organisation", "recipients.organisations", organisations=organisations
        )


def _purpose(policy: Policy, ask: Ask) -> Iterator[Reason]:
    form = policy.agreement.form
    if form.emergency is not None and ask.purpose == form.emergency.purpose:
        if not emergency_on(policy, ask.day):
            yield _reason("deny.emergency-off", "emergency", purpose=ask.purpose)
    elif ask.purpose not in form.purpose:
        yield _reason("deny.purpose", "purpose", allowed=", ".join(form.purpose))


def _question(policy: Policy, query: Query) -> Iterator[Reason]:
    agreement, model = policy.agreement, policy.model
    may_ask = agreement.form.may_ask
    if query.measure.family not in may_ask.measures:
        yield _reason(
            "deny.measure",
            "may_ask.measures",
            measure=query.measure.name,
            allowed=", ".join(may_ask.measures),
        )
    touched = finest_levels(query, model)
    if len(touched) > may_ask.at_most_dimensions:
        yield _reason(
            "deny.dimensions",
            "may_ask.at_most_dimensions",
            asked=str(len(touched)),
            limit=str(may_ask.at_most_dimensions),
        )
    for name, levels in sorted(touched.items()):
        yield from _levels(may_ask, model, name, levels)
    for together in may_ask.never_together:
        if touched.keys() >= set(together):
            yield _reason(
                "deny.together",
                "may_ask.never_together",
                dimensions=", ".join(together),
            )
    for name, values in sorted(may_ask.hidden_values.items()):
        if name in touched:
            yield from _hidden(query, model.dimension(name), values)
    yield from _coverage(policy, query)


def _levels(
    may_ask: MayAsk, model: DataModel, name: str, levels: frozenset[str]
) -> Iterator[Reason]:
    finest = may_ask.group_by.get(name)
    if finest is None:
        allowed = ", ".join(sorted(may_ask.group_by))
        yield _reason(
            "deny.dimension", "may_ask.group_by", dimension=name, allowed=allowed
        )
    elif finest != ALL_VALUES:
        order = model.dimension(name).levels
        for level in sorted(levels, key=order.index):
            if order.index(level) < order.index(finest):
                yield _reason(
                    "deny.level",
                    f"may_ask.group_by.{name}",
                    dimension=name,
                    level=level,
                    finest=finest,
                )


def _hidden(query: Query, dimension: Dimension, values: list[str]) -> Iterator[Reason]:
    """Yield why *query* would show or name one of the hidden *values*."""
    hidden = {code for value in values for code in dimension.leaves_under(value)}
    clause = f"may_ask.hidden_values.{dimension.name}"
    nodes = [
        n
        for part in query.where
        if part.dimension == dimension.name
        for n in part.nodes
    ]
    named = [node for node in nodes if hidden.issuperset(dimension.leaves_under(node))]
    if named:
        yield _reason(
            "deny.hidden-value",
            clause,
            "named",
            dimension=dimension.name,
            values=", ".join(named),
        )
        return
    level = next(
        (g.level for g in query.grouped if g.dimension == dimension.name), None
    )
    if level is None:
        return
    kept = {code for node in nodes for code in dimension.leaves_under(node)}
    everything = not nodes or not dimension.single
    cells: dict[int, bool] = {}
    for code, place in enumerate(dimension.roll_up(level)):
        if everything or code in kept:
            cells[place] = cells.get(place, True) and code in hidden
    shown = [dimension.domain(level)[place] for place, alone in cells.items() if alone]
    if shown:
        yield _reason(
            "deny.hidden-value",
            clause,
            "filter" if dimension.single else "coarser",
            dimension=dimension.name,
            level=level,
            values=", ".join(shown),
        )


def _coverage(policy: Policy, query: Query) -> Iterator[Reason]:
    if covering_cohorts(policy, query):
        return
    if covered_cohorts(policy, query):
        most = policy.agreement.form.protect.no_agency_above or Fraction(1)
        yield _reason(
            "deny.dominance",
            "protect.no_agency_above",
            most=f"{float(most * 100):g} %",
        )
        return
    needed = str(least_covering(policy))
    thin = thin_values(policy, query)
    for each in thin:
        way, further = _way_out(policy, query, each)
        yield _reason(
            "deny.coverage",
            "protect.covered_by_at_least",
            way,
            needed=needed,
            dimension=each.dimension,
            values=", ".join(each.values[:MOST_NAMED]),
            members=str(each.members),
            **further,
        )
    if not thin:
        names = [group.dimension for group in query.grouped]
        names += [part.dimension for part in query.where if part.dimension not in names]
        yield _reason(
            "deny.coverage",
            "protect.covered_by_at_least",
            "together",
            needed=needed,
            dimensions=", ".join(names),
        )


def _way_out(policy: Policy, query: Query, thin: Thin) -> tuple[str, dict[str, str]]:
    """Return how to ask so that enough members cover every figure, if there is a way.

    A coarser level of the dimension, or a filter that leaves the thin values out.
    """
    dimension = policy.model.dimension(thin.dimension)
    if thin.level is None:
        return "leave-out", {}
    rest = tuple(p for p in query.where if p.dimension != thin.dimension)
    alone = dataclasses.replace(query, measure=PERSONS, group_by=(), where=rest)
    own = tuple(p for p in query.where if p.dimension == thin.dimension)
    for level in dimension.levels[dimension.levels.index(thin.level) + 1 :]:
        rolled = GroupBy(thin.dimension, level)
        if not thin_values(
            policy, dataclasses.replace(alone, group_by=(rolled,), where=own)
        ):
            return "roll-up", {"level": level}
    if dimension.single and len(thin.values) <= MOST_NAMED:
        return "filter", {}
    return "leave-out", {}


def decide_cost(agreement: Agreement, epsilon: Fraction) -> tuple[Reason, ...]:
    """Return what speaks against spending *epsilon* on one release.

    *epsilon* is in the agreement's own terms: at its delta under zCDP.
    """
    cap = agreement.form.spend.each_release_at_most.epsilon
    if epsilon > cap:
        return (
            _reason(
                "deny.release-cost",
                "spend.each_release_at_most",
                asked=_decimal(epsilon),
                limit=_decimal(cap),
            ),
        )
    return ()


def _decimal(number: Fraction) -> str:
    return f"{float(number):g}"
