# SPDX-License-Identifier: Apache-2.0
"""Which scheduled questions are due, and whether an agreement can pay for them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.agreement_form import AgreementForm
from accord.core.bulletins import (
    ASKER,
    bulletin_of,
    due,
    kept_for_bulletins,
    most_in_window,
)
from accord.core.calendar import Period, period_end, period_name
from accord.core.document import DocumentError
from tests.unit.core.full_policy import full_policy

MONTHS = [f"{year}-{month:02}" for year in (2026, 2027) for month in range(1, 13)]


def form_with(bulletins: dict[str, object], **changes: object) -> AgreementForm:
    """Return an agreement that schedules these questions."""
    entries = {"editions__every": "month", "bulletins": bulletins, **changes}
    return full_policy(**entries).agreement.form  # type: ignore[arg-type]


def bulletin(**entries: object) -> dict[str, object]:
    """Return a bulletin that the agreement allows, but for what is changed."""
    return {"measure": "persons", "epsilon": 0.1, **entries}


def test_each_is_due_with_the_edition_that_ends_its_period() -> None:
    """Monthly always, quarterly with the third month, yearly in December."""
    form = form_with(
        {
            "monthly": bulletin(),
            "quarterly": bulletin(every="quarter"),
            "yearly": bulletin(every="year"),
        }
    )
    assert set(due(form, "2026-02")) == {"monthly"}
    assert set(due(form, "2026-03")) == {"monthly", "quarterly"}
    assert set(due(form, "2026-12")) == {"monthly", "quarterly", "yearly"}


@given(
    st.sampled_from(list(Period)),
    st.integers(1, 800),
    st.dates(dt.date(2026, 1, 1), dt.date(2027, 6, 30)),
)
def test_no_window_holds_more_than_is_kept_for(
    every: Period, days: int, start: dt.date
) -> None:
    """Counted day by day: editions that are due on the day after their period."""
    form = form_with({"one": bulletin(every=every.value)})
    end = start + dt.timedelta(days=days)
    dues = [period_end(month) + dt.timedelta(days=1) for month in MONTHS]
    asked = [
        day
        for month, day in zip(MONTHS, dues, strict=True)
        if start <= day < end and due(form, month)
    ]
    assert len(asked) <= most_in_window(form, form.bulletins["one"], days)


def test_what_is_kept_is_the_price_of_all_of_them() -> None:
    """Integers in the agreement's unit, times how often each can be asked."""
    form = form_with({"a": bulletin(), "b": bulletin(every="year")})
    kept = kept_for_bulletins(form, 365, {"a": 1_000, "b": 7})
    assert kept == 1_000 * (365 // 28 + 1) + 7 * 2


def test_who_asks_is_nobody() -> None:
    """An analyst's label never has a colon."""
    assert bulletin_of(f"{ASKER}monthly") == "monthly"
    assert bulletin_of("ann") is None


def test_a_period_of_the_calendar_ends_where_the_next_begins() -> None:
    """The last month of a quarter is the one after which the name changes."""
    ends = [
        month
        for month in MONTHS
        if period_name(Period.QUARTER, period_end(month))
        != period_name(Period.QUARTER, period_end(month) + dt.timedelta(days=1))
    ]
    assert {month[-2:] for month in ends} == {"03", "06", "09", "12"}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (bulletin(measure="heads"), "There is no measure"),
        (bulletin(measure="cases"), "cases is not under `may_ask`"),
        (bulletin(by={"colour": "all"}), "colour"),
        (bulletin(where={"age": ["0-99"]}), "no value"),
        (bulletin(epsilon=99), "more than one release may"),
        (
            bulletin(epsilon=1.9),
            "more than `spend.everyone` grants for 365 days",
        ),
        (bulletin(purpose="curiosity"), "not one of the agreement's"),
    ],
)
def test_what_could_not_be_asked_or_paid_is_refused(
    entries: dict[str, object], said: str
) -> None:
    """At the line of the bulletin, before anybody signs."""
    with pytest.raises(DocumentError, match="bulletins") as refused:
        form_with(
            {"monthly": entries},
            may_ask__measures=["persons"],
            spend__everyone__epsilon=6,
        )
    assert said in str(refused.value)


def test_a_lifetime_that_ends_before_the_agreement_does_is_refused() -> None:
    """Two years of bulletins, out of a cap that never refills."""
    asked: dict[str, object] = {"monthly": bulletin(epsilon=1)}
    assert form_with(asked, spend__lifetime__epsilon=24).bulletins
    with pytest.raises(DocumentError, match=r"spend\.lifetime"):
        form_with(asked, spend__lifetime__epsilon=4, spend__everyone__epsilon=12)


def test_a_name_that_no_account_could_have_is_refused() -> None:
    """Names of bulletins stand in ids of askers, which are short."""
    with pytest.raises(DocumentError, match="at most 40"):
        form_with({"m" * 41: bulletin()})
