# SPDX-License-Identifier: Apache-2.0
"""Source texts become leaf codes, or a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from accord.agent.intake.coders import coders
from accord.agent.intake.codes import Reason, word_types
from accord.agent.intake.coding import Coded
from accord.core.model import NOT_RECORDED, load_model
from tests.unit.agent.agencies import MODEL, mapping

HEAD = "mapping: m\ndata_model: small\nperson: row_number\ndimensions:\n"


def coded(entry: str, columns: Mapping[str, Sequence[str]]) -> Coded:
    """Code rows of source texts through one entry of a mapping."""
    head = (
        HEAD
        if not entry.startswith("days")
        else HEAD + "  region: {value: north}\nquantities:\n"
    )
    name = entry.partition(":")[0]
    coder = next(
        each for each in coders(mapping(f"{head}  {entry}\n")) if each.name == name
    )
    ids = {}
    for column, texts in columns.items():
        distinct = sorted(set(texts))
        coder.prepare(column, len(distinct))
        coder.learn(column, 0, distinct)
        ids[column] = np.array([distinct.index(text) for text in texts], np.uint32)
    rows = len(next(iter(columns.values())))
    return coder.code(ids, rows)


def values(name: str, found: Coded) -> list[object]:
    """Return what the rows hold, by name; the reason where they have no place."""
    dimension = MODEL.dimension(name)
    wrong = np.zeros(len(found.recorded), int) if found.wrong is None else found.wrong
    rows: list[object] = []
    for index, reason in enumerate(wrong):
        if reason:
            rows.append(Reason(int(reason)))
        elif dimension.single:
            rows.append(dimension.leaves[found.columns[name][index]])
        else:
            mask = int(found.columns[f"{name}__0"][index])
            leaves = enumerate(dimension.leaves)
            rows.append({leaf for code, leaf in leaves if mask >> code & 1})
    return rows


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        ("day", "2024-02-29", "2024-02"),
        ("day", "2024-02-29 10:00:00", "2024-02"),
        ("day", "2024-02-29T10:00:00+01:00", "2024-02"),
        ("day", " 2024-02-29 ", "2024-02"),
        ("day", "2023-02-29", Reason.NOT_A_DATE),
        ("day", "29/02/2024", Reason.NOT_A_DATE),
        ("day", "2024-02", Reason.NOT_A_DATE),
        ("day", "", "unknown"),
        ("day", "2023-12-31", Reason.OUT_OF_DOMAIN),
        ("month", "2024-02", "2024-02"),
        ("month", "202402", "2024-02"),
        ("month", "2024-13", Reason.NOT_A_DATE),
        ("quarter", "2024Q1", "2024-Q1-??"),
        ("quarter", "2024-q2", "2024-Q2-??"),
        ("quarter", "2024 Q5", Reason.NOT_A_DATE),
        ("year", "2024", "2024-??"),
        ("year", "24", Reason.NOT_A_DATE),
        ("year", "2030", Reason.OUT_OF_DOMAIN),
        ("'%d/%m/%Y'", "29/02/2024", "2024-02"),
        ("'%d/%m/%Y'", "02/29/2024", Reason.NOT_A_DATE),
        ("'%b %Y'", "Feb 2024", "2024-02"),
        ("'year %Y'", "year 2024", "2024-??"),
        ("[day, '%d.%m.%Y', year]", "29.02.2024", "2024-02"),
        ("[day, '%d.%m.%Y', year]", "2024", "2024-??"),
    ],
)
def test_dates(form: str, text: str, value: object) -> None:
    entry = f"registered_month: {{column: d, date: {form}}}"
    assert values("registered_month", coded(entry, {"d": [text]})) == [value]


@pytest.mark.parametrize(
    ("born", "at", "value"),
    [
        ("2006-03-05", "2024-03-05", "18-47"),
        ("2006-03-06", "2024-03-05", "9-17"),
        ("2004-02-29", "2022-02-28", "9-17"),
        ("2004-02-29", "2022-03-01", "18-47"),
        ("2024-03-05", "2024-03-05", "0-8"),
        ("2024-03-06", "2024-03-05", Reason.OUT_OF_DOMAIN),
        ("1899-01-01", "2024-03-05", "48+"),
        ("1898-03-05", "2024-03-05", Reason.OUT_OF_DOMAIN),
        ("", "2024-03-05", "unknown"),
        ("2006-03-05", "", "unknown"),
        ("5 March 2006", "2024-03-05", Reason.NOT_A_DATE),
    ],
)
def test_ages(born: str, at: str, value: object) -> None:
    found = coded("age_band: {birth_date: b, at: a}", {"b": [born], "a": [at]})
    assert values("age_band", found) == [value]


def test_what_has_no_place_can_go_somewhere() -> None:
    entry = "age_band: {birth_date: b, at: a, otherwise: '18+', empty: '0-17'}"
    found = coded(entry, {"b": ["?", ""], "a": ["2024-03-05"] * 2})
    assert values("age_band", found) == ["18+ ?", "0-17 ?"]
    found = coded("region: {column: r, otherwise: unknown}", {"r": ["?", "North"]})
    assert values("region", found) == ["unknown", "north"]
    assert found.recorded.tolist() == [False, True]


def test_codes_are_compared_without_case_and_blanks() -> None:
    entry = "region: {column: r, codes: {NÖ: north, '-99': unknown, S: south}}"
    found = coded(entry, {"r": [" nö", "s ", "-99", "", "north"]})
    assert values("region", found) == [
        "north",
        "south",
        "unknown",
        "unknown",
        Reason.UNKNOWN_CODE,
    ]


def test_the_empty_text_can_have_a_code() -> None:
    entry = "exploitation_type: {column: t, codes: {'': none, L: labour}}"
    found = coded(entry, {"t": ["", "L"]})
    assert values("exploitation_type", found) == [{"none"}, {"labour"}]


def test_a_list_of_values() -> None:
    entry = "exploitation_type: {column: t, separator: ';'}"
    texts = ["labour;sexual", "labour; ;LABOUR", ";", "none", "none;labour", "unknown"]
    found = coded(entry, {"t": texts})
    assert values("exploitation_type", found) == [
        {"labour", "sexual"},
        {"labour"},
        {"unknown"},
        {"none"},
        {"labour"},
        {"unknown"},
    ]


def test_a_code_can_stand_for_several_values() -> None:
    entry = "exploitation_type: {column: t, codes: {LS: [labour, sexual]}}"
    assert values("exploitation_type", coded(entry, {"t": ["LS"]})) == [
        {"labour", "sexual"}
    ]


def test_several_columns() -> None:
    entry = "exploitation_type: {columns: [a, b]}"
    found = coded(entry, {"a": ["labour", "", "x"], "b": ["sexual", "", "labour"]})
    assert values("exploitation_type", found) == [
        {"labour", "sexual"},
        {"unknown"},
        Reason.OUT_OF_DOMAIN,
    ]


def test_flags_have_three_states() -> None:
    entry = "exploitation_type: {flags: {a: labour, b: sexual}}"
    found = coded(
        entry,
        {"a": ["1", "0", "", "", "Yes", "?"], "b": ["", "0", "", "no", "TRUE", ""]},
    )
    assert values("exploitation_type", found) == [
        {"labour"},
        {"none"},
        {"unknown"},
        {"none"},
        {"labour", "sexual"},
        Reason.UNKNOWN_CODE,
    ]
    assert found.recorded.tolist()[:3] == [True, True, False]


def test_flags_may_say_nothing_about_none() -> None:
    entry = "exploitation_type: {flags: {a: labour}, none: false}"
    found = coded(entry, {"a": ["0", "1", ""]})
    assert values("exploitation_type", found) == [{"unknown"}, {"labour"}, {"unknown"}]


def test_a_constant() -> None:
    found = coded("region: {value: south}", {"x": ["", ""]})
    assert values("region", found) == ["south", "south"]
    found = coded("exploitation_type: {value: begging}", {"x": [""]})
    assert values("exploitation_type", found) == [{"begging"}]


@pytest.mark.parametrize(
    ("text", "stored", "outside"),
    [
        ("0", 0, False),
        ("730", 1460, False),
        ("12.25", 24, False),
        ("12.26", 25, False),
        ("1e2", 200, False),
        (" 7 ", 14, False),
        ("", NOT_RECORDED, False),
        ("-1", NOT_RECORDED, True),
        ("730.01", NOT_RECORDED, True),
        ("1e29", NOT_RECORDED, True),
    ],
)
def test_quantities(text: str, stored: int, outside: bool) -> None:
    found = coded("days: {column: d}", {"d": [text]})
    assert found.columns["days"].tolist() == [stored]
    assert found.outside is not None
    assert found.outside.tolist() == [outside]
    assert found.wrong is None


@pytest.mark.parametrize(
    "text", ["ten", "1e99999999", "inf", "nan", "1,5", "0x10", "1_0"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    found = coded("days: {column: d}", {"d": [text]})
    assert found.wrong is not None
    assert found.wrong.tolist() == [Reason.NOT_A_NUMBER]


def test_a_decimal_comma() -> None:
    texts = ["1,5", "30", "0.100,5", "0.000.100", "100,"]
    found = coded("days: {column: d, decimal: ','}", {"d": texts})
    assert found.columns["days"].tolist() == [3, 60, 201, 200, 200]
    assert found.wrong is None


@pytest.mark.parametrize("text", ["1.5", "30.0", "0.10,5", ".100", "1,5,0", "1.000.00"])
def test_a_point_beside_a_decimal_comma_groups_thousands_or_is_refused(
    text: str,
) -> None:
    found = coded("days: {column: d, decimal: ','}", {"d": [text]})
    assert found.wrong is not None
    assert found.wrong.tolist() == [Reason.NOT_A_NUMBER]


def test_masks_have_the_smallest_words() -> None:
    leaves = [f"v{number}" for number in range(70)]
    text = (
        "data_model: small\ndimensions:\n  many:\n    title: Many\n    multi: 4\n"
        f"    levels: [one]\n    values: [{', '.join(leaves)}]\n"
    )
    model = load_model(text, "small.yaml")
    assert [np.dtype(kind).str for kind in word_types(71)] == ["<u8", "|u1"]
    made = mapping(HEAD + "  many: {column: c, separator: '+'}\n", model)
    coder = coders(made)[0]
    coder.prepare("c", 1)
    coder.learn("c", 0, ["v0+v62+v63+v69"])
    found = coder.code({"c": np.zeros(1, np.uint32)}, 1)
    assert found.columns["many__0"].tolist() == [1 | 1 << 62]
    assert found.columns["many__1"].tolist() == [1 | 1 << 6]
