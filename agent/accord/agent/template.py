# SPDX-License-Identifier: Apache-2.0
"""A workbook to fill in, made of the mapping that reads it.

Its columns are those of the mapping and its lists of choices are the mapping's codes,
so what is chosen from a list is always read. Cells for words are cells of text: a
spreadsheet makes a day of `9-17` and a 1 of `01`. It holds no record.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.agent.intake.dates import ISO_DAY
from accord.agent.intake.mapping import DimensionEntry, Mapping
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.errors import ConfigurationError, PreconditionFailed
from accord.core.messages import direction, sentence

if TYPE_CHECKING:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

ROWS: Final = 10_000
"""Rows that have lists and forms of days."""

_SHEET: Final = "Cases"
_EARLIEST, _LATEST = datetime.date(1900, 1, 1), datetime.date(2100, 12, 31)
_SOME_DAY: Final = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
_WORDED: Final = {"month": "2026-01", "quarter": "2026-Q1", "year": "2026"}
"""How some day is written by the words for less than a day."""

_WIDEST: Final = 60
_LONGEST_SHEET: Final = 31
_NOT_IN_SHEETS: Final = frozenset("[]:*?/\\")


class Takes(enum.StrEnum):
    """What is written into the cells of a column."""

    TEXT = "text"
    DAY = "day"
    WRITTEN = "written"
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
    example: str = ""
    """Of a date that is written in a form of its own."""
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
            found[consent.until] = _date(consent.until, consent.date)
    for column in mapping.columns:
        yield found.get(column) or Field(name=column, title=_spelt(column))


def _of_dimension(dimension: Dimension, entry: DimensionEntry) -> Iterator[Field]:
    if entry.birth_date is not None and entry.at is not None:
        yield _date(entry.birth_date, entry.format)
        yield _date(entry.at, entry.format)
        return
    for column in entry.flags or ():
        words = ((entry.yes or ["yes"])[0], (entry.no or ["no"])[0])
        yield Field(
            name=column, title=_spelt(column), takes=Takes.ONE, choices=tuple(words)
        )
    for column in [entry.column] if entry.column else entry.columns or ():
        if entry.date is not None:
            yield _date(column, entry.date)
            continue
        choices = tuple(filter(str.strip, entry.codes or _finest(dimension)))
        if not entry.separator and (span := _span(choices)):
            yield Field(
                name=column,
                title=dimension.title,
                takes=Takes.WHOLE,
                least=span[0],
                most=span[-1],
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


def _date(column: str, forms: Sequence[str] | None) -> Field:
    """Return the field of a date: a day of the spreadsheet where it is read as one."""
    title = _spelt(column)
    if forms is None or {"day", ISO_DAY} & set(forms):
        return Field(name=column, title=title, takes=Takes.DAY)
    example = _WORDED.get(forms[0]) or _SOME_DAY.strftime(forms[0])
    return Field(name=column, title=title, takes=Takes.WRITTEN, example=example)


def _span(choices: Sequence[str]) -> range | None:
    """Return the whole numbers that choices are, if they are so many in a row."""
    if not choices or not all(each.isascii() and each.isdecimal() for each in choices):
        return None
    numbers = range(min(map(int, choices)), max(map(int, choices)) + 1)
    return numbers if set(map(str, numbers)) == set(choices) else None


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
        ConfigurationError: TEMPLATE_MAPPING, the mapping reads no workbook, or a sheet
            that none can have.
    """
    _require_workbook(mapping)
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


def _require_workbook(mapping: Mapping) -> None:
    source = mapping.form.source
    wrong = ""
    if source.database is not None or source.format not in (None, "excel"):
        wrong = "it reads something else than workbooks"
    sheets = [] if source.sheets == "all" else list(dict.fromkeys(source.sheets))
    impossible = next((name for name in sheets if not _is_sheet(name)), None)
    if impossible is not None:
        wrong = f"it reads a sheet {impossible!r}, and Excel allows no such name"
    elif len({name.casefold() for name in sheets}) < len(sheets):
        wrong = "it reads sheets whose names differ in case alone"
    if wrong:
        raise ConfigurationError(
            "TEMPLATE_MAPPING",
            f"No workbook can be made of {mapping.source}: {wrong}. Change its "
            "`source` in a copy, and name that.",
        )


def _is_sheet(name: str) -> bool:
    fits = len(name) <= _LONGEST_SHEET and not _NOT_IN_SHEETS & set(name)
    return fits and name.strip("'") == name


class _Writer:
    """Writes an introduction, the sheets of cases, and the lists."""

    def __init__(self, book: Workbook, mapping: Mapping, language: str) -> None:
        self._book = book
        self._mapping = mapping
        self._language = language
        self._fields = list(fields_of(mapping))
        source = mapping.form.source
        named = [_SHEET] if source.sheets == "all" else source.sheets
        self._sheets = list(dict.fromkeys(named))
        self._lists = self._free("lists")
        self._header_row = source.header_row or 1
        self._bold = book.add_format({"bold": True})
        self._wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        self._heading = book.add_format(
            {"text_wrap": True, "valign": "top", "italic": True}
        )

    def write(self, command: str) -> None:
        introduction = self._added(self._free("read-me"))
        cases = [self._added(name) for name in self._sheets]
        lists = self._added(self._lists)
        self._introduce(introduction, command)
        places = self._list(lists)
        for sheet in cases:
            self._head(sheet, places)
        introduction.activate()

    def _free(self, name: str) -> str:
        """Return what a sheet of ours is called, if need be not as one of cases."""
        word = self._say(name)
        taken = {each.casefold() for each in self._sheets}
        return f"{word} 2" if word.casefold() in taken else word

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
        yield self._say("rows", row=self._header_row + 1, sheet=self._sheets[0])
        if self._mapping.person_columns:
            columns = ", ".join(self._mapping.person_columns)
            yield self._say("person", columns=columns)
        consent = self._mapping.form.consent
        if consent is not None:
            yield self._say("consent", given=consent.given[0], column=consent.column)
        separators = {field.separator for field in self._fields if field.separator}
        if separators:
            yield self._say("choices", separator=min(separators), lists=self._lists)
        if any(field.takes is Takes.DAY for field in self._fields):
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
            example=field.example,
            least=field.least,
            most=field.most,
        )

    def _list(self, sheet: Any) -> dict[str, str]:  # noqa: ANN401
        """Write every list; return where each of them stands."""
        places: dict[str, str] = {}
        for column, field in enumerate(each for each in self._fields if each.choices):
            sheet.write_string(0, column, field.name, self._bold)
            sheet.set_column(column, column, _width(field))
            for row, choice in enumerate(field.choices, 1):
                sheet.write_string(row, column, choice)
            letters = _letters(column)
            last = len(field.choices) + 1
            places[field.name] = f"='{self._lists}'!${letters}$2:${letters}${last}"
        sheet.freeze_panes(1, 0)
        return places

    def _head(self, sheet: Any, places: dict[str, str]) -> None:  # noqa: ANN401
        """Write names and titles, and say what each column takes."""
        day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        text = self._book.add_format({"num_format": "@"})
        head = self._header_row - 1
        for column, field in enumerate(self._fields):
            if head:
                sheet.write_string(head - 1, column, field.title, self._heading)
            sheet.write_string(head, column, field.name, self._bold)
            form = day if field.takes is Takes.DAY else text
            form = None if field.takes in _NUMBERS else form
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
