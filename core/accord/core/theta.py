# SPDX-License-Identifier: Apache-2.0
"""How far a sum of discrete Gaussians is from a discrete Gaussian, and what it costs.

A sum of discrete Gaussians is no discrete Gaussian, but nearly. Everything here is a
fraction that is rounded up; no float decides.

**Lemma.** Let X and Y be independent discrete Gaussians of variances A and B (that
is, P(k) ~ exp(-k^2/(2A))), W one of variance A + B, v = AB/(A + B) >= 1/4 and
q = exp(-2 pi^2 v). At every integer z, P(X+Y = z) is P(W = z) up to a factor within
exp(+-5q).

*Proof.* Completing the square in x^2/(2A) + (z-x)^2/(2B) gives z^2/(2(A+B)) plus
(x-c)^2/(2v) with c = zA/(A+B). So P(X+Y = z) = P(W = z) K F(c), where K does not
depend on z and F(c) is the sum over x of exp(-(x-c)^2/(2v)) over sqrt(2 pi v), which
by Poisson summation is 1 + 2 sum_j q^(j^2) cos(2 pi j c). With u = 2 sum_j q^(j^2),
F lies in [1-u, 1+u]. Both sides are probabilities, so the factor K F(c) averages to 1
under W; it has values on both sides of 1, and its logarithm ranges over at most
log((1+u)/(1-u)) = 2 atanh(u). As v >= 1/4, q < 0.0072, u < 2.0001 q and that is below
4.1 q. Source: Kairouz, Liu and Steinke, "The distributed discrete Gaussian mechanism
for federated learning with secure aggregation", ICML 2021, arXiv 2102.06387,
Theorem 9, which has the same 5q.

**Sums.** A convolution keeps a factor within exp(+-e), so deviations of successive
convolutions add. The k-th share of variance V joins a sum of variance (k-1)V, so n
shares deviate by at most 5 sum_{k=1}^{n-1} exp(-2 pi^2 V k/(k+1)); their tau, ten
times that sum, is twice the deviation.

**Loss.** Let Z be a noise whose law is within exp(+-e) of the discrete Gaussian of
variance S^2, and let neighbours differ by d_j at entry j, an integer. From Z + d_j to
the Gaussian there is a pure loss of e, hence e^2/2 of zCDP; between the Gaussians
d_j^2/(2 S^2); and e^2/2 back. The roots of such losses add (Bun and Steinke 2016,
Proposition 1.4 and the proof of Proposition 1.9), so entry j costs at most
(|d_j|/S + 2e)^2 / 2. Where d_j = 0 it costs nothing, elsewhere |d_j| >= 1 and that is
at most d_j^2 (1/S + 2e)^2 / 2. Over all entries::

    rho <= D2^2/2 (1/S + tau)^2,    tau = 2e

It holds for vectors of every length, and for a person at another distance it goes
with the square of the distance, as the loss of one discrete Gaussian does. (Theorem 1
of Kairouz, Liu and Steinke has D2^2/S^2 + 2 D1 tau/S + tau^2 d in its place, from the
same entries, summed otherwise.)
"""

from __future__ import annotations

import decimal
import functools
import math
from decimal import Decimal
from fractions import Fraction

TWO_PI_SQUARED = Fraction(19_739_208_802_178, 10**12)
"""A little less than 2 pi^2 = 19.7392088021787..."""

LEAST_VARIANCE = Fraction(1, 2)
"""Of each summand: then AB/(A + B) is at least 1/4, as the lemma needs."""

_DIGITS = 30
_SMALLEST = -200
"""Logarithm of what needs no exact figure: e^-200 is below 2^-288."""

_GRID = 2**320
"""Deviations are rounded up to multiples of one over this."""

_ROOT_BITS = 256
"""Bits of a root of which only a small multiple matters."""

_ONE_BY_ONE = 4
"""Convolutions whose deviation is computed singly; it falls with their number."""


def joined(first: Fraction, second: Fraction) -> Fraction:
    """Return the deviation that a sum of two variances adds, rounded up.

    Args:
        first: variance of one summand, at least `LEAST_VARIANCE`.
        second: variance of the other, likewise.
    """
    if min(first, second) < LEAST_VARIANCE:
        message = "The lemma needs variances of at least one half."
        raise ValueError(message)
    return 5 * _exponential(first * second / (first + second))


@functools.lru_cache(maxsize=1024)
def summed(variance: Fraction, count: int) -> Fraction:
    """Return the deviation of the sum of *count* noises of one variance, rounded up.

    The first convolutions are computed, the others are each taken for the largest of
    them: a thousand of them are below 0.2 % of the first at a variance of 2, and less
    at larger ones.
    """
    steps = min(count - 1, _ONE_BY_ONE)
    found = sum(
        (joined(variance, k * variance) for k in range(1, steps + 1)), start=Fraction(0)
    )
    left = count - 1 - steps
    if left > 0:
        found += left * joined(variance, (steps + 1) * variance)
    return found


def rho_upper(variance: Fraction, deviation: Fraction, d2_squared: int) -> Fraction:
    """Return a rho that the noise keeps, rounded up; exact without a deviation.

    Args:
        variance: S^2 of the discrete Gaussian that the noise is near to.
        deviation: e, such that the laws are within exp(+-e) of each other.
        d2_squared: squared L2 distance of neighbours that hold integers.
    """
    square = 1 / variance
    if deviation:
        root = _root_upper(square)
        square += 4 * deviation * root + 4 * deviation**2
    return d2_squared * square / 2


def _exponential(variance: Fraction) -> Fraction:
    """Return exp(-2 pi^2 variance), rounded up to the grid."""
    up = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)
    exponent = -TWO_PI_SQUARED * variance
    if exponent < _SMALLEST:
        exponent = Fraction(_SMALLEST)
    # A negative number rounded towards the ceiling is above the truth. exp itself
    # rounds to the nearest in any context, so the next number is taken.
    rounded = up.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
    found = Fraction(up.exp(rounded).next_plus(up))
    return Fraction(math.ceil(found * _GRID), _GRID)


def _root_upper(square: Fraction) -> Fraction:
    """Return a root, rounded up in its 250th significant bit or so."""
    shift = max(0, _ROOT_BITS - math.floor(square).bit_length() // 2)
    shift += square.denominator.bit_length() // 2
    scaled = math.ceil(square * 4**shift)
    return Fraction(math.isqrt(scaled - 1) + 1, 2**shift)
