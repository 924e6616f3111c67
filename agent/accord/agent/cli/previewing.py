# SPDX-License-Identifier: Apache-2.0
"""The command ``preview``: what an answer would take, before anybody asks or answers.

It never shows a count, not of a question that is only tried out either: somebody who
sees what an answer would be and then decides gives some of it away. What this agency's
own tables are, ``report`` says, and that is for other hands and other days.
"""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.approvals.foreseen import Foreseen, foresee, read_requisition
from accord.agent.cli.approvals import LABEL_WIDTH
from accord.agent.cli.options import AsJson, StateOption, console
from accord.agent.cli.screens import print_json, print_line, printable
from accord.agent.cli.wording import (
    AgreementOption,
    ByOption,
    EditionOption,
    MeasureOption,
    WhereOption,
    policy_named,
    query_worded,
)
from accord.agent.policies import AgencyPolicies, policies_of
from accord.agent.receipts import receipt_of
from accord.agent.rounds import approval
from accord.agent.state import AgentState, state_root
from accord.agent.store.editions import held_editions
from accord.core.calendar import edition_due
from accord.core.decide import Analyst
from accord.core.epsilon_delta import epsilon_to_rho_lower
from accord.core.errors import InvalidQuery, NotFound, PreconditionFailed
from accord.core.policy import Policy
from accord.core.privacy import NANO, Accounting, Loss
from accord.core.query import Query
from accord.core.terms import Requisition, mechanism_for, terms
from accord.rpc.codec import payload_of

_LARGEST_EPSILON = 1000
_DAY = datetime.timedelta(days=1)


def preview(  # every one is an option
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A question that was asked here; else one of options.",
            show_default=False,
        ),
    ] = None,
    *,
    agreement: AgreementOption = None,
    measure: MeasureOption = "persons",
    by: ByOption = None,
    where: WhereOption = None,
    edition: EditionOption = None,
    epsilon: Annotated[
        str | None,
        typer.Option(
            help="What it may cost; else as much as one release may.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what an answer would read, send and cost, and what forbids it; no count."""
    opened = AgentState.open(state_root(state))
    policies = policies_of(opened)
    if query is not None:
        if by or where or agreement or edition or epsilon:
            raise InvalidQuery(
                "OPTION_ALONE", "A question that was asked is named by its id alone."
            )
        policy, asked = _asked(opened, policies, query)
    else:
        policy = policy_named(policies, agreement)
        name = edition or _newest(opened, policy)
        words = query_worded(policy, name, measure=measure, by=by, where=where)
        asked = hypothetical(policy, policies.label, words, _epsilon(policy, epsilon))
    found = foresee(
        opened,
        opened.settings(),
        policy,
        asked,
        utc_now(),
        policies.label or None,
        stranger=query is not None,
    )
    if as_json:
        print_json(console, {"preview": found.as_json()})
        return
    _show(found)


def hypothetical(
    policy: Policy, label: str, query: Query, epsilon: Fraction
) -> Requisition:
    """Return what a hub would ask of the largest cohort that this agency is in.

    Raises:
        InvalidQuery: the question has no terms, or epsilon buys no noise.
        PreconditionFailed: COHORT_NOT_PERMITTED, the agency is in no cohort.
    """
    agreement = policy.agreement
    cohorts = [
        (name, members)
        for name, members in agreement.cohorts.items()
        if not label or label in members
    ]
    if not cohorts:
        raise PreconditionFailed(
            "COHORT_NOT_PERMITTED",
            f"The agreement {agreement.name} lists no cohort with this agency.",
        )
    cohort, members = max(cohorts, key=lambda each: len(each[1]))
    found = terms(agreement, policy.model, query)
    if agreement.accounting is Accounting.ZCDP:
        delta = agreement.form.spend.delta or Fraction(1, 10**9)
        most = Loss(nano_rho=epsilon_to_rho_lower(epsilon, delta))
    else:
        most = Loss(nano_epsilon=int(epsilon * NANO))
    mechanism = mechanism_for(agreement, found, most)
    now = utc_now()
    return Requisition(
        query_id=str(uuid.uuid4()),
        query=query,
        agreement_version=agreement.form.version,
        agreement_digest=agreement.digest,
        model_digest=policy.model.digest,
        policy_digest=policy.digest,
        cohort=cohort,
        members=tuple(sorted(members)),
        mechanism=mechanism,
        loss=found.loss(mechanism),
        layout_digest=found.layout.digest(),
        purpose=agreement.form.purpose[0],
        analyst=Analyst(id="", organisation="", roles=frozenset()),
        issued_at=now,
        expires_at=now + _DAY,
    )


def _asked(
    state: AgentState, policies: AgencyPolicies, query: str
) -> tuple[Policy, Requisition]:
    """Return a question that a hub has signed, as it was asked.

    Raises:
        NotFound: QUESTION_UNKNOWN
        PreconditionFailed: POLICY_DIFFERS
    """
    with state.ledger() as connection:
        known = approval.find(connection, query) or receipt_of(connection, query)
    payload = None if known is None else known.payload
    if payload is None:
        raise NotFound(
            "QUESTION_UNKNOWN",
            f"This agency does not keep a question {query}: see `accord-agent receipts"
            " --json` for the ids.",
        )
    policy = policies.policy(payload_of(payload).query.agreement)
    asked = None if policy is None else read_requisition(payload, policy)
    if policy is None or asked is None:
        raise PreconditionFailed(
            "POLICY_DIFFERS",
            f"Question {query} was asked under a version of its agreement that is not"
            " in force here any more.",
        )
    return policy, asked


def _newest(state: AgentState, policy: Policy) -> str:
    calendar = policy.agreement.form.editions
    names = [
        each.name
        for each in held_editions(state, skip_broken=True)
        if (each.every, each.embargo_days) == (calendar.every, calendar.embargo)
    ]
    if names:
        return names[-1]
    return edition_due(calendar.every, calendar.embargo, utc_now().date())


def _epsilon(policy: Policy, text: str | None) -> Fraction:
    if text is None:
        return Fraction(policy.agreement.form.spend.each_release_at_most.epsilon)
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= _LARGEST_EPSILON:
        raise InvalidQuery(
            "EPSILON_INVALID",
            f"An epsilon is above 0 and at most {_LARGEST_EPSILON}, such as 0.5.",
        )
    return Fraction(value)


def _show(found: Foreseen) -> None:
    for name, value in found.lines():
        print_line(console, f"{name:<{LABEL_WIDTH}} {printable(value)}")
