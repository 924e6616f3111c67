# SPDX-License-Identifier: Apache-2.0
r"""The law of a sum of Polya shares: negative binomials, one less the other.

With ``b = exp(-a)``, ``a = 1/scale``, it is the law of G - G', both of them NB(r, b).
One share of m has r = 1/m; m of them have r = 1 and are a discrete Laplace; n of them,
all that a release holds when everybody added one, have r = n/m.

Its generating function on ``z = e^s`` is ``((cosh a - 1)/(cosh a - cosh s))^r``. By
Cauchy's formula, summed over the tail and with ``w = sinh(s/2)/sinh(a/2)``,

    P(k or more) = 1/(2 pi i) int (1 - w^2)^-r exp(-(k - 1/2) s) / (w cosh(s/2)) dw

for k >= 1, upwards between the pole at 0 and the branch point at 1. The path is bent
into a hyperbola around the cut on the right of 1, through the point of the real axis
where the integrand is least (the saddle), and as wide as the saddle. There the
trapezoidal rule converges geometrically (Trefethen and Weideman, "The exponentially
convergent trapezoidal rule", SIAM Review 56 (2014), Section 5): with the step used
here the relative error is below 1e-12 for every scale from 1, every r from 1 to 1000
and tails down to 1e-90, which the tests compare with half the step, with the closed
form of r = 1, with a three-term recurrence and with a Fourier transform. The work is
the same for every scale. Up to a scale of 1, terms are summed one by one.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable

_SUMMED_UP_TO = 1.0
"""Scale up to which terms are summed."""

_STEP = 1.0 / 16.0
"""Of the trapezoidal rule."""

_WIDTH = 1.5
"""Of the hyperbola, over the width of the saddle."""

_SLOPE = 0.5
"""Of the asymptotes, real over imaginary part: steep enough for a large r."""

_NEGLIGIBLE = 1e-17
_BISECTIONS = 40
_MOST_STEPS = 2000


@functools.lru_cache(maxsize=4096)
def tail(scale: float, shape: float, value: int) -> float:
    """Return the probability of *value* (at least 1) or more.

    Args:
        scale: of the discrete Laplace that its parts make up.
        shape: r, at least 1.
        value: an integer from 1.
    """
    if scale <= _SUMMED_UP_TO:
        return _summed(scale, shape, value)
    return _integrated(scale, shape, value)


def standard_deviation(scale: float, shape: float) -> float:
    """Return the standard deviation: root r over root 2 sinh(a/2)."""
    return math.sqrt(shape / 2.0) / math.sinh(0.5 / scale)


def _summed(scale: float, shape: float, value: int) -> float:
    """Return the tail as a sum over both draws, all terms positive."""
    ratio = math.exp(-1.0 / scale)
    mean = shape * ratio / (1.0 - ratio)
    masses = [(1.0 - ratio) ** shape]
    while len(masses) <= mean + value or masses[-1] > _NEGLIGIBLE**3 * max(masses):
        k = len(masses)
        masses.append(masses[-1] * ratio * (k - 1 + shape) / k)
        if not masses[-1]:
            break
    tails = [0.0]
    for mass in reversed(masses):
        tails.append(tails[-1] + mass)
    tails.reverse()  # tails[k] is the probability of k or more
    return math.fsum(
        mass * tails[k + value]
        for k, mass in enumerate(masses)
        if k + value < len(tails)
    )


def _integrated(scale: float, shape: float, value: int) -> float:
    """Return the tail by the trapezoidal rule on the hyperbola."""
    half = math.sinh(0.5 / scale)
    place = value - 0.5
    saddle = _saddle(half, shape, place)
    curvature = 2.0 * shape * (1.0 + saddle**2) / (1.0 - saddle**2) ** 2 + saddle**-2

    def logarithm(w: complex) -> complex:
        s = 2.0 * cmath.asinh(w * half)
        powers = cmath.log(1.0 - w) + cmath.log(1.0 + w)
        return -shape * powers - place * s - cmath.log(cmath.cosh(s / 2.0))

    return around_the_cut(logarithm, saddle, curvature)


def around_the_cut(
    logarithm: Callable[[complex], complex], saddle: float, curvature: float
) -> float:
    """Return 1/(2 pi i) times the integral of exp(logarithm(w)) / w.

    Upwards between 0 and the branch point at 1, on the hyperbola around the cut.

    Args:
        logarithm: real on the real axis, and the same upside down below it.
        saddle: where the integrand is least between 0 and 1.
        curvature: second derivative of its logarithm there.
    """
    height = _WIDTH / math.sqrt(curvature)

    def at(parameter: float) -> float:
        sinh, cosh = math.sinh(parameter), math.cosh(parameter)
        w = complex(saddle + _SLOPE * height * (cosh - 1.0), height * sinh)
        slope = complex(_SLOPE * height * sinh, height * cosh)
        return (cmath.exp(logarithm(w)) / w * slope).imag

    # The path is symmetric to the real axis: twice the upper half, once the middle.
    total = 0.5 * at(0.0)
    for step in range(1, _MOST_STEPS):
        term = at(step * _STEP)
        total += term
        if abs(term) < _NEGLIGIBLE * abs(total):
            break
    return total * _STEP / math.pi


def _saddle(half: float, shape: float, place: float) -> float:
    """Return where the integrand is least between 0 and 1, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        slope = (
            2.0 * shape * middle / (1.0 - middle**2)
            - 2.0 * place * half / math.hypot(1.0, middle * half)
            - 1.0 / middle
        )
        low, high = (middle, high) if slope < 0.0 else (low, middle)
    return 0.5 * (low + high)
