# SPDX-License-Identifier: Apache-2.0
"""193,025 records over five agents: every pooled table is the file's own group-by."""

from collections.abc import Mapping

import pytest

from accord.core.terms import terms
from tests.real.agencies import CTDC_SHARES, Agencies
from tests.real.agreements import DROP_CAP, NAMES
from tests.real.published import CTDC_RECORDS
from tests.real.questions import (
    AGE,
    CITIZEN,
    CITIZENS,
    COUNTRY,
    GENDER,
    MEANS,
    OVER_THREE,
    RECRUITER,
    TYPE,
    Place,
    Question,
)
from tests.real.questions import CTDC_QUESTIONS as QUESTIONS
from tests.real.reference import Source, Table

TABLES = [
    pytest.param(name, groups, measure, marks=[pytest.mark.slow] * slow)
    for name in QUESTIONS
    for groups in NAMES
    for measure, slow in (("persons", False), ("cases", True))
]


def test_the_ingest_keeps_every_record(ctdc: Agencies) -> None:
    reports = {label: agency.report for label, agency in ctdc.agencies.items()}
    for report in reports.values():
        assert report.refused == 0
        assert not report.refusals
        assert report.read == report.kept == report.persons
        assert not report.outside
    assert sum(report.kept for report in reports.values()) == CTDC_RECORDS
    for label, report in reports.items():
        assert report.kept == pytest.approx(
            CTDC_RECORDS * CTDC_SHARES[label] / 20, abs=20
        )


@pytest.mark.parametrize(("name", "groups", "measure"), TABLES)
def test_a_pooled_table_is_the_group_by_of_the_file(
    name: str, groups: int, measure: str, ctdc: Agencies, ctdc_plain: Source
) -> None:
    question = QUESTIONS[name]
    asked = Question(by=question.by, where=question.where, measure=measure)
    plain = ctdc_plain.table(
        question.by, question.where, groups=groups, drop_cap=DROP_CAP
    )
    assert ctdc.ask(NAMES[groups], asked).table() == plain
    assert sum(plain.cells.values()) > 0
    if groups < 18:
        assert (plain.dropped > 0) == (name in OVER_THREE)


@pytest.mark.parametrize(
    ("question", "places"),
    [
        (QUESTIONS["gender and age"], [AGE, GENDER]),
        (QUESTIONS["citizenship by region"], [CITIZENS]),
        (QUESTIONS["corridors"], [CITIZEN, COUNTRY]),
        (QUESTIONS["means by type"], [TYPE, MEANS]),
    ],
)
def test_cells_stand_in_the_order_of_the_model(
    question: Question,
    places: list[Place],
    ctdc: Agencies,
    ctdc_plain: Source,
) -> None:
    """A table that agrees says nothing of cells that are empty in the file."""
    query = question.query(NAMES[3], ctdc.edition, ctdc.model)
    layout = terms(ctdc.agreements[NAMES[3]], ctdc.model, query).layout
    assert [axis.dimension for axis in layout.axes] == [
        name for name, _ in sorted(places)
    ]
    for axis in layout.axes:
        facet = ctdc_plain.facet(axis.dimension, axis.level)
        assert list(axis.values) == list(facet.domain)


def test_the_bound_leaves_out_what_it_says(ctdc: Agencies) -> None:
    """Three of up to fourteen means are kept; the rest is dropped, two at most."""
    three = ctdc.ask(NAMES[3], QUESTIONS["means"]).table()
    everything = ctdc.ask(NAMES[18], QUESTIONS["means"]).table()
    lost = {
        cell: count - three.cells.get(cell, 0)
        for cell, count in everything.cells.items()
    }
    assert all(count >= 0 for count in lost.values())
    assert everything.dropped == 0
    assert three.persons == everything.persons == CTDC_RECORDS
    assert 0 < three.dropped < sum(lost.values())


TYPES = {"forced_labour": 37.8, "sexual_exploitation": 56.5, "other": 9.1}
RANKED_MEANS = {
    "psychological_abuse": 40.5,
    "threats_unspecified": 38.7,
    "restricts_movement": 37.7,
    "takes_earnings": 32.0,
    "false_promises": 28.7,
    "physical_abuse": 28.5,
    "excessive_working_hours": 25.3,
    "withholds_documents": 21.4,
    "other": 19.8,
    "withholds_necessities": 17.8,
    "debt_bondage": 15.7,
    "threats_of_law_enforcement": 13.9,
    "sexual_abuse": 13.6,
    "psychoactive_substances": 13.1,
    "restricts_medical_care": 12.4,
}
RECRUITERS = {"other": 50.9, "friend": 19.9, "family": 15.7, "intimate_partner": 14.1}

CORRIDORS = {
    ("USA", "USA"): 8_648,
    ("UKR", "RUS"): 6_997,
    ("MEX", "USA"): 2_744,
    ("PHL", "PHL"): 2_157,
    ("UKR", "POL"): 1_641,
    ("MMR", "IDN"): 1_543,
    ("BLR", "RUS"): 1_314,
    ("KHM", "KHM"): 1_212,
    ("IDN", "MYS"): 908,
    ("NGA", "MLI"): 851,
}


@pytest.mark.parametrize(
    ("question", "shares", "persons"),
    [
        ("types", TYPES, 111_965),
        ("means", RANKED_MEANS, 64_933),
        ("recruiters", RECRUITERS, 37_258),
    ],
)
def test_published_shares_come_out(
    question: str, shares: Mapping[str, float], persons: int, ctdc: Agencies
) -> None:
    """Of the persons with any information, as the file's publisher reckons."""
    asked = QUESTIONS.get(question, Question(by=[RECRUITER]))
    found = ctdc.ask(NAMES[18], asked).table()
    known = found.persons - found.cells["unknown",]
    assert known == persons
    ranked = sorted(
        (cell for (cell,) in found.cells if cell != "unknown"),
        key=lambda cell: -found.cells[cell,],
    )
    assert {cell: round(100 * found.cells[cell,] / known, 1) for cell in ranked} == (
        shares
    )
    assert ranked == sorted(shares, key=lambda cell: -shares[cell])


def test_published_female_shares_come_out(ctdc: Agencies) -> None:
    cells = ctdc.ask(NAMES[18], QUESTIONS["types by gender"]).table().cells
    found = {
        kind: _share(
            {gender: count for (of, gender), count in cells.items() if of == kind},
            ["woman"],
        )
        for kind in ("sexual_exploitation", "forced_labour")
    }
    assert found == {"sexual_exploitation": 94.9, "forced_labour": 50.4}


def test_published_shares_of_minors_come_out(ctdc: Agencies) -> None:
    cells = ctdc.ask(NAMES[18], QUESTIONS["types by broad age"]).table().cells
    found = {
        kind: _share(
            {age: count for (age, of), count in cells.items() if of == kind}, ["0-17"]
        )
        for kind in ("sexual_exploitation", "forced_labour")
    }
    assert found == {"sexual_exploitation": 33.3, "forced_labour": 15.2}


def test_published_corridors_come_out(ctdc: Agencies) -> None:
    cells = ctdc.ask(NAMES[3], QUESTIONS["corridors"]).table().cells
    known = {
        cell: count
        for cell, count in cells.items()
        if not any(value == "unknown" for value in cell)
    }
    largest = sorted(known, key=lambda cell: -known[cell])[: len(CORRIDORS)]
    assert {cell: known[cell] for cell in largest} == CORRIDORS
    assert largest == list(CORRIDORS)


@pytest.mark.parametrize("corridor", CORRIDORS, ids="-".join)
def test_a_corridor_comes_out_by_filters(
    corridor: tuple[str, str], ctdc: Agencies
) -> None:
    """One cell, of which the bound can leave nothing out."""
    citizenship, country = corridor
    question = Question(by=[], where={CITIZEN: [citizenship], COUNTRY: [country]})
    found = ctdc.ask(NAMES[3], question).table()
    people = CORRIDORS[corridor]
    assert found == Table(cells={(): people}, persons=people, dropped=0)


def _share(counts: Mapping[str, int], part: list[str]) -> float:
    """Return the percentage of *part* among those of whom it is known."""
    known = sum(count for value, count in counts.items() if value != "unknown")
    return round(100 * sum(counts[value] for value in part) / known, 1)
