# SPDX-License-Identifier: Apache-2.0
"""Which accounts pay for a release, and how much each may hold.

Three kinds: the agreement's (a sliding window, and for ever where its board says so),
the analyst's under that agreement (rationing), and every asked agency's over all
agreements (for ever). An agreement's analysts together have one more, which leaves what
is kept for bulletins. It is charged where there are none, too, without a limit: so
bulletins that an amendment adds find in it what was spent before. In a declared
emergency the clause's own account stands in for all but the agencies'. Limits are read
from the policies in force at each use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from accord.core.agreement import Agreement
from accord.core.agreement_form import Emergency, PeriodicCap
from accord.core.bulletins import bulletin_of, kept_for_bulletins, valid_days
from accord.core.errors import PreconditionFailed
from accord.core.members import MembersForm
from accord.core.privacy import Accounting, Loss, nano_down
from accord.hub.policies import Policies
from accord.hub.questions.conversion import largest_rho
from accord.hub.questions.pricing import delta_of, epsilon_for, loss_for
from accord.ledger import Line, Unit, Window

_DAY: Final = 86_400


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One account and what it may hold."""

    account: str
    unit: Unit
    lifetime_cap: int | None = None
    windows: tuple[Window, ...] = ()


def unit_of(agreement: Agreement) -> Unit:
    """Return what the agreement's accounts count."""
    match agreement.accounting:
        case Accounting.ZCDP:
            return Unit.NANO_RHO
        case Accounting.PURE:
            return Unit.NANO_EPSILON


def amount_of(agreement: Agreement, loss: Loss) -> int:
    """Return the part of a loss that the agreement's accounts count."""
    match agreement.accounting:
        case Accounting.ZCDP:
            return loss.nano_rho
        case Accounting.PURE:
            return loss.nano_epsilon


def of_agreement(agreement: Agreement) -> Limits:
    """Return the account of everybody under an agreement."""
    spend = agreement.form.spend
    return Limits(
        account=f"agreement/{agreement.name}",
        unit=unit_of(agreement),
        lifetime_cap=(
            None if spend.lifetime is None else _cap(agreement, spend.lifetime.epsilon)
        ),
        windows=(_window(agreement, spend.everyone),),
    )


def of_analyst(agreement: Agreement, analyst: str) -> Limits:
    """Return the account of one analyst under an agreement."""
    return Limits(
        account=f"agreement/{agreement.name}/analyst/{analyst}",
        unit=unit_of(agreement),
        windows=(_window(agreement, agreement.form.spend.each_analyst),),
    )


def of_analysts(agreement: Agreement) -> Limits:
    """Return the account of all analysts together.

    It holds what the agreement's own account holds, less what its bulletins can cost
    within any window, and within the days for which the agreement is valid. Without
    bulletins the agreement's own account is limit enough.
    """
    form, whole = agreement.form, of_agreement(agreement)
    if not form.bulletins:
        return Limits(account=f"{whole.account}/analysts", unit=whole.unit)
    amounts = {
        name: amount_of(agreement, loss_for(agreement, bulletin.epsilon))
        for name, bulletin in form.bulletins.items()
    }
    ever = valid_days(form)
    return Limits(
        account=f"{whole.account}/analysts",
        unit=whole.unit,
        lifetime_cap=(
            None
            if whole.lifetime_cap is None
            else max(0, whole.lifetime_cap - kept_for_bulletins(form, ever, amounts))
        ),
        windows=tuple(
            Window(
                seconds=window.seconds,
                cap=max(
                    0,
                    window.cap
                    - kept_for_bulletins(form, window.seconds // _DAY, amounts),
                ),
            )
            for window in whole.windows
        ),
    )


def of_emergency(agreement: Agreement, clause: Emergency) -> Limits:
    """Return the account of an agreement's emergency clause."""
    cap = _cap(agreement, clause.spend.epsilon)
    return Limits(
        account=f"agreement/{agreement.name}/emergency",
        unit=unit_of(agreement),
        windows=(Window(seconds=clause.at_most * _DAY, cap=cap),),
    )


def names_of(agreement: str, analyst: str, *, emergency: bool) -> tuple[str, ...]:
    """Return the names of the accounts of an agreement that pay for a question.

    They are those of `of_purpose`, and need no agreement that is in force.
    """
    whole = f"agreement/{agreement}"
    if emergency:
        return (f"{whole}/emergency",)
    if bulletin_of(analyst) is not None:
        return (whole,)
    return whole, f"{whole}/analyst/{analyst}", f"{whole}/analysts"


def of_purpose(agreement: Agreement, purpose: str, analyst: str) -> tuple[Limits, ...]:
    """Return the accounts of an agreement that pay for a question, by its purpose."""
    clause = agreement.form.emergency
    if clause is not None and purpose == clause.purpose:
        return (of_emergency(agreement, clause),)
    if bulletin_of(analyst) is not None:
        return (of_agreement(agreement),)
    return (
        of_agreement(agreement),
        of_analyst(agreement, analyst),
        of_analysts(agreement),
    )


def of_agency(agreement: Agreement, members: MembersForm, agency: str) -> Limits:
    """Return the account of an agency's records, over all agreements.

    Raises:
        PreconditionFailed: MEMBER_UNKNOWN; nobody knows what it may lose.
    """
    member = members.members.get(agency)
    if member is None:
        raise PreconditionFailed(
            "MEMBER_UNKNOWN",
            f"The agency {agency!r} is no longer in members.yaml, so nothing says what"
            " its records may lose.",
            agency=agency,
        )
    lifetime = member.lifetime
    match agreement.accounting:
        case Accounting.ZCDP:
            cap = largest_rho(lifetime.zcdp.epsilon, lifetime.zcdp.delta)
        case Accounting.PURE:
            cap = nano_down(lifetime.pure.epsilon)
    return Limits(account=f"agency/{agency}", unit=unit_of(agreement), lifetime_cap=cap)


def lines(  # everything that a price depends on
    agreement: Agreement,
    members: MembersForm,
    *,
    analyst: str,
    purpose: str,
    cohort: Iterable[str],
    loss: Loss,
    unsafe: bool,
) -> list[Line]:
    """Return what the ledger shall take for a release from a cohort.

    Args:
        agreement: the agreement in force.
        members: the members in force.
        analyst: who asks.
        purpose: why; an emergency has its own account.
        cohort: the agencies that are asked.
        loss: what the release costs; every account pays all of it.
        unsafe: the hub's unsafe test mode, in which no account has a limit.
    """
    limits = [
        *of_purpose(agreement, purpose, analyst),
        *(of_agency(agreement, members, agency) for agency in cohort),
    ]
    amount = amount_of(agreement, loss)
    return [
        Line(
            account=each.account,
            unit=each.unit,
            amount=amount,
            lifetime_cap=None if unsafe else each.lifetime_cap,
            windows=() if unsafe else each.windows,
        )
        for each in limits
    ]


def convert_caps(policies: Policies) -> None:
    """Convert every cap of every agreement once, which takes a while the first time.

    Raises:
        InvalidQuery: a cap is too small to buy anything.
        InternalError: the conversions cannot be trusted.
    """
    for agreement in policies.agreements.values():
        single = agreement.form.spend.each_release_at_most.epsilon
        epsilon_for(agreement, loss_for(agreement, single))
        of_agreement(agreement)
        of_analyst(agreement, "nobody")
        of_analysts(agreement)
        if agreement.form.emergency is not None:
            of_emergency(agreement, agreement.form.emergency)
        for party in agreement.parties:
            of_agency(agreement, policies.members, party)


def _window(agreement: Agreement, cap: PeriodicCap) -> Window:
    return Window(seconds=cap.every * _DAY, cap=_cap(agreement, cap.epsilon))


def _cap(agreement: Agreement, epsilon: Fraction) -> int:
    """Return a cap in the agreement's unit, rounded down."""
    match agreement.accounting:
        case Accounting.ZCDP:
            return largest_rho(epsilon, delta_of(agreement))
        case Accounting.PURE:
            return nano_down(epsilon)
