# SPDX-License-Identifier: Apache-2.0
"""Invented case files of five agencies, in the columns of HTCDS 2.0.

They look like what agencies keep: names in several scripts and spellings, guessed
birth dates, gaps, several values in one field, free text, and now and then a person
whom two agencies know under different spellings. Nobody in them exists.

What an analyst is meant to find: forced labour rises over two years, with a peak every
summer, and in the port it more than doubles in the last six months. Everything
follows from `until` and the seed, so that `exact_counts` tells what a perfect answer
would say.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from accord.client.demo import circumstances, dialects, people

MONTHS = 24
JUMP_MONTHS = 6
JUMP_REGION = "port_calla"
REGIONS = {
    "norvale": 0.16,
    "eastmere": 0.22,
    "sudmark": 0.19,
    "westholm": 0.13,
    "port_calla": 0.30,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """How one agency comes to its cases, and how well it records them."""

    label: str
    source_type: str
    cases: int
    leaning: Mapping[str, float]
    """Types of exploitation that it meets more or less often than all agencies."""
    nameless: float
    """Share of persons whose name and birth date it never learns."""
    birth_date_missing: float
    thoroughness: float
    """Chance that an optional field is filled in."""
    days_in_care: bool
    dialect: dialects.Dialect


AGENCIES = (
    Agency(
        label="city-police",
        source_type="police",
        cases=9_000,
        leaning={"criminal_exploitation": 2.0, "forced_begging": 1.5},
        nameless=0.02,
        birth_date_missing=0.05,
        thoroughness=0.6,
        days_in_care=False,
        dialect=dialects.POLICE,
    ),
    Agency(
        label="national-hotline",
        source_type="hotline",
        cases=6_000,
        leaning={"servitude": 1.5},
        nameless=0.40,
        birth_date_missing=0.45,
        thoroughness=0.45,
        days_in_care=False,
        dialect=dialects.HOTLINE,
    ),
    Agency(
        label="shelter-north",
        source_type="case_management",
        cases=2_500,
        leaning={"sexual_exploitation": 1.8, "forced_marriage": 2.0},
        nameless=0.0,
        birth_date_missing=0.04,
        thoroughness=0.9,
        days_in_care=True,
        dialect=dialects.SHELTER,
    ),
    Agency(
        label="labour-inspectorate",
        source_type="inspection",
        cases=1_800,
        leaning={"forced_labour": 6.0, "sexual_exploitation": 0.1, "child_labour": 3.0},
        nameless=0.08,
        birth_date_missing=0.12,
        thoroughness=0.5,
        days_in_care=False,
        dialect=dialects.INSPECTORATE,
    ),
    Agency(
        label="health-service",
        source_type="health",
        cases=1_200,
        leaning={"sexual_exploitation": 2.5, "organ_removal": 6.0},
        nameless=0.03,
        birth_date_missing=0.03,
        thoroughness=0.55,
        days_in_care=True,
        dialect=dialects.HEALTH,
    ),
)
"""Sizes are skewed as in life; the first has the persons that others know as well."""

REPEATED = 0.14
"""Share of cases that are about a person the agency has had before."""
KNOWN_ELSEWHERE = 0.09
"""Share of an agency's new persons whom an earlier one of `AGENCIES` knows."""
REGION_KNOWN = 0.98
"""Share of cases whose area is recorded."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticCase:
    """One invented case: what is true of it, and how its agency wrote it down."""

    agency: str
    person: int
    """The invented person; one number however many agencies know them."""
    client: people.Client
    registered: datetime.date
    values: Mapping[str, tuple[str, ...]]
    """Recorded values by dimension of the data model; absent where nothing is."""
    numbers: Mapping[str, int]
    """Recorded numbers by quantity, and ``age_when_trafficked``."""


def draw_cases(
    *, until: datetime.date, seed: int, agencies: Sequence[Agency] = AGENCIES
) -> tuple[SyntheticCase, ...]:
    """Return the cases of all agencies, registered in 24 months up to *until*.

    Args:
        until: last day on which a case was registered; its month is the 24th.
        seed: the same seed gives the same cases.
        agencies: whose cases; an earlier one has the persons whom others know as well.
    """
    rng = random.Random(seed)  # noqa: S311 - invented people need no secrecy
    register = people.Register(rng)
    cases: list[SyntheticCase] = []
    for agency in agencies:
        cases.extend(_agency_cases(rng, register, agency, until))
    return tuple(cases)


def write_case_files(
    directory: Path, *, until: datetime.date, seed: int
) -> dict[str, Path]:
    """Write one CSV file per agency into *directory* and return them by label."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = draw_cases(until=until, seed=seed)
    files: dict[str, Path] = {}
    for agency in AGENCIES:
        own = sorted(
            (case for case in drawn if case.agency == agency.label),
            key=lambda case: case.registered,
        )
        path = directory / f"{agency.label}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=agency.dialect.delimiter)
            writer.writerow(dialects.COLUMNS)
            writer.writerows(
                agency.dialect.row(
                    number=number,
                    registered=case.registered,
                    client=case.client,
                    values=case.values,
                    numbers=case.numbers,
                )
                for number, case in enumerate(own, start=1)
            )
        files[agency.label] = path
    return files


def exact_counts(
    cases: Iterable[SyntheticCase],
    *,
    by: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    measure: str = "persons",
) -> Counter[tuple[str, ...]]:
    """Return what a perfect answer would say: no noise, no bound on a person.

    A person is one within an agency and counts again in the next, as in a pooled sum
    without linkage; a case without a name is a person of its own.

    Args:
        cases: from `draw_cases`.
        by: dimensions to group by, at their finest level.
        where: dimension to the one value that a case must have among its own.
        measure: ``persons`` or ``cases``.
    """
    seen: set[tuple[object, ...]] = set()
    counts: Counter[tuple[str, ...]] = Counter()
    for number, case in enumerate(cases):
        if any(
            value not in case.values.get(dimension, ("unknown",))
            for dimension, value in (where or {}).items()
        ):
            continue
        whom: object = number if measure == "cases" else case.client.serial
        cells: list[tuple[str, ...]] = [()]
        for dimension in by:
            held = case.values.get(dimension, ("unknown",))
            cells = [(*cell, value) for cell in cells for value in held]
        for cell in cells:
            if (whom, cell) not in seen:
                seen.add((whom, cell))
                counts[cell] += 1
    return counts


def _agency_cases(
    rng: random.Random,
    register: people.Register,
    agency: Agency,
    until: datetime.date,
) -> Iterable[SyntheticCase]:
    cells, weights = _occasions(agency, until)
    book = register.open_book(agency.dialect.spelling)
    for month, region, kind in rng.choices(cells, cum_weights=weights, k=agency.cases):
        registered = _day(rng, month, until)
        client = book.client(
            kind,
            registered,
            repeated=REPEATED,
            known_elsewhere=KNOWN_ELSEWHERE,
            nameless=agency.nameless,
            birth_date_missing=agency.birth_date_missing,
        )
        values, numbers = circumstances.circumstances(
            rng,
            client,
            registered,
            kind,
            thoroughness=agency.thoroughness,
            care=agency.days_in_care,
        )
        values["source_type"] = (agency.source_type,)
        if rng.random() < REGION_KNOWN:
            values["region"] = (region,)
        yield SyntheticCase(
            agency=agency.label,
            person=client.person.number,
            client=client,
            registered=registered,
            values=values,
            numbers=numbers,
        )


def _occasions(
    agency: Agency, until: datetime.date
) -> tuple[list[tuple[datetime.date, str, str]], list[float]]:
    """Return every (month, region, type) and the running sum of their weights."""
    cells: list[tuple[datetime.date, str, str]] = []
    cumulative: list[float] = []
    total = 0.0
    for index in range(MONTHS):
        month = _month_before(until, MONTHS - 1 - index)
        over = until.day / _days_in(month) if index == MONTHS - 1 else 1.0
        for region, region_share in REGIONS.items():
            for kind, share in circumstances.TYPES.items():
                weight = over * region_share * share * agency.leaning.get(kind, 1.0)
                total += weight * _trend(index, month.month, region, kind)
                cells.append((month, region, kind))
                cumulative.append(total)
    return cells, cumulative


def _trend(index: int, month: int, region: str, kind: str) -> float:
    """Return how much more often *kind* occurs than in the first month."""
    if kind != "forced_labour":
        return 1 + 0.005 * index
    rising = 1 + 0.06 * index
    summer = 1 + 0.3 * math.cos(2 * math.pi * (month - 7) / 12)
    jump = 2.3 if region == JUMP_REGION and index >= MONTHS - JUMP_MONTHS else 1.0
    return rising * summer * jump


def _month_before(day: datetime.date, months: int) -> datetime.date:
    number = day.year * 12 + day.month - 1 - months
    return datetime.date(number // 12, number % 12 + 1, 1)


def _days_in(month: datetime.date) -> int:
    return (_month_before(month, -1) - month).days


def _day(
    rng: random.Random, month: datetime.date, until: datetime.date
) -> datetime.date:
    last = min(month.replace(day=_days_in(month)), until)
    return month.replace(day=rng.randint(1, last.day))
