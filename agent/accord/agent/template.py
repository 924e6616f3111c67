# SPDX-License-Identifier: Apache-2.0
"""A workbook to fill in, made of the mapping that reads it.

Its columns are those of the mapping and its lists of choices are the mapping's codes,
so what is chosen from a list is always read. It holds no record.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from accord.agent.intake.mapping import DimensionEntry, Mapping
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.errors import PreconditionFailed
from accord.core.messages import direction, sentence

if TYPE_CHECKING:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

ROWS: Final = 10_000
"""Rows that have lists and forms of days."""

_SHEET: Final = "Cases"
_EARLIEST, _LATEST = datetime.date(1900, 1, 1), datetime.date(2100, 12, 31)
_WIDEST: Final = 60


class Takes(enum.StrEnum):
    """What is written into the cells of a column."""

    TEXT = "text"
    DAY = "day"
    ONE = "one"
    SEVERAL = "several"
    WHOLE = "whole"
    NUMBER = "number"


_NUMBERS: Final = {Takes.WHOLE: "integer", Takes.NUMBER: "decimal"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of the workbook."""

    name: str
    title: str
    takes: Takes = Takes.TEXT
    choices: tuple[str, ...] = ()
    separator: str = ""
    least: int = 0
    most: int = 0
    """Of a number its bounds, of several choices how many."""


def fields_of(mapping: Mapping) -> Iterator[Field]:
    """Yield a field for every column that the mapping reads, in its order."""
    found: dict[str, Field] = {}
    for name, entry in mapping.form.dimensions.items():
        dimension = mapping.model.dimensions[name]
        for field in _of_dimension(dimension, entry):
            # A date that an age is reckoned at is a date once.
            found.setdefault(field.name, field)
    for name, quantity in mapping.form.quantities.items():
        form = mapping.model.quantities[name]
        found[quantity.column] = Field(
            name=quantity.column,
            title=form.title,
            takes=Takes.NUMBER,
            least=int(form.lower),
            most=int(form.upper),
        )
    consent = mapping.form.consent
    if consent is not None:
        words = (*consent.given[:1], *consent.not_given[:1])
        title = _spelt(consent.column)
        found[consent.column] = Field(
            name=consent.column, title=title, takes=Takes.ONE, choices=words
        )
        if consent.until is not None:
            title = _spelt(consent.until)
            found[consent.until] = Field(
                name=consent.until, title=title, takes=Takes.DAY
            )
    for column in mapping.columns:
        yield found.get(column) or Field(name=column, title=_spelt(column))


def _of_dimension(dimension: Dimension, entry: DimensionEntry) -> Iterator[Field]:
    if entry.birth_date is not None and entry.at is not None:
        yield Field(
            name=entry.birth_date, title=_spelt(entry.birth_date), takes=Takes.DAY
        )
        yield Field(name=entry.at, title=_spelt(entry.at), takes=Takes.DAY)
        return
    for column in entry.flags or ():
        words = ((entry.yes or ["yes"])[0], (entry.no or ["no"])[0])
        yield Field(
            name=column, title=_spelt(column), takes=Takes.ONE, choices=tuple(words)
        )
    for column in [entry.column] if entry.column else entry.columns or ():
        if entry.date is not None:
            yield Field(name=column, title=_spelt(column), takes=Takes.DAY)
            continue
        choices = tuple(entry.codes or _finest(dimension))
        if choices and all(choice.isdecimal() for choice in choices):
            yield Field(
                name=column,
                title=dimension.title,
                takes=Takes.WHOLE,
                most=max(map(int, choices)),
            )
            continue
        yield Field(
            name=column,
            title=dimension.title,
            takes=Takes.SEVERAL if entry.separator else Takes.ONE,
            choices=choices,
            separator=entry.separator or "",
            most=dimension.max_values,
        )


def _finest(dimension: Dimension) -> list[str]:
    """Return the values that the source itself would have to use."""
    return [
        leaf for leaf in dimension.leaves if leaf != UNKNOWN and not leaf.endswith("?")
    ]


def _spelt(column: str) -> str:
    """Return the name of a column as words: ``prs_FirstName`` as First name."""
    bare = re.sub(r"^[a-z]{3}_(?=[A-Z])", "", column).replace("_", " ")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    return words[:1].upper() + words[1:].lower()


def template(
    mapping: Mapping, *, file: str, read_by: str, language: str = "en"
) -> bytes:
    """Return a workbook for the records that *mapping* reads.

    Args:
        mapping: of a workbook.
        file: name of the workbook, for the command in it.
        read_by: name of the mapping's file, for the same.
        language: of the sentences in it.

    Raises:
        PreconditionFailed: LIBRARY_MISSING.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise PreconditionFailed(
            "LIBRARY_MISSING",
            "This installation cannot write workbooks. Install the extra `excel`.",
        ) from None
    content = io.BytesIO()
    settings = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(content, settings) as book:
        # A workbook that is made twice is the same one.
        book.set_properties({"created": datetime.datetime(2026, 1, 1)})  # noqa: DTZ001
        command = f"accord-agent check --mapping {read_by} {file}"
        _Writer(book, mapping, language).write(command)
    return content.getvalue()


class _Writer:
    """Writes the three sheets."""

    def __init__(self, book: Workbook, mapping: Mapping, language: str) -> None:
        self._book = book
        self._mapping = mapping
        self._language = language
        self._fields = list(fields_of(mapping))
        source = mapping.form.source
        self._sheet = _SHEET if source.sheets == "all" else source.sheets[0]
        self._header_row = source.header_row or 1
        self._bold = book.add_format({"bold": True})
        self._wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        self._heading = book.add_format(
            {"text_wrap": True, "valign": "top", "italic": True}
        )

    def write(self, command: str) -> None:
        introduction = self._added(self._say("read-me"))
        cases = self._added(self._sheet)
        lists = self._added(self._say("lists"))
        self._introduce(introduction, command)
        places = self._list(lists)
        self._head(cases, places)
        introduction.activate()

    def _say(self, name: str, **values: object) -> str:
        return sentence(f"template.{name}", self._language, **values)

    def _added(self, name: str) -> Any:  # noqa: ANN401  # the library has no types
        sheet = self._book.add_worksheet(name)
        if direction(self._language) == "rtl":
            sheet.right_to_left()
        return sheet

    def _introduce(self, sheet: Any, command: str) -> None:  # noqa: ANN401
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, 2, _WIDEST)
        sheet.write_string(0, 0, self._say("title"), self._bold)
        row = 2
        for text in self._sentences():
            sheet.merge_range(row, 0, row, 2, text, self._wrapped)
            sheet.set_row(row, 32)
            row += 1
        sheet.write_string(row, 0, command)
        row += 2
        for column, name in enumerate(("column", "meaning", "takes")):
            sheet.write_string(row, column, self._say(name), self._bold)
        for field in self._fields:
            row += 1
            sheet.write_string(row, 0, field.name)
            sheet.write_string(row, 1, field.title)
            sheet.write_string(row, 2, self._takes(field))

    def _sentences(self) -> Iterator[str]:
        lists = self._say("lists")
        yield self._say("rows", row=self._header_row + 1, sheet=self._sheet)
        if self._mapping.person_columns:
            columns = ", ".join(self._mapping.person_columns)
            yield self._say("person", columns=columns)
        consent = self._mapping.form.consent
        if consent is not None:
            yield self._say("consent", given=consent.given[0], column=consent.column)
        separators = {field.separator for field in self._fields if field.separator}
        if separators:
            yield self._say("choices", separator=min(separators), lists=lists)
        yield self._say("days")
        yield self._say("empty")
        yield self._say("nothing-else")
        if any(
            re.match("(prs|vic|cas|hte|con)_", field.name) for field in self._fields
        ):
            yield self._say("names")
        yield self._say("close")

    def _takes(self, field: Field) -> str:
        return self._say(
            f"takes-{field.takes}",
            separator=field.separator,
            least=field.least,
            most=field.most,
        )

    def _list(self, sheet: Any) -> dict[str, str]:  # noqa: ANN401
        """Write every list; return where each of them stands."""
        places: dict[str, str] = {}
        name = self._say("lists")
        for column, field in enumerate(each for each in self._fields if each.choices):
            sheet.write_string(0, column, field.name, self._bold)
            sheet.set_column(column, column, _width(field))
            for row, choice in enumerate(field.choices, 1):
                sheet.write_string(row, column, choice)
            letters = _letters(column)
            last = len(field.choices) + 1
            places[field.name] = f"='{name}'!${letters}$2:${letters}${last}"
        sheet.freeze_panes(1, 0)
        return places

    def _head(self, sheet: Any, places: dict[str, str]) -> None:  # noqa: ANN401
        """Write names and titles, and say what each column takes."""
        day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        # As text "007" stays what it is.
        text = self._book.add_format({"num_format": "@"})
        head = self._header_row - 1
        for column, field in enumerate(self._fields):
            if head:
                sheet.write_string(head - 1, column, field.title, self._heading)
            sheet.write_string(head, column, field.name, self._bold)
            form = {Takes.DAY: day, Takes.TEXT: text}.get(field.takes)
            sheet.set_column(column, column, _width(field), form)
            rule = self._rule(field, places)
            if rule:
                first, last = head + 1, head + ROWS
                sheet.data_validation(first, column, last, column, rule)
        sheet.freeze_panes(head + 1, 0)

    def _rule(self, field: Field, places: dict[str, str]) -> dict[str, Any]:
        """Return what Excel checks of a column, and says when one is in it."""
        rule: dict[str, Any] = {"input_message": self._takes(field)}
        if field.choices:
            rule |= {"validate": "list", "source": places[field.name]}
            # The list offers single words; several are typed behind each other.
            rule["show_error"] = field.takes is not Takes.SEVERAL
        elif field.takes is Takes.DAY:
            rule |= {"validate": "date", "criteria": "between"}
            rule |= {"minimum": _EARLIEST, "maximum": _LATEST}
        elif field.takes in _NUMBERS:
            rule |= {"validate": _NUMBERS[field.takes], "criteria": "between"}
            rule |= {"minimum": field.least, "maximum": field.most}
        return rule if "validate" in rule else {}


def _width(field: Field) -> int:
    longest = max(map(len, (field.name, *field.choices)))
    return min(longest + 2, _WIDEST)


def _letters(column: int) -> str:
    """Return the name of a column: A, B, … Z, AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
