# SPDX-License-Identifier: Apache-2.0
"""Five invented agencies with a few hundred invented cases each, and what is true.

Every record also holds what must never leave an agency: names in several scripts, an
identity number, a telephone number, free text. A person has at most three cases in an
agency, so under ``groups_per_person: 3`` nothing is left out, and the truth about
single-valued dimensions is a plain count.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.federation.network import Blueprint

AGENCIES = ("alpha", "bravo", "charlie", "delta", "echo")
THREE = AGENCIES[:3]
PURPOSE = "prevention planning"

MONTHS = tuple(f"2025-{number:02d}" for number in range(1, 13))
DISTRICTS = {"north": ("n1", "n2", "n3"), "south": ("s1", "s2")}
GENDERS = ("woman", "man", "another_gender")
HARMS = ("labour", "begging", "servitude", "removal")
PLACES = 400
"""Values of each of two dimensions that no record fills: for very wide answers."""

SIZES = {"alpha": 420, "bravo": 300, "charlie": 260, "delta": 180, "echo": 90}

WORDS = ("Zanthrabel", "Quorvindle", "7731942", "+88314159", "Brimwald", "Xylophrene")
"""One in every value that must not leave its agency, and in no other text."""

_GIVEN = ("Maribel", "Nguyễn", "Ольга", "فاطمة", "Chidi", "José", "李娜", "Zsófia")
_FAMILY = (
    "Quillfeather",
    "Trần",
    "Петрова",
    "الحسن",
    "Okonkwo",
    "Muñoz",
    "王",
    "Szabó",
)

_PLACE_NAMES = ", ".join(f"p{number:03d}" for number in range(PLACES))

MODEL = f"""\
data_model: small-v1
title: A small model for tests
dimensions:
  registered_month:
    title: Month
    calendar: {{from: "2025-01", until: "2025-12"}}
  district:
    title: District
    levels: [district, province]
    values: {{north: [n1, n2, n3], south: [s1, s2]}}
  gender: {{title: Gender, levels: [gender], values: [{", ".join(GENDERS)}]}}
  harm: {{title: Harm, multi: 3, levels: [harm], values: [{", ".join(HARMS)}]}}
  parish: {{title: Parish, levels: [parish], values: [{_PLACE_NAMES}]}}
  workplace:
    title: Workplace
    levels: [workplace]
    values: [{_PLACE_NAMES.replace("p", "w")}]
quantities:
  days_in_care: {{title: Days in care, unit: days, bounds: [0, 3650]}}
"""

MAPPING = """\
mapping: cases
data_model: small-v1
person: [given_name, family_name, birth_date]
case: [case_number]
dimensions:
  registered_month: {column: registered, date: day}
  district: {column: district}
  gender: {column: gender, codes: {F: woman, M: man, X: another_gender}}
  harm: {column: harm, separator: ";"}
quantities:
  days_in_care: {column: days}
"""

_AGREEMENT = """\
agreement: {name}
version: 1
purpose: [prevention planning, service planning]
hub_operator: observatory
parties: [{parties}]
cohorts: {cohorts}
recipients: {{roles: [{role}], organisations: [observatory]}}
data_model: small-v1
editions: {{every: {every}, embargo: 0 days}}
may_ask:
  measures:
    - persons
    - cases
    - sum(days_in_care)
    - mean(days_in_care)
    - quantile(days_in_care)
    - share(harm)
    - values(harm)
  group_by:
    registered_month: month
    district: all
    gender: all
    harm: all
    parish: all
    workplace: all
  at_most_dimensions: 3
protect:
  groups_per_person: 3
  cases_per_group: 3
  suppress_below: 0
  noise: {noise}
spend:
  accounting: {accounting}
  each_release_at_most: {{epsilon: {each}}}
  each_analyst: {{epsilon: {total}, every: 90 days}}
  everyone: {{epsilon: {total}, every: 365 days}}
approval: {{quorum: 2}}
valid: {{from: 2020-01-01, until: 2099-12-31, review_by: 2099-06-30}}
"""


ZCDP = "zcdp\n  delta: 1e-9"
HUB_NOISE = "hub\n  hub_sees_exact_pooled_sums: accepted"


def agreement(
    name: str,
    parties: tuple[str, ...] = THREE,
    *,
    cohorts: str = "{all: everyone}",
    role: str = "analyst",
    every: str = "month",
    accounting: str = ZCDP,
    noise: str = HUB_NOISE,
    each: int = 10,
    total: int = 400,
) -> str:
    """Return the text of an agreement."""
    return _AGREEMENT.format(
        name=name,
        parties=", ".join(parties),
        cohorts=cohorts,
        role=role,
        every=every,
        accounting=accounting,
        noise=noise,
        each=each,
        total=total,
    )


AGREEMENTS = {
    # what most tests ask under
    "three": agreement("three"),
    # with a fallback: two may sit out
    "five": agreement(
        "five", AGENCIES, cohorts="{all: everyone, fallback: [alpha, bravo, charlie]}"
    ),
    # the other mechanism, and another calendar
    "pure": agreement("pure", every="quarter", accounting="pure"),
    # agencies add the noise, or their part of it
    "shared": agreement("shared", noise="shared"),
    "agents": agreement("agents", noise="agents"),
    "polya": agreement("polya", every="quarter", accounting="pure", noise="agents"),
    # one small release, and nothing is left
    "scarce": agreement("scarce", each=1, total=1),
    # a few small releases, for many who ask at once
    "rush": agreement("rush", each=1, total=2),
    # for others: neither alpha and bravo nor the analysts of the tests are in it
    # Delta, echo and one of `three` would, with `five`, give that one away.
    "closed": agreement("closed", AGENCIES[1:4], role="director"),
}

MEMBERS = "network: test-network\nmembers:\n" + "".join(
    f"  {label}:\n"
    f"    name: Agency {label}\n"
    f"    remit:\n"
    f"      description: Cases that {label} works on\n"
    f"      persons_a_year: {SIZES[label] // 2}\n"
    f"      definitions: {{harm: As {label} sees it after the first interview}}\n"
    "    lifetime: {zcdp: {epsilon: 1000, delta: 1e-9}, pure: {epsilon: 1000}}\n"
    for label in AGENCIES
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One invented record, as its agency has it."""

    case_number: str
    given_name: str
    family_name: str
    birth_date: str
    identity_number: str
    telephone: str
    registered: str
    district: str
    gender: str
    harm: str
    days: str
    notes: str

    @property
    def person(self) -> tuple[str, str, str]:
        return self.given_name, self.family_name, self.birth_date

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be found nowhere outside the source."""
        return (
            self.case_number,
            self.given_name,
            self.family_name,
            self.birth_date,
            self.identity_number,
            self.telephone,
            self.notes,
        )


Facts = Callable[[Case], tuple[str, ...]]
"""The cell that a case stands in."""

_GENDER_OF = {"F": "woman", "M": "man", "X": "another_gender"}


def gender_of(case: Case) -> str:
    return _GENDER_OF[case.gender]


def province_of(case: Case) -> str:
    return next(name for name, parts in DISTRICTS.items() if case.district in parts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """All records, and where they lie."""

    cases: Mapping[str, tuple[Case, ...]]
    sources: Mapping[str, tuple[Path, ...]]

    def blueprint(self) -> Blueprint:
        """Return the network of all five agencies and their agreements."""
        return Blueprint(
            agreements=AGREEMENTS,
            models={"small-v1": MODEL},
            members=MEMBERS,
            mappings=dict.fromkeys(AGENCIES, MAPPING),
            sources=self.sources,
            analysts={
                "ana": ("observatory", ("analyst",)),
                "ben": ("observatory", ("analyst",)),
                "zoe": ("university", ("analyst",)),
            },
            agent_environment={
                # Answers leave at once; one test keeps the default.
                "ACCORD_AGENT_ANSWER_SLOT_SECONDS": "0",
                "ACCORD_AGENT_INGEST__MEMORY": "256MiB",
                "ACCORD_AGENT_LIFETIME__ZCDP__EPSILON": "1000",
                "ACCORD_AGENT_LIFETIME__PURE__EPSILON": "1000",
            },
        )

    def persons(
        self, agencies: tuple[str, ...], cell: Facts
    ) -> Mapping[tuple[str, ...], int]:
        """Return distinct persons of each agency by cell, added up."""
        return collections.Counter(
            place
            for label in agencies
            for _, place in {(each.person, cell(each)) for each in self.cases[label]}
        )

    def count_cases(
        self, agencies: tuple[str, ...], cell: Facts
    ) -> Mapping[tuple[str, ...], int]:
        """Return cases by cell."""
        return collections.Counter(
            cell(each) for label in agencies for each in self.cases[label]
        )

    def count_persons(self, agencies: tuple[str, ...]) -> int:
        """Return distinct persons of each agency, added up."""
        return sum(
            len({each.person for each in self.cases[label]}) for label in agencies
        )


def invent(folder: Path, *, seed: int = 20_260_101) -> SmallWorld:
    """Write the case files of all agencies, the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    cases: dict[str, tuple[Case, ...]] = {}
    sources: dict[str, tuple[Path, ...]] = {}
    for label in AGENCIES:
        cases[label] = _cases(label, random.Random(f"{seed}/{label}"))
        path = folder / f"{label}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            names = [field.name for field in dataclasses.fields(Case)]
            table = csv.DictWriter(file, names)
            table.writeheader()
            table.writerows(dataclasses.asdict(each) for each in cases[label])
        sources[label] = (path,)
    return SmallWorld(cases=cases, sources=sources)


def _cases(label: str, draw: random.Random) -> tuple[Case, ...]:
    made: list[Case] = []
    number = 0
    while len(made) < SIZES[label]:
        number += 1
        place = draw.randrange(len(_GIVEN))
        mark = f"{label[:2]}{draw.randrange(16**6):06x}"
        person = {
            "given_name": f"{_GIVEN[place]}Zanthrabel{mark}",
            "family_name": f"{_FAMILY[place]}Quorvindle{mark}",
            "birth_date": f"{1960 + draw.randrange(45)}-{1 + draw.randrange(12):02d}"
            f"-{1 + draw.randrange(28):02d}",
            "identity_number": f"ID-7731942-{mark}",
            "telephone": f"+88314159{draw.randrange(10**6):06d}",
            "gender": draw.choice("FFFMMX"),
        }
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            made.append(_case(label, person, len(made), mark, draw))
    return tuple(made[: SIZES[label]])


def _case(
    label: str, person: Mapping[str, str], number: int, mark: str, draw: random.Random
) -> Case:
    month = draw.choices(MONTHS, weights=range(4, 16))[0]
    districts = [name for parts in DISTRICTS.values() for name in parts]
    return Case(
        **person,
        case_number=f"{label.upper()}/Brimwald/{number:05d}/{mark}",
        registered=f"{month}-{1 + draw.randrange(28):02d}",
        district=draw.choices(districts, weights=(5, 3, 2, 4, 1))[0],
        harm=";".join(draw.sample(HARMS, draw.choice((1, 1, 2)))),
        days=str(draw.randrange(400)),
        notes=f"She told the interpreter about the house in Xylophrene {mark}.",
    )
