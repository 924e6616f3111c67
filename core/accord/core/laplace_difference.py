# SPDX-License-Identifier: Apache-2.0
"""How far N - t D is from 0 by Laplace noise: what Fieller's interval needs there.

Two figures have independent noise K and M of one law, a discrete Laplace of scale b or
a sum of Polya shares of one (`accord.core.opened.LaplaceSum`, shape r >= 1). A `Reach`
is a function q with P(|K - t M| > q(t)) <= outside at every real t.

**The law without a lattice.** Let L and L' have the characteristic function
(1 + b² u²)^-r. For x > 0 and 0 <= t <= 1,

    P(L - t L' > x) = 1/(2 pi i) int (1 - w²)^-r (1 - t² w²)^-r exp(-x w/b) dw / w

upwards between 0 and 1, by `accord.core.laplace_sum.around_the_cut`. With r = 1 it is
(exp(-x/b) - t² exp(-x/(t b))) / (2 (1 - t²)). The quantile Q(t) of |L - t L'| is even
in t, grows with |t|, and is |t| Q(1/t), so that it is enough to know it from 0 to
1. It is convex: (L, L') is symmetric with a log-concave density, and quantiles of the
projections of such a law are a norm (Bobkov, "Convex bodies and norms associated to
convex measures", Probab. Theory Related Fields 147 (2010)). So the chords of a table of
Q lie above it.

**What the lattice costs.** For x >= 0, with j the least integer above x, a discrete
Laplace has P(K > x) = exp(-j/b) / (1 + exp(-1/b)). That is between P(L > x + d) and
P(L > x - d), where d = 1/2 + b log cosh(1/(2b)) is hardly more than half a step. By
symmetry it is so for every x, hence K and L can be drawn together such that they are
never further apart than d (by one uniform draw for both). Then |K - t M| is at most
|L - t L'| + (1 + |t|) d: for r = 1,

    q(t) = Q(t) + (1 + |t|) d

leaves no more outside than Q(t) does, whatever t is.

**Shares.** For r > 1, K is a discrete Laplace, treated like this, and an independent
rest of shape s = r - 1. The rest is replaced by its continuous cousin, which changes
the probability beyond any x, on each side, by at most (Gil-Pelaez)

    1/pi int_0^oo |f(u) - g(u)| / u du <= 2/pi int_0^oo (A^s - B^s) B du / u

where f and g are characteristic functions with the rest and with the cousin, a = 1/b,
B = 1/(1 + u²/a²) is that of L at r = 1, and A = 1/(1 + (sin(u/2) / sinh(a/2))²) >= B
that of K; the 2 is for both figures, and each term keeps only the B of its own figure.
With (sin h / h)² >= 1 - h²/3 and, up to pi, >= 4/pi², A/B - 1 <= u²/4.4 for a <= 1 and
u <= pi; and A^s - B^s <= s (A/B - 1), or 1 above pi. So it is at most

    2 a²/pi (s log(1 + pi² b²) / 8.8 + 1 / (2 pi²))

and for both sides twice that is taken off what may be outside.

Where that would be too much, as the noise is a few steps of the lattice only, or less
than one, q(t) = (1 + |t|) h, with h the half-width of one figure at half of what may
be outside (Bonferroni).

Units: stored integers.
"""

from __future__ import annotations

import cmath
import dataclasses
import functools
import itertools
import math
from typing import Final

from accord.core.laplace_sum import around_the_cut
from accord.core.opened import LaplaceSum, half_width
from accord.core.privacy import DiscreteLaplace

_NODES: Final = 64
"""Chords between 0 and 1: they are above Q by less than 0.01 % of it."""

_LARGEST_PART: Final = 0.1
"""Of what may be outside, that the rest of a sum of shares may take."""

_BISECTIONS: Final = 40

_PRECISION: Final = 1e-9
"""Relative, of quantiles; they are rounded up by it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """q: how far K - t M is from 0 at most, but for a given probability."""

    scale: float
    """b."""
    table: tuple[float, ...]
    """Q(t) / b at even steps from t = 0 to t = 1."""
    step: float
    """d, or h where nothing better is known."""

    def at(self, slope: float) -> float:
        """Return q(slope)."""
        size = abs(slope)
        beyond = max(1.0, size)
        place = min(size, 1.0 / beyond) * (len(self.table) - 1)
        node = min(int(place), len(self.table) - 2)
        low, high = self.table[node], self.table[node + 1]
        unit = low + (high - low) * (place - node)
        return self.scale * beyond * unit + (1.0 + size) * self.step


@functools.lru_cache(maxsize=256)
def reach(noise: DiscreteLaplace | LaplaceSum, level: float) -> Reach:
    """Return q for two figures with noise of one law, at 1 - *level* outside."""
    scale, outside = float(noise.scale), 1.0 - level
    shape = float(noise.shape) if isinstance(noise, LaplaceSum) else 1.0
    rest = 2.0 * _rest(scale, shape)
    if rest > _LARGEST_PART * outside:
        each = half_width(noise, (1.0 + level) / 2.0).half_width
        return Reach(scale=scale, table=(0.0, 0.0), step=float(each))
    half = 0.5 / scale
    step = 0.5 + scale * (half + math.log1p(math.exp(-2.0 * half)) - math.log(2.0))
    return Reach(scale=scale, table=_table(shape, outside - rest), step=step)


def tail(shape: float, slope: float, value: float) -> float:
    """Return P(L - slope L' > value) at a scale of 1.

    Args:
        shape: r, from 1.
        slope: from 0 to 1.
        value: above 0.
    """

    def logarithm(w: complex) -> complex:
        v = slope * w
        powers = cmath.log(1.0 - w) + cmath.log(1.0 + w)
        powers += cmath.log(1.0 - v) + cmath.log(1.0 + v)
        return -shape * powers - value * w

    saddle, curvature = _saddle(shape, slope, value)
    return around_the_cut(logarithm, saddle, curvature)


def _saddle(shape: float, slope: float, value: float) -> tuple[float, float]:
    """Return where the integrand is least between 0 and 1, and its curvature there."""
    square = slope * slope
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        w = 0.5 * (low + high)
        rise = 2.0 * shape * w * (1.0 / (1.0 - w * w) + square / (1.0 - square * w * w))
        low, high = (w, high) if rise < value + 1.0 / w else (low, w)
    w = 0.5 * (low + high)
    curvature = w**-2
    for part in (1.0, square):
        curvature += (
            2.0 * shape * part * (1.0 + part * w * w) / (1.0 - part * w * w) ** 2
        )
    return w, curvature


def _rest(scale: float, shape: float) -> float:
    """Return what the shares beyond a discrete Laplace can change on one side."""
    if shape <= 1.0:
        return 0.0
    if scale < 1.0:
        return 1.0
    logarithm = math.log1p((math.pi * scale) ** 2)
    parts = (shape - 1.0) * logarithm / 8.8 + 0.5 / math.pi**2
    return 2.0 / math.pi * parts / scale**2


@functools.lru_cache(maxsize=256)
def _table(shape: float, outside: float) -> tuple[float, ...]:
    """Return the quantiles at a scale of 1, rounded up."""
    found: list[float] = []
    for node in range(_NODES + 1):
        start = found[-1] if found else math.sqrt(2.0 * shape)
        found.append(_quantile(shape, node / _NODES, outside, start))
    return tuple(found)


def _quantile(shape: float, slope: float, outside: float, start: float) -> float:
    """Return x with P(|L - slope L'| > x) <= outside, and hardly more than needed.

    The logarithm of the tail is concave and nearly straight: a secant finds it.
    """
    wanted = math.log(outside / 2.0)

    def above(value: float) -> float:
        return math.log(tail(shape, slope, value)) - wanted

    first, second = start, start + 0.1
    was, now = above(first), above(second)
    for _ in itertools.repeat(None, _BISECTIONS):
        if abs(second - first) <= _PRECISION * second or now == was:
            break
        following = second - now * (second - first) / (now - was)
        first, was = second, now
        second = max(following, second / 2.0)
        now = above(second)
    while above(second) > 0.0:
        second *= 1.0 + _PRECISION
    return second
