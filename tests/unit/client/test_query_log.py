# SPDX-License-Identifier: Apache-2.0
"""Logs of questions: a round trip, and mistakes that are told by their line."""

from __future__ import annotations

import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.client.policy.query_log import from_message, read_log, write_log
from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery
from accord.core.privacy import Loss
from accord.core.simulate import AskedQuery
from accord.v1 import common_pb2, policy_pb2

WORDS = st.text(max_size=20)
ASKED = st.builds(
    AskedQuery,
    asked_at=st.datetimes(timezones=st.just(datetime.UTC)),
    edition=WORDS,
    measure=WORDS,
    group_by=st.lists(st.tuples(WORDS, st.none() | WORDS), max_size=3).map(tuple),
    where=st.dictionaries(
        WORDS, st.lists(WORDS, max_size=3).map(tuple), max_size=3
    ).map(lambda found: tuple(found.items())),
    analyst=st.builds(
        Analyst, id=WORDS, organisation=WORDS, roles=st.frozensets(WORDS, max_size=2)
    ),
    purpose=WORDS,
    epsilon=st.integers(1, 10**6).map(lambda n: Fraction(n, 1000)),
    agreement_version=st.integers(0, 10**6),
    permitted=st.booleans(),
    denied_by=st.lists(WORDS, max_size=3).map(tuple),
    loss=st.builds(Loss, nano_rho=st.integers(0, 2**62)),
    from_archive=st.booleans(),
)


@given(st.lists(ASKED, max_size=4))
def test_a_log_is_read_as_it_was_written(log: list[AskedQuery]) -> None:
    """One line for each, whatever its words."""
    text = write_log(log)
    assert text.count("\n") == len(log)
    assert read_log(text, "log") == log


def test_what_a_hub_tells_is_what_the_log_holds() -> None:
    """Every entry of the message arrives."""
    message = policy_pb2.AskedQuery(
        asked_at=1_772_366_400,
        query=common_pb2.Query(
            agreement="trends",
            edition="2026-Q1",
            measure="persons",
            group_by=[common_pb2.Grouping(dimension="age", level="broad")],
            where=[common_pb2.Filter(dimension="kind", values=["a", "b"])],
        ),
        analyst="ann",
        organisation="university",
        roles=["analyst"],
        purpose="planning",
        epsilon=0.3,
        agreement_version=2,
        permitted=False,
        denied_by=["deny.purpose"],
        loss=common_pb2.Loss(nano_rho=7),
        from_archive=True,
    )
    assert from_message(message) == AskedQuery(
        asked_at=datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
        edition="2026-Q1",
        measure="persons",
        group_by=(("age", "broad"),),
        where=(("kind", ("a", "b")),),
        analyst=Analyst(
            id="ann", organisation="university", roles=frozenset({"analyst"})
        ),
        purpose="planning",
        epsilon=Fraction(3, 10),
        agreement_version=2,
        permitted=False,
        denied_by=("deny.purpose",),
        loss=Loss(nano_rho=7),
        from_archive=True,
    )


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("{}", "asked_at"),
        ("no json", "line"),
        ('{"asked_at": "2026-03-01T12:00:00"}', "asked_at"),
    ],
)
def test_a_wrong_line_is_named(line: str, entry: str) -> None:
    """With its number and the entry."""
    with pytest.raises(InvalidQuery, match=f"log:2: {entry}") as caught:
        read_log(f"\n{line}\n", "log")
    assert caught.value.reason == "LOG_MALFORMED"
