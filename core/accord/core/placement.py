# SPDX-License-Identifier: Apache-2.0
"""Who adds which noise to a release, and what the hub could learn from the shares.

A release is priced by one `Mechanism`, wherever its noise comes from. With `hub` the
hub adds all of it and sees exact sums. With `agents` every agency of the cohort adds a
share inside its mask; the shares of n - t of them alone keep the price, so it holds
towards everybody, the hub and any t colluding agencies included. With `shared` the
shares of n - t agencies alone keep a weaker promise towards the hub, and the hub adds
the rest, so that everybody else sees a release at its price.

Hub and agencies each compute the plan from what they verified themselves (the signed
agreement, the cohort), and compare its digest in the signed transcript. Everything is
exact: fractions, integers and bounds that are rounded up; no float decides.

What is really added, colluders left out, never costs more than the mechanism's exact
loss, of which the charge is the rounded one. Both go with the square of the distance,
so what is printed for persons known to fewer agencies, or to more, holds as well.

The t agencies beyond the n - t are there too when all are honest. What they add is
independent of the rest, so the loss stays within the price; `NoisePlan.opened` has it.

Sources:
    Kairouz, Liu and Steinke, "The distributed discrete Gaussian mechanism for
    federated learning with secure aggregation", ICML 2021, arXiv 2102.06387; the
    bounds that are used, with proofs, stand in `accord.core.theta`.
    Goryczka and Xiong, "A comprehensive comparison of multiparty secure additions
    with differential privacy", IEEE TDSC 14 (2017): Polya shares of a discrete Laplace.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from collections.abc import Callable
from fractions import Fraction

from accord.core.canonical import digest
from accord.core.errors import InvalidQuery
from accord.core.opened import GaussianSum, LaplaceSum, OpenedNoise
from accord.core.privacy import (
    LARGEST_SCALE,
    NANO,
    SCALE_DENOMINATOR,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
    nano_up,
)
from accord.core.theta import joined, rho_upper, summed

HUB_SEES = 4
"""With `shared`, rho towards the hub over the rho of the release, unless capped."""

LEAST_SHARE_VARIANCE = 2
"""Of a Gaussian share: below it, sums of shares are no longer nearly Gaussian."""

MOST_MEMBERS = 1000
"""Members of one cohort."""

_LEAST_SHARE = math.isqrt(LEAST_SHARE_VARIANCE * SCALE_DENOMINATOR**2 - 1) + 1
"""Least scale of a share or a top-up, in units of 1/1024."""


class Placement(enum.StrEnum):
    """Where the noise of a release comes from."""

    SHARED = "shared"
    """Shares of the agencies, topped up by the hub."""

    AGENTS = "agents"
    """Shares of the agencies, and nothing else."""

    HUB = "hub"
    """The hub alone, which sees exact pooled sums."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PolyaShare:
    """Adds to every entry G - G', two draws of NB(1/parts, exp(-1/scale)).

    P(G = k) = C(k + r - 1, k) (1 - b)^r b^k with r = 1/parts and b = exp(-1/scale).
    Negative binomials of one b add their r, and NB(1, b) is geometric: the sum of
    *parts* shares is exactly the discrete Laplace of this scale.
    """

    scale: Fraction
    parts: int

    @property
    def numerator(self) -> int:
        """The scale in units of 1/1024, as it travels."""
        return int(self.scale * SCALE_DENOMINATOR)


Share = DiscreteGaussian | PolyaShare
"""What one agency adds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NoisePlan:
    """Who adds which noise to one release, and what follows from it."""

    placement: Placement
    mechanism: Mechanism
    """What the release is priced by."""
    members: int
    """n: agencies of the cohort."""
    colluding: int
    """t: agencies that may tell the hub their share, or add none."""
    share: Share | None
    """What each agency adds; None where the hub adds everything."""
    top_up: Mechanism | None
    """What the hub adds; None where the shares are enough."""
    hub_loss: Fraction | None
    """Loss towards the hub and any t agencies together, of a person known to A.

    In rho or epsilon, rounded up to a billionth. None where the hub sees exact sums.
    """

    def digest(self) -> str:
        """Return the SHA-256 of everything in it, in hex."""
        return digest(
            {
                "placement": self.placement.value,
                "mechanism": _described(self.mechanism),
                "members": self.members,
                "colluding": self.colluding,
                "share": _described(self.share),
                "top_up": _described(self.top_up),
                "hub_loss": None if self.hub_loss is None else str(self.hub_loss),
            }
        )

    @property
    def opened(self) -> OpenedNoise:
        """The law of the noise in a release to which all members added their share."""
        match self.share:
            case None:
                return self.mechanism
            case PolyaShare(scale=scale, parts=parts):
                return LaplaceSum(scale=scale, shape=Fraction(self.members, parts))
            case DiscreteGaussian(scale=scale):
                extra = None if self.top_up is None else self.top_up.scale**2
                variance, deviation = _pooled(scale**2, self.members, extra)
                return GaussianSum(variance=variance, deviation=deviation)


def plan_noise(
    placement: Placement,
    mechanism: Mechanism,
    *,
    members: int,
    colluding: int,
    d1: int,
    d2_squared: int,
    hub_rho_cap: int | None = None,
) -> NoisePlan:
    """Return who adds which noise to a release that *mechanism* prices.

    Args:
        placement: as the agreement says.
        mechanism: its loss at these sensitivities is what is charged.
        members: agencies of the cohort.
        colluding: how many of them may collude with the hub.
        d1: L1 sensitivity over all agencies, in stored integers.
        d2_squared: square of the L2 sensitivity.
        hub_rho_cap: with `shared`, most nano-rho that the hub may learn.

    Raises:
        InvalidQuery: NOISE_TOO_SMALL, the shares would be too small to be added up;
            LOSS_TOO_SMALL, they would be too large to be drawn; PLACEMENT_INVALID,
            the placement, the mechanism and the cohort do not go together.
    """
    _check(placement, mechanism, members, colluding, hub_rho_cap)
    plan = functools.partial(
        NoisePlan,
        placement=placement,
        mechanism=mechanism,
        members=members,
        colluding=colluding,
    )
    exact = mechanism.exact_loss(d1=d1, d2_squared=d2_squared)
    parts = members - colluding
    if placement is Placement.HUB:
        return plan(share=None, top_up=mechanism, hub_loss=None)
    if isinstance(mechanism, DiscreteLaplace):
        share = PolyaShare(scale=mechanism.scale, parts=parts)
        return plan(share=share, top_up=None, hub_loss=_rounded(exact))
    towards_hub = exact
    if placement is Placement.SHARED:
        towards_hub = _towards_hub(exact, hub_rho_cap)
    gaussian = _gaussian_share(
        parts,
        d2_squared=d2_squared,
        towards_hub=towards_hub,
        at_least=_LEAST_SHARE if placement is Placement.SHARED else 1,
    )
    known = rho_upper(*_pooled(gaussian.scale**2, parts, None), d2_squared)
    top_up = None
    if known > exact:
        top_up = _top_up(mechanism, gaussian, parts, d2_squared)
    return plan(share=gaussian, top_up=top_up, hub_loss=_rounded(known))


def _check(
    placement: Placement,
    mechanism: Mechanism,
    members: int,
    colluding: int,
    hub_rho_cap: int | None,
) -> None:
    """Refuse what has no plan."""
    sentence = None
    if not 1 <= members <= MOST_MEMBERS or not 0 <= colluding < members:
        sentence = (
            f"A cohort has 1 to {MOST_MEMBERS} agencies, and at least one of them does"
            " not collude."
        )
    elif placement is Placement.SHARED and isinstance(mechanism, DiscreteLaplace):
        sentence = (
            "Noise that agencies and hub share is Gaussian: with `accounting: pure`,"
            " let `noise` be `agents` or `hub`."
        )
    elif hub_rho_cap is not None and hub_rho_cap < 1:
        sentence = "A cap on what the hub learns is a positive number of nano-rho."
    if sentence:
        raise InvalidQuery("PLACEMENT_INVALID", sentence)


def _towards_hub(exact: Fraction, cap: int | None) -> Fraction:
    """Return the rho that shares keep towards the hub where it adds the rest.

    With a cap of no more than the price, they carry everything.
    """
    if cap is None:
        return HUB_SEES * exact
    most = Fraction(cap, NANO)
    return min(exact if most <= _rounded(exact) else HUB_SEES * exact, most)


def _gaussian_share(
    parts: int, *, d2_squared: int, towards_hub: Fraction, at_least: int
) -> DiscreteGaussian:
    """Return the least share of which *parts* cost at most the rho *towards_hub*."""
    first = max(_scale_of(d2_squared / (2 * towards_hub * parts)), at_least)
    if first < _LEAST_SHARE:
        raise InvalidQuery(
            "NOISE_TOO_SMALL",
            "So large an epsilon, or so small an error, leaves the agencies' shares of"
            " the noise too small to hide anything from the hub; ask for less epsilon,"
            " or for a larger error.",
        )

    def enough(numerator: int) -> bool:
        share = Fraction(numerator, SCALE_DENOMINATOR) ** 2
        return rho_upper(*_pooled(share, parts, None), d2_squared) <= towards_hub

    return DiscreteGaussian(scale=_least(first, enough))


def _top_up(
    mechanism: DiscreteGaussian, share: DiscreteGaussian, parts: int, d2_squared: int
) -> DiscreteGaussian:
    """Return the least noise with which *parts* shares cost what *mechanism* does."""
    shares = share.scale**2
    missing = mechanism.scale**2 - parts * shares
    first = max(_scale_of(missing), _LEAST_SHARE) if missing > 0 else _LEAST_SHARE
    price = mechanism.privacy_function(d2_squared)

    def enough(numerator: int) -> bool:
        extra = Fraction(numerator, SCALE_DENOMINATOR) ** 2
        return rho_upper(*_pooled(shares, parts, extra), d2_squared) <= price

    return DiscreteGaussian(scale=_least(first, enough))


def _pooled(
    share: Fraction, count: int, extra: Fraction | None
) -> tuple[Fraction, Fraction]:
    """Return the variance of *count* shares and one extra noise, and its deviation.

    The law of their sum is the discrete Gaussian of this variance up to a factor
    within exp(+-deviation).
    """
    variance = count * share
    deviation = summed(share, count)
    if extra is not None:
        deviation += joined(variance, extra)
        variance += extra
    return variance, deviation


def _scale_of(variance: Fraction) -> int:
    """Return a root in units of 1/1024, rounded up."""
    return math.isqrt(math.ceil(variance * SCALE_DENOMINATOR**2) - 1) + 1


def _least(first: int, enough: Callable[[int], bool]) -> Fraction:
    """Return the least scale from *first* on that is enough, as more always is.

    Raises:
        InvalidQuery: none that can be drawn is enough.
    """
    most = LARGEST_SCALE * SCALE_DENOMINATOR
    low, high, step = first - 1, first, 1
    while high <= most and not enough(high):
        low, high, step = high, high + step, step * 2
    if high > most:
        raise InvalidQuery(
            "LOSS_TOO_SMALL",
            "So small a privacy loss needs more noise than can be drawn;"
            " ask for a larger one.",
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return Fraction(high, SCALE_DENOMINATOR)


def _rounded(loss: Fraction) -> Fraction:
    """Return a loss, rounded up to a billionth."""
    return Fraction(nano_up(loss), NANO)


def _described(noise: Mechanism | PolyaShare | None) -> dict[str, object] | None:
    """Return a noise as plain values; large integers as text, as JSON needs it."""
    match noise:
        case None:
            return None
        case PolyaShare(numerator=numerator, parts=parts):
            return {"law": "polya", "scale": str(numerator), "parts": parts}
        case DiscreteGaussian(numerator=numerator):
            return {"law": "discrete gaussian", "scale": str(numerator)}
        case DiscreteLaplace(numerator=numerator):
            return {"law": "discrete laplace", "scale": str(numerator)}
