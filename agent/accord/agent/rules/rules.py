# SPDX-License-Identifier: Apache-2.0
"""The agency's own rules: what it refuses although the agreement allows it.

Rules only tighten, by construction: all that they give is a list of objections, and
the one thing that is done with an objection is to refuse. There is no rule that
permits, and no way to hand one a refusal to lift. They look at the words of a
requisition and at past charges, never at a record.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from accord.core.agreement import Agreement
from accord.core.epsilon_delta import epsilon_to_rho_tight, rho_to_epsilon_tight
from accord.core.errors import InvalidQuery
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.privacy import NANO, Accounting
from accord.core.query import finest_levels
from accord.core.terms import Requisition


class Kind(enum.StrEnum):
    """What a rule is about; the hub is told this much and no more."""

    STOP_SHARING = "stop-sharing"
    VETO_DIMENSION = "veto-dimension"
    VETO_PURPOSE = "veto-purpose"
    VETO_ANALYST = "veto-analyst"
    VETO_ORGANISATION = "veto-organisation"
    VETO_AGREEMENT = "veto-agreement"
    VETO_MEASURE = "veto-measure"
    COHORT_AT_LEAST = "cohort-at-least"
    CAP_RELEASE = "cap-release"
    CAP_PERIOD = "cap-period"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule in force."""

    id: int = 0
    kind: Kind
    subject: str = ""
    """What is vetoed; of a cap over a period the one agreement that it is for."""
    epsilon: Fraction | None = None
    number: int | None = None
    """Days of a period, or members of a cohort."""
    reason: str = ""
    """For the agency itself: it is never sent."""
    made_by: str = ""
    made_at: datetime.datetime | None = None

    @property
    def substance(self) -> tuple[object, ...]:
        """What the rule demands, whoever made it when."""
        return self.kind, self.subject, self.epsilon, self.number

    def text(self, language: str = "en") -> str:
        """Return the rule as a sentence."""
        each = self.kind is Kind.CAP_PERIOD and self.subject
        return sentence(
            f"rule.{self.kind}.agreement" if each else f"rule.{self.kind}",
            language,
            subject=self.subject,
            epsilon="" if self.epsilon is None else f"{float(self.epsilon):g}",
            number="" if self.number is None else str(self.number),
        )


def objections(
    rules: Sequence[Rule],
    requisition: Requisition,
    model: DataModel,
    delta: Fraction,
) -> tuple[Kind, ...]:
    """Return the kinds of all rules that speak against a requisition, each once.

    Caps over a period are not among them: those look at what was spent, in the
    transaction that charges (`room`).

    Args:
        rules: the rules in force.
        requisition: checked against everything that was agreed.
        model: the data model of its agreement.
        delta: as `delta_for` gives it.
    """
    found = {rule.kind for rule in rules if _objects(rule, requisition, model, delta)}
    return tuple(kind for kind in Kind if kind in found)


def period_caps(rules: Sequence[Rule], agreement: str) -> Iterator[Rule]:
    """Yield the caps over a period that count for questions under *agreement*."""
    for rule in rules:
        if rule.kind is Kind.CAP_PERIOD and (
            not rule.subject or plain(rule.subject) == plain(agreement)
        ):
            yield rule


def room(
    rule: Rule,
    accounting: Accounting,
    *,
    nano_rho: int,
    nano_epsilon: int,
    delta: Fraction,
) -> int:
    """Return the most that a period may hold in the unit of *accounting*.

    What the period holds in the other unit is taken off first, since the losses of
    both add up.

    Args:
        rule: a cap over a period.
        accounting: of the requisition that is to be paid.
        nano_rho: what the period holds of zCDP.
        nano_epsilon: what it holds of pure epsilon.
        delta: as `delta_for` gives it.
    """
    cap = rule.epsilon or Fraction(0)
    if accounting is Accounting.PURE:
        left = cap - rho_to_epsilon_tight(nano_rho, delta)
        return max(0, int(left * NANO))
    return _nano_rho(cap - Fraction(nano_epsilon, NANO), delta)


def delta_for(agreement: Agreement, own: Fraction) -> Fraction:
    """Return the delta at which a rule's epsilon counts: the stricter of both."""
    return min(own, agreement.form.spend.delta or own)


def _objects(
    rule: Rule, requisition: Requisition, model: DataModel, delta: Fraction
) -> bool:
    match rule.kind:
        case Kind.STOP_SHARING:
            return True
        case Kind.COHORT_AT_LEAST:
            return len(requisition.members) < (rule.number or 0)
        case Kind.CAP_RELEASE:
            return _too_dear(rule.epsilon or Fraction(0), requisition, delta)
        case Kind.CAP_PERIOD:
            return False
        case veto:
            return _names(rule, _words(veto, requisition, model))


def _words(veto: Kind, requisition: Requisition, model: DataModel) -> Iterable[str]:
    """Return the words of a requisition that a veto is held against."""
    query, analyst = requisition.query, requisition.analyst
    if veto is Kind.VETO_DIMENSION:
        return finest_levels(query, model)
    return {
        Kind.VETO_PURPOSE: (requisition.purpose,),
        Kind.VETO_ANALYST: (analyst.id,),
        Kind.VETO_ORGANISATION: (analyst.organisation,),
        Kind.VETO_AGREEMENT: (query.agreement,),
        Kind.VETO_MEASURE: (
            query.measure.name,
            query.measure.family,
            query.measure.kind.value,
        ),
    }[veto]


def _names(rule: Rule, words: Iterable[str]) -> bool:
    """Tell whether one of *words* is meant, however it is spelt."""
    return plain(rule.subject) in map(plain, words)


def plain(text: str) -> str:
    """Return a name without what makes two spellings of it differ."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return unicodedata.normalize("NFC", composed.casefold())


def _too_dear(cap: Fraction, requisition: Requisition, delta: Fraction) -> bool:
    loss = requisition.loss
    left = cap - Fraction(loss.nano_epsilon, NANO)
    return left < 0 or (loss.nano_rho > 0 and loss.nano_rho > _nano_rho(left, delta))


def _nano_rho(epsilon: Fraction, delta: Fraction) -> int:
    """Return the most nano-rho within (epsilon, delta); nothing where it buys none."""
    if epsilon <= 0:
        return 0
    try:
        return epsilon_to_rho_tight(epsilon, delta)
    except InvalidQuery:
        return 0
