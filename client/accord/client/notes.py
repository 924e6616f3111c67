# SPDX-License-Identifier: Apache-2.0
"""What has to be read with the numbers of a release, as sentences.

What is said to be "at most" is rounded up, never to the nearest.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from accord.client.result import Cost, Estimate, Result

_MOST_NAMED: Final = 4
"""Filter values that a title names one by one."""

_DIGITS: Final = 3
"""Of an amount of loss."""

_NUMBERS: Final = {0: "alone", 1: "and one agency together"}


def title_of(
    measure: str, by: Sequence[str], where: Mapping[str, Sequence[str]]
) -> str:
    """Return a question in one line."""
    text = measure
    if by:
        text += " by " + ", ".join(by)
    if where:
        parts = (f"{name} = {_shortened(v)}" for name, v in where.items())
        text += " where " + " and ".join(parts)
    return text


def footnotes(result: Result) -> list[str]:
    """Return the sentences that go with every table of a release."""
    provenance = (
        f"{result.coverage}; edition {result.edition}; "
        f"agreement {result.agreement} version {result.agreement_version}; "
        f"release {result.id}."
    )
    meaning = (
        f"Intervals hold the bounded total with probability {result.level:.1%}. "
        f"A person counts in at most {result.groups_per_person} cells per agency; "
        f"{_spread(result.dropped)} cells were left out for that."
    )
    notes = [provenance, meaning, _charged(result)]
    if not result.coverage.is_complete:
        notes.insert(
            1,
            "Not all agencies stand behind these figures: they are another series than "
            "figures of all, or of others.",
        )
    if result.noise_placement:
        notes.append(noise_note(result))
    if any(row.estimate.suppressed for row in result.rows):
        notes.append(
            f"– : suppressed, because the noisy estimate is below "
            f"{result.suppress_below}."
        )
    return [*notes, *result.not_covered]


def noise_note(result: Result) -> str:
    """Return who added the noise, and what the hub could learn of a person."""
    if result.noise_placement == "hub":
        return "Noise by the hub alone: the hub saw exact pooled sums."
    who = "the agencies"
    if result.noise_placement == "shared":
        who += " and the hub"
    together = _NUMBERS.get(
        result.colluding_at_most, f"and {result.colluding_at_most} agencies together"
    )
    return (
        f"Noise by {who}: nobody saw exact pooled sums. The hub {together} could learn "
        f"at most ε = {at_most(result.hub_epsilon)} of a person."
    )


def price_words(cost: Cost, delta: float) -> str:
    """Return an amount such as ``ε = 2.5 (δ = 1e-09)``."""
    words = f"ε = {cost.epsilon:.3g}"
    return f"{words} (δ = {delta:g})" if delta else words


def at_most(value: float) -> str:
    """Return an amount of loss with three digits, rounded up."""
    context = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)
    return f"{context.create_decimal(repr(value)):f}"


def _charged(result: Result) -> str:
    paid = f"The release cost {price_words(result.cost, result.delta)}"
    return f"{paid}; this repeat was free." if result.from_archive else f"{paid}."


def _spread(shown: Estimate) -> str:
    if shown.estimate is None or shown.upper is None:
        return "an unknown number of"
    return f"{shown.estimate:,.0f} ± {shown.upper - shown.estimate:,.0f}"


def _shortened(values: Sequence[str]) -> str:
    """Return filter values in one line, as first and last where there are many."""
    if len(values) <= _MOST_NAMED:
        return " | ".join(values)
    return f"{values[0]} … {values[-1]} ({len(values)} values)"
