# SPDX-License-Identifier: Apache-2.0
"""Questions in SQL: what they mean, and how everything else is refused."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.client.sql.error import SqlError
from accord.client.sql.translation import Translation, translate
from accord.core.errors import InvalidQuery
from tests.packaging.pages import page, section
from tests.unit.client.sql_offer import MONTHS, QUARTERS, offered

OFFER = offered()
GOLDEN = Path(__file__).parents[2] / "golden" / "sql" / "refused.txt"
PAGE = page("ref-sql.md")
REFUSED = dict(
    block.split("\n", 1)
    for block in GOLDEN.read_text(encoding="utf-8").removeprefix("=== ").split("\n=== ")
)


def asked(text: str) -> Translation:
    return translate(text, OFFER)


def kept(condition: str) -> dict[str, tuple[str, ...]]:
    return dict(asked(f"SELECT COUNT(*) FROM cases WHERE {condition}").filters)


def refused(text: str) -> SqlError:
    with pytest.raises(SqlError) as caught:
        asked(text)
    return caught.value


class TestMeaning:
    def test_the_question_of_the_first_page(self) -> None:
        found = asked(
            "SELECT registered_month, region, COUNT(DISTINCT person)\n"
            "FROM cases -- by month and area\n"
            "WHERE gender = 'female' AND citizenship IN ('west', 'zeta')\n"
            "GROUP BY 1, region;"
        )
        assert found == Translation(
            measure="persons",
            groups=(("registered_month", ""), ("region", "")),
            filters={"gender": ("female",), "citizenship": ("west", "zeta")},
        )

    @pytest.mark.parametrize(
        ("function", "measure"),
        [
            ("COUNT(DISTINCT person)", "persons"),
            ("count ( distinct PERSON )", "persons"),
            ("COUNT(*)", "cases"),
            ("SUM(days_in_care)", "sum(days_in_care)"),
            ("AVG(days_in_care)", "mean(days_in_care)"),
            ("MEDIAN(days_in_care)", "quantile(days_in_care)"),
            ("QUANTILE(days_in_care, 0.9)", "quantile(days_in_care)"),
            ("APPROX_QUANTILE(days_in_care, 0.9)", "quantile(days_in_care)"),
            ("SHARE(means)", "share(means)"),
            ("share(LEVEL(citizenship, 'part'))", "share(citizenship:part)"),
            ("SHARE(LEVEL(harm, 'kind'))", "share(harm:kind)"),
            ("VALUES_PER_PERSON(means)", "values(means)"),
        ],
    )
    def test_measures(self, function: str, measure: str) -> None:
        assert asked(f"SELECT {function} FROM cases") == Translation(
            measure=measure, groups=(), filters={}
        )

    @pytest.mark.parametrize(
        "clause",
        [
            "1, 3",
            "3, 1",
            "region, LEVEL(registered_month, 'quarter')",
            '"region", 3',
            "cases.region, 3",
        ],
    )
    def test_groups_by_name_or_position_in_the_order_of_the_columns(
        self, clause: str
    ) -> None:
        found = asked(
            "SELECT region, COUNT(*), LEVEL(registered_month, 'quarter') FROM cases "
            f"GROUP BY {clause}"
        )
        assert found.groups == (("region", ""), ("registered_month", "quarter"))

    def test_names_are_in_any_case_unless_quoted(self) -> None:
        assert asked("select Region, count(*) from CASES group by REGION").groups == (
            ("region", ""),
        )
        error = refused('SELECT "Region", COUNT(*) FROM cases GROUP BY 1')
        assert error.reason == "UNKNOWN_DIMENSION"

    def test_values_are_as_they_are_written(self) -> None:
        assert kept("citizenship = 'it''s'") == {"citizenship": ("it's",)}
        assert refused("SELECT COUNT(*) FROM cases WHERE gender = 'Female'").hint == (
            "Did you mean 'female'?"
        )

    @pytest.mark.parametrize(
        "condition",
        [
            "region IN ('norvale', 'sudmark')",
            "region = 'norvale' OR region = 'sudmark'",
            "(region = 'norvale' OR (region IN ('sudmark')))",
            "region NOT IN ('eastmere', 'unknown')",
            "NOT (region = 'eastmere' OR region = 'unknown')",
            "region <> 'eastmere' AND NOT region = 'unknown'",
            "region != 'eastmere' AND region IN ('norvale', 'eastmere', 'sudmark')",
        ],
    )
    def test_ways_to_say_the_same(self, condition: str) -> None:
        assert kept(condition) == {"region": ("norvale", "sudmark")}

    def test_what_is_left_out_is_of_one_level_and_unknown_is_a_value(self) -> None:
        assert kept("citizenship <> 'west'") == {"citizenship": ("east", "unknown")}
        assert kept("citizenship NOT IN ('zeta', 'west ?')") == {
            "citizenship": ("nova", "ostia", "it's", "unknown")
        }

    @pytest.mark.parametrize(
        ("condition", "values"),
        [
            ("BETWEEN '2025-11' AND '2026-02'", MONTHS[10:14]),
            ("BETWEEN '2025-Q3' AND '2026-Q1'", QUARTERS[2:5]),
            ("BETWEEN '2025' AND '2025'", ["2025"]),
            (">= '2026-11'", MONTHS[22:]),
            ("< '2025-03'", MONTHS[:2]),
            ("> '2025-Q3' AND registered_month <= '2026-Q2'", QUARTERS[3:6]),
        ],
    )
    def test_ranges_of_times(self, condition: str, values: list[str]) -> None:
        assert kept(f"registered_month {condition}") == {
            "registered_month": tuple(values)
        }

    def test_of_several_values_one_is_enough(self) -> None:
        assert kept("means = 'debt' OR means = 'threats'") == {
            "means": ("debt", "threats")
        }


# Refusals


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_with_which_words(name: str) -> None:
    """Golden file; ``ACCORD_GOLDEN=write`` and one worker write it anew."""
    query, _, words = REFUSED[name].partition("\n---\n")
    error = refused(query)
    found = f"{error.reason}\n{error}\n"
    if os.environ.get("ACCORD_GOLDEN") == "write":
        REFUSED[name] = f"{query}\n---\n{found}"
        text = "\n".join(f"=== {each}\n{body}" for each, body in REFUSED.items())
        GOLDEN.write_text(text, encoding="utf-8")
        return
    assert found == words.rstrip("\n") + "\n"


def test_enough_of_them_are_tried() -> None:
    assert len(REFUSED) >= 90


def test_an_error_says_where_for_people_and_for_programs() -> None:
    error = refused("SELECT COUNT(*)\nFROM cases\n  HAVING COUNT(*) > 3")
    assert isinstance(error, InvalidQuery)
    assert (error.line, error.column) == (3, 3)
    assert error.metadata == {"line": "3", "column": "3", "hint": error.hint}
    assert error.sentence == f"line 3, column 3: {error.problem} {error.hint}"
    assert error.excerpt == "      HAVING COUNT(*) > 3\n      ^"


def test_a_long_line_is_cut_around_the_place() -> None:
    many = "region IN ('norvale') AND " * 20
    error = refused(f"SELECT COUNT(*) FROM cases WHERE {many}\tregoin = 'norvale'")
    line, caret = error.excerpt.splitlines()
    assert line[caret.index("^") :].startswith("regoin")
    assert len(line) < 160
    assert line.isprintable()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT COUNT(*) FROM cases" + " " * 4000, "SQL_TOO_LONG"),
        ("SELECT " + "(" * 1900, "SQL_TOO_DEEP"),
        ("SELECT COUNT(*) FROM cases WHERE " + "NOT " * 900 + "a = 'b'", None),
        ("SELECT " + "- " * 1900 + "1 FROM cases", None),
        ("SELECT COUNT(*) FROM cases WHERE " + "~" * 3900 + "1", None),
        ("SELECT " + "1 + " * 900 + "1 FROM cases", "SQL_REFUSED"),
        ("SELECT " + "a." * 1900 + "b FROM cases", None),
        ("SELECT " + "ARRAY<" * 600, None),
        ("SELECT '" + "(" * 50 + "' FROM cases", "SQL_REFUSED"),
        ("SELECT COUNT(*) FROM cases WHERE region = '\x00'", "UNKNOWN_VALUE"),
        ("SELECT \ud800", None),
    ],
    ids=range(11),
)
def test_hostile_texts(text: str, reason: str | None) -> None:
    error = refused(text)
    assert error.reason == reason or (reason is None and error.reason[:4] == "SQL_")


def test_many_conditions_are_no_nesting() -> None:
    many = " AND ".join(["region='norvale'"] * 180)
    assert kept(many) == {"region": ("norvale",)}
    either = " OR ".join(["region='norvale'"] * 180)
    assert kept(either) == {"region": ("norvale",)}


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The parser would warn, and quote the text."""
    with caplog.at_level(logging.DEBUG):
        for block in REFUSED.values():
            refused(block.partition("\n---\n")[0])
    assert caplog.records == []


def test_the_parser_is_loaded_only_when_it_is_used() -> None:
    code = (
        "import sys, accord.client, accord.client.cli; print('sqlglot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def codes_of(heading: str) -> list[list[str]]:
    """Return for each row of a section's table what its cells show as code."""
    table = re.findall(r"^\| (.+) \| (.+) \|$", section(PAGE, heading), re.MULTILINE)
    return [[*re.findall(r"`([^`]+)`", left), right] for left, right in table[1:]]


def test_the_reference_page_shows_measures_that_are_read() -> None:
    rows = codes_of("## Measures")
    for *functions, right in rows:
        measure = right.strip("`").replace("quantity", "days_in_care")
        for function in functions:
            said = function.replace("quantity", "days_in_care")
            said = said.replace("dimension", "means")
            found = asked(f"SELECT {said} FROM cases").measure
            assert found == measure.replace("dimension", "means")
    assert len(rows) == 7


def test_the_reference_page_shows_conditions_that_are_read() -> None:
    shown = [code for *codes, _ in codes_of("## Conditions") for code in codes]
    whole = [code for code in shown if code[0].isalpha() and "…" not in code]
    assert [set(kept(code)) for code in whole] == [
        *({"region"}, {"region"}, {"region"}, {"region"}),
        {"registered_month"},
    ]


# There and back


def in_sql(asked_for: Translation, *, positions: bool) -> str:
    """Write a question as SQL."""
    names = [
        f"LEVEL({name}, '{level}')" if level else name
        for name, level in asked_for.groups
    ]
    kind, _, about = asked_for.measure.rstrip(")").partition("(")
    about, _, level = about.partition(":")
    of = f"LEVEL({about}, '{level}')" if level else about
    measure = {
        "persons": "COUNT(DISTINCT person)",
        "cases": "COUNT(*)",
        "sum": f"SUM({of})",
        "mean": f"AVG({of})",
        "quantile": f"QUANTILE({of}, .25)",
        "share": f"SHARE({of})",
        "values": f"VALUES_PER_PERSON({of})",
    }[kind]
    conditions = []
    for name, values in asked_for.filters.items():
        quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        conditions.append(f"{name} IN ({quoted})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    places = [str(number + 1) for number in range(len(names))]
    by = f" GROUP BY {', '.join(places if positions else names)}" if names else ""
    return f"SELECT {', '.join([*names, measure])} FROM cases{where}{by}"


@st.composite
def questions(draw: st.DrawFn) -> Translation:
    dimensions = {name: levels for name, levels in OFFER.dimensions.items() if levels}
    grouped = draw(st.lists(st.sampled_from(sorted(dimensions)), unique=True))
    filtered = draw(st.lists(st.sampled_from(sorted(dimensions)), unique=True))
    return Translation(
        measure=draw(
            st.sampled_from(
                [
                    *("persons", "cases", "sum(days_in_care)", "mean(days_in_care)"),
                    *("quantile(days_in_care)", "share(means)", "values(harm)"),
                    "share(citizenship:part)",
                ]
            )
        ),
        groups=tuple(
            (name, draw(st.sampled_from(["", *dimensions[name]]))) for name in grouped
        ),
        filters={
            name: tuple(
                draw(
                    st.lists(
                        st.sampled_from(OFFER.values(name)), min_size=1, unique=True
                    )
                )
            )
            for name in filtered
        },
    )


@given(questions(), st.booleans())
def test_every_question_can_be_said_in_sql(
    question: Translation, positions: bool
) -> None:
    assert asked(in_sql(question, positions=positions)) == question


@given(st.text(max_size=200) | st.text("SELECT()'\"-*/ cases,region=;\n", max_size=200))
def test_any_text_is_a_question_or_an_error_of_ours(text: str) -> None:
    for candidate in (text, f"SELECT {text}", f"SELECT COUNT(*) FROM cases {text}"):
        with contextlib.suppress(SqlError):
            asked(candidate)
