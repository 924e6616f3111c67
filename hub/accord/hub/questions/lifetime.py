# SPDX-License-Identifier: Apache-2.0
"""What persons can have lost, and can lose at most, over all releases there ever are.

A release that costs r, with noise for a person known to A agencies, takes r (a/A)^2
(zCDP) or r a/A (pure) from a person of whose agencies a took part. Let somebody be
known to k. Since a is at most k, and an agency's account adds up r over the releases
that it took part in, the sum over all releases is at most

- k/A^2 (pure: 1/A) times the k fullest accounts of agencies together, and
- (k/A)^2 (pure: k/A) times all releases together,

whichever agencies those are, and whichever releases they took part in. That charges
add up at all, although questions depend on answers, is shown in `accord.ledger`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final

from accord.core.agreement import Agreement
from accord.core.privacy import NANO, Accounting
from accord.hub.policies import Policies
from accord.hub.questions.accounts import of_agency, unit_of
from accord.hub.questions.conversion import epsilon_of
from accord.ledger import Unit

_AGENCY: Final = "agency/"
_AGREEMENT: Final = "agreement/"
_ANALYST: Final = "/analyst/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one account of the ledger holds, reservations included."""

    account: str
    unit: Unit
    used: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """What somebody who is known to so many agencies loses, as (epsilon, delta)."""

    unit: Unit
    known_to: int
    calibrated_to: int
    """Agencies that may know one person: the fewest of any agreement in force."""

    lost: Fraction
    """Epsilon of everything so far, reservations included; rounded up."""

    at_most: Fraction
    """Epsilon once every agency's account is full; rounded up."""

    delta: Fraction
    """0 under pure accounting."""


def lifetimes(policies: Policies, held: Sequence[Held]) -> Iterator[Lifetime]:
    """Yield the guarantee for 1 to all agencies, for each unit that is accounted in.

    Args:
        policies: in force; they name the agencies, their caps and who may know whom.
        held: all accounts of the ledger.
    """
    for accounting in Accounting:
        agreements = [
            each
            for each in policies.agreements.values()
            if each.accounting is accounting
        ]
        if agreements:
            yield from _of_unit(policies, agreements, held)


def most_lost(
    accounting: Accounting,
    agencies: Iterable[int],
    *,
    known_to: int,
    calibrated_to: int,
    total: int | None = None,
) -> int:
    """Return the most that anybody known to so many agencies loses, rounded up.

    Args:
        accounting: of the amounts, which are in its nano units.
        agencies: what the accounts of agencies hold.
        known_to: agencies that know the person.
        calibrated_to: agencies for which noise was made.
        total: what all releases have cost together, if that is known.
    """
    known, calibrated = Fraction(known_to), Fraction(calibrated_to)
    squared = accounting is Accounting.ZCDP
    fullest = sum(sorted(agencies, reverse=True)[:known_to])
    bounds = [fullest * (known / calibrated**2 if squared else 1 / calibrated)]
    if total is not None:
        part = known / calibrated
        bounds.append(total * (part**2 if squared else part))
    return math.ceil(min(bounds))


def _of_unit(
    policies: Policies, agreements: Sequence[Agreement], held: Sequence[Held]
) -> Iterator[Lifetime]:
    first = agreements[0]
    own = [each for each in held if each.unit is unit_of(first)]
    used = {
        each.account.removeprefix(_AGENCY): each.used
        for each in own
        if each.account.startswith(_AGENCY)
    }
    total = sum(each.used for each in own if _is_paid_once(each.account))
    full = dict(used)  # whoever has left is asked nothing more
    for agency in {party for each in agreements for party in each.parties}:
        if agency in policies.members.members:
            cap = of_agency(first, policies.members, agency).lifetime_cap or 0
            full[agency] = max(cap, used.get(agency, 0))
    calibrated_to = min(each.person_in_at_most for each in agreements)
    delta = _delta(policies, first.accounting)
    for known_to in range(1, len(full) + 1):
        persons = {"known_to": known_to, "calibrated_to": calibrated_to}
        lost = most_lost(first.accounting, used.values(), total=total, **persons)
        ever = most_lost(first.accounting, full.values(), **persons)
        yield Lifetime(
            unit=unit_of(first),
            lost=_epsilon(first.accounting, lost, delta),
            at_most=_epsilon(first.accounting, ever, delta),
            delta=delta,
            **persons,
        )


def _is_paid_once(account: str) -> bool:
    """Tell whether each release is on just one account of this kind."""
    return account.startswith(_AGREEMENT) and _ANALYST not in account


def _delta(policies: Policies, accounting: Accounting) -> Fraction:
    """Return the smallest delta of any agency's cap: it gives the largest epsilon."""
    if accounting is Accounting.PURE:
        return Fraction(0)
    members = policies.members.members.values()
    return min(Fraction(each.lifetime.zcdp.delta) for each in members)


def _epsilon(accounting: Accounting, nano: int, delta: Fraction) -> Fraction:
    if accounting is Accounting.PURE:
        return Fraction(nano, NANO)
    return epsilon_of(nano, delta)
