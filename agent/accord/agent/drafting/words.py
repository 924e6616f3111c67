# SPDX-License-Identifier: Apache-2.0
"""Names as people write them, and how alike two of them are.

The words by which columns and codes are recognised lie in ``words.yaml``, the names of
countries in ``countries.txt``, and the adjectives of nationalities in the shipped
mapping of the United Kingdom's referrals.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib.resources
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Name: TypeAlias = tuple[str, ...]
"""A name as its words, folded."""

_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SMALL: Final = frozenset(
    (
        *("a", "an", "and", "at", "by", "of", "on", "or", "the", "to", "in"),
        *("de", "del", "di", "do", "du", "el", "l", "la", "le", "y"),
        *("der", "des", "und", "van"),
    )
)
_TABLE = re.compile(r"^[A-Za-z]{1,4}[_.](?=[A-Za-z])")

_SHORTEST = 4
_BEGINNING = 5
_SAME_WORD = 0.85


def name_of(text: str) -> Name:
    """Return the words of a name: without case, accents and punctuation."""
    apart = _CAPITALS.sub(" ", text)
    plain = "".join(
        each
        for each in unicodedata.normalize("NFKD", apart)
        if not unicodedata.combining(each)
    )
    return tuple(re.findall(r"\w+", plain.casefold().replace("_", " ")))


def column_names(text: str) -> tuple[Name, ...]:
    """Return a column's name, behind it without the name of its table and a number."""
    whole = name_of(text)
    bare = name_of(_TABLE.sub("", text, count=1))
    if len(bare) > 1 and bare[-1].isdigit():
        bare = bare[:-1]  # one of several columns of the same kind
    return (whole,) if bare == whole else (bare, whole)


def alike(one: Name, other: Name) -> float:
    """Return from 0 to 1 how alike two names are; 1 if they are the same."""
    if "".join(one) == "".join(other):
        return 1.0
    left = [word for word in one if word not in _SMALL] or list(one)
    right = [word for word in other if word not in _SMALL] or list(other)
    if not left or not right:
        return 0.0
    total, found = len(left) + len(right), 0.0
    for word in left:
        best = max(right, key=lambda each: _same(word, each), default="")
        if best and (same := _same(word, best)):
            found += 2 * same
            right.remove(best)
    return min(found / total, 0.99)


@functools.lru_cache(maxsize=1 << 16)
def _same(one: str, other: str) -> float:
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST:
        return 0.0
    if len(short) >= _BEGINNING and long.startswith(short):
        return 0.95
    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    return 0.95 * ratio if ratio >= _SAME_WORD else 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """All that is recognised by its name."""

    person: Mapping[str, tuple[Name, ...]]
    case: tuple[Name, ...]
    consent: tuple[Name, ...]
    private: frozenset[Name]
    general: Mapping[str, tuple[Name, ...]]
    """Codes for ``unknown``, ``none`` and ``other``."""
    columns: Mapping[str, tuple[Name, ...]]
    """Columns of each dimension and quantity."""
    values: Mapping[str, Mapping[str, tuple[Name, ...]]]
    """Codes of the values of each dimension."""

    def is_private(self, column: str) -> bool:
        """Tell whether a column names people or holds free text, by its name.

        Such a column is not looked into. A birth date is, for the form of its dates.
        """
        names = column_names(column)
        if any(
            alike(name, known) == 1.0
            for name in names
            for listed in self.columns.values()
            for known in listed
        ):
            return False
        kind = self.person_kind(column)
        if kind is not None or self.is_case(column):
            return kind != "birth_date"
        return any(_holds(names[-1], known) for known in self.private)

    def knows(self, column: str) -> bool:
        """Tell whether a column's name is like one that is known."""
        known = (*self.columns.values(), *self.person.values(), self.case)
        return any(
            alike(name, each) >= _LIKE_ONE
            for name in column_names(column)
            for listed in known
            for each in listed
        )

    def person_kind(self, column: str) -> str | None:
        """Return what of a person a column holds, such as ``birth_date``."""
        if _OF_OTHERS & set(name_of(column)):
            return None
        scores = {
            kind: max(
                alike(name, known) for name in column_names(column) for known in names
            )
            for kind, names in self.person.items()
        }
        best = max(scores, key=lambda kind: scores[kind])
        return best if scores[best] >= _SAME_NAME else None

    def is_case(self, column: str) -> bool:
        """Tell whether a column identifies a case."""
        return _is_one(column, self.case)

    def is_consent(self, column: str) -> bool:
        """Tell whether a column says if a record may be counted."""
        return _is_one(column, self.consent)


_SAME_NAME = 0.9
_LIKE_ONE = 0.8


def _is_one(column: str, listed: Sequence[Name]) -> bool:
    return any(
        alike(name, known) >= _SAME_NAME
        for name in column_names(column)
        for known in listed
    )


def _holds(name: Name, known: Name) -> bool:
    """Tell whether a name has these words in a row, but for a plural."""
    return any(
        all(
            word in {other, f"{other}s", f"{other}es"}
            for word, other in zip(name[start:], known, strict=False)
        )
        for start in range(len(name) - len(known) + 1)
    )


_OF_OTHERS = frozenset(
    (
        *("org", "organisation", "organization", "agency", "referring"),
        *("worker", "owner", "staff", "officer", "contact", "emergency"),
        *("perpetrator", "trafficker", "offender", "suspect", "mother", "father"),
    )
)
"""Words of columns that name somebody else."""


@functools.cache
def shipped_words() -> Words:
    """Return the words that come with the program."""
    from accord.core.document import plain_document

    package = importlib.resources.files(__package__)
    text = package.joinpath("words.yaml").read_text("utf-8")
    content: Any = plain_document(text, "words.yaml")
    parts = content["dimensions"]
    values = {
        dimension: {
            str(value): _names(names) for value, names in part.get("values", {}).items()
        }
        for dimension, part in parts.items()
    }
    for dimension in ("citizenship", "country_of_exploitation"):
        known = values.setdefault(dimension, {})
        for code, names in countries().items():
            known[code] = (*names, *values["citizenship"].get(code, ()))
    return Words(
        person={kind: _names(names) for kind, names in content["person"].items()},
        case=_names(content["case"]),
        consent=_names(content["consent"]),
        private=frozenset(_names(content["private"])),
        general={word: _names(content[word]) for word in ("unknown", "none", "other")},
        columns={
            **{name: _names(part["columns"]) for name, part in parts.items()},
            **{name: _names(names) for name, names in content["quantities"].items()},
        },
        values=values,
    )


@functools.cache
def countries() -> Mapping[str, tuple[Name, ...]]:
    """Return the names of countries by their code of three letters."""
    package = importlib.resources.files(__package__)
    found: dict[str, list[Name]] = {}
    for line in package.joinpath("countries.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            code, *names = line.split("|")
            found[code] = [name_of(name) for name in names]
    for adjective, code in _adjectives():
        found.setdefault(code, []).append(name_of(adjective))
    return {code: tuple(names) for code, names in found.items()}


def _adjectives() -> Iterator[tuple[str, str]]:
    from accord.core.document import plain_document

    package = importlib.resources.files("accord.policies") / "mappings"
    text = package.joinpath("uk-nrm.yaml").read_text("utf-8")
    content: Any = plain_document(text, "uk-nrm.yaml")
    for adjective, code in content["dimensions"]["citizenship"]["codes"].items():
        if isinstance(code, str) and re.fullmatch("[A-Z]{3}", code):
            yield str(adjective), code


def _names(texts: Sequence[object]) -> tuple[Name, ...]:
    return tuple(_literal(str(text)) for text in texts)


def _literal(text: str) -> Name:
    """Keep what stands for itself, such as ``-`` or ``-99``, as one word."""
    return (text,) if re.fullmatch(r"-\d+", text) else name_of(text) or (text,)
