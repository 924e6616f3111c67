# SPDX-License-Identifier: Apache-2.0
"""Whom somebody wants to be forgotten: identifiers as the source writes them.

They come from a prompt, from standard input or from a file that its owner alone can
read, never from the command line, which others can see and a shell keeps. They become
a pseudonym at once and go no further.
"""

from __future__ import annotations

from collections.abc import Sequence

from accord.agent.intake.mapping import ROW_NUMBER, Mapping
from accord.agent.intake.pseudonym import KeyedHash, Kind, framed, subject
from accord.agent.state import AgentState
from accord.core.errors import InvalidQuery, PreconditionFailed

MOST_PERSONS = 1000
"""Whom one run can forget."""


def identifying(mapping: Mapping) -> tuple[Kind, tuple[str, ...]]:
    """Return what a mapping tells persons apart by: their columns, or those of a case.

    Raises:
        PreconditionFailed: FORGET_NOBODY, it tells nobody apart.
    """
    if mapping.person_columns:
        return Kind.PERSON, mapping.person_columns
    if mapping.case_columns and mapping.form.person != ROW_NUMBER:
        return Kind.CASE, mapping.case_columns
    raise PreconditionFailed(
        "FORGET_NOBODY",
        f"Nobody can be found by the mapping {mapping.name!r}: it names no column that "
        "identifies a person or a case. Take the record out of the source and ingest "
        f"it again; editions keep it unless `accord-agent remove {mapping.name}` and "
        "the retention of config.toml make them go.",
    )


def pseudonym_of(state: AgentState, mapping: Mapping, texts: Sequence[str]) -> bytes:
    """Return the first pseudonym that an ingest would give (`intake.chain`)."""
    kind, _ = identifying(mapping)
    scope = "" if kind is Kind.PERSON else mapping.name
    key = KeyedHash(state.pseudonym_key())
    return key.digest(subject(kind, scope) + framed(texts))


def text_of(content: bytes, source: str) -> str:
    """Return what a file or standard input says.

    Raises:
        InvalidQuery: FORGET_INPUT, it is no UTF-8. What stands in its place would be
            another name, and whoever is meant would be found nowhere.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidQuery(
            "FORGET_INPUT",
            f"Line {line} of {source} is not UTF-8, so nobody can tell whom it names: "
            "save it as UTF-8. Nothing was changed.",
        ) from None


def identities_in(text: str, columns: Sequence[str], source: str) -> list[list[str]]:
    """Read persons, one ``COLUMN: TEXT`` a line, with an empty line between two.

    Raises:
        InvalidQuery: FORGET_INPUT, with the line but none of its text.
    """
    found: list[dict[str, str]] = [{}]
    # The name of a column can begin with that of another one and a colon.
    longest_first = sorted(columns, key=len, reverse=True)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            found += [{}] if found[-1] else []
            continue
        name = next(
            (each for each in longest_first if line.startswith(f"{each}:")), None
        )
        if name is None or name in found[-1]:
            raise _wrong_input(f"line {number} of {source}", columns)
        found[-1][name] = line.removeprefix(f"{name}:").strip()
    persons = [each for each in found if each]
    if not 0 < len(persons) <= MOST_PERSONS:
        raise _wrong_input(source, columns)
    for number, each in enumerate(persons, 1):
        if set(each) != set(columns) or not any(each.values()):
            raise _wrong_input(f"person {number} of {source}", columns)
    return [[each[name] for name in columns] for each in persons]


def _wrong_input(place: str, columns: Sequence[str]) -> InvalidQuery:
    listed = ", ".join(f"`{name}:`" for name in columns)
    return InvalidQuery(
        "FORGET_INPUT",
        f"{place[:1].upper()}{place[1:]} names nobody: write for each person one line "
        f"for each of {listed} with the text behind it, as the source has it, and an "
        f"empty line between two persons; at most {MOST_PERSONS:,} at once.",
    )
