# SPDX-License-Identifier: Apache-2.0
"""The law of the noise in a sum of released entries, each with noise of its own.

Exact where it can be, else conservative in the sense of `accord.core.opened`:

- A discrete Laplace is G - G' with geometric draws, and a sum of Polya shares is the
  same with negative binomials of one ratio, which add their shapes: n entries of shape
  r have exactly the law of shape n r.
- n discrete Gaussians of variance V are near to the discrete Gaussian of variance n V,
  within the deviation that `accord.core.theta.summed` bounds.
- Where each entry's noise is itself within exp(+-e) of a discrete Gaussian, the n-fold
  convolution is within exp(+-n e) of that of n discrete Gaussians, since a convolution
  keeps a factor; both deviations add.

Units: those of the stored integers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import assert_never

from accord.core.opened import GaussianSum, LaplaceSum, OpenedNoise
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.theta import LEAST_VARIANCE, summed

LARGEST_SHAPE = 1000
"""Up to which tails of `accord.core.laplace_sum` are known to be exact."""


def summed_noise(opened: OpenedNoise, count: int) -> OpenedNoise | None:
    """Return the law of a sum of *count* independent noises of one law.

    Returns:
        Nothing where no bound on it is proven: a Gaussian of less than
        `accord.core.theta.LEAST_VARIANCE`, or too many of the others.
    """
    if count == 1:
        return opened
    match opened:
        case DiscreteGaussian(scale=scale):
            return _gaussian(scale**2, Fraction(0), count)
        case GaussianSum(variance=variance, deviation=deviation):
            return _gaussian(variance, deviation, count)
        case DiscreteLaplace(scale=scale):
            return _laplace(scale, Fraction(1), count)
        case LaplaceSum(scale=scale, shape=shape):
            return _laplace(scale, shape, count)
        case _:
            assert_never(opened)


def _gaussian(
    variance: Fraction, deviation: Fraction, count: int
) -> GaussianSum | None:
    if variance < LEAST_VARIANCE:
        return None
    return GaussianSum(
        variance=count * variance,
        deviation=count * deviation + summed(variance, count),
    )


def _laplace(scale: Fraction, shape: Fraction, count: int) -> LaplaceSum | None:
    if count * shape > LARGEST_SHAPE:
        return None
    return LaplaceSum(scale=scale, shape=count * shape)
