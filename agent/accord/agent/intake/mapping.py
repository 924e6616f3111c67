# SPDX-License-Identifier: Apache-2.0
"""Mapping files: how the columns and codes of one source become the data model.

The forms here are the language; ``policies/mappings`` has examples. `load_mapping`
checks a file against the data model.
What a file does not name is never read from the source.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import pydantic

from accord.agent.intake.consent_form import (
    ConsentEntry,
    OptOutEntry,
    consent_columns,
    wrong_consent,
)
from accord.agent.intake.dates import wrong_format, zone_called
from accord.agent.intake.openness import refuse_open
from accord.agent.sources.form import Column, Columns, SourceForm, Text, Texts, as_text
from accord.agent.sources.table import some_of
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.document import (
    DocumentError,
    Strict,
    parse_document,
    problem_at,
    worded,
)
from accord.core.errors import suggestion
from accord.core.model import DataModel, ModelName, Name

ROW_NUMBER = "row_number"
CASES_ONLY = "cases only"

REFUSE = "refuse"
"""``otherwise``: a row with a value that has no place is left out, and counted."""

PRECISIONS = ("day", "month", "quarter", "year")
"""What ``date`` can say in the place of a format."""

NONE = "none"
"""Leaf of some dimensions: asked, and there was none."""

Path = tuple[str | int, ...]
"""Where an entry stands in the document."""


PartName = Annotated[
    str,
    worded(
        r"[a-z0-9][a-z0-9-]{0,62}",
        "a mapping's name has lower-case letters, digits and hyphens, at most 63.",
    ),
]


def _person(value: object) -> object:
    """Tell the two words from a list of columns."""
    if value in (ROW_NUMBER, CASES_ONLY):
        return value
    if isinstance(value, list) and value:
        names = [as_text(name) for name in value]
        if all(isinstance(name, str) and name for name in names):
            return names
    message = (
        f"expected `{ROW_NUMBER}`, `{CASES_ONLY}` or a list of columns, such as "
        "[given_name, family_name, birth_date]."
    )
    raise ValueError(message)


class DimensionEntry(Strict):
    """Where a dimension of the model comes from.

    Exactly one of `column`, `columns`, `flags`, `birth_date` and `value`.
    """

    column: Column | None = None
    columns: Columns | None = None
    separator: Annotated[str, pydantic.Field(min_length=1, max_length=8)] | None = None
    codes: dict[str, Texts] | None = None
    prefix: Annotated[int, pydantic.Field(ge=1, le=20)] | None = None
    date: Texts | None = None
    birth_date: Column | None = None
    at: Column | None = None
    format: Texts | None = None
    flags: Annotated[dict[str, Text], pydantic.Field(min_length=1)] | None = None
    yes: Texts | None = None
    no: Texts | None = None
    none: bool = True
    value: Text | None = None
    empty: Text = UNKNOWN
    otherwise: Text = REFUSE


class QuantityEntry(Strict):
    """Where a quantity of the model comes from."""

    column: Column
    decimal: Literal[".", ","] = "."


class MappingForm(Strict):
    """A mapping as it is written in a document."""

    mapping: PartName
    data_model: ModelName
    source: SourceForm = SourceForm()
    person: Annotated[str | list[str], pydantic.BeforeValidator(_person)]
    without_person: Literal["refuse", "own_person"] = "refuse"
    case: Columns | None = None
    consent: ConsentEntry | None = None
    opt_out: OptOutEntry | None = None
    dimensions: Annotated[dict[Name, DimensionEntry], pydantic.Field(min_length=1)]
    quantities: dict[Name, QuantityEntry] = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping that fits its data model."""

    form: MappingForm
    model: DataModel
    text: str
    source: str
    """Name of the document, for messages."""

    @property
    def name(self) -> str:
        """Name of the part of the store that it fills."""
        return self.form.mapping

    @property
    def person_columns(self) -> tuple[str, ...]:
        """Columns that identify a person; none where rows or cases stand alone."""
        person = self.form.person
        return tuple(person) if isinstance(person, list) else ()

    @property
    def case_columns(self) -> tuple[str, ...]:
        """Columns that identify a case."""
        return tuple(self.form.case or ())

    @property
    def names_persons(self) -> bool:
        """Whether the records name persons at all."""
        return self.form.person != CASES_ONLY

    @property
    def coded_columns(self) -> tuple[str, ...]:
        """Columns from which dimensions, quantities and consent are read, each once."""
        return tuple(dict.fromkeys(name for name, _ in _coded(self.form)))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read from the source, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.uses()))

    def uses(self) -> Iterator[tuple[str, Path]]:
        """Yield every column that the source must have, with who asks for it."""
        for index, name in enumerate(self.person_columns):
            yield name, ("person", index)
        for index, name in enumerate(self.case_columns):
            yield name, ("case", index)
        if self.form.source.changed is not None:
            yield self.form.source.changed, ("source", "changed")
        for name in self.form.source.totals:
            yield name, ("source", "totals", name)
        yield from _coded(self.form)


def _coded(form: MappingForm) -> Iterator[tuple[str, Path]]:
    for name, entry in form.dimensions.items():
        place: Path = ("dimensions", name)
        for key, column in (
            ("column", entry.column),
            ("birth_date", entry.birth_date),
            ("at", entry.at),
        ):
            if column is not None:
                yield column, (*place, key)
        for index, column in enumerate(entry.columns or ()):
            yield column, (*place, "columns", index)
        for flag in entry.flags or ():
            yield flag, (*place, "flags", flag)
    for name, quantity in form.quantities.items():
        yield quantity.column, ("quantities", name, "column")
    yield from consent_columns(form.consent, form.opt_out)


def peek_model(text: str, source: str) -> str:
    """Return the name of the data model that a mapping asks for.

    Raises:
        DocumentError: with every problem of form.
    """
    refuse_open(text, source)
    return parse_document(text, MappingForm, source=source).data_model


def load_mapping(text: str, source: str, model: DataModel) -> Mapping:
    """Read a mapping and check it against *model*, which it names.

    Raises:
        DocumentError: with every problem found.
    """
    refuse_open(text, source)
    form = parse_document(text, MappingForm, source=source)
    problems = [
        problem_at(text, path, sentence) for path, sentence in _misfits(form, model)
    ]
    if problems:
        raise DocumentError(source, problems)
    return Mapping(form=form, model=model, text=text, source=source)


Misfit = tuple[Path, str]


def _misfits(form: MappingForm, model: DataModel) -> Iterator[Misfit]:
    if form.data_model != model.name:
        yield ("data_model",), f"the data model at hand is {model.name!r}."
    for name, entry in form.dimensions.items():
        place: Path = ("dimensions", name)
        dimension = model.dimensions.get(name)
        if dimension is None:
            known = ", ".join(model.dimensions)
            hint = suggestion(name, model.dimensions) or f" It has: {known}."
            yield place, f"the data model has no such dimension.{hint}"
        else:
            yield from _wrong_entries(entry, place)
            yield from _wrong_prefix(entry, place)
            yield from _wrong_values(entry, place, dimension)
    for name in form.quantities:
        if name not in model.quantities:
            known = ", ".join(model.quantities) or "none"
            hint = suggestion(name, model.quantities) or f" It has: {known}."
            yield ("quantities", name), f"the data model has no such quantity.{hint}"
    if form.source.zone is not None and zone_called(form.source.zone) is None:
        yield ("source", "zone"), "no such time zone; names are like `Europe/Vienna`."
    yield from _wrong_source(form)
    yield from wrong_consent(form.consent, form.opt_out)
    if form.without_person != REFUSE and not isinstance(form.person, list):
        yield ("without_person",), "this goes only with `person: [columns]`."


def _wrong_source(form: MappingForm) -> Iterator[Misfit]:
    """Find entries of the source that contradict each other."""
    source = form.source
    if source.separator is not None and source.separator in '"\r\n':
        yield ("source", "separator"), "quotes and line ends cannot part fields."
    if source.database is not None and source.table is None:
        yield ("source", "database"), "name the `table` or view to read, too."
    if source.table is not None and source.database is None:
        yield ("source", "table"), "this goes only with `database`."
    if source.database is not None:
        for name in sorted(source.of_files):
            yield ("source", name), "this goes with files, not with `database`."
    if source.changed is not None and form.case is None:
        sentence = "this needs `case`: the columns that tell one case from another."
        yield ("source", "changed"), sentence
    if source.changed is not None and form.person == ROW_NUMBER:
        sentence = f"this does not go with `person: {ROW_NUMBER}`: numbers shift."
        yield ("source", "changed"), sentence


_ORIGINS = ("column", "columns", "flags", "birth_date", "value")
_GOES_WITH = {
    "separator": ("column", "columns"),
    "codes": ("column", "columns"),
    "prefix": ("column", "columns"),
    "date": ("column",),
    "at": ("birth_date",),
    "format": ("birth_date",),
    "yes": ("flags",),
    "no": ("flags",),
    "none": ("flags", "column", "columns"),
}


def _wrong_entries(entry: DimensionEntry, place: Path) -> Iterator[Misfit]:
    """Find entries that contradict each other."""
    given = entry.model_fields_set
    origins = [name for name in _ORIGINS if getattr(entry, name) is not None]
    if len(origins) != 1:
        yield place, f"give exactly one of {', '.join(_ORIGINS)}."
        return
    for name, partners in _GOES_WITH.items():
        if name in given and origins[0] not in partners:
            yield (*place, name), f"this goes only with {' or '.join(partners)}."
    if origins[0] == "birth_date" and entry.at is None:
        yield place, "an age needs `at`: the column with the date to reckon it at."
    if entry.date is not None and (entry.codes is not None or entry.separator):
        yield (*place, "date"), "a date has no codes and no separator."
    for key in ("date", "format"):
        for index, text in enumerate(getattr(entry, key) or ()):
            if key == "date" and text in PRECISIONS:
                continue
            wrong = wrong_format(text, day=key == "format")
            if wrong:
                yield (*place, key, index), wrong


def _wrong_prefix(entry: DimensionEntry, place: Path) -> Iterator[Misfit]:
    if entry.prefix is None:
        return
    if entry.codes is None:
        yield (*place, "prefix"), "this goes only with `codes`."
    for code in entry.codes or {}:
        if len(fold(code)) > entry.prefix:
            sentence = f"this code is longer than {entry.prefix}; nothing begins so."
            yield (*place, "codes", code), sentence


def _wrong_values(
    entry: DimensionEntry, place: Path, dimension: Dimension
) -> Iterator[Misfit]:
    """Find values that the dimension does not have, or cannot hold."""
    named: list[tuple[Path, str]] = [
        ((*place, "codes", code), value)
        for code, values in (entry.codes or {}).items()
        for value in values
    ]
    named += [((*place, "flags", flag), v) for flag, v in (entry.flags or {}).items()]
    if entry.value is not None:
        named.append(((*place, "value"), entry.value))
    named.append(((*place, "empty"), entry.empty))
    if entry.otherwise != REFUSE:
        named.append(((*place, "otherwise"), entry.otherwise))
    nodes = [node for level in dimension.levels for node in dimension.domain(level)]
    for path, value in named:
        if value not in nodes:
            hint = suggestion(value, nodes) or some_of(
                dimension.domain(dimension.levels[-1])
            )
            yield path, f"{dimension.name!r} has no value {value!r}.{hint}"
    if dimension.single:
        yield from _too_many(entry, place)
    folded: dict[str, list[str]] = {}
    for code, values in (entry.codes or {}).items():
        other = folded.setdefault(fold(code), values)
        if other != values:
            yield (*place, "codes", code), "this code stands here twice, but for case."
    dated = [key for key in ("date",) if getattr(entry, key) is not None]
    if dated and "year" not in dimension.levels:
        yield (*place, "date"), "this dimension is not a calendar."
    if entry.birth_date is not None and not ages(dimension):
        yield (*place, "birth_date"), "this dimension has no bands of ages."


def _too_many(entry: DimensionEntry, place: Path) -> Iterator[Misfit]:
    sentence = "this dimension holds one value for a case, not several."
    for key in ("columns", "flags", "separator"):
        if getattr(entry, key) is not None:
            yield (*place, key), sentence
    for code, values in (entry.codes or {}).items():
        if len(values) > 1:
            yield (*place, "codes", code), sentence


def fold(code: str) -> str:
    """Return *code* as codes are compared: without case and outer blanks."""
    return code.strip().casefold()


def ages(dimension: Dimension) -> dict[int, int]:
    """Return the leaf code of every age that a band of *dimension* covers.

    Bands are leaves called ``9-17`` or ``48+``.
    """
    found: dict[int, int] = {}
    for code, leaf in enumerate(dimension.leaves):
        if match := re.fullmatch(r"(\d{1,3})-(\d{1,3})", leaf):
            span = range(int(match[1]), int(match[2]) + 1)
        elif match := re.fullmatch(r"(\d{1,3})\+", leaf):
            span = range(int(match[1]), OLDEST + 1)
        else:
            continue
        found.update(dict.fromkeys(span, code))
    return found


OLDEST = 125
"""Years; whoever is older was given a wrong date of birth."""
