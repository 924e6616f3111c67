# SPDX-License-Identifier: Apache-2.0
"""The shipped data model, and the shipped mappings onto it."""

import csv
import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from accord.agent.intake.mapping import load_mapping
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.model import DataModel, load_model

POLICIES = Path(__file__).resolve().parents[3] / "policies"
MAPPINGS = ("htcds-demo", "ctdc-2021", "uk-nrm")


@pytest.fixture(scope="module")
def model() -> DataModel:
    path = POLICIES / "models" / "cases-v1.yaml"
    return load_model(path.read_text(encoding="utf-8"), path.name)


def read_mapping(name: str) -> dict[str, Any]:
    text = (POLICIES / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
    mapping = YAML(typ="safe", pure=True).load(text)
    assert mapping["mapping"] == name
    assert mapping["data_model"] == "cases-v1"
    return mapping  # type: ignore[no-any-return]  # ruamel is untyped


def values_of(target: object) -> list[str]:
    return [str(value) for value in (target if isinstance(target, list) else [target])]


def targets(entry: dict[str, Any]) -> Iterator[list[str]]:
    for form in ("codes", "flags"):
        for target in entry.get(form, {}).values():
            yield values_of(target)


def test_it_is_read_without_a_problem(model: DataModel) -> None:
    assert model.name == "cases-v1"
    assert set(model.quantities) == {
        "days_in_care",
        "days_to_decision",
        "months_exploited",
        "number_of_children",
    }


@pytest.mark.parametrize(
    ("dimension", "levels", "most"),
    [
        ("registered_month", ("month", "quarter", "year"), 1),
        ("region", ("region",), 1),
        ("age_band", ("fine", "broad"), 1),
        ("entry_age_band", ("fine", "broad"), 1),
        ("gender", ("gender",), 1),
        ("citizenship", ("country", "region_of_the_world"), 2),
        ("country_of_exploitation", ("country", "region_of_the_world"), 1),
        ("exploitation_type", ("type",), 5),
        ("labour_sector", ("sector",), 2),
        ("sex_exploitation_type", ("type",), 2),
        ("means_of_control", ("means",), 18),
        ("recruiter_relation", ("relation",), 2),
        ("recruitment_method", ("method",), 3),
        ("recruitment_platform", ("platform",), 5),
        ("exploitation_platform", ("platform",), 5),
        ("duration_band", ("duration",), 1),
        ("cross_border", ("cross_border",), 1),
    ],
)
def test_levels_and_maxima_are_those_of_the_design(
    model: DataModel, dimension: str, levels: tuple[str, ...], most: int
) -> None:
    found = model.dimension(dimension)
    assert (found.levels, found.max_values) == (levels, most)


def test_nothing_is_claimed_to_be_constant_for_a_person(model: DataModel) -> None:
    assert not any(dimension.constant for dimension in model.dimensions.values())


def test_every_dimension_ends_with_unknown_and_rolls_up_in_order(
    model: DataModel,
) -> None:
    for dimension in model.dimensions.values():
        assert dimension.leaves[-1] == UNKNOWN
        assert len(set(dimension.leaves)) == len(dimension.leaves)
        for level in dimension.levels:
            places = dimension.roll_up(level)
            assert list(places) == sorted(places)
            assert set(places) == set(range(len(dimension.domain(level))))


def test_all_means_of_control_fit_into_one_case(model: DataModel) -> None:
    means = model.dimension("means_of_control")
    assert means.max_values == len(set(means.leaves) - {UNKNOWN, "none"})


def test_three_states_where_a_no_is_recorded(model: DataModel) -> None:
    for name in ("means_of_control", "recruitment_platform", "exploitation_platform"):
        leaves = model.dimension(name).leaves
        assert leaves[-2:] == ("none", UNKNOWN)
    assert model.dimension("cross_border").leaves == ("yes", "no", UNKNOWN)


def countries(dimension: Dimension) -> set[str]:
    return {leaf for leaf in dimension.leaves if re.fullmatch("[A-Z]{3}", leaf)}


def test_the_two_country_trees_are_one(model: DataModel) -> None:
    citizenship = model.dimension("citizenship")
    exploited = model.dimension("country_of_exploitation")
    for code in sorted(countries(exploited)):
        for level in exploited.levels:
            place = exploited.roll_up(level)[exploited.code(code)]
            other = citizenship.roll_up(level)[citizenship.code(code)]
            assert exploited.domain(level)[place] == citizenship.domain(level)[other]
    assert countries(citizenship) == countries(exploited)
    # 249 officially assigned codes of ISO 3166-1, and Kosovo.
    assert len(countries(exploited)) == 250


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("NGA", "western_africa"),
        ("SDN", "northern_africa"),
        ("COD", "middle_africa"),
        ("ETH", "eastern_africa"),
        ("MEX", "central_america"),
        ("USA", "northern_america"),
        ("IRN", "southern_asia"),
        ("TUR", "western_asia"),
        ("VNM", "south_eastern_asia"),
        ("UKR", "eastern_europe"),
        ("LTU", "northern_europe"),
        ("ALB", "southern_europe"),
        ("XKX", "southern_europe"),
        ("TWN", "eastern_asia"),
        ("PNG", "melanesia"),
    ],
)
def test_countries_lie_in_their_statistical_region(
    model: DataModel, country: str, region: str
) -> None:
    dimension = model.dimension("citizenship")
    assert dimension.code(country) in dimension.leaves_under(region)


def test_value_names_of_the_standard_have_a_place(shared_data: Path) -> None:
    """Every value of the HTCDS fields that the demo's mapping reads is mapped."""
    by_column: dict[str, dict[str, Any]] = {
        entry["column"]: entry
        for entry in read_mapping("htcds-demo")["dimensions"].values()
        if "column" in entry
    }
    path = shared_data / "htcds_2.0_fields.csv"
    checked = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        for field in csv.DictReader(file):
            column = field["Field Name including Prefix"]
            names = [
                name.strip() for name in field["Value Names (if picklist)"].split()
            ]
            codes = by_column.get(column, {}).get("codes", {})
            if codes and column.startswith(("prs_", "vic_", "cas_")):
                assert set(names) <= set(codes), column
                checked += len(names)
    assert checked > 100


@pytest.mark.parametrize("name", MAPPINGS)
def test_an_agent_takes_the_mapping(model: DataModel, name: str) -> None:
    path = POLICIES / "mappings" / f"{name}.yaml"
    mapping = load_mapping(path.read_text(encoding="utf-8"), path.name, model)
    assert mapping.name == name
    assert mapping.names_persons


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_names_only_what_the_model_has(model: DataModel, name: str) -> None:
    mapping = read_mapping(name)
    for dimension, entry in mapping["dimensions"].items():
        domain = model.dimension(dimension)
        for values in targets(entry):
            for value in values:
                domain.code(value)
            assert len(values) <= domain.max_values
            assert values == [UNKNOWN] or UNKNOWN not in values
    assert set(mapping.get("quantities", {})) <= set(model.quantities)


@pytest.mark.parametrize("name", MAPPINGS)
def test_codes_differ_by_more_than_case_and_blanks(name: str) -> None:
    for entry in read_mapping(name)["dimensions"].values():
        codes = [str(code) for code in entry.get("codes", {})]
        folded = {" ".join(code.casefold().split()) for code in codes}
        assert len(folded) == len(codes)


def folded_codes(mapping: dict[str, Any], dimension: str) -> set[str]:
    codes = mapping["dimensions"][dimension]["codes"]
    return {str(code).strip().casefold() for code in codes}


def held(rows: Iterable[dict[str, str]], column: str) -> set[str]:
    return {row[column].strip() for row in rows} - {""}


def test_every_code_of_the_ctdc_file_is_mapped(
    model: DataModel, shared_data: Path
) -> None:
    mapping = read_mapping("ctdc-2021")
    path = shared_data / "ctdc_global_synthetic_20210825.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named: set[str] = set()
    for dimension, entry in mapping["dimensions"].items():
        if "flags" in entry:
            named.update(entry["flags"])
            most = max(sum(row[f] == "1" for f in entry["flags"]) for row in rows)
            assert most <= model.dimension(dimension).max_values
            for flag in entry["flags"]:
                assert held(rows, flag) == {"1"}
            continue
        named.add(entry["column"])
        codes = held(rows, entry["column"])
        if "codes" in entry:
            assert codes <= set(entry["codes"])
        else:
            for code in codes:  # a year is a value of its calendar, too
                model.dimension(dimension).code(code)
    assert named == set(rows[0])


def test_every_code_of_the_nrm_table_is_mapped(
    model: DataModel, shared_data: Path
) -> None:
    mapping = read_mapping("uk-nrm")
    path = shared_data / "uk_nrm_leaf_2022Q2_2023Q4.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for dimension, entry in mapping["dimensions"].items():
        codes = held(rows, entry["column"])
        if "codes" in entry:
            folded = {code.casefold() for code in codes}
            assert folded <= folded_codes(mapping, dimension)
        else:
            for code in codes:
                model.dimension(dimension).code(code.replace("Q", "-Q"))


@pytest.mark.parametrize(
    ("nationality", "countries"),
    [
        ("Pakistani UK", ["PAK", "GBR"]),
        ("Dominican", ["DMA"]),
        ("Citizen of the Dominican Republic", ["DOM"]),
        ("Congolese (DRC)", ["COD"]),
        ("Congolese (Congo)", ["COG"]),
        ("Nigerien", ["NER"]),
        ("Nigerian", ["NGA"]),
        ("Guinean", ["GIN"]),
        ("Citizen of Guinea-Bissau", ["GNB"]),
        ("Afghan Unknown", ["AFG"]),
        ("Unknown", [UNKNOWN]),
    ],
)
def test_nationalities_that_are_easily_mistaken(
    nationality: str, countries: list[str]
) -> None:
    codes = read_mapping("uk-nrm")["dimensions"]["citizenship"]["codes"]
    assert values_of(codes[nationality]) == countries
