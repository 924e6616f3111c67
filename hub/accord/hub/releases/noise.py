# SPDX-License-Identifier: Apache-2.0
"""The hub's noise: OpenDP as a sampler of integers and as a privacy map, nothing else.

Its discrete samplers are exact and draw from the operating system's generator. Its
Context and Polars layers are never used. Before a single draw, the loss that OpenDP's
own map states must agree with our exact fraction; they are two programs by different
people, so a disagreement stops the release.

OpenDP is imported with the first use: it takes 0.3 s to 2 s.

Source: Canonne, Kamath and Steinke 2020, Algorithms 1 to 3 (the samplers).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, SupportsIndex, assert_never

from accord.core.errors import InternalError
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace, Mechanism

if TYPE_CHECKING:
    from opendp.mod import Measurement

_LARGEST_ENTRY = 2**62
"""Noise cannot carry an entry of at most this size past a 64-bit integer."""

_TOLERANCE = Fraction(1, 10**9)
"""Relative difference between OpenDP's map and ours that rounding explains."""


def add_noise(
    vector: Iterable[SupportsIndex],
    mechanism: Mechanism,
    *,
    d1: int,
    d2_squared: int,
) -> list[int]:
    """Return the vector with fresh, independent noise on every entry.

    The loss of the release is ``mechanism.loss(d1=d1, d2_squared=d2_squared)``: it
    must have been charged before, and the vector must be forgotten afterwards.

    Args:
        vector: exact integers, a numpy ``int64`` array as well as a list.
        mechanism: its scale comes from what was charged.
        d1: largest L1 distance that one person makes.
        d2_squared: square of the largest L2 distance that one person makes.

    Shape: (n,) -> (n,).

    Raises:
        InvalidQuery: a distance is not a positive whole number.
        InternalError: OpenDP states another loss than we do, or an entry is too large
            for any count; nothing was drawn.
    """
    entries = [operator.index(entry) for entry in vector]
    if any(not -_LARGEST_ENTRY <= entry <= _LARGEST_ENTRY for entry in entries):
        raise InternalError(
            "VECTOR_OUT_OF_RANGE",
            "A pooled sum is larger than any sum of counts can be; no noise was drawn"
            " and nothing is released.",
        )
    ours = mechanism.exact_loss(d1=d1, d2_squared=d2_squared)
    measurement = _measurement(mechanism)
    distance = _distance(mechanism, d1, d2_squared)
    theirs = Fraction(measurement.map(distance))  # type: ignore[no-untyped-call]
    if abs(theirs - ours) > _TOLERANCE * ours:
        raise InternalError(
            "NOISE_MISCALIBRATED",
            "The noise sampler states another privacy loss than the exact arithmetic;"
            " no noise was drawn and nothing is released.",
        )
    noisy: list[int] = measurement(entries)
    if len(noisy) != len(entries):
        raise InternalError(
            "NOISE_MISCALIBRATED",
            "The noise sampler returned another number of entries than it was given;"
            " nothing is released.",
        )
    return noisy


@functools.lru_cache(maxsize=64)
def _measurement(mechanism: Mechanism) -> Measurement:
    """Return OpenDP's form of the mechanism, over vectors of 64-bit integers."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=scale)
        case DiscreteLaplace():
            return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=scale)
        case _:
            assert_never(mechanism)


def _distance(mechanism: Mechanism, d1: int, d2_squared: int) -> float | int:
    """Return the distance in the metric that OpenDP's mechanism has (rounded up)."""
    match mechanism:
        case DiscreteGaussian():
            return math.nextafter(math.sqrt(d2_squared), math.inf)
        case DiscreteLaplace():
            return d1
        case _:
            assert_never(mechanism)
