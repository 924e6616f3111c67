# SPDX-License-Identifier: Apache-2.0
"""Questions that an agreement schedules: which are due, and what they are sure to have.

A bulletin is asked by the hub itself, once for every edition that ends one of its
periods. Boards sign it with the agreement, so its price is known beforehand, and what
all bulletins of a window cost is kept for them: analysts together can spend only the
rest (`kept_for_bulletins`). Nothing here looks at records.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from accord.core.agreement_form import ALL_VALUES, AgreementForm, Bulletin
from accord.core.calendar import Period, period_end, period_name

ASKER: Final = "bulletin:"
"""Begins the id of who asks a bulletin; no analyst's label has a colon."""

_SHORTEST_DAYS: Final = {Period.MONTH: 28, Period.QUARTER: 90, Period.YEAR: 365}


def bulletin_of(analyst: str) -> str | None:
    """Return the bulletin that an asker's id stands for; nothing for an analyst's."""
    return analyst.removeprefix(ASKER) if analyst.startswith(ASKER) else None


def due(form: AgreementForm, edition: str) -> Mapping[str, Bulletin]:
    """Return the bulletins that are asked with *edition*, by name.

    A quarterly one is asked with the edition of the quarter's last month.
    """
    return {
        name: bulletin
        for name, bulletin in sorted(form.bulletins.items())
        if _ends(edition, bulletin.every or form.editions.every)
    }


def _ends(edition: str, period: Period) -> bool:
    last = period_end(edition)
    following = last + datetime.timedelta(days=1)
    return period_name(period, last) != period_name(period, following)


def groups_of(bulletin: Bulletin) -> list[tuple[str, str | None]]:
    """Return dimensions and levels; no level means the finest one."""
    return [
        (name, None if level == ALL_VALUES else level)
        for name, level in sorted(bulletin.by.items())
    ]


def purpose_of(form: AgreementForm, bulletin: Bulletin) -> str:
    """Return what a bulletin is for; unsaid, the agreement's first purpose."""
    return bulletin.purpose or form.purpose[0]


def most_in_window(form: AgreementForm, bulletin: Bulletin, days: int) -> int:
    """Return how often a bulletin can be asked within any *days* days.

    Two editions of a calendar are due at least as far apart as its shortest period is
    long; an edition that comes late is asked when it comes, so one more may fall in.
    """
    return days // _SHORTEST_DAYS[bulletin.every or form.editions.every] + 1


def epsilons(form: AgreementForm, days: int) -> dict[str, tuple[Fraction, int]]:
    """Return by bulletin its epsilon, and how often it is asked within *days* days."""
    return {
        name: (bulletin.epsilon, most_in_window(form, bulletin, days))
        for name, bulletin in sorted(form.bulletins.items())
    }


def valid_days(form: AgreementForm) -> int:
    """Return for how many days an agreement is valid."""
    return (form.valid.until - form.valid.first).days + 1


def kept_for_bulletins(
    form: AgreementForm, days: int, amounts: Mapping[str, int]
) -> int:
    """Return what is kept for bulletins within a window of *days* days.

    Args:
        form: the agreement.
        days: length of the window.
        amounts: by bulletin, what one release costs, in the agreement's unit.
    """
    return sum(
        amounts[name] * often for name, (_, often) in epsilons(form, days).items()
    )
