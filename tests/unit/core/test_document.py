# SPDX-License-Identifier: Apache-2.0
"""Strict YAML: every problem, each at its place, all at once."""

from __future__ import annotations

import datetime
from fractions import Fraction

import pydantic
import pytest

from accord.core.document import (
    LARGEST_DOCUMENT,
    DocumentError,
    ExactNumber,
    Strict,
    parse_document,
    plain_document,
)


class Inner(Strict):
    """A nested form."""

    amount: ExactNumber
    name: str


class Outer(Strict):
    """A form with the kinds of entries that documents have."""

    entries: dict[str, Inner] = {}
    numbers: list[int] = []
    first: datetime.date | None = pydantic.Field(alias="from", default=None)
    either: list[str] | str = ""


def problems_of(text: str) -> list[str]:
    """Return the problems of *text* as they are printed."""
    with pytest.raises(DocumentError) as caught:
        parse_document(text, Outer, source="a.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_good_document_becomes_its_form() -> None:
    """Numbers are exact decimals, dates are dates, plain words stay words."""
    text = "entries: {no: {amount: 1e-9, name: on}}\nfrom: 2026-01-31\n"
    form = parse_document(text, Outer, source="a.yaml")
    assert form.entries["no"].amount == Fraction(1, 10**9)
    assert form.entries["no"].name == "on"
    assert form.first == datetime.date(2026, 1, 31)


def test_all_problems_come_at_once_with_line_and_column() -> None:
    """Nobody has to correct one mistake to see the next."""
    text = (
        "entries:\n"
        "  a: {amount: x, nmae: y}\n"
        "numbers: [1, two]\n"
        "from: 2026-02-31\n"
        "numbres: []\n"
    )
    found = problems_of(text)
    places = [line.split(": ")[0] for line in found]
    assert places == ["2:3", "2:7", "2:18", "3:14", "4:1", "5:1"]
    assert "Did you mean 'name'?" in found[2]
    assert "Did you mean 'numbers'?" in found[5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("entries: &x {}\n", "anchors"),
        ("entries: {}\nnumbers: *x\n", "aliases"),
        ("either: !!str 1\n", "tags"),
        ("%YAML 1.1\n---\neither: x\n", "directives"),
        ("either: a\neither: b\n", "twice"),
        ("either: [\n", "not valid YAML"),
        ("- a\n", "named entries"),
        ("either: '\ud800'\n", "not valid YAML"),
        ("", "named entries"),
        ("either: \x00\n", "invisible"),
        ("a" * (LARGEST_DOCUMENT + 1), "longer than"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_dangerous_or_broken_yaml_is_refused(text: str, words: str) -> None:
    """One sentence, with a place; never the parser's own exception."""
    found = problems_of(text)
    assert words in found[0]
    assert found[0].split(":")[0].isdigit()


def test_a_value_is_never_echoed_by_a_wrong_type() -> None:
    """What somebody typed in the wrong place may be a secret."""
    assert not any("hunter2" in line for line in problems_of("numbers: [hunter2]\n"))


@pytest.mark.parametrize(
    ("character", "written"),
    [
        ("\u202e", "202E"),
        ("\u2066", "2066"),
        ("\u200b", "200B"),
        ("\u00ad", "00AD"),
        ("\ufeff", "FEFF"),
        ("\u2028", "2028"),
        ("\x1b", "001B"),
        ("\x85", "0085"),
    ],
)
def test_nothing_is_invisible_or_turns_the_text_around(
    character: str, written: str
) -> None:
    """Not in values, comments or names, nor by its number in a quoted text."""
    (wrong,) = problems_of(f"numbers: [1]\neither: 'plan{character}ning'\n")
    assert wrong.startswith(f"2:14: an invisible character (U+{written}, ")
    (wrong,) = problems_of(f"numbers: [1]  # one{character}\n")
    assert wrong.startswith(f"1:20: an invisible character (U+{written}, ")
    escaped = f'"plan\\u{ord(character):04x}ning"'
    (wrong,) = problems_of(f"numbers: [1]\neither: {escaped}\n")
    assert wrong.startswith(f"2:9: an invisible character (U+{written}, ")
    (wrong,) = problems_of(f"entries: {{{escaped}: {{amount: 1, name: x}}}}\n")
    assert f"U+{written}" in wrong


def test_layout_is_no_invisible_character() -> None:
    """Line ends of any machine, tabs and texts of several lines."""
    text = "either: |\r\n  one\ttwo\r\n  three\r\nnumbers: [1]\r\n"
    assert parse_document(text, Outer, source="a.yaml").either == "one\ttwo\nthree\n"
    text = "either: >\n  one\n  two\n\n  three\n"
    assert "one two" in str(parse_document(text, Outer, source="a.yaml").either)
    assert "U+0007" in problems_of('either: "one\\atwo"\n')[0]
    assert "U+0007" in problems_of("either: >\n  one\a\n  two\n")[0]
    assert "U+000D" in problems_of('either: "one\\rtwo"\n')[0]


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_letters_may_be_joined_and_parted(joiner: str) -> None:
    """Persian and the scripts of India are not written without."""
    word = f"\u0645\u06cc{joiner}\u062e\u0648\u0627\u0647\u0645"
    assert plain_document(f"word: {word}", "x.yaml") == {"word": word}


def test_who_reads_a_document_again_finds_it_as_it_is_written() -> None:
    text = "numbers: [1, 2]\nentries: {}\n"
    first = plain_document(text, "first")
    numbers = first["numbers"]
    assert isinstance(numbers, list)
    numbers.append(3)
    assert plain_document(text, "second") == {"numbers": [1, 2], "entries": {}}


def test_a_document_that_is_wrong_twice_is_called_by_each_of_its_names() -> None:
    for name in ("first.yaml", "second.yaml"):
        with pytest.raises(DocumentError) as caught:
            plain_document("a: &b c\n", name)
        assert str(caught.value).startswith(f"{name}:1:4:")


@pytest.mark.parametrize("name", ["a[b", "str", "OuterForm", "x()"])
def test_an_unknown_entry_may_be_called_anything(name: str) -> None:
    [problem] = problems_of(f"{name}: 1\n")
    assert "unknown entry" in problem
    assert name in problem
