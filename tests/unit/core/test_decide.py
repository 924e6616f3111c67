# SPDX-License-Identifier: Apache-2.0
"""Default deny, every reason named, and nothing permits more by forbidding more."""

from __future__ import annotations

import dataclasses
import datetime
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accord.core
from accord.core.decide import Analyst, Ask, decide, decide_cost
from accord.core.errors import PolicyDenied
from accord.core.messages import sentence
from accord.core.query import canonical_query
from tests.unit.core.test_agreement import small_agreement
from tests.unit.core.test_model import small_model

ANALYST = Analyst(
    id="ann", organisation="university", roles=frozenset({"analyst", "reader"})
)
DAY = datetime.date(2026, 6, 1)


def asked(
    group_by: list[tuple[str, str | None]] | None = None,
    where: dict[str, list[str]] | None = None,
    measure: str = "persons",
) -> Ask:
    """Return a question that differs from a permitted one as told."""
    query = canonical_query(
        agreement="trends",
        edition="2026-04",
        measure=measure,
        group_by=group_by or [],
        where=where or {},
        model=small_model(),
    )
    return Ask(query=query, analyst=ANALYST, purpose="service planning", day=DAY)


def clauses(ask: Ask) -> list[str]:
    """Return the clauses that deny *ask*."""
    return [r.clause for r in decide(small_agreement(), small_model(), ask).reasons]


@pytest.mark.parametrize(
    ("ask", "denied"),
    [
        (asked(), []),
        (asked([("registered_month", "quarter"), ("gender", None)]), []),
        (asked([("age_band", "broad")], {"age_band": ["0-17"]}), []),
        (asked([("registered_month", "month")]), ["may_ask.group_by.registered_month"]),
        (asked(where={"age_band": ["18-20"]}), ["may_ask.group_by.age_band"]),
        (asked([("exploitation", None)]), ["may_ask.group_by"]),
        (asked(measure="cases"), ["may_ask.measures"]),
        (
            asked(
                [("gender", None), ("age_band", "broad")],
                {"registered_month": ["2019"]},
            ),
            ["may_ask.at_most_dimensions"],
        ),
        (dataclasses.replace(asked(), purpose="curiosity"), ["purpose"]),
        (dataclasses.replace(asked(), day=datetime.date(2028, 1, 1)), ["valid.until"]),
        (dataclasses.replace(asked(), day=datetime.date(2027, 12, 31)), []),
        (dataclasses.replace(asked(), day=datetime.date(2025, 12, 31)), ["valid.from"]),
    ],
)
def test_a_denial_names_exactly_the_clauses_that_bind(
    ask: Ask, denied: list[str]
) -> None:
    """No more and no fewer."""
    assert clauses(ask) == denied


def test_a_stranger_is_denied_for_role_and_organisation() -> None:
    """Both are said at once."""
    stranger = Analyst(id="x", organisation="press", roles=frozenset({"editor"}))
    ask = dataclasses.replace(asked(), analyst=stranger)
    assert clauses(ask) == ["recipients.roles", "recipients.organisations"]


def test_a_denial_is_raised_with_sentences_and_codes() -> None:
    """The client rebuilds the error from these."""
    ask = dataclasses.replace(asked(measure="cases"), purpose="curiosity")
    with pytest.raises(PolicyDenied) as caught:
        decide(small_agreement(), small_model(), ask).require()
    assert caught.value.metadata["codes"] == "deny.purpose,deny.measure"
    assert "prevention planning" in caught.value.sentence


def test_the_cost_of_one_release_is_capped_inclusively() -> None:
    """Exactly the cap is allowed."""
    agreement = small_agreement()
    assert decide_cost(agreement, Fraction(3)) == ()
    (reason,) = decide_cost(agreement, Fraction(301, 100))
    assert "at most ε = 3" in reason.text()


TIGHTENINGS = {
    "measure": lambda form: form.may_ask.measures.pop(),
    "dimension": lambda form: form.may_ask.group_by.popitem(),
    "purpose": lambda form: form.purpose.pop(),
    "role": lambda form: (
        form.recipients.roles.append("x") or form.recipients.roles.pop(0)
    ),
}


@given(
    which=st.sampled_from(sorted(TIGHTENINGS)),
    group_by=st.lists(
        st.sampled_from(
            [("gender", None), ("age_band", "broad"), ("registered_month", "year")]
        ),
        unique=True,
    ),
    measure=st.sampled_from(["persons", "cases"]),
    purpose=st.sampled_from(["service planning", "prevention planning", "curiosity"]),
)
def test_forbidding_more_never_permits_more(
    which: str, group_by: list[tuple[str, str | None]], measure: str, purpose: str
) -> None:
    """Tightening any clause keeps every denial."""
    model, agreement = small_model(), small_agreement()
    ask = dataclasses.replace(asked(group_by, measure=measure), purpose=purpose)
    form = agreement.form.model_copy(deep=True)
    TIGHTENINGS[which](form)
    tighter = dataclasses.replace(agreement, form=form)
    if not decide(agreement, model, ask).permitted:
        assert not decide(tighter, model, ask).permitted


def test_every_reason_code_has_a_sentence() -> None:
    """And every sentence in the catalogue under ``deny.`` is used."""
    (folder,) = accord.core.__path__
    source = Path(folder, "decide.py").read_text()
    used = set(re.findall(r'"(deny\.[a-z-]+)"', source))
    catalogue = Path(folder, "locale", "en", "LC_MESSAGES", "accord.po").read_text()
    assert used == set(re.findall(r'msgid "(deny\.[a-z-]+)"', catalogue))
    with pytest.raises(LookupError):
        sentence("deny.nothing-of-the-kind")
