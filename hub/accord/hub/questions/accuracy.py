# SPDX-License-Identifier: Apache-2.0
"""How exact figures would be, and the least loss that makes them exact enough.

All of it from the question and the agreement; no record is touched. Half-widths are of
single figures of a release, at 95 % at least, in the unit of the measure: persons or
cases for everything that is counted (the parts of shares too), the quantity's unit for
sums. A mean has none beforehand, since its error depends on how many cases there are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Final

from accord.core.agreement import Agreement
from accord.core.errors import InvalidQuery, PolicyDenied
from accord.core.measure import Component
from accord.core.opened import (
    OpenedNoise,
    half_width,
    noisiest_within,
    standard_deviation,
)
from accord.core.privacy import Mechanism
from accord.core.query import Kind
from accord.core.terms import Terms, mechanism_for, noise_plan
from accord.hub.questions.pricing import epsilon_for, loss_for

LARGEST_ERROR: Final = 10**9
"""Half-width that can be asked for at most."""


def exact_error(error: float) -> Fraction:
    """Return a half-width as the exact number that was meant.

    Raises:
        InvalidQuery: ERROR_INVALID.
    """
    if not math.isfinite(error) or not 0 < error <= LARGEST_ERROR:
        raise InvalidQuery(
            "ERROR_INVALID",
            f"The wanted error must be a number above 0 and at most {LARGEST_ERROR}.",
        )
    return Fraction(repr(error))


def figure(found: Terms) -> Component:
    """Return the component whose half-width speaks for the answer."""
    return found.vector.slots[0]


def half_width_of(found: Terms, noise: OpenedNoise) -> float:
    """Return the half-width of one figure, of its sum where it is a mean."""
    return half_width(noise).half_width / figure(found).scale


def mechanism_within(
    agreement: Agreement,
    found: Terms,
    error: Fraction,
    *,
    members: int,
    sizes: Iterable[int],
    unsafe: bool,
) -> Mechanism:
    """Return the noise of the least loss with which every figure is exact enough.

    It is so for every cohort that may answer, so that each stored release of at least
    this loss is exact enough as well.

    Args:
        agreement: limits the loss of one release.
        found: the question's terms.
        error: half-width that is wanted at most, in the unit of the measure.
        members: agencies of the cohort that is asked first.
        sizes: numbers of agencies of all cohorts that may answer.
        unsafe: the hub's unsafe test mode, in which no release is too dear.

    Raises:
        InvalidQuery: ERROR_OF_A_MEAN, or the error is too small for any noise.
        PolicyDenied: ERROR_TOO_SMALL, with what it would take and what is allowed.
    """
    if found.layout.measure.kind is Kind.MEAN:
        raise InvalidQuery(
            "ERROR_OF_A_MEAN",
            "How exact a mean is depends on how many cases there are, which nobody"
            " knows beforehand: ask with an epsilon. Its price says what error to"
            " expect.",
        )
    fewest = min(sizes, default=members)

    def opened_of(mechanism: Mechanism) -> OpenedNoise:
        """Return the noise of the cohort with the most of it."""
        opened = noise_plan(agreement, found, mechanism, members).opened
        with contextlib.suppress(InvalidQuery):
            other = noise_plan(agreement, found, mechanism, fewest).opened
            return max(opened, other, key=standard_deviation)
        return opened

    most = math.floor(error * figure(found).scale)
    cap = agreement.form.spend.each_release_at_most.epsilon
    allowed = mechanism_for(agreement, found, loss_for(agreement, cap))
    try:
        mechanism = noisiest_within(agreement.accounting, most, opened_of)
    except InvalidQuery as refusal:
        if refusal.reason != "NOISE_TOO_SMALL":
            raise
        raise InvalidQuery(
            "NOISE_TOO_SMALL",
            f"An error of ±{float(error):g} leaves too little noise to hide anything"
            f" from the hub.{_allows(agreement, found, allowed, opened_of)}",
        ) from None
    if unsafe:
        return mechanism
    loss, limit = found.loss(mechanism), loss_for(agreement, cap)
    if loss.nano_rho <= limit.nano_rho and loss.nano_epsilon <= limit.nano_epsilon:
        return mechanism
    least = float(epsilon_for(agreement, loss))
    raise PolicyDenied(
        "ERROR_TOO_SMALL",
        f"An error of ±{float(error):g} would take ε = {least:.3g}."
        f"{_allows(agreement, found, allowed, opened_of)}",
        agreement=agreement.name,
        clauses="spend.each_release_at_most",
        codes="deny.release-cost",
        least_epsilon=f"{least:.6g}",
    )


def _allows(
    agreement: Agreement,
    found: Terms,
    mechanism: Mechanism,
    opened_of: Callable[[Mechanism], OpenedNoise],
) -> str:
    """Return what the agreement does allow, as a sentence."""
    cap = float(agreement.form.spend.each_release_at_most.epsilon)
    try:
        width = half_width_of(found, opened_of(mechanism))
    except InvalidQuery:
        return f" One release may cost at most ε = {cap:g} under this agreement."
    return (
        f" One release may cost at most ε = {cap:g} under this agreement, which gives"
        f" ±{_rounded_up(width):g}: ask for that."
    )


def _rounded_up(width: float) -> float:
    """Return a width with three digits, none less than it is."""
    digits = 2 - math.floor(math.log10(width)) if width > 0 else 0
    return float(math.ceil(width * 10.0**digits) / 10.0**digits)
