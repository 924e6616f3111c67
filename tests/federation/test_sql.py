# SPDX-License-Identifier: Apache-2.0
"""A question in SQL over a whole network: the same answer, price and archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from tests.federation.network import Network
from tests.federation.small_world import (
    PURPOSE,
    THREE,
    Case,
    SmallWorld,
    gender_of,
    province_of,
)
from tests.federation.test_questions import assert_plausible, month_of

pytestmark = [pytest.mark.federation, pytest.mark.slow]

SELECT = """\
SELECT LEVEL(district, 'province'), gender, COUNT(*)  -- cases, not persons
FROM cases
WHERE registered_month BETWEEN '2025-03' AND '2025-08'
  AND NOT gender IN ('man', 'unknown')
GROUP BY 1, gender
"""


@pytest.fixture(scope="module")
def hub(clones: Callable[..., Network]) -> Iterator[accord.Hub]:
    with clones().start() as running, running.connect() as connection:
        yield connection


def test_an_answer_in_sql_is_that_to_the_question_it_means(
    hub: accord.Hub, world: SmallWorld
) -> None:
    question = hub.sql_question(SELECT, agreement="three")
    priced = question.price(epsilon=8, purpose=PURPOSE)
    answer = hub.sql(SELECT, agreement="three", epsilon=8, purpose=PURPOSE)
    assert answer.by == ("district", "gender")
    assert len(answer) == priced.cells

    def cell_of(case: Case) -> tuple[str, ...]:
        kept = "2025-03" <= month_of(case) <= "2025-08"
        kept = kept and gender_of(case) not in ("man", "unknown")
        return (province_of(case), gender_of(case)) if kept else ()

    truth = world.count_cases(THREE, cell_of)
    assert_plausible(answer, {cell: number for cell, number in truth.items() if cell})
    again = (
        hub.agreement("three")
        .cases()
        .by("gender", district="province")
        .where(
            registered_month=[f"2025-0{number}" for number in range(8, 2, -1)],
            gender=["another_gender", "woman"],
        )
        .release(epsilon=8, purpose=PURPOSE)
    )
    assert again.id == answer.id
    assert again.from_archive


def test_what_the_agreement_does_not_offer_is_named_with_its_place(
    hub: accord.Hub,
) -> None:
    before = hub.agreement("three").budget()
    with pytest.raises(accord.SqlError) as caught:
        hub.sql(
            "SELECT COUNT(*)\nFROM cases\nWHERE district = 'nrth'",
            agreement="three",
            epsilon=8,
            purpose=PURPOSE,
        )
    assert caught.value.reason == "UNKNOWN_VALUE"
    assert (caught.value.line, caught.value.column) == (3, 18)
    assert caught.value.hint == "Did you mean 'north'?"
    assert hub.agreement("three").budget() == before
