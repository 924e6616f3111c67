# SPDX-License-Identifier: Apache-2.0
"""The list of the forgotten: whom no ingest takes in again.

It holds keyed hashes of pseudonyms under a key of its own. Neither a name nor a
pseudonym can be read from it, and without the key it cannot be compared with anything.
Behind each person stand the cases that were theirs, so that a name which is corrected
in the source brings none of them back, and who else was in these cases and stays.

What was hashed is of the generation of keys that was the newest when somebody came on
the list (`accord.agent.intake.chain`), and no later one can be put in its place. So an
ingest looks for whoever it reads in every generation.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from accord.agent.intake.chain import (
    Chains,
    Keys,
    all_pseudonyms,
    generation_of_keys,
)
from accord.agent.intake.pseudonym import DIGEST_BYTES, KeyedHash, Pseudonyms, sliced
from accord.agent.keys.files import make_key, read_key, read_secret, replace_secret
from accord.agent.state import AgentState
from accord.core.errors import ConfigurationError

_HEAD = "forgotten 1"
_HEAD_FORM = re.compile(rf"{_HEAD}(?: (?P<generation>[1-9][0-9]{{0,8}}))?")
_LABEL = b"accord forgotten 1\0"
_CASE_LABEL = b"accord forgotten case 1\0"
_OTHER_LABEL = b"accord forgotten case other 1\0"
_KEY_BYTES = 8

Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class CasesOf:
    """The cases of a person, and who else is in them."""

    cases: frozenset[int] = frozenset()
    """Their keys."""
    others: frozenset[tuple[int, bytes]] = frozenset()
    """Key of one of them, and the pseudonym of somebody else."""


Cases = Mapping[bytes, CasesOf]
"""By pseudonym."""

NO_CASES = CasesOf()


@dataclasses.dataclass(frozen=True)
class Forgotten:
    """Who is on the list."""

    key: KeyedHash
    marks: Mapping[bytes, frozenset[bytes]]
    """What stands behind each person: hashes of cases and of others in them."""
    generation: int = 0
    """Of the newest keys that anything on it was made with."""

    @property
    def digests(self) -> frozenset[bytes]:
        """What stands on the list for persons."""
        return frozenset(self.marks)

    @functools.cached_property
    def all_marks(self) -> frozenset[bytes]:
        """What stands on the list for cases."""
        return frozenset().union(*self.marks.values())

    @classmethod
    def of(cls, state: AgentState) -> Self | None:
        """Return the list, or nothing where nobody was ever forgotten.

        The list is made before its key: a key alone has lost its list.

        Raises:
            ConfigurationError: FORGOTTEN_BROKEN, or its key is missing.
        """
        path, key = list_file(state), _key_file(state)
        if not path.exists():
            if not key.exists():
                return None
            raise ConfigurationError(
                "FORGOTTEN_BROKEN",
                f"{path} is missing, and with it the list of whom this agency has "
                f"forgotten, for its key {key} is there: restore it from a copy. "
                "Nothing is ingested without it.",
            )
        lines = read_secret(path).decode("ascii", "replace").split("\n")
        marks: dict[bytes, frozenset[bytes]] = {}
        try:
            for line in filter(None, lines[1:]):
                person, *behind = map(_digest_in, line.split(" "))
                marks[person] = frozenset(behind)
            head = _HEAD_FORM.fullmatch(lines[0])
        except ValueError:
            head = None
        if head is None:
            raise ConfigurationError(
                "FORGOTTEN_BROKEN",
                f"{path} is damaged, and with it the list of whom this agency has "
                "forgotten: restore it from a copy. Nothing is ingested without it.",
            )
        if not marks and not key.exists():
            return None  # the first forgetting was killed before it made the key
        generation = int(head["generation"] or 0)
        return cls(KeyedHash(read_key(key)), marks, generation)

    def among(self, pseudonyms: Pseudonyms) -> Flags:
        """Return which of *pseudonyms* are on the list."""
        if not self.marks or not len(pseudonyms):
            return np.zeros(len(pseudonyms), np.bool_)
        return np.fromiter(
            (self.digest(each) in self.marks for each in sliced(pseudonyms)),
            np.bool_,
            len(pseudonyms),
        )

    def among_cases(self, keys: Keys) -> Flags:
        """Return which keys are those of cases on the list."""
        return np.fromiter(
            (self._case(each) in self.all_marks for each in keys.tolist()),
            np.bool_,
            len(keys),
        )

    def among_others(self, keys: Keys, pseudonyms: Pseudonyms) -> Flags:
        """Return which persons were in a case with somebody on the list, and stay."""
        rows = zip(keys.tolist(), sliced(pseudonyms), strict=True)
        return np.fromiter(
            (self._other(*each) in self.all_marks for each in rows),
            np.bool_,
            len(keys),
        )

    def marks_of(self, held: CasesOf) -> frozenset[bytes]:
        """Return what stands behind a person for cases."""
        others = (self._other(*each) for each in held.others)
        return frozenset([*map(self._case, held.cases), *others])

    def _case(self, key: int) -> bytes:
        return self.key.digest(_CASE_LABEL + key.to_bytes(_KEY_BYTES, "big"))

    def _other(self, key: int, pseudonym: bytes) -> bytes:
        case = key.to_bytes(_KEY_BYTES, "big")
        return self.key.digest(_OTHER_LABEL + case + pseudonym)

    def digest(self, pseudonym: bytes) -> bytes:
        """Return what stands on the list for a pseudonym."""
        return self.key.digest(_LABEL + pseudonym)


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """Whom an ingest does not take in: the list, looked at in every generation."""

    listed: Forgotten
    chains: Chains

    @property
    def names_cases(self) -> bool:
        """Whether a case of anybody is known."""
        return bool(self.listed.all_marks)

    def persons_among(self, first: Pseudonyms) -> Flags:
        """Return who is on the list, by their first pseudonyms."""
        found = np.zeros(len(first), np.bool_)
        if self.listed.marks:
            for each in self.chains.pseudonyms.every_pseudonym(first):
                found |= self.listed.among(each)
        return found

    def cases_among(self, keys: Keys, first: Pseudonyms) -> Flags:
        """Return which rows are of a case of somebody on the list.

        Rows of who else was in it are not, as long as they are said to be theirs.

        Args:
            keys: of the case of each row, of generation 0.
            first: the first pseudonym of the person of each row.
        """
        distinct, place = np.unique(keys, return_inverse=True)
        listed = np.zeros(len(distinct), np.bool_)
        for each in self.chains.store.every_key(distinct):
            listed |= self.listed.among_cases(each)
        rows = np.flatnonzero(listed[place])
        others = np.zeros(len(rows), np.bool_)
        for some, whose in zip(
            self.chains.store.every_key(keys[rows]),
            self.chains.pseudonyms.every_pseudonym(first[rows]),
            strict=True,
        ):
            others |= self.listed.among_others(some, whose)
        found = np.zeros(len(keys), np.bool_)
        found[rows[~others]] = True
        return found


def list_file(state: AgentState) -> Path:
    """Return where the list lies."""
    return state.root / "forgotten.list"


def note_file(state: AgentState) -> Path:
    """Return where the note lies of a forgetting that is not finished."""
    return state.store / "forgetting.json"


def digests_of(state: AgentState, pseudonyms: Iterable[bytes]) -> frozenset[bytes]:
    """Return what stands on the list for persons; makes its key where there is none.

    Args:
        state: of the agency.
        pseudonyms: of the newest generation.
    """
    empty = _begun(state)
    return frozenset(map(empty.digest, pseudonyms))


def put_on_list(
    state: AgentState, first: Iterable[bytes], cases: Cases | None = None
) -> int:
    """Add persons; return how many were not there. On disk when this returns.

    Who is there already comes under the newest keys, with what stands behind them.

    Args:
        state: of the agency.
        first: the first pseudonym of each person.
        cases: those that are known to be theirs, which stay out as well; these, and
            the pseudonyms by which they are given, are of the newest generation.
    """
    listed = _begun(state)
    after, new = dict(listed.marks), 0
    for every in all_pseudonyms(state, first):
        newest = every[-1]
        marks = listed.marks_of((cases or {}).get(newest, NO_CASES))
        before = [after.pop(each, None) for each in map(listed.digest, every)]
        known = [each for each in before if each is not None]
        after[listed.digest(newest)] = marks.union(*known)
        new += not known
    _write(state, after, generation_of_keys(state))
    return new


def take_off_list(state: AgentState, first: Iterable[bytes]) -> int:
    """Let the next ingest take persons in again; return how many were there.

    Args:
        state: of the agency.
        first: the first pseudonym of each person.
    """
    listed = Forgotten.of(state)
    if listed is None:
        return 0
    after, gone = dict(listed.marks), 0
    for every in all_pseudonyms(state, first):
        before = [after.pop(each, None) for each in map(listed.digest, every)]
        gone += any(each is not None for each in before)
    _write(state, after, listed.generation)
    return gone


def _key_file(state: AgentState) -> Path:
    return state.keys / "forgotten.key"


def _begun(state: AgentState) -> Forgotten:
    """Return the list; makes an empty one, then its key, where there is none."""
    listed = Forgotten.of(state)
    if listed is not None:
        return listed
    _write(state, {}, 0)
    make_key(_key_file(state))
    return Forgotten(KeyedHash(read_key(_key_file(state))), {})


def _write(
    state: AgentState, marks: Mapping[bytes, frozenset[bytes]], generation: int
) -> None:
    head = f"{_HEAD} {generation}" if generation else _HEAD
    lines = (
        " ".join([person.hex(), *sorted(each.hex() for each in behind)])
        for person, behind in sorted(marks.items())
    )
    replace_secret(list_file(state), "\n".join([head, *lines, ""]).encode())


def _digest_in(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES:
        raise ValueError(len(digest))
    return digest
