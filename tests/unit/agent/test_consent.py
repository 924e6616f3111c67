# SPDX-License-Identifier: Apache-2.0
"""Consent at the door: who stays, who is left out and why, and when it ends."""

from __future__ import annotations

import datetime
from collections.abc import Mapping as Fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.forgetting.upkeep import keep_up
from accord.agent.intake.codes import Reason
from accord.agent.intake.consent import ConsentCoder
from accord.agent.intake.consent_form import ConsentEntry, OptOutEntry
from accord.agent.rounds.vectors import open_edition
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import edition_folder, freeze_due
from accord.agent.store.entries import leaf_filters
from accord.agent.store.erasing import end_consent
from accord.agent.store.leaving import CONSENT_UNTIL, NO_END, day_code
from accord.core.calendar import Period
from accord.core.document import DocumentError
from accord.core.layout import lay_out
from tests.unit.agent.agencies import (
    HEADER,
    MAPPING_TEXT,
    MODEL,
    NOW,
    ask,
    declared,
    ingest_rows,
    mapping,
    new_state,
    row,
    store_bytes,
    vector,
)
from tests.unit.agent.test_editions import MONTHLY

TODAY = NOW.date()
CONSENT = """\
consent: {column: consent, given: [signed, 1], not_given: [no], until: until}
opt_out: {column: out, values: [out]}
dimensions:
"""
TEXT = MAPPING_TEXT.replace("dimensions:\n", CONSENT)
COLUMNS = (*HEADER, "consent", "until", "out")


def consented(**fields: str) -> dict[str, str]:
    return row(**{"consent": "signed", "until": "", "out": "", **fields})


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


def reasons(report: Fields[str, object]) -> dict[str, int]:
    listed = report["refused"]
    assert isinstance(listed, list)
    return {each["reason"]: each["rows"] for each in listed}


def test_rows_stay_only_with_consent(state: AgentState) -> None:
    rows = [
        consented(first="A"),
        consented(first="B", consent=" SIGNED "),
        consented(first="C", consent="1", until="2026-03-05"),
        consented(first="D", consent="no"),
        consented(first="E", consent=""),
        consented(first="F", consent="perhaps"),
        consented(first="G", until="2026-03-04"),
        consented(first="H", until="some day"),
        consented(first="I", out="OUT"),
        consented(first="J", out="n"),
        consented(first="K", out="hm"),
    ]
    done = ingest_rows(state, rows, TEXT, COLUMNS)
    assert (done.report.kept, done.report.refused) == (4, 7)
    assert reasons(done.report.as_json()) == {
        "opted_out": 1,
        "no_consent": 2,
        "consent_unclear": 3,
        "consent_ended": 1,
    }


def test_what_nobody_can_put_right_is_counted_only(state: AgentState) -> None:
    rows = [
        consented(),
        consented(first="B", consent="no"),
        consented(first="C", consent="?"),
    ]
    done = ingest_rows(state, rows, TEXT, COLUMNS)
    named = {
        each["reason"]: [place["row"] for place in each["first_rows"]]
        for each in done.report.as_json()["refused"]
    }
    assert named == {"no_consent": [], "consent_unclear": [3]}


def test_a_store_of_those_with_consent_is_that_of_nobody_else(
    state: AgentState, tmp_path: Path
) -> None:
    stay = [consented(first="A"), consented(first="B", number="2")]
    ingest_rows(state, [*stay, consented(first="C", consent="no")], TEXT, COLUMNS)
    other = new_state(tmp_path / "other")
    ingest_rows(other, stay, TEXT, COLUMNS)
    assert store_bytes(state) == store_bytes(other)


codes = st.sampled_from(["signed", "1", "no", "", " ", "x", "Signed", "unknown"])
ends = st.sampled_from(["", "2026-03-04", "2026-03-05", "2027-01-01", "31/02", "0001"])
outs = st.sampled_from(["", "out", "no", "0", "Out", "?"])


@given(st.lists(st.tuples(codes, ends, outs), max_size=30))
def test_nothing_but_a_given_code_that_lasts_is_consent(
    rows: list[tuple[str, str, str]],
) -> None:
    coder = ConsentCoder(
        ConsentEntry(column="c", given=["signed", "1"], not_given=["no"], until="u"),
        OptOutEntry(column="o", values=["out"]),
        TODAY,
    )
    ids = {}
    for place, column in enumerate("cuo"):
        texts = sorted({each[place] for each in rows})
        coder.prepare(column, len(texts))
        coder.learn(column, 0, texts)
        ids[column] = np.array([texts.index(each[place]) for each in rows], np.uint32)
    found = coder.code(ids, len(rows))
    wrong = np.zeros(len(rows)) if found.wrong is None else found.wrong
    for index, (code, end, out) in enumerate(rows):
        lasts = end in {"", "2026-03-05", "2027-01-01"}
        stays = code.lower() in {"signed", "1"} and lasts and out in {"", "no", "0"}
        assert (wrong[index] == 0) == stays, (code, end, out)
        if stays:
            day = NO_END if not end else day_code(datetime.date.fromisoformat(end))
            assert found.columns[CONSENT_UNTIL][index] == day


def test_a_later_edition_leaves_out_who_stood_in_an_earlier_one(
    state: AgentState,
) -> None:
    rows = [
        consented(first="A"),
        consented(first="B", until="2026-03-20"),
        consented(first="C", until="2027-01-01"),
    ]
    ingest_rows(state, rows, TEXT, COLUMNS)
    freeze_due(state, [MONTHLY], NOW)
    assert cases(state, "2026-01") == 3
    later = NOW + datetime.timedelta(days=31)
    from accord.agent.freezing import origin_of

    freeze_due(state, [MONTHLY], later, origin_of(state, state.settings(), later))
    assert cases(state, "2026-02") == 2
    # What was frozen before is asked again, and has them no more either.
    end_consent(state, datetime.date(2026, 3, 20))
    assert cases(state, "2026-01") == 3
    end_consent(state, datetime.date(2026, 3, 21))
    assert cases(state, "2026-01") == 2
    assert len(list((state.editions / "month-30").iterdir())) == 2


@pytest.mark.parametrize("measure", ["persons", "cases", "share(exploitation_type)"])
@pytest.mark.parametrize("day", [19, 20, 21, 25])
def test_ended_consent_counts_as_if_the_case_had_left(
    state: AgentState, measure: str, day: int
) -> None:
    """Rows stay where they are, so that no time of the agent's tells of them."""
    types = ("labour", "sexual", "begging")
    rows = [
        consented(
            first=f"P{number % 20}",
            number=str(number),
            region=("north", "south")[number % 2],
            type=types[number % 3],
            until=("", "2026-03-19", "2026-03-20", "2026-03-24")[number % 4],
        )
        for number in range(60)
    ]
    ingest_rows(state, rows, TEXT, COLUMNS)
    freeze_due(state, [MONTHLY], NOW)
    folder = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert folder is not None
    before = sorted(path.name for path in folder.parent.iterdir())
    today = datetime.date(2026, 3, day)
    query = ask("region", measure=measure)
    parts = lay_out(query, MODEL), leaf_filters(query, MODEL), declared(query)
    with open_edition(state, folder, MODEL, today) as held:
        counted = held.vector(*parts)
    assert sorted(path.name for path in folder.parent.iterdir()) == before
    end_consent(state, today)
    left = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert left is not None
    with Columns.open(left) as columns:
        assert (columns.rows == 60) == (day == 19)
        assert counted.tolist() == bounded_vector(columns, *parts).tolist()


def test_an_agent_that_runs_writes_no_edition_anew(state: AgentState) -> None:
    ingest_rows(
        state, [consented(until="2026-03-20"), consented(first="B")], TEXT, COLUMNS
    )
    freeze_due(state, [MONTHLY], NOW)
    keep_up(state, Settings(), NOW + datetime.timedelta(days=90))
    assert cases(state, "2026-01") == 2


def test_an_ingest_takes_ended_consent_out_of_editions(state: AgentState) -> None:
    rows = [consented(until="2026-03-20"), consented(first="B")]
    ingest_rows(state, rows, TEXT, COLUMNS)
    freeze_due(state, [MONTHLY], NOW)
    ingest_rows(state, rows, TEXT, COLUMNS, now=NOW + datetime.timedelta(days=90))
    assert cases(state, "2026-01") == 1


def cases(state: AgentState, name: str) -> int:
    folder = edition_folder(state, Period.MONTH, 30, name)
    assert folder is not None
    with Columns.open(folder) as columns:
        return columns.rows


def test_parts_with_and_without_an_end_stand_beside_each_other(
    state: AgentState,
) -> None:
    ingest_rows(state, [consented(until="2026-04-01")], TEXT, COLUMNS)
    ingest_rows(state, [row(first="B")], MAPPING_TEXT.replace("files", "others"))
    with Columns.open(state.current) as columns:
        found = sorted(columns.array(CONSENT_UNTIL).tolist())
    assert found == [day_code(datetime.date(2026, 4, 1)), NO_END]
    assert vector(state, ask()).sum() > 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("consent: {column: c, given: [y, '']}", "an empty field is no consent"),
        ("consent: {column: c, given: [y], not_given: [Y]}", "both sides"),
        ("consent: {column: c, given: [y], date: '%d/%m/%Y'}", "only with `until`"),
        ("consent: {column: c, given: [y], until: u, date: '%m/%Y'}", "whole day"),
        ("opt_out: {column: c, values: [y], no: [' Y']}", "both sides"),
        ("consent: {column: c}", "given"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(DocumentError, match=sentence):
        mapping(MAPPING_TEXT.replace("dimensions:\n", f"{line}\ndimensions:\n"))


def test_every_reason_has_a_sentence() -> None:
    from accord.agent.intake.report import SENTENCES

    assert set(SENTENCES) == set(Reason)
