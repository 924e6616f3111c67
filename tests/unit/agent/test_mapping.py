# SPDX-License-Identifier: Apache-2.0
"""Mapping files: what is wrong with them is said with line and column."""

from __future__ import annotations

import pytest

from accord.agent.intake.mapping import ages, load_mapping
from accord.core.document import DocumentError
from accord.core.model import load_model
from tests.unit.agent.agencies import MAPPING_TEXT, MODEL, MODEL_TEXT

START = "mapping: m\ndata_model: small\nperson: row_number\ndimensions:\n"


@pytest.mark.parametrize("name", ["? {a: b}", "? {region: {column: r}}"])
def test_a_name_that_is_no_word_is_refused(name: str) -> None:
    assert "a name is one word" in problems(f"{START}  {name} : {{column: r}}\n")


def problems(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        load_mapping(text, "m.yaml", MODEL)
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("  regoin: {column: r}", "m.yaml:5:3: dimensions.regoin:.*'region'"),
        ("  region: {}", "exactly one of column, columns, flags"),
        ("  region: {column: r, value: north}", "exactly one of"),
        ("  region: {colum: r}", "unknown entry. Did you mean 'column'"),
        ("  region: {value: nort}", "no value 'nort'. Did you mean 'north'"),
        ("  region: {column: r, codes: {N: nrth}}", "Did you mean 'north'"),
        ("  region: {column: r, codes: {N: [north, south]}}", "one value for a case"),
        ("  region: {column: r, codes: {N: north, n: south}}", "twice, but for case"),
        ("  region: {column: r, otherwise: elsewhere}", "no value 'elsewhere'"),
        ("  region: {column: r, empty: nothing}", "no value 'nothing'"),
        ("  region: {columns: [a, b]}", "one value for a case"),
        ("  region: {flags: {a: north}}", "one value for a case"),
        ("  region: {column: r, separator: ;}", "one value for a case"),
        ("  region: {column: r, date: day}", "not a calendar"),
        ("  region: {birth_date: b, at: a}", "no bands of ages"),
        ("  age_band: {birth_date: b}", "an age needs `at`"),
        ("  age_band: {column: a, at: b}", "goes only with birth_date"),
        ("  age_band: {birth_date: b, at: a, format: '%Y'}", "a whole day"),
        ("  registered_month: {column: d, date: weekly}", "expected day, month"),
        ("  registered_month: {column: d, date: '%d/%m/%y'}", "two digits"),
        ("  registered_month: {column: d, date: '%m'}", "%Y once"),
        ("  registered_month: {column: d, date: '%Y %d'}", "only with a month"),
        ("  registered_month: {column: d, date: '%Y %U'}", "not supported"),
        ("  registered_month: {column: d, date: day, codes: {a: b}}", "no codes"),
        ("  region: {column: r, flags: {a: north}}", "exactly one of"),
        ("  region: {value: north, codes: {a: north}}", "goes only with column"),
        ("  region: {column: r, codes: {N: true}}", "a text is expected|list"),
    ],
)
def test_a_wrong_entry_is_named(entry: str, sentence: str) -> None:
    import re

    found = problems(START + entry + "\n")
    assert re.search(sentence, found), found
    assert found.startswith("m.yaml:5:")


def test_all_problems_come_at_once() -> None:
    found = problems(
        START
        + "  region: {value: nort}\n  age_band: {value: old}\n"
        + "quantities:\n  dais: {column: d}\n"
    )
    assert [line.split(":")[1] for line in found.splitlines()] == ["5", "6", "8"]
    assert "Did you mean 'days'" in found


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("data_model: small", "data_model: large", "the data model at hand is 'small'"),
        ("person: [first, last, born]", "person: name", "a list of columns"),
        ("person: [first, last, born]", "person: []", "a list of columns"),
        ("person: [first, last, born]", "person: [a: b]", "a list of columns"),
        ("case: [number]", "case: []", "at least 1 item"),
        ("case: [number]", "case: [number]\nsource: {encoding: latin}", "expected one"),
        ("case: [number]", "case: [number]\nsource: {separator: ab}", "at most 1"),
        ("case: [number]", "source: {separator: '\"'}", "cannot part fields"),
        ("case: [number]", 'source: {separator: "\\n"}', "cannot part fields"),
        ("[first, last, born]", "row_number\nwithout_person: own_person", "goes only"),
        ("mapping: files", "mapping: Files and more", "a mapping's name"),
        ("mapping: files", "mapping: !!str files", "tags"),
        ("person: [first, last, born]\n", "", "'person' is missing"),
    ],
)
def test_a_wrong_head_is_named(old: str, new: str, sentence: str) -> None:
    assert sentence in problems(MAPPING_TEXT.replace(old, new))


def test_digits_are_texts() -> None:
    text = START + "  region: {column: 7, codes: {1: north, 2: south}}\n"
    mapping = load_mapping(text, "m.yaml", MODEL)
    assert mapping.coded_columns == ("7",)
    assert mapping.form.dimensions["region"].codes == {"1": ["north"], "2": ["south"]}


def test_bands_cover_their_ages() -> None:
    dimension = MODEL.dimension("age_band")
    found = ages(dimension)
    names = {age: dimension.leaves[code] for age, code in found.items()}
    assert (names[0], names[8], names[9], names[17]) == ("0-8", "0-8", "9-17", "9-17")
    assert (names[18], names[48], names[125]) == ("18-47", "48+", "48+")
    assert 126 not in found


def test_ages_between_bands_have_no_place() -> None:
    model = load_model(MODEL_TEXT.replace('"18-47", ', ""), "small.yaml")
    assert 30 not in ages(model.dimension("age_band"))
