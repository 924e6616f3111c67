# SPDX-License-Identifier: Apache-2.0
"""The demo's case files: repeatable, lifelike, with a trend, and mapped completely."""

import csv
import datetime
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from accord.client.demo.casefiles import (
    AGENCIES,
    JUMP_REGION,
    SyntheticCase,
    draw_cases,
    exact_counts,
    write_case_files,
)
from accord.client.demo.dialects import COLUMNS
from accord.core.dimension import UNKNOWN
from accord.core.model import DataModel, load_model

UNTIL = datetime.date(2026, 10, 31)
SEED = 20261031
POLICIES = Path(__file__).resolve().parents[3] / "policies"

Rows = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def cases() -> tuple[SyntheticCase, ...]:
    return draw_cases(until=UNTIL, seed=SEED)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("case-files")
    return write_case_files(folder, until=UNTIL, seed=SEED)


@pytest.fixture(scope="module")
def rows(files: dict[str, Path]) -> Rows:
    found: Rows = {}
    for agency in AGENCIES:
        with files[agency.label].open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter=agency.dialect.delimiter)
            found[agency.label] = list(reader)
    return found


@pytest.fixture(scope="module")
def model() -> DataModel:
    path = POLICIES / "models" / "cases-v1.yaml"
    return load_model(path.read_text(encoding="utf-8"), path.name)


@pytest.fixture(scope="module")
def mapping() -> dict[str, Any]:
    text = (POLICIES / "mappings" / "htcds-demo.yaml").read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)  # type: ignore[no-any-return]


def test_the_same_seed_gives_the_same_bytes(
    files: dict[str, Path], tmp_path: Path
) -> None:
    again = write_case_files(tmp_path / "again", until=UNTIL, seed=SEED)
    for label, path in files.items():
        assert again[label].read_bytes() == path.read_bytes()


def test_another_seed_gives_others(cases: tuple[SyntheticCase, ...]) -> None:
    assert draw_cases(until=UNTIL, seed=SEED + 1) != cases


def test_five_agencies_of_very_different_size(rows: Rows) -> None:
    sizes = {label: len(found) for label, found in rows.items()}
    assert sizes == {
        "city-police": 9_000,
        "national-hotline": 6_000,
        "shelter-north": 2_500,
        "labour-inspectorate": 1_800,
        "health-service": 1_200,
    }


def test_every_file_has_the_same_columns_and_distinct_case_numbers(rows: Rows) -> None:
    for found in rows.values():
        assert tuple(found[0]) == COLUMNS
        assert len({row["cas_CaseNumber"] for row in found}) == len(found)


@pytest.mark.parametrize(
    "until", [datetime.date(2024, 2, 29), datetime.date(2025, 1, 1)]
)
def test_cases_lie_in_the_24_months_up_to_the_last_day(until: datetime.date) -> None:
    days = [case.registered for case in draw_cases(until=until, seed=1)]
    assert max(days) <= until
    months = {(day.year, day.month) for day in days}
    assert (until.year, until.month) in months
    assert len(months) == 24


def test_forced_labour_rises_far_beyond_any_noise(
    cases: tuple[SyntheticCase, ...],
) -> None:
    counts = exact_counts(
        cases, by=["registered_month"], where={"exploitation_type": "forced_labour"}
    )
    assert len(counts) == 24
    for month in range(1, 11):
        earlier = counts[f"2025-{month:02d}",]
        assert counts[f"2026-{month:02d}",] > earlier + 60
    assert counts["2025-07",] > counts["2025-01",] + 150  # the peak in summer


def test_the_port_jumps_in_the_last_six_months(
    cases: tuple[SyntheticCase, ...],
) -> None:
    counts = exact_counts(
        cases,
        by=["region", "registered_month"],
        where={"exploitation_type": "forced_labour"},
    )

    def half_year(region: str, year: int) -> int:
        return sum(counts[region, f"{year}-{month:02d}"] for month in range(5, 11))

    for region in ("norvale", "eastmere", "sudmark", "westholm"):
        assert half_year(region, 2026) < 2 * half_year(region, 2025)
    assert half_year(JUMP_REGION, 2026) > 2.4 * half_year(JUMP_REGION, 2025)


def test_now_and_then_two_agencies_know_a_person_under_other_spellings(
    cases: tuple[SyntheticCase, ...],
) -> None:
    agencies: defaultdict[int, set[str]] = defaultdict(set)
    spellings: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for case in cases:
        agencies[case.person].add(case.agency)
        spellings[case.person].add((case.client.given, case.client.family))
    shared = [person for person, known_to in agencies.items() if len(known_to) > 1]
    assert 0.03 < len(shared) / len(agencies) < 0.05
    varied = sum(len(spellings[person]) > 1 for person in shared)
    assert 0.5 < varied / len(shared) < 1


def test_some_persons_have_several_cases_at_one_agency(
    cases: tuple[SyntheticCase, ...],
) -> None:
    per_client = Counter(case.client.serial for case in cases)
    repeated = sum(count > 1 for count in per_client.values())
    assert 0.08 < repeated / len(per_client) < 0.2
    assert max(per_client.values()) >= 4


def folded(name: str) -> str:
    parts = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in parts if letter.isalnum())


def test_name_and_birth_date_tell_the_clients_of_an_agency_apart(
    cases: tuple[SyntheticCase, ...],
) -> None:
    """So that the totals of `exact_counts` do not depend on how keys are folded."""
    keys: defaultdict[tuple[object, ...], set[str]] = defaultdict(set)
    for case in cases:
        client = case.client
        if client.given or client.family:
            key = (folded(client.given), folded(client.family), client.birth_date)
            keys[case.agency, *key].add(client.serial)
        else:
            assert client.birth_date is None
    assert all(len(serials) == 1 for serials in keys.values())


def script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]


def test_names_come_in_many_scripts(rows: Rows) -> None:
    scripts = Counter(
        script(letter)
        for found in rows.values()
        for row in found
        for letter in row["prs_SecondName"]
        if letter.isalpha()
    )
    for name in (
        "LATIN",
        "CYRILLIC",
        "ARABIC",
        "CJK",
        "DEVANAGARI",
        "THAI",
        "GEORGIAN",
    ):
        assert scripts[name] > 50, name
    assert any("Nguyễn" in row["prs_SecondName"] for row in rows["shelter-north"])


def test_files_are_as_untidy_as_real_ones(rows: Rows) -> None:
    everything = [row for found in rows.values() for row in found]
    born = [row["prs_Birthdate"] for row in everything]
    known = [day for day in born if day]
    guessed = sum(day.startswith("01/01/") or day.endswith("-01-01") for day in known)
    assert 0.1 < born.count("") / len(born) < 0.4
    assert 0.08 < guessed / len(known) < 0.15
    for column in ("prs_Gender", "prs_Citizenship", "vic_TypeOfExploitation"):
        assert any(not row[column] for row in everything)
    assert any(";" in row["prs_Citizenship"] for row in everything)
    assert any(";" in row["vic_TypeOfExploitation"] for row in everything)
    notes = [row["cas_ReasonForCaseClosure"] for row in everything]
    assert all(any(mark in note for note in notes) for mark in (",", '"', "\n"))


def apply_codes(entry: dict[str, Any], text: str) -> tuple[str, ...]:
    """Map one field by the letter of the mapping; a code it lacks is a KeyError."""
    codes = entry.get("codes")
    split = text.split(entry["separator"]) if "separator" in entry else [text]
    parts = [part.strip() for part in split if part.strip()]
    return tuple(str(codes[part]) if codes else part for part in parts)


def read_day(text: str, formats: list[str]) -> datetime.date:
    for form in formats:
        try:
            read = datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
        return read.date()
    raise AssertionError("no format of the mapping reads a date of the files")


def test_the_mapping_places_every_value_where_it_belongs(
    rows: Rows,
    cases: tuple[SyntheticCase, ...],
    mapping: dict[str, Any],
    model: DataModel,
) -> None:
    by_agency: defaultdict[str, list[SyntheticCase]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: case.registered):
        by_agency[case.agency].append(case)
    dimensions = mapping["dimensions"]
    calendar = dimensions["registered_month"]
    for label, found in rows.items():
        for row, case in zip(found, by_agency[label], strict=True):
            assert (
                read_day(row[calendar["column"]], calendar["date"]) == case.registered
            )
            for name, entry in dimensions.items():
                if "birth_date" in entry or "date" in entry:
                    continue
                values = apply_codes(entry, row[entry["column"]])
                expected = tuple(v for v in case.values.get(name, ()) if v != UNKNOWN)
                assert values == expected, (label, name)
                for value in values:
                    model.dimension(name).code(value)


def test_age_bands_follow_from_the_dates_in_the_files(
    rows: Rows, cases: tuple[SyntheticCase, ...], mapping: dict[str, Any]
) -> None:
    entry = mapping["dimensions"]["age_band"]
    assert isinstance(entry["format"], list)
    bands: Counter[str] = Counter()
    for found in rows.values():
        for row in found:
            if row[entry["birth_date"]]:
                born = read_day(row[entry["birth_date"]], entry["format"])
                at = read_day(row[entry["at"]], entry["format"])
                years = (
                    at.year - born.year - ((at.month, at.day) < (born.month, born.day))
                )
                bands["0-17" if years < 18 else "18+"] += 1
                assert 3 < years < 66
    expected = exact_counts(cases, by=["age_band"], measure="cases")
    minors = expected["0-8",] + expected["9-17",]
    assert bands["0-17"] == minors
    assert bands.total() == len(cases) - expected[UNKNOWN,]


def test_numbers_stay_within_their_public_bounds(
    cases: tuple[SyntheticCase, ...], mapping: dict[str, Any], model: DataModel
) -> None:
    assert set(mapping["quantities"]) == set(model.quantities)
    recorded: set[str] = set()
    for case in cases:
        for name, number in case.numbers.items():
            if name in model.quantities:
                quantity = model.quantities[name]
                assert quantity.lower <= number <= quantity.upper
                recorded.add(name)
    assert recorded == set(model.quantities)


def test_no_case_has_more_values_than_the_model_allows(
    cases: tuple[SyntheticCase, ...], model: DataModel
) -> None:
    for case in cases:
        for name, values in case.values.items():
            assert 1 <= len(values) <= model.dimension(name).max_values
            assert len(set(values)) == len(values)


def test_exact_counts_of_a_small_example(cases: tuple[SyntheticCase, ...]) -> None:
    client = cases[0].client
    other = next(case.client for case in cases if case.client.serial != client.serial)

    def case(whom: Any, **values: tuple[str, ...]) -> SyntheticCase:  # noqa: ANN401
        return SyntheticCase(
            agency="shelter-north",
            person=whom.person.number,
            client=whom,
            registered=UNTIL,
            values=values,
            numbers={},
        )

    few = [
        case(client, region=("norvale",), exploitation_type=("servitude",)),
        case(client, region=("norvale",), exploitation_type=("servitude", "other")),
        case(other, exploitation_type=("other",)),
    ]
    assert exact_counts(few)[()] == 2
    assert exact_counts(few, measure="cases")[()] == 3
    assert exact_counts(few, by=["region"]) == {("norvale",): 1, (UNKNOWN,): 1}
    assert exact_counts(few, by=["region", "exploitation_type"]) == {
        ("norvale", "servitude"): 1,
        ("norvale", "other"): 1,
        (UNKNOWN, "other"): 1,
    }
    assert exact_counts(few, where={"exploitation_type": "servitude"})[()] == 1
