# SPDX-License-Identifier: Apache-2.0
"""Exact privacy arithmetic: losses and mechanisms. No float decides here.

A *loss* is an integer number of nano-rho (``accounting: zcdp``) or nano-epsilon
(``accounting: pure``). Whatever is charged is rounded up, whatever is granted is
rounded down; every function says which. A *mechanism* is a noise law with a dyadic
scale (a multiple of 1/1024), so that ``float(scale)`` is the scale itself and the
sampler adds exactly the noise that was paid for.

This module samples nothing and reads no record. The laws are in
`accord.core.interval`, the conversions to (epsilon, delta) in
`accord.core.epsilon_delta`, the sampler is in ``accord.hub.releases.noise``.

Sources:
    Bun and Steinke, "Concentrated differential privacy: simplifications, extensions,
    and lower bounds", TCC 2016: zCDP and its composition.
    Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy",
    NeurIPS 2020, arXiv 2004.00010: the discrete Gaussian and its zCDP.
    Ghosh, Roughgarden and Sundararajan, "Universally utility-maximizing privacy
    mechanisms", STOC 2009; Inusah and Kozubowski, "A discrete analogue of the Laplace
    distribution", J. Statist. Plann. Inference 136 (2006): the discrete Laplace law.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from fractions import Fraction
from typing import ClassVar, Self, TypeAlias, assert_never

from accord.core.errors import InvalidQuery

NANO = 10**9
"""Units of an account in one rho or one epsilon."""

SCALE_DENOMINATOR = 1024
"""Every scale is a multiple of one over this."""

LARGEST_SCALE = 2**32
"""Above it, a draw could come near the ends of a 64-bit integer."""


class Accounting(enum.StrEnum):
    """How an agreement counts loss, and with it which noise it uses."""

    ZCDP = "zcdp"
    """rho-zCDP, discrete Gaussian: for many releases."""

    PURE = "pure"
    """Pure epsilon, discrete Laplace: for a few releases."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one or several releases cost; losses of releases simply add.

    Source: Bun and Steinke 2016, Lemma 1.7 (rho); basic composition (epsilon).
    """

    nano_rho: int = 0
    nano_epsilon: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be an amount."""
        for amount in (self.nano_rho, self.nano_epsilon):
            if not _whole(amount, least=0):
                raise InvalidQuery(
                    "LOSS_INVALID",
                    "A privacy loss is a whole number of nano units, zero or more.",
                )

    def __add__(self, other: Loss) -> Loss:
        """Return the loss of both."""
        return Loss(
            nano_rho=self.nano_rho + other.nano_rho,
            nano_epsilon=self.nano_epsilon + other.nano_epsilon,
        )

    @classmethod
    def from_rho(cls, rho: Fraction) -> Self:
        """Return the smallest loss that is not below *rho* (rounds up)."""
        return cls(nano_rho=nano_up(rho))

    @classmethod
    def from_epsilon(cls, epsilon: Fraction) -> Self:
        """Return the smallest loss that is not below *epsilon* (rounds up)."""
        return cls(nano_epsilon=nano_up(epsilon))

    @property
    def rho(self) -> Fraction:
        """The zCDP part, in rho."""
        return Fraction(self.nano_rho, NANO)

    @property
    def epsilon(self) -> Fraction:
        """The pure part, in epsilon."""
        return Fraction(self.nano_epsilon, NANO)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Scaled:
    """A scale that a sampler can take exactly."""

    scale: Fraction

    def __post_init__(self) -> None:
        """Refuse a scale that is not a positive multiple of 1/1024 below 2**32."""
        if (
            not 0 < self.scale <= LARGEST_SCALE
            or SCALE_DENOMINATOR % self.scale.denominator
        ):
            raise InvalidQuery(
                "SCALE_INVALID",
                "A noise scale is a positive multiple of 1/1024, at most 2**32.",
            )

    @property
    def numerator(self) -> int:
        """The scale in units of 1/1024, as it travels."""
        return int(self.scale * SCALE_DENOMINATOR)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteGaussian(_Scaled):
    """Adds to every entry an independent k with P(k) ~ exp(-k^2 / (2 scale^2)).

    Input domain: vectors of integers. Output measure: zCDP.
    Privacy function: rho(d2_squared) = d2_squared / (2 scale^2).
    Source: Canonne, Kamath and Steinke 2020, Theorem 4, entry by entry: the Renyi
    divergences of independent entries add.
    """

    accounting: ClassVar[Accounting] = Accounting.ZCDP
    input_metric: ClassVar[str] = "squared L2 distance"

    def privacy_function(self, d2_squared: int) -> Fraction:
        """Return the exact rho of inputs at a squared L2 distance of *d2_squared*."""
        return _distance(d2_squared) / (2 * self.scale**2)

    def exact_loss(self, *, d1: int, d2_squared: int) -> Fraction:
        """Return the exact rho; ``d1`` does not matter here."""
        _distance(d1)
        return self.privacy_function(d2_squared)

    def loss(self, *, d1: int, d2_squared: int) -> Loss:
        """Return what a release costs (rounded up)."""
        return Loss.from_rho(self.exact_loss(d1=d1, d2_squared=d2_squared))

    @classmethod
    def for_loss(cls, loss: Loss, *, d1: int, d2_squared: int) -> Self:
        """Return the least noise that costs at most *loss* (scale rounded up).

        Raises:
            InvalidQuery: the loss is not a positive number of nano-rho, or so small
                that no scale in range is large enough.
        """
        _distance(d1)
        _positive(loss.nano_rho, loss.nano_epsilon, unit="nano-rho")
        # n/1024 >= sqrt(d2_squared / (2 rho))  <=>  n^2 >= this quotient
        square = (
            _distance(d2_squared)
            * SCALE_DENOMINATOR**2
            * Fraction(NANO, 2 * loss.nano_rho)
        )
        return cls(scale=_dyadic(math.isqrt(math.ceil(square) - 1) + 1))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteLaplace(_Scaled):
    """Adds to every entry an independent k with P(k) ~ exp(-|k| / scale).

    Input domain: vectors of integers. Output measure: pure epsilon.
    Privacy function: epsilon(d1) = d1 / scale, as log P(k) changes by at most
    1 / scale when k changes by 1.
    Source: Ghosh, Roughgarden and Sundararajan 2009 (the geometric mechanism).
    """

    accounting: ClassVar[Accounting] = Accounting.PURE
    input_metric: ClassVar[str] = "L1 distance"

    def privacy_function(self, d1: int) -> Fraction:
        """Return the exact epsilon of inputs at an L1 distance of *d1*."""
        return _distance(d1) / self.scale

    def exact_loss(self, *, d1: int, d2_squared: int) -> Fraction:
        """Return the exact epsilon; ``d2_squared`` does not matter here."""
        _distance(d2_squared)
        return self.privacy_function(d1)

    def loss(self, *, d1: int, d2_squared: int) -> Loss:
        """Return what a release costs (rounded up)."""
        return Loss.from_epsilon(self.exact_loss(d1=d1, d2_squared=d2_squared))

    @classmethod
    def for_loss(cls, loss: Loss, *, d1: int, d2_squared: int) -> Self:
        """Return the least noise that costs at most *loss* (scale rounded up).

        Raises:
            InvalidQuery: the loss is not a positive number of nano-epsilon, or so
                small that no scale in range is large enough.
        """
        _distance(d2_squared)
        _positive(loss.nano_epsilon, loss.nano_rho, unit="nano-epsilon")
        least = _distance(d1) * SCALE_DENOMINATOR * Fraction(NANO, loss.nano_epsilon)
        return cls(scale=_dyadic(math.ceil(least)))


Mechanism: TypeAlias = DiscreteGaussian | DiscreteLaplace
"""A noise law with its privacy function."""


def mechanism_class(
    accounting: Accounting,
) -> type[DiscreteGaussian | DiscreteLaplace]:
    """Return the one mechanism that goes with an agreement's accounting."""
    match accounting:
        case Accounting.ZCDP:
            return DiscreteGaussian
        case Accounting.PURE:
            return DiscreteLaplace
        case _:
            assert_never(accounting)


def loss_of_person(
    accounting: Accounting, exact: Fraction, *, known_to: int, calibrated_to: int
) -> Fraction:
    """Return the exact loss of a person whom *known_to* agencies know.

    *exact* is the loss of a release whose noise was calibrated to a person known to
    ``calibrated_to`` agencies. Such a person moves the pooled vector by a/A of the
    distance, and rho goes with its square; a person known to more loses more.
    """
    if known_to < 0 or calibrated_to < 1:
        raise InvalidQuery(
            "LOSS_INVALID", "Noise is calibrated to one agency or more, never to none."
        )
    part = Fraction(known_to, calibrated_to)
    match accounting:
        case Accounting.ZCDP:
            return exact * part**2
        case Accounting.PURE:
            return exact * part
        case _:
            assert_never(accounting)


def nano_up(amount: Fraction) -> int:
    """Return *amount* in nano units, rounded up: for what is charged or stated."""
    return math.ceil(amount * NANO)


def nano_down(amount: Fraction) -> int:
    """Return *amount* in nano units, rounded down: for what is granted or capped."""
    return math.floor(amount * NANO)


def _distance(distance: int) -> Fraction:
    """Return a sensitivity as a fraction, if it is one."""
    if not _whole(distance, least=1):
        raise InvalidQuery(
            "SENSITIVITY_INVALID", "A sensitivity is a whole number of at least 1."
        )
    return Fraction(distance)


def _positive(amount: int, other: int, *, unit: str) -> None:
    """Refuse a loss that is not given in *unit* alone."""
    if amount < 1 or other:
        raise InvalidQuery(
            "LOSS_INVALID", f"This noise is paid for in {unit}, with at least one."
        )


def _dyadic(numerator: int) -> Fraction:
    """Return numerator/1024, if it is a scale that can be sampled."""
    if numerator > LARGEST_SCALE * SCALE_DENOMINATOR:
        raise InvalidQuery(
            "LOSS_TOO_SMALL",
            "So small a privacy loss needs more noise than can be drawn;"
            " ask for a larger one.",
        )
    return Fraction(numerator, SCALE_DENOMINATOR)


def _whole(number: object, *, least: int) -> bool:
    """Tell whether it is an integer of at least *least*, and no truth value."""
    return type(number) is int and number >= least
