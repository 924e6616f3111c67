# SPDX-License-Identifier: Apache-2.0
"""30,197 referrals over eleven agents: each pooled table is the file's own group-by."""

import pytest

from tests.real.agencies import Agencies
from tests.real.agreements import DROP_CAP, NAMES
from tests.real.published import NRM_PERSONS, NRM_RESPONDERS
from tests.real.questions import CITIZEN, ENTRY_AGE, GENDER, RESPONDER, Place, Question
from tests.real.questions import NRM_QUESTIONS as QUESTIONS
from tests.real.reference import Source

TABLES = [
    pytest.param(name, groups, measure, marks=[pytest.mark.slow] * slow)
    for name in QUESTIONS
    for groups in NAMES
    for measure, slow in (("persons", False), ("cases", True))
]
LARGEST = [8_998, 6_777, 5_419, 1_157, 828, 488, 420, 407, 391, 373, 4_939]
"""Referrals of the ten largest first responders, and of all others together."""


def test_the_ingest_keeps_every_person(nrm: Agencies) -> None:
    reports = [agency.report for agency in nrm.agencies.values()]
    for report in reports:
        assert report.refused == 0
        assert not report.refusals
        assert report.read == report.kept == report.persons
    assert [report.kept for report in reports] == LARGEST
    assert sum(LARGEST) == NRM_PERSONS


@pytest.mark.parametrize(("name", "groups", "measure"), TABLES)
def test_a_pooled_table_is_the_group_by_of_the_file(
    name: str, groups: int, measure: str, nrm: Agencies, nrm_plain: Source
) -> None:
    question = QUESTIONS[name]
    asked = Question(by=question.by, where=question.where, measure=measure)
    plain = nrm_plain.table(
        question.by, question.where, groups=groups, drop_cap=DROP_CAP
    )
    assert nrm.ask(NAMES[groups], asked).table() == plain
    assert sum(plain.cells.values()) > 0


def test_published_totals_come_out(nrm: Agencies) -> None:
    """As the Home Office prints them: by gender, by age and by kind of responder."""

    def asked(*by: Place) -> dict[str, int]:
        table = nrm.ask(NAMES[3], Question(by=by)).table()
        assert table.persons == NRM_PERSONS
        assert table.dropped == 0
        return {cell[0]: count for cell, count in table.cells.items()}

    assert asked(GENDER) == {
        "man": 23_315,
        "woman": 6_856,
        "another_gender": 24,
        "unknown": 2,
    }
    assert asked(ENTRY_AGE) == {"18+": 15_439, "0-17": 13_007, "unknown": 1_751}
    kinds = dict(
        zip(NRM_RESPONDERS.values(), (14_882, 6_777, 1_639, 6_899), strict=True)
    )
    assert asked(RESPONDER) == kinds


SOLE = {"ALB": 7_659, "GBR": 7_527, "ERI": 1_790, "SDN": 1_679, "VNM": 1_580}
"""Persons of one nationality in the published table."""

WITH_ANOTHER_UNKNOWN = {"ALB": 15, "GBR": 46, "ERI": 1, "SDN": 4, "VNM": 6}
"""Persons of whom a second nationality is recorded as unknown: the first one stands."""

HELD = {"ALB": 7_733, "GBR": 8_329, "ERI": 1_827, "SDN": 1_723, "VNM": 1_592}
"""Persons who have the citizenship, alone or beside another."""


@pytest.mark.parametrize("country", SOLE)
def test_published_nationalities_come_out(country: str, nrm: Agencies) -> None:
    """Somebody with two citizenships counts for each of them.

    Asked for those who have one, the table shows the other one of those with two.
    """
    everybody = nrm.ask(NAMES[18], QUESTIONS["citizenship"]).table()
    assert everybody.cells[country,] == HELD[country]
    of_them = Question(by=[CITIZEN], where={CITIZEN: [country]})
    table = nrm.ask(NAMES[18], of_them).table()
    assert table.persons == table.cells[country,] == HELD[country]
    others = sum(count for cell, count in table.cells.items() if cell != (country,))
    alone = SOLE[country] + WITH_ANOTHER_UNKNOWN[country]
    assert table.persons - others == alone
