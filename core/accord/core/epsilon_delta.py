# SPDX-License-Identifier: Apache-2.0
"""Conversion between rho and (epsilon, delta), in the direction that is safe.

People write caps as (epsilon, delta); accounts hold nano-rho. What is granted or
capped is rounded down (`epsilon_to_rho_lower`), what is stated as lost is rounded up
(`rho_to_epsilon_upper`, `delta_upper`). Decimal arithmetic of 60 digits with directed
rounding; no float decides. Agents convert with this module alone; the hub converts
tightly in ``accord.hub.questions.conversion`` and checks that against `delta_upper`.
What documents say of caps uses the tight search here (`epsilon_to_rho_tight`,
`rho_to_epsilon_tight`), which is the hub's without the second program's confirmation.

Sources:
    Bun and Steinke, "Concentrated differential privacy: simplifications, extensions,
    and lower bounds", TCC 2016, Proposition 1.3.
    Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy",
    NeurIPS 2020, arXiv 2004.00010, Section 2.3.
"""

from __future__ import annotations

import decimal
import functools
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.privacy import NANO, Loss, nano_down, nano_up

LARGEST_EPSILON = 50_000
"""Far above any use; it keeps accounts in 64 bits and OpenDP's doubles finite."""

Number: TypeAlias = Fraction | Decimal | float | int
"""What a person or a document may give as epsilon or delta.

A float stands for the decimal number that it prints as: 0.3 is three tenths.
"""

_NEGLIGIBLE = -1000
"""Logarithm of a delta that needs no exact figure any more."""

_SMALLEST_DELTA = Fraction(1, 10**300)
"""Below it, delta is no longer a double precision number."""

_DIGITS = 60
"""Precision of the conversions; their answers need fewer than 30 digits."""

_MOST_EXPONENT = 400
"""Decimal exponent beyond which a number is not worth turning into a fraction."""


def exact_epsilon(epsilon: Number) -> Fraction:
    """Return epsilon as the exact number that was meant.

    Raises:
        InvalidQuery: it is not a number above zero and up to `LARGEST_EPSILON`.
    """
    exact = _exact(epsilon)
    if exact is None or not 0 < exact <= LARGEST_EPSILON:
        raise InvalidQuery(
            "EPSILON_INVALID",
            f"Epsilon must be a number above 0 and at most {LARGEST_EPSILON}.",
        )
    return exact


def exact_delta(delta: Number) -> Fraction:
    """Return delta as the exact number that was meant.

    Raises:
        ConfigurationError: it is not a number between 1e-300 and 1, 1 excluded.
    """
    exact = _exact(delta)
    if exact is None or not _SMALLEST_DELTA <= exact < 1:
        raise ConfigurationError(
            "DELTA_INVALID", "Delta must be a number above 0 (from 1e-300) and below 1."
        )
    return exact


def rho_to_epsilon_upper(nano_rho: int, delta: Number) -> Fraction:
    """Return an epsilon, rounded up to 1e-9, such that the loss is (epsilon, delta).

    Safe for stating what was lost: never below the truth; above the tight value by
    13 % at a rho of 0.015 and a delta of 1e-9, by more at a smaller rho.
    epsilon = rho + 2 sqrt(rho ln(1/delta)).
    Source: Bun and Steinke 2016, Proposition 1.3.
    """
    up = _rounding(decimal.ROUND_CEILING)
    rho = _quotient(up, Loss(nano_rho=nano_rho).rho)
    product = up.multiply(rho, _log_inverse_upper(exact_delta(delta)))
    root = up.sqrt(product).next_plus(up) if product else Decimal(0)
    return Fraction(nano_up(Fraction(up.fma(Decimal(2), root, rho))), NANO)


def epsilon_to_rho_lower(epsilon: Number, delta: Number) -> int:
    """Return nano-rho, rounded down, that certainly stays within (epsilon, delta).

    Safe for a cap: whoever spends at most this much rho has lost at most (epsilon,
    delta). The inverse of `rho_to_epsilon_upper`; agents use it for their own caps.
    At a delta of 1e-9 the tight conversion would allow 27 % more at epsilon 1.
    rho = (epsilon / (sqrt(ln(1/delta) + epsilon) + sqrt(ln(1/delta))))^2.

    Raises:
        InvalidQuery: epsilon is out of range, or too small to buy one nano-rho.
    """
    exact = exact_epsilon(epsilon)
    down, up = _rounding(decimal.ROUND_FLOOR), _rounding(decimal.ROUND_CEILING)
    log = _log_inverse_upper(exact_delta(delta))
    roots = up.add(
        up.sqrt(up.add(log, _quotient(up, exact))).next_plus(up),
        up.sqrt(log).next_plus(up),
    )
    root = down.divide(_quotient(down, exact), roots)
    return granted(nano_down(Fraction(down.multiply(root, root))))


def epsilon_to_rho_tight(epsilon: Number, delta: Number) -> int:
    """Return the most nano-rho that `delta_upper` finds within (epsilon, delta).

    Rounded down and as safe as `epsilon_to_rho_lower`, which grants less.

    Raises:
        InvalidQuery: epsilon is out of range, or too small to buy one nano-rho.
        ConfigurationError: delta is out of range.
    """
    return granted(_most_rho(exact_epsilon(epsilon), exact_delta(delta)))


def rho_to_epsilon_tight(nano_rho: int, delta: Number) -> Fraction:
    """Return the least epsilon, up to 1e-9, that `delta_upper` finds for a rho.

    Rounded up and as safe as `rho_to_epsilon_upper`, which states more.
    """
    return _least_epsilon(Loss(nano_rho=nano_rho).nano_rho, exact_delta(delta))


def last_that_fits(fits: Callable[[int], bool]) -> int:
    """Return the last number that fits, of a property that small numbers have."""
    low, high = 0, 1
    while fits(high):
        low, high = high, high * 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@functools.lru_cache(maxsize=1024)
def _most_rho(epsilon: Fraction, delta: Fraction) -> int:
    return last_that_fits(lambda nano_rho: delta_upper(nano_rho, epsilon) <= delta)


@functools.lru_cache(maxsize=1024)
def _least_epsilon(nano_rho: int, delta: Fraction) -> Fraction:
    if not nano_rho:
        return Fraction(0)
    enough = nano_up(rho_to_epsilon_upper(nano_rho, delta))
    saved = last_that_fits(
        lambda less: (
            less < enough
            and delta_upper(nano_rho, Fraction(enough - less, NANO)) <= delta
        )
    )
    return Fraction(enough - saved, NANO)


def granted(nano: int) -> int:
    """Return the amount that a conversion grants, if it is one.

    Raises:
        InvalidQuery: nothing is left of it.
    """
    if nano < 1:
        raise InvalidQuery(
            "EPSILON_TOO_SMALL",
            "Epsilon is so small that it buys less than the smallest unit of account"
            " (a billionth); ask for a larger one.",
        )
    return nano


def delta_upper(nano_rho: int, epsilon: Fraction) -> Fraction:
    """Return a delta such that a loss of rho is (epsilon, delta): tight, never below.

    delta = min over a > 1 of exp((a - 1)(a rho - epsilon)) (1 - 1/a)^a / (a - 1).
    Every a gives a true bound, so the search for the best one may use floats; the
    bound itself is computed with directed rounding. It checks conversions that other
    software makes. Below e^-1000 it stays there.
    Source: Canonne, Kamath and Steinke 2020, Section 2.3.
    """
    rho = Loss(nano_rho=nano_rho).rho
    if epsilon <= 0:
        raise InvalidQuery("EPSILON_INVALID", "Epsilon must be a number above 0.")
    if not rho:
        return Fraction(0)
    order = Fraction(_best_order(float(rho), float(epsilon)))
    down, up = _rounding(decimal.ROUND_FLOOR), _rounding(decimal.ROUND_CEILING)
    # The logarithm of the bound, every term rounded up. ln(1 - 1/a) is negative:
    # multiplied by a rounded down, it stays above the truth.
    exponent = _quotient(up, (order - 1) * (order * rho - epsilon))
    shrink = up.ln(_quotient(up, 1 - 1 / order)).next_plus(up)
    widen = down.ln(_quotient(down, order - 1)).next_minus(down)
    log = up.subtract(up.fma(_quotient(down, order), shrink, exponent), widen)
    if log >= 0:
        return Fraction(1)
    log = max(log, Decimal(_NEGLIGIBLE))
    return min(Fraction(up.exp(log).next_plus(up)), Fraction(1))


def _best_order(rho: float, epsilon: float) -> float:
    """Return nearly the best order a of Proposition 12, by bisection.

    The logarithm of the bound is convex in a; its derivative is
    (2a - 1) rho - epsilon + ln(1 - 1/a). Never 1 itself, where it has a pole.
    """
    low, high = 1 + 1e-9, (epsilon + 1) / (2 * rho) + 2
    for _ in range(200):
        middle = (low + high) / 2
        slope = (2 * middle - 1) * rho - epsilon + math.log1p(-1 / middle)
        low, high = (middle, high) if slope < 0 else (low, middle)
    return high


def _exact(number: object) -> Fraction | None:
    """Return the number that was meant, or nothing where it is none."""
    if isinstance(number, bool):
        return None
    if isinstance(number, float):
        number = Decimal(repr(float(number)))
    if isinstance(number, Decimal):
        if not number.is_finite() or abs(number.adjusted()) > _MOST_EXPONENT:
            return None
        return Fraction(number)
    return Fraction(number) if isinstance(number, int | Fraction) else None


def _rounding(direction: str) -> decimal.Context:
    """Return a context that rounds in one direction.

    ``sqrt``, ``ln`` and ``exp`` round to the nearest in any context: take the next
    number in the wanted direction.
    """
    return decimal.Context(prec=_DIGITS, rounding=direction)


def _quotient(context: decimal.Context, value: Fraction) -> Decimal:
    """Return a fraction as a decimal number, rounded as the context says."""
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _log_inverse_upper(delta: Fraction) -> Decimal:
    """Return ln(1/delta), rounded up."""
    up = _rounding(decimal.ROUND_CEILING)
    return up.ln(_quotient(up, 1 / delta)).next_plus(up)
