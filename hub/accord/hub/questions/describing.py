# SPDX-License-Identifier: Apache-2.0
"""What analysts are told of agreements and budgets: public facts and past spending."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from accord.core.agreement import Agreement
from accord.core.agreement_form import ALL_VALUES
from accord.core.dimension import Dimension
from accord.core.model import DataModel
from accord.core.policy import Policy
from accord.core.privacy import Accounting, Loss
from accord.core.query import parse_measure
from accord.hub.db.engine import LedgerTransaction
from accord.hub.questions.accounts import (
    Limits,
    of_agreement,
    of_analyst,
    of_analysts,
    of_emergency,
)
from accord.hub.questions.pricing import delta_of, epsilon_for
from accord.ledger import Balance, balance
from accord.rpc.codec import loss_to_message
from accord.v1 import analyst_pb2


def summary(agreement: Agreement) -> analyst_pb2.AgreementSummary:
    """Return what a list shows of an agreement."""
    form = agreement.form
    return analyst_pb2.AgreementSummary(
        name=agreement.name,
        version=form.version,
        purposes=form.purpose,
        parties=agreement.parties,
        valid_from=form.valid.first.isoformat(),
        valid_until=form.valid.until.isoformat(),
        accounting=agreement.accounting.value,
    )


def description(
    policy: Policy, editions: Sequence[str]
) -> analyst_pb2.DescribeAgreementResponse:
    """Return everything that an analyst needs in order to ask."""
    agreement, model = policy.agreement, policy.model
    form, known = agreement.form, policy.members.members
    return analyst_pb2.DescribeAgreementResponse(
        summary=summary(agreement),
        measures=form.may_ask.measures,
        dimensions=list(_dimensions(agreement, model)),
        editions=editions,
        document=agreement.text,
        at_most_dimensions=form.may_ask.at_most_dimensions,
        each_release_epsilon=float(form.spend.each_release_at_most.epsilon),
        delta=float(delta_of(agreement)),
        suppress_below=form.protect.suppress_below,
        quantities=list(_quantities(agreement, model)),
        remits={
            party: known[party].remit.description
            for party in agreement.parties
            if party in known
        },
    )


def _quantities(
    agreement: Agreement, model: DataModel
) -> Iterator[analyst_pb2.QuantityDescription]:
    """Yield the quantities that some measure is about."""
    measures = [parse_measure(m, model) for m in agreement.form.may_ask.measures]
    asked = {measure.of for measure in measures if measure.kind.of_quantity}
    for name in sorted(asked):
        quantity = model.quantity(name)
        yield analyst_pb2.QuantityDescription(
            name=name,
            title=quantity.title,
            unit=quantity.unit,
            lower=float(quantity.lower),
            upper=float(quantity.upper),
            bins=quantity.bin_labels,
        )


def _dimensions(
    agreement: Agreement, model: DataModel
) -> Iterator[analyst_pb2.DimensionDescription]:
    for name, finest in agreement.form.may_ask.group_by.items():
        dimension = model.dimension(name)
        first = 0 if finest == ALL_VALUES else dimension.levels.index(finest)
        yield analyst_pb2.DimensionDescription(
            name=name,
            title=dimension.title,
            multi_valued=not dimension.single,
            levels=[
                analyst_pb2.LevelDescription(
                    name=level,
                    values=dimension.domain(level),
                    parents=_parents(dimension, place),
                )
                for place, level in enumerate(dimension.levels)
                if place >= first
            ],
            constant=dimension.constant,
        )


def _parents(dimension: Dimension, place: int) -> list[str]:
    """Return for every value of a level the one above it; none on the coarsest."""
    if place + 1 == len(dimension.levels):
        return []
    level, above = dimension.levels[place : place + 2]
    coarser = dimension.domain(above)
    found = dict(zip(dimension.roll_up(level), dimension.roll_up(above), strict=True))
    return [coarser[found[value]] for value in range(len(dimension.domain(level)))]


def balances(
    tx: sa.Connection, agreement: Agreement, analyst: str, at: dt.datetime
) -> list[tuple[Limits, Balance]]:
    """Return the accounts that an analyst may see: the agreement's and their own.

    Where the agreement schedules bulletins, what they leave to all analysts together;
    where it has an emergency clause, its account as well.
    """
    ledger = LedgerTransaction(tx)
    accounts = [of_agreement(agreement), of_analyst(agreement, analyst)]
    if agreement.form.bulletins:
        accounts.append(of_analysts(agreement))
    if agreement.form.emergency is not None:
        accounts.append(of_emergency(agreement, agreement.form.emergency))
    return [
        (
            limits,
            balance(
                ledger,
                limits.account,
                limits.unit,
                at,
                limits.windows,
                lifetime_cap=limits.lifetime_cap,
            ),
        )
        for limits in accounts
    ]


def budget(
    agreement: Agreement, found: Sequence[tuple[Limits, Balance]]
) -> analyst_pb2.GetBudgetResponse:
    """Return accounts with one entry for each limit."""
    return analyst_pb2.GetBudgetResponse(
        accounts=[
            account
            for limits, balance_ in found
            for account in _accounts(agreement, limits, balance_)
        ],
        accounting=agreement.accounting.value,
        delta=float(delta_of(agreement)),
    )


def _accounts(
    agreement: Agreement, limits: Limits, found: Balance
) -> Iterator[analyst_pb2.Account]:
    for each in found.windows:
        days = each.window.seconds // 86_400
        period = f"{days} days" if days != 1 else "1 day"
        yield _account(agreement, limits, period, each.window.cap, each.used)
    if found.lifetime_cap is not None:
        yield _account(agreement, limits, "for ever", found.lifetime_cap, found.used)


def _account(
    agreement: Agreement, limits: Limits, period: str, cap: int, used: int
) -> analyst_pb2.Account:
    amounts = [_loss(agreement, each) for each in (cap, used, max(0, cap - used))]
    epsilons = [float(epsilon_for(agreement, each)) for each in amounts]
    messages = [loss_to_message(each) for each in amounts]
    return analyst_pb2.Account(
        name=limits.account,
        period=period,
        cap_epsilon=epsilons[0],
        spent_epsilon=epsilons[1],
        left_epsilon=epsilons[2],
        cap=messages[0],
        spent=messages[1],
        left=messages[2],
    )


def _loss(agreement: Agreement, nano: int) -> Loss:
    match agreement.accounting:
        case Accounting.ZCDP:
            return Loss(nano_rho=nano)
        case Accounting.PURE:
            return Loss(nano_epsilon=nano)
