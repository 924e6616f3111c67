# SPDX-License-Identifier: Apache-2.0
"""What an answer to one question would take, in words, before a record is touched.

Staff reads it to approve a question or to try one out. It comes from the question, the
signed agreement, this agency's rules and its account; no count is in it and none could
be: whoever decides on a question must not see its answer, or a refusal would tell.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any, Final

from accord.agent.receipts import half_width, spoken, worded
from accord.agent.rounds.checks import refuse
from accord.agent.rules.rulebook import rules_of
from accord.agent.rules.rules import Kind, objections
from accord.agent.settings import Settings
from accord.agent.spending import (
    Bill,
    own_delta,
    require_affordable,
    spent,
    unit_of,
    within_release_cap,
)
from accord.agent.state import AgentState
from accord.core.decide import Ask, Reason, decide
from accord.core.errors import AccordError, RequisitionRefused
from accord.core.messages import sentence
from accord.core.model import DataModel
from accord.core.policy import Policy
from accord.core.privacy import DiscreteLaplace
from accord.core.query import Kind as Measured
from accord.core.terms import Requisition, Terms, terms
from accord.ledger import Balance, entry
from accord.ledger.account import shown
from accord.ledger.sqlite import transaction
from accord.rpc.codec import query_to_message, requisition_from_bytes

_OF_THE_ANALYST: Final = frozenset({"deny.role", "deny.organisation"})
_PER_CASE: Final = frozenset({Measured.CASES, Measured.SUM, Measured.MEAN})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One question under an agreement, and what an answer of this agency would be."""

    asked: Requisition
    policy: Policy
    terms: Terms
    balance: Balance | None
    """Of the agency's own account; none while it has joined no hub."""
    denied: tuple[Reason, ...]
    """What the agreement has against it."""
    limits: tuple[str, ...]
    """Caps that it would break: names of sentences."""
    objections: tuple[Kind, ...]
    """Kinds of this agency's rules that speak against it."""

    @property
    def cost(self) -> str:
        """What it would take from this agency's own account."""
        return shown(self._amount, unit_of(self.policy.agreement.accounting))

    @property
    def _amount(self) -> int:
        loss = self.asked.loss
        return max(loss.nano_rho, loss.nano_epsilon)

    @property
    def columns(self) -> tuple[str, ...]:
        """Dimensions and quantities of a record that are read."""
        query, model = self.asked.query, self.policy.model
        of = query.measure.of
        named = [
            *(each.dimension for each in query.group_by),
            *(each.dimension for each in query.where),
            *([of] if of else []),
            *([model.edition_dimension] if model.edition_dimension else []),
        ]
        return tuple(dict.fromkeys(named))

    @property
    def noise(self) -> float | None:
        """Half-width of the 95 % interval of a figure, in counts; none of sums."""
        scale, mechanism = self.terms.figure_scale, self.asked.mechanism
        if scale is None:
            return None
        laplace = isinstance(mechanism, DiscreteLaplace)
        return half_width(float(mechanism.scale) / scale, laplace=laplace)

    def question(self, language: str = "en") -> str:
        """Return the question as a sentence."""
        return worded(query_to_message(self.asked.query), language)

    def lines(self, language: str = "en") -> Iterator[tuple[str, str]]:
        """Yield what fits on a line, with its name."""

        def say(ending: str, **values: object) -> str:
            return sentence(f"foreseen.{ending}", language, **values)

        asked, agreement = self.asked, self.policy.agreement
        form, analyst = agreement.form, asked.analyst
        yield say("question"), self.question(language)
        if analyst.id:
            roles = ", ".join(sorted(analyst.roles))
            words = say(
                "asker", analyst=analyst.id, of=analyst.organisation, roles=roles
            )
            yield say("asked-by"), words
        yield say("purpose"), asked.purpose
        yield (
            say("agreement"),
            say("version", name=agreement.name, version=form.version),
        )
        columns = ", ".join(spoken(each) for each in self.columns)
        yield say("read"), columns or say("read-nothing")
        yield say("counted"), self._bound(language)
        yield say("leaves"), say("figures", figures=f"{self.terms.layout.size:,}")
        yield say("noise"), self._noise(language)
        yield (
            say("receives"),
            say(
                "sum",
                members=len(asked.members),
                cohort=asked.cohort,
                roles=", ".join(form.recipients.roles),
                organisations=", ".join(form.recipients.organisations),
            ),
        )
        yield say("onward"), say(f"onward-{form.recipients.onward_sharing}")
        yield say("cost"), self._cost(language)
        denials = self.denials(language)
        for each in denials:
            yield say("against"), each
        for kind in self.objections:
            yield say("against"), say("rule", kind=kind.value)
        if not denials and not self.objections:
            yield say("against"), say("nothing")

    def denials(self, language: str = "en") -> list[str]:
        """Return what speaks against it but rules of this agency, as sentences."""
        return [
            *(each.text(language) for each in self.denied),
            *(sentence(f"foreseen.{each}", language) for each in self.limits),
        ]

    def _bound(self, language: str) -> str:
        bounds, measure = self.policy.agreement.bounds, self.asked.query.measure
        per_case = measure.kind in _PER_CASE
        return sentence(
            "foreseen.bound-cases" if per_case else "foreseen.bound",
            language,
            groups=self.terms.vector.groups,
            cases=bounds.cases_per_group,
        )

    def _noise(self, language: str) -> str:
        placement = self.policy.agreement.noise
        who = sentence(f"foreseen.noise-{placement}", language)
        if self.noise is None:
            return who
        width = f"{self.noise:,.0f}"
        return f"{sentence('foreseen.width', language, width=width)} {who}"

    def _cost(self, language: str) -> str:
        if self.balance is None or self.balance.lifetime_cap is None:
            return self.cost
        unit = unit_of(self.policy.agreement.accounting)
        return sentence(
            "foreseen.of-account",
            language,
            cost=self.cost,
            used=shown(self.balance.used, unit),
            cap=shown(self.balance.lifetime_cap, unit),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        asked, agreement = self.asked, self.policy.agreement
        return {
            "question": self.question(),
            "analyst": asked.analyst.id or None,
            "organisation": asked.analyst.organisation or None,
            "roles": sorted(asked.analyst.roles),
            "purpose": asked.purpose,
            "agreement": agreement.name,
            "agreement_version": agreement.form.version,
            "edition": asked.query.edition,
            "columns": list(self.columns),
            "figures": self.terms.layout.size,
            "groups_per_person": self.terms.vector.groups,
            "noise": self.noise,
            "cohort": asked.cohort,
            "members": list(asked.members),
            "recipients": {
                "roles": list(agreement.form.recipients.roles),
                "organisations": list(agreement.form.recipients.organisations),
                "onward_sharing": agreement.form.recipients.onward_sharing,
            },
            "nano_rho": asked.loss.nano_rho,
            "nano_epsilon": asked.loss.nano_epsilon,
            "used": None if self.balance is None else self.balance.used,
            "cap": None if self.balance is None else self.balance.lifetime_cap,
            "denials": self.denials(),
            "objections": [kind.value for kind in self.objections],
        }


def foresee(
    state: AgentState,
    settings: Settings,
    policy: Policy,
    asked: Requisition,
    now: datetime.datetime,
    agency: str | None,
    *,
    stranger: bool = True,
) -> Foreseen:
    """Return what an answer to *asked* would take.

    Args:
        state: of the agency.
        settings: its own caps.
        policy: the agreement that the question is asked under.
        asked: as a hub asks it.
        now: the time in UTC.
        agency: label of this agency, if it has joined a hub.
        stranger: whether it names an analyst, whom the agreement has to allow.

    Raises:
        InvalidQuery: the question has no terms, such as too many cells.
    """
    agreement = policy.agreement
    ask = Ask(
        query=asked.query, analyst=asked.analyst, purpose=asked.purpose, day=now.date()
    )
    denied = [
        reason
        for reason in decide(policy, ask).reasons
        if stranger or reason.code not in _OF_THE_ANALYST
    ]
    limits: list[str] = []
    if not within_release_cap(agreement, asked.loss):
        limits.append("release-cap")
    rules = tuple(kept.rule for kept in rules_of(state))
    delta = own_delta(agreement, settings)
    found = list(objections(rules, asked, policy.model, delta))
    if agency is not None:
        bill = Bill(
            requisition=asked,
            agency=agency,
            agreement=agreement,
            settings=settings,
            rules=rules,
        )
        refused = _unaffordable(state, bill, now)
        found += [Kind.CAP_PERIOD] if refused == "LOCAL_RULE" else []
        limits += ["no-room"] if refused == "BUDGET_EXHAUSTED" else []
    return Foreseen(
        asked=asked,
        policy=policy,
        terms=terms(agreement, policy.model, asked.query, asked.bounding),
        balance=None
        if agency is None
        else spent(state, agency, agreement.accounting, settings, now),
        denied=tuple(denied),
        limits=tuple(limits),
        objections=tuple(found),
    )


def _unaffordable(state: AgentState, bill: Bill, now: datetime.datetime) -> str | None:
    """Return why this agency could not pay; what was begun was paid for then."""
    with state.ledger() as connection, transaction(connection) as tx:
        if entry(tx, bill.requisition.query_id) is not None:
            return None
        try:
            require_affordable(tx, bill, now)
        except RequisitionRefused as refused:
            return refused.reason
    return None


def read_requisition(payload: bytes, policy: Policy) -> Requisition | None:
    """Return what a kept payload asks; nothing where another version is in force."""

    def find_model(_name: str, agreement_digest: str, digest: str) -> DataModel:
        if (agreement_digest, digest) != (
            policy.agreement.digest,
            policy.model.digest,
        ):
            refuse("POLICY_DIFFERS", "It was asked under what is not in force now.")
        return policy.model

    try:
        return requisition_from_bytes(payload, find_model)
    except AccordError:
        return None
