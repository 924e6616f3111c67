# SPDX-License-Identifier: Apache-2.0
"""Invented people, and how agencies come to know the same one differently."""

from __future__ import annotations

import dataclasses
import datetime
import random
import unicodedata

from accord.client.demo.names import ORIGINS, NameTable, Spellings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who does not exist."""

    number: int
    woman: bool
    gender: str
    """Value of the data model."""
    citizenship: tuple[str, ...]
    given: Spellings
    family: Spellings
    birth_date: datetime.date
    birth_date_guessed: bool
    """Only the year is known; agencies write 1 January of about that year."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A person as one agency has them in its files; the name may be empty."""

    serial: str
    """Unique over all agencies: one per agency that knows the person."""
    person: Person
    given: str
    family: str
    birth_date: datetime.date | None
    identity_number: str
    phone: str
    gender_known: bool
    citizenship_known: bool

    def values(self, registered: datetime.date) -> dict[str, tuple[str, ...]]:
        """Return what the agency knows of the person, in words of the data model."""
        known: dict[str, tuple[str, ...]] = {}
        if self.gender_known:
            known["gender"] = (self.person.gender,)
        if self.citizenship_known:
            known["citizenship"] = self.person.citizenship
        if self.birth_date is not None:
            known["age_band"] = (age_band(age(self.birth_date, registered)),)
        return known


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the clerks of an agency write names."""

    own_script: float
    """Share of names that they write as the person does."""
    upper_family: bool = False
    swapped: float = 0.0
    """Share of names whose parts they take for each other."""
    slips: float = 0.02


class Register:
    """Everybody who was invented so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.people: list[Person] = []
        self._origins = list(ORIGINS)
        self._weights = [weight for weight, _ in ORIGINS.values()]
        self._books = 0

    def open_book(self, spelling: Spelling) -> Book:
        """Return the empty client book of one more agency."""
        self._books += 1
        return Book(self, spelling, number=self._books, elsewhere=tuple(self.people))

    def invent(self, kind: str, registered: datetime.date) -> Person:
        """Return a new person whom exploitation of *kind* could have met by then."""
        rng = self.rng
        origin = rng.choices(self._origins, weights=self._weights)[0]
        table: NameTable = ORIGINS[origin][1]
        woman = rng.random() < _SHARE_OF_WOMEN.get(kind, 0.4)
        citizenship = [origin]
        if rng.random() < _SECOND_CITIZENSHIP:
            other = rng.choice([code for code in self._origins if code != origin])
            citizenship.append(other)
        person = Person(
            number=len(self.people) + 1,
            woman=woman,
            gender=_gender(rng, woman=woman),
            citizenship=tuple(citizenship),
            given=rng.choice(table.women if woman else table.men),
            family=rng.choice(table.family),
            birth_date=registered - datetime.timedelta(days=_age_in_days(rng, kind)),
            birth_date_guessed=rng.random() < _BIRTH_DATE_GUESSED,
        )
        self.people.append(person)
        return person


class Book:
    """The clients of one agency; no two of them have the same name and birth date."""

    def __init__(
        self,
        register: Register,
        spelling: Spelling,
        *,
        number: int,
        elsewhere: tuple[Person, ...],
    ) -> None:
        self._register = register
        self._rng = register.rng
        self._spelling = spelling
        self._number = number
        self._elsewhere = elsewhere
        self._named: list[Client] = []
        self._numbers: set[int] = set()
        self._keys: set[tuple[str, str, datetime.date | None]] = set()

    def client(
        self,
        kind: str,
        registered: datetime.date,
        *,
        repeated: float,
        known_elsewhere: float,
        nameless: float,
        birth_date_missing: float,
    ) -> Client:
        """Return whom a new case is about, mostly somebody new to the agency.

        Args:
            kind: main type of exploitation.
            registered: day of the case.
            repeated: chance of somebody whom the agency has had before.
            known_elsewhere: chance that a new client is known to another agency.
            nameless: chance that a new client gives no name.
            birth_date_missing: chance that a named one gives no birth date.
        """
        rng = self._rng
        if self._named and rng.random() < repeated:
            return rng.choice(self._named)
        if rng.random() < nameless:
            person = self._register.invent(kind, registered)
            return self._entry(person, "", "", None)
        while True:
            if self._elsewhere and rng.random() < known_elsewhere:
                person = rng.choice(self._elsewhere)
            else:
                person = self._register.invent(kind, registered)
            given, family = self._write_name(person)
            missing = rng.random() < birth_date_missing
            born = None if missing else self._write_birth_date(person)
            key = (_folded(given), _folded(family), born)
            if person.number not in self._numbers and key not in self._keys:
                self._numbers.add(person.number)
                self._keys.add(key)
                self._named.append(self._entry(person, given, family, born))
                return self._named[-1]

    def _entry(
        self, person: Person, given: str, family: str, born: datetime.date | None
    ) -> Client:
        rng = self._rng
        named = bool(given)
        has_number = named and rng.random() < _IDENTITY_NUMBER
        has_phone = rng.random() < _PHONE
        return Client(
            serial=f"{self._number}-{person.number}",
            person=person,
            given=given,
            family=family,
            birth_date=born,
            identity_number=f"X{person.number:07d}" if has_number else "",
            # A range that is reserved for fiction.
            phone=f"+44 7700 900{rng.randint(0, 999):03d}" if has_phone else "",
            gender_known=rng.random() < _GENDER_KNOWN,
            citizenship_known=rng.random() < (0.93 if named else 0.5),
        )

    def _write_name(self, person: Person) -> tuple[str, str]:
        rng, habit = self._rng, self._spelling
        own_script = rng.random() < habit.own_script
        given = _spelled(rng, person.given, own_script=own_script)
        family = _spelled(rng, person.family, own_script=own_script)
        if rng.random() < habit.slips:
            family = _with_slip(rng, family)
        if habit.upper_family and family.isascii():
            family = family.upper()
        if rng.random() < habit.swapped:
            return family, given
        return given, family

    def _write_birth_date(self, person: Person) -> datetime.date:
        rng, born = self._rng, person.birth_date
        if person.birth_date_guessed:
            year = born.year + rng.choices((-1, 0, 1), weights=(15, 70, 15))[0]
            return datetime.date(year, 1, 1)
        if born.day <= _MONTHS and rng.random() < _DAY_AND_MONTH_SWAPPED:
            return datetime.date(born.year, born.day, born.month)
        return born


_MONTHS = 12
_SECOND_CITIZENSHIP = 0.03
_BIRTH_DATE_GUESSED = 0.12
_DAY_AND_MONTH_SWAPPED = 0.03
_IDENTITY_NUMBER = 0.35
_PHONE = 0.4
_GENDER_KNOWN = 0.96
_SHARE_OF_WOMEN = {
    "sexual_exploitation": 0.93,
    "servitude": 0.75,
    "forced_marriage": 0.92,
    "criminal_exploitation": 0.15,
    "forced_labour": 0.35,
}
_AGES = {
    "child_labour": (7, 17, 14),
    "forced_begging": (6, 50, 14),
    "criminal_exploitation": (11, 45, 16),
    "sexual_exploitation": (13, 45, 21),
}
"""Youngest, oldest and most frequent age; everybody else as a worker."""


def _gender(rng: random.Random, *, woman: bool) -> str:
    if woman:
        usual, other = "woman", "transgender_woman"
    else:
        usual, other = "man", "transgender_man"
    return rng.choices((usual, other, "non_conforming"), weights=(98.8, 0.8, 0.4))[0]


def _age_in_days(rng: random.Random, kind: str) -> int:
    youngest, oldest, usual = _AGES.get(kind, (16, 62, 27))
    return int(rng.triangular(youngest, oldest, usual) * 365.25)


def _spelled(rng: random.Random, spellings: Spellings, *, own_script: bool) -> str:
    if own_script or len(spellings) == 1:
        return spellings[0]
    latin = [name for name in spellings if name.isascii()] or list(spellings[1:])
    return rng.choice(latin)


def _with_slip(rng: random.Random, name: str) -> str:
    """Leave out a letter or double one, as happens at a keyboard."""
    place = rng.randrange(1, len(name)) if len(name) > 1 else 0
    doubled = name[place] * rng.choice((0, 2))
    return (name[:place] + doubled + name[place + 1 :]) or name


def _folded(name: str) -> str:
    """Return *name* so that spellings which a program might equate are equal."""
    parts = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in parts if letter.isalnum())


def age(born: datetime.date, at: datetime.date) -> int:
    """Return the age in completed years."""
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


_BANDS = {
    8: "0-8",
    17: "9-17",
    20: "18-20",
    23: "21-23",
    26: "24-26",
    29: "27-29",
    38: "30-38",
    47: "39-47",
}
"""Last year of life to band."""


def age_band(years: int) -> str:
    """Return the finest age band of the data model that holds *years*."""
    return next((band for last, band in _BANDS.items() if years <= last), "48+")
