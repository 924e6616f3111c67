# SPDX-License-Identifier: Apache-2.0
"""A draft of a mapping: what was recognised, and what only the staff can say."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

from accord.agent.drafting.placing import Placed
from accord.agent.intake.mapping import CASES_ONLY, ROW_NUMBER
from accord.agent.sources.form import SourceForm
from accord.core.model import DataModel


@dataclasses.dataclass(slots=True, kw_only=True)
class Entry:
    """Where a dimension comes from; one of the first four says it."""

    column: str | None = None
    columns: tuple[str, ...] = ()
    flags: dict[str, str] = dataclasses.field(default_factory=dict)
    birth_date: str | None = None
    at: str | None = None
    codes: dict[str, Placed] = dataclasses.field(default_factory=dict)
    """A code that nothing stands behind is an open question."""
    nearest: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """For each code that is open, the values that are nearest to it."""
    untold: int = 0
    """Texts without a place that are not shown: people seem to write freely there."""
    separator: str | None = None
    forms: tuple[str, ...] = ()
    """Of its dates."""
    either: tuple[str, ...] = ()
    """Forms of dates of which the staff has to choose one."""
    note: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that it reads."""
        named = (self.column, self.birth_date, self.at)
        return (*(name for name in named if name), *self.columns, *self.flags)

    def leave_untold(self) -> None:
        """Take out what has no place: it may be about somebody."""
        for code in [code for code, placed in self.codes.items() if not placed]:
            del self.codes[code]
            self.nearest.pop(code, None)
            self.untold += 1


@dataclasses.dataclass(slots=True)
class Consent:
    """A column that may say whether a record may be counted."""

    column: str
    codes: tuple[str, ...]
    given: tuple[str, ...] = ()
    """Codes that say so; none as long as nobody has named one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """An answer that may be right to the question of who is one person."""

    person: tuple[str, ...] | str
    """Columns, or one of the two words of the mapping language."""


class Kind(enum.Enum):
    """What a question is about."""

    PERSON = "person"
    CONSENT = "consent"
    CODE = "code"
    DATE = "date"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that cannot be told from the source."""

    kind: Kind
    dimension: str = ""
    column: str = ""
    code: str = ""
    choices: tuple[str, ...] = ()
    """Nearest first."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Draft:
    """All that will stand in the file."""

    name: str
    model: DataModel
    header: tuple[str, ...]
    """Columns of the source."""
    form: SourceForm
    profile: str | None
    person: tuple[str, ...] | str | None
    """None as long as nobody has said it."""
    proposals: tuple[Proposal, ...]
    case: tuple[str, ...]
    consent: Consent | None
    entries: dict[str, Entry]
    quantities: dict[str, tuple[str, bool]]
    """Column of each, and whether it has a decimal comma."""
    maybe: dict[str, tuple[str, ...]]
    """Columns that are not read, with the dimensions that they are nearest to."""
    unread: tuple[str, ...]
    """Columns that were not looked into."""
    formless: tuple[str, ...]
    """Columns of bytes, lists or the like, which no mapping can read."""
    hidden: dict[str, int]
    """How many codes of each column no document can hold."""

    def questions(self) -> Iterator[Question]:
        """Yield what is open, the person first."""
        if self.person is None:
            yield Question(kind=Kind.PERSON)
        if self.consent is not None and not self.consent.given:
            yield Question(
                kind=Kind.CONSENT,
                column=self.consent.column,
                choices=self.consent.codes,
            )
        for name, entry in self.in_order():
            column = entry.column or entry.birth_date or ""
            if entry.either:
                yield Question(
                    kind=Kind.DATE,
                    dimension=name,
                    column=column,
                    choices=entry.either,
                )
            for code, placed in entry.codes.items():
                if not placed:
                    yield Question(
                        kind=Kind.CODE,
                        dimension=name,
                        column=column or ", ".join(entry.columns),
                        code=code,
                        choices=entry.nearest.get(code, ()),
                    )

    def answer_code(self, question: Question, value: str) -> None:
        """Place a code."""
        self.entries[question.dimension].codes[question.code] = (value,)

    def answer_date(self, form: str) -> None:
        """Say how days and months stand; one agency has one way."""
        for entry in self.entries.values():
            if form in entry.either:
                entry.forms, entry.either = (*entry.forms, form), ()

    def answer_consent(self, given: tuple[str, ...]) -> None:
        """Say which codes are a consent; none: the column is about something else."""
        if self.consent is not None:
            self.consent.given = given
        if not given:
            self.consent = None

    def answer_person(self, person: tuple[str, ...] | str) -> None:
        """Say who is one person."""
        self.person = person

    def in_order(self) -> Iterator[tuple[str, Entry]]:
        """Yield the entries in the order of the data model."""
        for name in self.model.dimensions:
            if name in self.entries:
                yield name, self.entries[name]

    def without_entry(self) -> tuple[str, ...]:
        """Return the dimensions that nothing was found for."""
        return tuple(name for name in self.model.dimensions if name not in self.entries)


PERSON_WORDS = {"row_number": ROW_NUMBER, "cases-only": CASES_ONLY}
"""How the two words are typed as an option, where a blank is awkward."""
