# SPDX-License-Identifier: Apache-2.0
"""What is asked about the two published files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from accord.core.model import DataModel
from accord.core.query import Query, canonical_query

Place = tuple[str, str]
"""A dimension at one of its levels."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A group-by with filters, levels named throughout."""

    by: Sequence[Place]
    where: Mapping[Place, Sequence[str]] = dataclasses.field(default_factory=dict)
    measure: str = "persons"

    def query(self, agreement: str, edition: str, model: DataModel) -> Query:
        return canonical_query(
            agreement=agreement,
            edition=edition,
            measure=self.measure,
            group_by=self.by,
            where={name: values for (name, _), values in self.where.items()},
            model=model,
        )


QUARTER = ("registered_month", "quarter")
RESPONDER = ("source_type", "source_type")
ENTRY_AGE = ("entry_age_band", "broad")
YEAR = ("registered_month", "year")
GENDER = ("gender", "gender")
AGE = ("age_band", "fine")
AGES = ("age_band", "broad")
CITIZEN = ("citizenship", "country")
CITIZENS = ("citizenship", "region_of_the_world")
COUNTRY = ("country_of_exploitation", "country")
REGION = ("country_of_exploitation", "region_of_the_world")
TYPE = ("exploitation_type", "type")
MEANS = ("means_of_control", "means")
RECRUITER = ("recruiter_relation", "relation")

AMERICANS = {CITIZEN: ["USA"]}
SEXUAL = {TYPE: ["sexual_exploitation"]}

CTDC_QUESTIONS = {
    "everybody": Question(by=[]),
    "year": Question(by=[YEAR]),
    "gender and age": Question(by=[GENDER, AGE]),
    "citizenship by region": Question(by=[CITIZENS]),
    "corridors": Question(by=[CITIZEN, COUNTRY]),
    "corridor USA to USA": Question(by=[], where={**AMERICANS, COUNTRY: ["USA"]}),
    "destinations of Americans": Question(by=[COUNTRY], where=AMERICANS),
    "types": Question(by=[TYPE]),
    "types by gender": Question(by=[TYPE, GENDER]),
    "types by broad age": Question(by=[TYPE, AGES]),
    "types of those with one": Question(by=[TYPE], where=SEXUAL),
    "means": Question(by=[MEANS]),
    "means by type": Question(by=[MEANS, TYPE]),
    "means by recruiter and gender": Question(by=[MEANS, RECRUITER, GENDER]),
    "recruiters of girls and women by age": Question(
        by=[RECRUITER, AGE], where={GENDER: ["woman"]}
    ),
    "means since 2015 in two regions": Question(
        by=[MEANS, YEAR],
        where={
            YEAR: ["2015", "2016", "2017", "2018", "2019", "2020", "2021"],
            REGION: ["northern_america", "south_eastern_asia"],
        },
    ),
    "ages of minors": Question(by=[AGE], where={AGES: ["0-17"]}),
}
OVER_THREE = {
    "means",
    "means by type",
    "means by recruiter and gender",
    "means since 2015 in two regions",
}
"""Questions in which some record stands in more than three cells."""

NRM_QUESTIONS = {
    "quarter": Question(by=[QUARTER]),
    "quarter by type": Question(by=[QUARTER, TYPE]),
    "quarter by responder": Question(by=[QUARTER, RESPONDER]),
    "types": Question(by=[TYPE]),
    "citizenship": Question(by=[CITIZEN]),
    "citizenship by type": Question(by=[CITIZEN, TYPE]),
    "citizenship of Albanians": Question(by=[CITIZEN], where={CITIZEN: ["ALB"]}),
    "gender": Question(by=[GENDER]),
    "age": Question(by=[ENTRY_AGE]),
    "girls by type": Question(
        by=[TYPE], where={GENDER: ["woman"], ENTRY_AGE: ["0-17"]}
    ),
    "women by citizenship and type": Question(
        by=[CITIZEN, TYPE], where={GENDER: ["woman"]}
    ),
}

MEANS_BY_GENDER = Question(by=[MEANS, GENDER])
"""A table of which a bound leaves out much: some records have fourteen means."""
