# SPDX-License-Identifier: Apache-2.0
"""The agency's own account: what its records have lost, over all agreements.

Kept beside the hub's books and reserved before a record is touched, so a hub that
forgets what was spent is stopped here. A reservation becomes a charge before the seed
goes out that opens the answer; it is given back only with the seed, in one transaction:
then nobody has seen the answer and nobody ever can. A charge is never given back. Caps
are the agency's own settings, and rules of its own over a period. Beside the account
over all agreements there is one for each, which nothing but such a rule limits.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from fractions import Fraction

from accord.agent.rules.rules import Rule, delta_for, period_caps, room
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.agreement import Agreement
from accord.core.epsilon_delta import delta_upper, epsilon_to_rho_lower
from accord.core.errors import BudgetExhausted, Conflict, RequisitionRefused
from accord.core.privacy import NANO, Accounting, Loss
from accord.core.terms import Requisition
from accord.ledger import (
    Balance,
    Line,
    State,
    Unit,
    Window,
    balance,
    entry,
    give_back,
    reserve,
)
from accord.ledger.transaction import Transaction

_DAY = 86_400


def account_of(agency: str) -> str:
    """Return the name of an agency's lifetime account."""
    return f"agency/{agency}"


def agreement_account(agency: str, agreement: str) -> str:
    """Return the name of an agency's account of what one agreement has cost it."""
    return f"{account_of(agency)}/agreement/{agreement}"


def unit_of(accounting: Accounting) -> Unit:
    """Return what an account counts under an accounting."""
    return Unit.NANO_RHO if accounting is Accounting.ZCDP else Unit.NANO_EPSILON


def lifetime_cap(settings: Settings, accounting: Accounting) -> int:
    """Return the most that the agency's account may ever hold, in nano units."""
    if accounting is Accounting.ZCDP:
        cap = settings.lifetime.zcdp
        return epsilon_to_rho_lower(cap.epsilon, cap.delta)
    return int(settings.lifetime.pure.epsilon * NANO)


def within_release_cap(agreement: Agreement, loss: Loss) -> bool:
    """Tell whether the agreement allows one release to cost as much."""
    spend = agreement.form.spend
    cap = Fraction(spend.each_release_at_most.epsilon)
    if agreement.accounting is Accounting.PURE:
        return loss.epsilon <= cap
    return spend.delta is not None and delta_upper(loss.nano_rho, cap) <= spend.delta


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One requisition that is to be paid, and the limits that hold for it."""

    requisition: Requisition
    agency: str
    agreement: Agreement
    settings: Settings
    rules: Sequence[Rule] = ()

    @property
    def accounting(self) -> Accounting:
        """How the agreement accounts."""
        return self.agreement.accounting

    @property
    def unit(self) -> Unit:
        """What the accounts are charged in."""
        return unit_of(self.accounting)

    @property
    def amount(self) -> int:
        """The requisition's full loss."""
        loss = self.requisition.loss
        return loss.nano_rho if self.unit is Unit.NANO_RHO else loss.nano_epsilon

    @property
    def delta(self) -> Fraction:
        """At which the epsilon of a rule counts."""
        return own_delta(self.agreement, self.settings)


def own_delta(agreement: Agreement, settings: Settings) -> Fraction:
    """Return the delta at which the epsilon of the agency's rules counts."""
    return delta_for(agreement, settings.lifetime.zcdp.delta)


def reserve_once(tx: Transaction, bill: Bill, at: datetime.datetime) -> None:
    """Reserve a requisition's full loss, once for all attempts of its query.

    The caller has made sure that the query is open and asks what *bill* says.

    Raises:
        RequisitionRefused: BUDGET_EXHAUSTED; LOCAL_RULE where a period of a rule of
            this agency's is full; or ID_REUSED for an id that stands for other amounts.
    """
    query_id = bill.requisition.query_id
    known = entry(tx, query_id)
    if known is not None and known.state is State.RESERVED:
        return
    try:
        reserve(tx, query_id, _lines(tx, bill, at), at)
    except BudgetExhausted as error:
        raise RequisitionRefused("BUDGET_EXHAUSTED", error.sentence) from None
    except Conflict as error:
        raise RequisitionRefused("ID_REUSED", error.sentence) from None


def require_affordable(tx: Transaction, bill: Bill, at: datetime.datetime) -> None:
    """Refuse what could not be reserved now; reserves nothing.

    Raises:
        RequisitionRefused: as `reserve_once`.
    """
    tx.execute("SAVEPOINT affordable", {})
    try:
        reserve_once(tx, bill, at)
    finally:
        tx.execute("ROLLBACK TO affordable", {})
        tx.execute("RELEASE affordable", {})


def require_period(tx: Transaction, bill: Bill, at: datetime.datetime) -> None:
    """Refuse to open what the agency's rules over a period have no room for now.

    A reservation counts from the moment at which it was made. A hub that lets it grow
    older than the period, and then opens it beside others, would open more within a
    period than the rule allows.

    Args:
        tx: the caller's transaction, in which the reservation becomes a charge.
        bill: what is reserved.
        at: now.

    Raises:
        RequisitionRefused: LOCAL_RULE
    """
    known = entry(tx, bill.requisition.query_id)
    for rule in period_caps(bill.rules, bill.agreement.name):
        begin = at - datetime.timedelta(days=rule.number or 1)
        counted = known is not None and known.reserved_at > begin
        _window(tx, bill, rule, 0 if counted else bill.amount, at)


def give_back_reserved(tx: Transaction, query_id: str, at: datetime.datetime) -> None:
    """Give a query's reservation back, if it has one.

    Only in the transaction that erases what could open the answer.
    """
    known = entry(tx, query_id)
    if known is not None and known.state is State.RESERVED:
        give_back(tx, query_id, at)


def _lines(tx: Transaction, bill: Bill, at: datetime.datetime) -> list[Line]:
    """Return what the requisition takes from both accounts, within every limit."""
    windows: dict[str, list[Window]] = {
        account_of(bill.agency): [],
        agreement_account(bill.agency, bill.agreement.name): [],
    }
    for rule in period_caps(bill.rules, bill.agreement.name):
        window = _window(tx, bill, rule, bill.amount, at)
        windows[_account_under(rule, bill)].append(window)
    cap = lifetime_cap(bill.settings, bill.accounting)
    return [
        Line(
            account=account,
            unit=bill.unit,
            amount=bill.amount,
            lifetime_cap=(
                cap
                if account == account_of(bill.agency)
                and not bill.settings.unsafe_test_mode
                else None
            ),
            windows=tuple(limits),
        )
        for account, limits in windows.items()
    ]


def _account_under(rule: Rule, bill: Bill) -> str:
    if rule.subject:
        return agreement_account(bill.agency, bill.agreement.name)
    return account_of(bill.agency)


def _window(
    tx: Transaction, bill: Bill, rule: Rule, amount: int, at: datetime.datetime
) -> Window:
    """Return the limit that a rule sets, if an amount fits beneath it.

    Raises:
        RequisitionRefused: LOCAL_RULE.
    """
    seconds, account = (rule.number or 1) * _DAY, _account_under(rule, bill)
    whole = Window(seconds=seconds, cap=0)
    used = {
        unit: balance(tx, account, unit, at, [whole]).windows[0].used for unit in Unit
    }
    cap = room(
        rule,
        bill.accounting,
        nano_rho=used[Unit.NANO_RHO],
        nano_epsilon=used[Unit.NANO_EPSILON],
        delta=bill.delta,
    )
    if used[bill.unit] + amount > cap:
        raise RequisitionRefused(
            "LOCAL_RULE", "A rule of this agency forbids it.", codes=rule.kind.value
        )
    return Window(seconds=seconds, cap=cap)


def spent(
    state: AgentState,
    agency: str,
    accounting: Accounting,
    settings: Settings,
    at: datetime.datetime,
) -> Balance:
    """Return what the agency's account holds."""
    with state.ledger() as connection:
        return balance(
            connection,
            account_of(agency),
            unit_of(accounting),
            at,
            lifetime_cap=lifetime_cap(settings, accounting),
        )
