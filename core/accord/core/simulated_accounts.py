# SPDX-License-Identifier: Apache-2.0
"""Accounts under a draft, in the course of a simulated log."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from fractions import Fraction

from accord.core.afford import cap_in, cap_of
from accord.core.agreement import Agreement
from accord.core.policy import Policy
from accord.core.privacy import Accounting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What one account holds after the last question."""

    account: str
    limit: int
    """In units of account: of its window, or of its lifetime."""
    used: int
    days: int | None
    """Length of the window; None for a lifetime."""

    @property
    def left(self) -> int:
        """What can still be spent."""
        return max(0, self.limit - self.used)

    @property
    def share_left(self) -> Fraction:
        """The same as a share of the limit."""
        return Fraction(self.left, self.limit) if self.limit else Fraction(0)


@dataclasses.dataclass(slots=True)
class Account:
    """What was spent, and within which limits."""

    name: str
    window: tuple[datetime.timedelta, int] | None
    lifetime: int | None
    spent: list[tuple[datetime.datetime, int]] = dataclasses.field(default_factory=list)

    def in_window(self, now: datetime.datetime) -> int:
        """Return what counts at *now*; a spending leaves exactly a window later."""
        if self.window is None:
            return 0
        since = now - self.window[0]
        return sum(nano for at, nano in self.spent if at > since)

    def total(self) -> int:
        return sum(nano for _, nano in self.spent)

    def can_pay(self, nano: int, now: datetime.datetime) -> bool:
        if self.lifetime is not None and self.total() + nano > self.lifetime:
            return False
        return self.window is None or self.in_window(now) + nano <= self.window[1]

    def remaining(self, now: datetime.datetime) -> Iterator[Remaining]:
        if self.window is not None:
            yield Remaining(
                account=self.name,
                limit=self.window[1],
                used=self.in_window(now),
                days=self.window[0].days,
            )
        if self.lifetime is not None:
            yield Remaining(
                account=self.name, limit=self.lifetime, used=self.total(), days=None
            )


def opened(draft: Policy, name: str) -> Account:
    """Return an account with the limits that the draft gives it."""
    agreement = draft.agreement
    spend, emergency = agreement.form.spend, agreement.form.emergency
    window: tuple[Fraction, int] | None = None
    lifetime: int | None = None
    if name.startswith("agency/"):
        lifetime = _lifetime(draft, name.removeprefix("agency/"))
    elif name == f"agreement/{draft.name}":
        window = (spend.everyone.epsilon, spend.everyone.every)
        if spend.lifetime is not None:
            lifetime = cap_of(agreement, spend.lifetime.epsilon)
    elif name == f"agreement/{draft.name}/emergency" and emergency is not None:
        window = (emergency.spend.epsilon, emergency.at_most)
    else:
        window = (spend.each_analyst.epsilon, spend.each_analyst.every)
    return Account(
        name=name,
        window=None if window is None else _window(agreement, *window),
        lifetime=lifetime,
    )


def _window(
    agreement: Agreement, epsilon: Fraction, days: int
) -> tuple[datetime.timedelta, int]:
    return datetime.timedelta(days=days), cap_of(agreement, epsilon)


def _lifetime(draft: Policy, label: str) -> int:
    """Return an agency's lifetime cap; nothing for one that nobody knows."""
    member = draft.members.members.get(label)
    if member is None:
        return 0
    if draft.agreement.accounting is Accounting.PURE:
        return cap_in(Accounting.PURE, member.lifetime.pure.epsilon, None)
    zcdp = member.lifetime.zcdp
    return cap_in(Accounting.ZCDP, zcdp.epsilon, zcdp.delta)
