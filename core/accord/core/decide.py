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
from accord.core.agreement_form import ALL_VALUES
from accord.core.errors import PolicyDenied
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.query import Query, finest_levels


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

    def text(self, language: str = "en") -> str:
        """Return the sentence for people."""
        return sentence(self.code, language, **dict(self.values))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Permit, or deny with every reason."""

    agreement: str
    version: int
    reasons: tuple[Reason, ...]

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


def decide(agreement: Agreement, model: DataModel, ask: Ask) -> Decision:
    """Return whether *agreement* allows *ask*, with every reason if it does not.

    Args:
        agreement: the agreement that the query names.
        model: the data model that the agreement names.
        ask: the question; its query is canonical under *model*.
    """
    reasons = (
        *_validity(agreement, ask),
        *_recipient(agreement, ask.analyst),
        *_purpose(agreement, ask.purpose),
        *_question(agreement, ask.query, model),
    )
    return Decision(
        agreement=agreement.name, version=agreement.form.version, reasons=reasons
    )


def _reason(code: str, clause: str, **values: str) -> Reason:
    return Reason(code=code, clause=clause, values=tuple(sorted(values.items())))


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


def _purpose(agreement: Agreement, purpose: str) -> Iterator[Reason]:
    if purpose not in agreement.form.purpose:
        allowed = ", ".join(agreement.form.purpose)
        yield _reason("deny.purpose", "purpose", allowed=allowed)


def _question(agreement: Agreement, query: Query, model: DataModel) -> Iterator[Reason]:
    may_ask = agreement.form.may_ask
    if query.measure.value not in may_ask.measures:
        yield _reason(
            "deny.measure",
            "may_ask.measures",
            measure=query.measure.value,
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
        clause = f"may_ask.group_by.{name}"
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
                        clause,
                        dimension=name,
                        level=level,
                        finest=finest,
                    )


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
