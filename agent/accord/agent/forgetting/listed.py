# SPDX-License-Identifier: Apache-2.0
"""The list of the forgotten: whom no ingest takes in again.

It holds keyed hashes of pseudonyms under a key of its own. Neither a name nor a
pseudonym can be read from it, and without the key it cannot be compared with anything.
Behind each person stand the cases that were theirs, so that a name which is corrected
in the source brings none of them back, and who else was in these cases and stays.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from accord.agent.intake.pseudonym import DIGEST_BYTES, KeyedHash, Pseudonyms, sliced
from accord.agent.keys.files import make_key, read_key, read_secret, replace_secret
from accord.agent.state import AgentState
from accord.core.errors import ConfigurationError

_HEAD = "forgotten 1"
_LABEL = b"accord forgotten 1\0"
_CASE_LABEL = b"accord forgotten case 1\0"
_OTHER_LABEL = b"accord forgotten case other 1\0"
_KEY_BYTES = 8

CaseKeys = npt.NDArray[np.uint64]
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

    @property
    def digests(self) -> frozenset[bytes]:
        """What stands on the list for persons."""
        return frozenset(self.marks)

    @functools.cached_property
    def _all_marks(self) -> frozenset[bytes]:
        return frozenset().union(*self.marks.values())

    @property
    def names_cases(self) -> bool:
        """Whether a case of anybody is known."""
        return bool(self._all_marks)

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
            whole = lines[0] == _HEAD
        except ValueError:
            whole = False
        if not whole:
            raise ConfigurationError(
                "FORGOTTEN_BROKEN",
                f"{path} is damaged, and with it the list of whom this agency has "
                "forgotten: restore it from a copy. Nothing is ingested without it.",
            )
        if not marks and not key.exists():
            return None  # the first forgetting was killed before it made the key
        return cls(KeyedHash(read_key(key)), marks)

    def among(self, pseudonyms: Pseudonyms) -> Flags:
        """Return which of *pseudonyms* are on the list."""
        if not self.marks or not len(pseudonyms):
            return np.zeros(len(pseudonyms), np.bool_)
        return np.fromiter(
            (self.digest(each) in self.marks for each in sliced(pseudonyms)),
            np.bool_,
            len(pseudonyms),
        )

    def cases_among(self, keys: CaseKeys, pseudonyms: Pseudonyms) -> Flags:
        """Return which rows are of a case of somebody on the list.

        Rows of who else was in it are not, as long as they are said to be theirs.

        Args:
            keys: of the case of each row.
            pseudonyms: of the person of each row.
        """
        distinct, place = np.unique(keys, return_inverse=True)
        listed = np.fromiter(
            (self._case(each) in self._all_marks for each in distinct.tolist()),
            np.bool_,
            len(distinct),
        )
        found: Flags = listed[place]
        for row in np.flatnonzero(found).tolist():
            other = self._other(int(keys[row]), pseudonyms[row].tobytes())
            found[row] = other not in self._all_marks
        return found

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


def list_file(state: AgentState) -> Path:
    """Return where the list lies."""
    return state.root / "forgotten.list"


def note_file(state: AgentState) -> Path:
    """Return where the note lies of a forgetting that is not finished."""
    return state.store / "forgetting.json"


def digests_of(state: AgentState, pseudonyms: Iterable[bytes]) -> frozenset[bytes]:
    """Return what stands on the list for persons; makes its key where there is none."""
    empty = _begun(state)
    return frozenset(map(empty.digest, pseudonyms))


def put_on_list(
    state: AgentState, pseudonyms: Iterable[bytes], cases: Cases | None = None
) -> int:
    """Add persons; return how many were not there. On disk when this returns.

    Args:
        state: of the agency.
        pseudonyms: of the persons.
        cases: those that are known to be theirs, which stay out as well.
    """
    listed = _begun(state)
    after = dict(listed.marks)
    for each in pseudonyms:
        person = listed.digest(each)
        marks = listed.marks_of((cases or {}).get(each, NO_CASES))
        after[person] = after.get(person, frozenset()) | marks
    _write(state, after)
    return len(after) - len(listed.marks)


def take_off_list(state: AgentState, pseudonyms: Iterable[bytes]) -> int:
    """Let the next ingest take persons in again; return how many were there."""
    listed = Forgotten.of(state)
    if listed is None:
        return 0
    named = frozenset(map(listed.digest, pseudonyms))
    after = {who: marks for who, marks in listed.marks.items() if who not in named}
    _write(state, after)
    return len(listed.marks) - len(after)


def _key_file(state: AgentState) -> Path:
    return state.keys / "forgotten.key"


def _begun(state: AgentState) -> Forgotten:
    """Return the list; makes an empty one, then its key, where there is none."""
    listed = Forgotten.of(state)
    if listed is not None:
        return listed
    _write(state, {})
    make_key(_key_file(state))
    return Forgotten(KeyedHash(read_key(_key_file(state))), {})


def _write(state: AgentState, marks: Mapping[bytes, frozenset[bytes]]) -> None:
    lines = (
        " ".join([person.hex(), *sorted(each.hex() for each in behind)])
        for person, behind in sorted(marks.items())
    )
    replace_secret(list_file(state), "\n".join([_HEAD, *lines, ""]).encode())


def _digest_in(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES:
        raise ValueError(len(digest))
    return digest
