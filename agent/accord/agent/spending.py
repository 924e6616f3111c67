# SPDX-License-Identifier: Apache-2.0
"""The agency's own account: what its records have lost, over all agreements.

Kept beside the hub's books and charged before a record is touched, so a hub that
forgets what was spent is stopped here. A charge is never given back: the agency cannot
know whether an answer was seen. Caps are the agency's own settings.
"""

from __future__ import annotations

import datetime
from fractions import Fraction

from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.agreement import Agreement
from accord.core.epsilon_delta import delta_upper, epsilon_to_rho_lower
from accord.core.errors import BudgetExhausted, Conflict, RequisitionRefused
from accord.core.privacy import NANO, Accounting, Loss
from accord.core.terms import Requisition
from accord.ledger import Balance, Line, Unit, balance, charge, reserve
from accord.ledger.sqlite import transaction


def account_of(agency: str) -> str:
    """Return the name of an agency's lifetime account."""
    return f"agency/{agency}"


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


def charge_once(
    state: AgentState,
    requisition: Requisition,
    *,
    substance: str,
    agency: str,
    accounting: Accounting,
    settings: Settings,
    at: datetime.datetime,
) -> None:
    """Charge a requisition's full loss, in one transaction with remembering its id.

    Raises:
        RequisitionRefused: BUDGET_EXHAUSTED, or ID_REUSED for another question.
    """
    unit = unit_of(accounting)
    loss = requisition.loss
    line = Line(
        account=account_of(agency),
        unit=unit,
        amount=loss.nano_rho if unit is Unit.NANO_RHO else loss.nano_epsilon,
        lifetime_cap=(
            None if settings.unsafe_test_mode else lifetime_cap(settings, accounting)
        ),
    )
    with state.ledger() as connection, transaction(connection) as tx:
        known = tx.execute(
            "SELECT substance FROM answered WHERE query_id = :id",
            {"id": requisition.query_id},
        ).fetchall()
        if known and known[0][0] != substance:
            raise RequisitionRefused(
                "ID_REUSED", "The id was used before for another question."
            )
        if known:
            return
        try:
            reserve(tx, requisition.query_id, [line], at)
            charge(tx, requisition.query_id, at)
        except BudgetExhausted as error:
            raise RequisitionRefused("BUDGET_EXHAUSTED", error.sentence) from None
        except Conflict as error:
            raise RequisitionRefused("ID_REUSED", error.sentence) from None
        tx.execute(
            "INSERT INTO answered (query_id, substance, at) VALUES (:id, :substance, "
            ":at)",
            {
                "id": requisition.query_id,
                "substance": substance,
                "at": at.isoformat(),
            },
        )


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
