# SPDX-License-Identifier: Apache-2.0
"""What has to be read with the numbers of a release, as sentences.

What is said to be "at most" is rounded up, never to the nearest.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from accord.client.citation import truncation

if TYPE_CHECKING:
    from accord.client.result import Cost, Result

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
    if result.derived_from:
        provenance += f" Derived from release {result.derived_from}, at no cost."
    notes = [provenance, *_meaning(result), truncation(result), _charged(result)]
    if not result.coverage.is_complete:
        notes.insert(
            1,
            "Not all agencies stand behind these figures: they are another series than "
            "figures of all, or of others.",
        )
    if result.noise_placement:
        notes.append(noise_note(result))
    notes += _missing(result)
    notes += [
        f"{each.agency} records {each.dimension} so: {each.text}"
        for each in result.definitions
    ]
    return [*notes, *result.not_covered]


def _meaning(result: Result) -> list[str]:
    """Return what is counted, and how to read the intervals."""
    counted = f"Figures are in {result.unit}" if result.unit != "share" else "Shares"
    if result.denominator:
        counted += f", of {result.denominator}"
    notes = [
        f"{counted}. They are rounded here; exports have every digit.",
        (
            "Noise interval: holds the bounded figure with probability "
            f"{result.level:.1%}, each figure by itself."
        ),
    ]
    if result.whole_level:
        notes.append(
            "Whole interval: holds what the records say without any bound on one "
            f"person, in at least {result.whole_level:.1%} of the cells."
        )
    elif result.whole_withheld:
        notes.append(f"No whole interval: {result.whole_withheld}")
    return notes


def _missing(result: Result) -> list[str]:
    """Return why figures are not there, one sentence for each reason."""
    sentences = {
        "small": f"– : suppressed, because the noisy estimate is below "
        f"{result.suppress_below}.",
        "denominator": "– : no figure, because what it is divided by is not clearly "
        "above its noise.",
        "no-information": "n = : so many say nothing; they are no part of the "
        "denominator, and have no share.",
    }
    whys = {row.estimate.why for row in result.rows if row.estimate.suppressed}
    return [sentence for why, sentence in sentences.items() if why in whys]


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


def _shortened(values: Sequence[str]) -> str:
    """Return filter values in one line, as first and last where there are many."""
    if len(values) <= _MOST_NAMED:
        return " | ".join(values)
    return f"{values[0]} … {values[-1]} ({len(values)} values)"
