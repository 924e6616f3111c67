# SPDX-License-Identifier: Apache-2.0
"""An answer that was paid for stays free, however the bound is kept meanwhile."""

from __future__ import annotations

import pytest

from accord.client import Question
from accord.core.measure import Bounding
from accord.hub.questions import asking
from accord.testing import world


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("epsilon", "error"), [(1.7, None), (None, 200.0), (None, 7.0)]
)
def test_a_repeat_is_free_whatever_earlier_releases_show(
    monkeypatch: pytest.MonkeyPatch,
    first: bool,
    epsilon: float | None,
    error: float | None,
) -> None:
    """Both ways cost about the same for the same wish, but not to the last digit."""
    weighs = first

    def chosen(*_: object) -> Bounding:
        return Bounding.WEIGH if weighs else Bounding.KEEP

    monkeypatch.setattr(asking, "choose_bounding", chosen)
    with world() as invented:
        agreement = invented.hub.agreement("world")
        question: Question = agreement.persons().by("region", "exploitation_type")
        paid = question.release(epsilon=epsilon, error=error, purpose="learning")
        weighs = not first
        price = question.price(epsilon=epsilon, error=error, purpose="learning")
        assert price.from_archive
        again = question.release(epsilon=epsilon, error=error, purpose="learning")
    assert {paid.bounding} == {"weigh" if first else "keep"}
    assert again.from_archive
    assert again.id == paid.id
