# SPDX-License-Identifier: Apache-2.0
"""What may be spent, what is spent, what is left."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from accord.client.moments import Expectation
from accord.client.result import Cost
from accord.client.reviewed import listed

_LEAST_SHOWN: Final = 0.001
"""Part of an account that is told as a number."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account with one of its limits."""

    name: str
    period: str
    """``for ever`` or a number of days."""
    cap: Cost
    spent: Cost
    left: Cost
    """Epsilon under zCDP converts each amount by itself, so spent and left do not add
    up to the cap; ``left_share`` is of the unit that is really counted."""
    left_share: float

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "name": self.name,
            "period": self.period,
            "cap": self.cap.as_json(),
            "spent": self.spent.as_json(),
            "left": self.left.as_json(),
            "left_share": self.left_share,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """All accounts that a question under one agreement draws on."""

    agreement: str
    accounting: str
    delta: float
    accounts: tuple[Account, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "agreement": self.agreement,
            "accounting": self.accounting,
            "delta": self.delta,
            "accounts": [account.as_json() for account in self.accounts],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a question would cost and how wrong its cells would be."""

    cost: Cost
    half_width: float
    """Expected distance of a figure from its bounded target, in ``unit``."""
    level: float
    cells: int
    edition: str
    from_archive: bool
    """Whether a stored release would be served at no cost."""
    expectation: Expectation
    complete: bool = False
    """Only an answer of the largest cohort was asked for."""
    reviewers: tuple[str, ...] = ()
    """One of them has to let the answer go before it is published; if any."""
    derivable_from: str = ""
    """Stored finer release that answers this at no cost, if there is one."""
    derivable_half_width: float = 0.0
    """Largest half-width of that answer, at 95 %."""
    share_of_left: float = 0.0
    """Part of what is left in the tightest account that it would take; above 1, it
    cannot be paid."""
    tightest_account: str = ""
    """Its name, or ``an agency's lifetime account``: of an agency's balance no more is
    told."""
    typical: float | None = None
    """Persons in a typical cell, by the agencies' signed remits, if they say it."""
    useful: bool = True
    """Whether a typical figure would stand out from noise and suppression."""
    advice: str = ""
    """What to do where it would not."""
    expected_dropped_share: float | None = None
    """What the bound left out of the newest release with the same groups, if any."""
    dropped_share_of: str = ""
    """Id of that release."""
    bounding: str = "keep"
    """How the bound on one person would be kept: ``keep`` or ``weigh``."""
    unit: str = ""
    """Of ``half_width``: ``persons``, ``cases`` or the quantity's."""

    @property
    def is_derivable(self) -> bool:
        """Whether a stored finer release gives an answer at least as exact."""
        return self.is_derivable_within(None)

    def is_derivable_within(self, error: float | None) -> bool:
        """Tell whether a stored finer release gives an answer that is exact enough.

        Args:
            error: the half-width that was asked for; without it, that of this price.
        """
        wanted = max(self.half_width, error or 0.0)
        return bool(self.derivable_from) and self.derivable_half_width <= wanted

    @property
    def when(self) -> str:
        """When the answer can be expected, as a phrase; empty where nobody says."""
        if self.from_archive:
            return "already paid for: free, and at once"
        phrase = self.expectation.phrase(or_nobody=self.complete)
        words = f"answer {phrase}" if phrase else ""
        if not self.reviewers:
            return words
        held = f"then it is held until a reviewer lets it go: {listed(self.reviewers)}"
        return f"{words}; {held}" if words else held

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "cost": self.cost.as_json(),
            "half_width": self.half_width,
            "level": self.level,
            "cells": self.cells,
            "edition": self.edition,
            "from_archive": self.from_archive,
            **self.expectation.as_json(),
            "reviewers": list(self.reviewers),
            "derivable_from": self.derivable_from or None,
            "derivable_half_width": self.derivable_half_width
            if self.derivable_from
            else None,
            "share_of_left": self.share_of_left,
            "tightest_account": self.tightest_account or None,
            "typical": self.typical,
            "useful": self.useful,
            "advice": self.advice,
            "expected_dropped_share": self.expected_dropped_share,
            "dropped_share_of": self.dropped_share_of or None,
            "bounding": self.bounding,
            "unit": self.unit,
        }

    @property
    def lines(self) -> tuple[str, ...]:
        """The price in sentences, for a terminal."""
        of = f" {self.unit}" if self.unit else ""
        exact = f"each ±{self.half_width:.3g}{of} at {self.level:.1%}"
        paid = f"for ε = {self.cost.epsilon:.3g}; edition {self.edition}"
        said = [f"{self.cells} cells, {exact}, {paid}"]
        if self.share_of_left > 1:
            said.append(f"more than is left in {self.tightest_account}")
        elif self.tightest_account:
            part = f"{self.share_of_left:.1%}"
            if self.share_of_left < _LEAST_SHOWN:
                part = f"less than {_LEAST_SHOWN:.1%}"
            said.append(f"{part} of what is left in {self.tightest_account}")
        if self.typical is not None:
            about = float(f"{self.typical:.2g}")
            said.append(f"about {about:,g} persons in a typical cell")
        if self.expected_dropped_share is not None:
            said.append(
                f"expect the bound to leave out {self.expected_dropped_share:.1%}, as"
                f" in release {self.dropped_share_of}"
            )
        if self.bounding == "weigh":
            said.append(
                "persons with more cells than may count get less weight in each,"
                " instead of losing some"
            )
        if self.advice and not self.useful:
            said.append(f"probably of little use: {self.advice}")
        if self.when:
            said.append(self.when)
        return tuple(said)
