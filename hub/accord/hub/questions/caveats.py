# SPDX-License-Identifier: Apache-2.0
"""What a release does not cover, in sentences that stand in the release itself."""

from __future__ import annotations

from accord.core.agreement import Agreement
from accord.core.messages import sentence
from accord.core.placement import NoisePlan, Placement
from accord.core.terms import Terms


def not_covered(
    agreement: Agreement,
    found: Terms,
    plan: NoisePlan,
    *,
    edition: str,
    unsafe: bool,
) -> list[str]:
    """Return the sentences that go with every release under an agreement."""
    sentences = [
        sentence("not-covered.several-agencies"),
        sentence("not-covered.bound", groups=found.vector.groups),
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


def _towards_hub(plan: NoisePlan) -> str:
    """Return what the hub can learn, and who together with it."""
    if plan.placement is Placement.HUB:
        return sentence("not-covered.hub-sees-sums")
    return sentence(f"not-covered.hub-{plan.placement.value}", colluding=plan.colluding)
