# SPDX-License-Identifier: Apache-2.0
"""What a release does not cover, in sentences that stand in the release itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from accord.core.agreement import Agreement
from accord.core.measure import Bounding
from accord.core.messages import sentence
from accord.core.placement import NoisePlan, Placement
from accord.core.query import Kind
from accord.core.terms import Terms


def not_covered(
    agreement: Agreement,
    found: Terms,
    plan: NoisePlan,
    *,
    edition: str,
    unsafe: bool,
    said_of_whole: bool,
) -> list[str]:
    """Return the sentences that go with every release under an agreement.

    Args:
        agreement: the agreement in force.
        found: terms of the question.
        plan: who adds the noise.
        edition: what was answered from.
        unsafe: the hub's unsafe test mode.
        said_of_whole: whether there are intervals for the truth without the bound.
    """
    sentences = [
        sentence("not-covered.several-agencies"),
        *_bound(found, said_of_whole=said_of_whole),
        sentence("not-covered.untied-records"),
        sentence("not-covered.linkage"),
        _towards_hub(plan),
    ]
    if found.last_day is not None:
        sentences.insert(
            0, sentence("not-covered.edition", edition=edition, day=found.last_day)
        )
    parties = len(agreement.parties)
    if found.agencies < parties:
        sentences.append(
            sentence(
                "not-covered.fewer-agencies", agencies=found.agencies, parties=parties
            )
        )
    if unsafe:
        sentences.insert(0, sentence("not-covered.test-mode"))
    return sentences


def _bound(found: Terms, *, said_of_whole: bool) -> Iterator[str]:
    """Yield what the bound on one person keeps out, or makes count less."""
    vector = found.vector
    way = "weighed" if vector.bounding is Bounding.WEIGH else "bound"
    yield sentence(f"not-covered.{way}", groups=vector.groups)
    if said_of_whole:
        # What `dropped` counts of one person ends there; see whole_error.
        most = vector.groups + math.floor(vector.dropped.bound)
        yield sentence("not-covered.whole", most=most)
        if found.layout.measure.kind is Kind.CASES:
            yield sentence("not-covered.whole-cases", cases=vector.cases)


def _towards_hub(plan: NoisePlan) -> str:
    """Return what the hub can learn, and who together with it."""
    if plan.placement is Placement.HUB:
        return sentence("not-covered.hub-sees-sums")
    return sentence(f"not-covered.hub-{plan.placement.value}", colluding=plan.colluding)
