# SPDX-License-Identifier: Apache-2.0
"""Where persons are: in which parts and editions, and in how many of their cases."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accord.agent.intake.build import PERSONS
from accord.agent.intake.parts import PARTS, parts_of
from accord.agent.intake.pieces import load_persons
from accord.agent.intake.pseudonym import DIGEST_BYTES, Pseudonyms
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import IN_DATABASE
from accord.agent.store.erasing import open_editions
from accord.agent.store.generations import edition_name
from accord.core.document import Strict

_BLOCK = 1 << 18
_WORD = 8
_FEW = 8
"""Texts that are sought one by one; more are sought by how they begin."""

Flags = npt.NDArray[np.bool_]


class Whom(Protocol):
    """Persons who are sought."""

    def among(self, pseudonyms: Pseudonyms) -> Flags:
        """Return which of *pseudonyms* are theirs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """Persons whose pseudonyms are at hand."""

    pseudonyms: Sequence[bytes]

    def among(self, pseudonyms: Pseudonyms) -> Flags:
        found = np.zeros(len(pseudonyms), np.bool_)
        begins = np.ascontiguousarray(pseudonyms[:, :_WORD]).view("<u8").reshape(-1)
        for place in np.flatnonzero(np.isin(begins, _words(self.pseudonyms))):
            found[place] = pseudonyms[place].tobytes() in self.pseudonyms
        return found


class Held(Strict):
    """What a part or an edition has."""

    kind: str
    """``part`` or ``edition``."""
    name: str
    """Of an edition, with its calendar."""
    cases: int | None = None
    """None: it lies in a database, or is closed."""
    persons: int | None = None
    of_them: int = 0
    """How many of the persons who are sought are in it."""
    digest: str | None = None
    """Over its files, where it has any of them."""


def ordinals(folder: Path, whom: Whom) -> npt.NDArray[np.intp]:
    """Return the numbers that persons have in a part, build or edition."""
    held = load_persons(folder / PERSONS)
    found = [
        start + np.flatnonzero(whom.among(np.asarray(held[start : start + _BLOCK])))
        for start in range(0, len(held), _BLOCK)
    ]
    return np.concatenate([np.empty(0, np.intp), *found])


def cases_of(columns: Columns, numbers: npt.NDArray[np.intp]) -> Flags:
    """Return which cases of a store are of the persons with these numbers."""
    person = columns.person
    flags = np.zeros(len(person), np.bool_)
    begins = np.searchsorted(person, numbers, side="left")
    ends = np.searchsorted(person, numbers, side="right")
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        flags[begin:end] = True
    return flags


def searchable(folder: Path) -> bool:
    """Tell whether persons can be found in an edition by their pseudonyms."""
    return (folder / PERSONS).exists() and not (folder / IN_DATABASE).exists()


def survey(state: AgentState, whom: Whom, before: Sequence[Held] = ()) -> list[Held]:
    """Return every part and edition, and how many of the persons are in each.

    Args:
        state: of the agency.
        whom: who is sought.
        before: what was found earlier; where they were there is a digest again.
    """
    were = {(each.kind, each.name) for each in before if each.digest}
    found = []
    for name, part in parts_of(state.current).items():
        folder = state.current / PARTS / name
        there = len(ordinals(folder, whom))
        found.append(
            Held(
                kind="part",
                name=name,
                cases=part.rows,
                persons=part.persons,
                of_them=there,
                digest=digest_of(folder) if there or ("part", name) in were else None,
            )
        )
    return found + [_edition(folder, whom, were) for folder in open_editions(state)]


def _edition(folder: Path, whom: Whom, were: set[tuple[str, str]]) -> Held:
    name = edition_name(folder)
    if not searchable(folder):
        return Held(kind="edition", name=name)
    there = len(ordinals(folder, whom))
    with Columns.open(folder) as columns:
        return Held(
            kind="edition",
            name=name,
            cases=columns.form.rows,
            persons=columns.form.persons,
            of_them=there,
            digest=digest_of(folder) if there or ("edition", name) in were else None,
        )


def digest_of(folder: Path) -> str:
    """Return one digest over the names and contents of all files of a folder."""
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        found.update(f"{file.name}\0".encode())
        with file.open("rb") as content:
            found.update(hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()


def keys_of(state: AgentState, whom: Whom) -> npt.NDArray[np.uint64]:
    """Return the order keys of all cases of the persons, wherever they are."""
    found = [np.empty(0, np.uint64)]
    for folder in _stores(state):
        numbers = ordinals(folder, whom)
        with Columns.open(folder) as columns:
            found.append(columns.order_key[cases_of(columns, numbers)])
    return np.unique(np.concatenate(found))


def keys_left(state: AgentState, keys: npt.NDArray[np.uint64]) -> bool:
    """Tell whether a case with one of the order keys is in a build or edition."""
    for folder in _stores(state):
        with Columns.open(folder) as columns:
            if np.isin(columns.order_key, keys).any():
                return True
    return False


def _stores(state: AgentState) -> list[Path]:
    found = [state.current.resolve()] if state.current.is_symlink() else []
    return found + [each for each in open_editions(state) if searchable(each)]


def pseudonyms_left(state: AgentState, pseudonyms: Sequence[bytes]) -> tuple[int, int]:
    """Look through every file of the state directory for pseudonyms, also in hex.

    Returns:
        How many files were read, and in how many of them one was found.
    """
    wanted = [*pseudonyms, *(each.hex().encode() for each in pseudonyms)]
    files = [path for path in _files(state) if path.is_file()]
    found = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # of an agent that runs beside
            found += _holds(path, wanted)
    return len(files), found


def _files(state: AgentState) -> list[Path]:
    """Return every file but those of commands that are running beside this one."""
    found = [
        path
        for path in state.root.rglob("*")
        if not path.is_symlink() and state.scratch not in path.parents
    ]
    return sorted(found)


def _holds(path: Path, wanted: Sequence[bytes]) -> bool:
    overlap = 2 * DIGEST_BYTES - 1
    before = b""
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            content = before + block
            if _contains(content, wanted):
                return True
            before = content[-overlap:]
    return False


def _contains(content: bytes, wanted: Sequence[bytes]) -> bool:
    """Tell whether any of many texts stands anywhere in *content*."""
    if len(wanted) <= _FEW:
        return any(each in content for each in wanted)
    begins = _words(wanted)
    texts = frozenset(wanted)
    lengths = {len(each) for each in wanted}
    for shift in range(_WORD):
        size = (len(content) - shift) // _WORD
        if size < 1:
            return False
        words = np.frombuffer(content, "<u8", size, shift)
        for place in np.flatnonzero(np.isin(words, begins)).tolist():
            start = shift + _WORD * place
            if any(content[start : start + length] in texts for length in lengths):
                return True
    return False


def _words(texts: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Return the first bytes of texts as numbers."""
    begins = b"".join(each[:_WORD] for each in texts)
    return np.frombuffer(begins, "<u8").astype(np.uint64)
