# SPDX-License-Identifier: Apache-2.0
"""The list of the forgotten: whom no ingest takes in again.

It holds keyed hashes of pseudonyms under a key of its own. Neither a name nor a
pseudonym can be read from it, and without the key it cannot be compared with anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from accord.agent.intake.pseudonym import DIGEST_BYTES, KeyedHash, Pseudonyms, sliced
from accord.agent.keys import make_key, read_key, read_secret, replace_secret
from accord.agent.state import AgentState
from accord.core.errors import ConfigurationError

_HEAD = "forgotten 1"
_LABEL = b"accord forgotten 1\0"

Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Forgotten:
    """Who is on the list."""

    key: KeyedHash
    digests: frozenset[bytes]

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
        try:
            digests = frozenset(map(bytes.fromhex, filter(None, lines[1:])))
        except ValueError:
            digests = frozenset([b""])
        if lines[0] != _HEAD or any(len(each) != DIGEST_BYTES for each in digests):
            raise ConfigurationError(
                "FORGOTTEN_BROKEN",
                f"{path} is damaged, and with it the list of whom this agency has "
                "forgotten: restore it from a copy. Nothing is ingested without it.",
            )
        if not digests and not key.exists():
            return None  # the first forgetting was killed before it made the key
        return cls(KeyedHash(read_key(key)), digests)

    def among(self, pseudonyms: Pseudonyms) -> Flags:
        """Return which of *pseudonyms* are on the list."""
        if not self.digests or not len(pseudonyms):
            return np.zeros(len(pseudonyms), np.bool_)
        return np.fromiter(
            (self.digest(each) in self.digests for each in sliced(pseudonyms)),
            np.bool_,
            len(pseudonyms),
        )

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
    path = _key_file(state)
    if Forgotten.of(state) is None:
        _write(state, frozenset())
        make_key(path)
    key = KeyedHash(read_key(path))
    return frozenset(Forgotten(key, frozenset()).digest(each) for each in pseudonyms)


def put_on_list(state: AgentState, pseudonyms: Iterable[bytes]) -> int:
    """Add persons; return how many were not there. On disk when this returns."""
    return _change(state, pseudonyms, remove=False)


def take_off_list(state: AgentState, pseudonyms: Iterable[bytes]) -> int:
    """Let the next ingest take persons in again; return how many were there."""
    return _change(state, pseudonyms, remove=True)


def _key_file(state: AgentState) -> Path:
    return state.keys / "forgotten.key"


def _change(state: AgentState, pseudonyms: Iterable[bytes], *, remove: bool) -> int:
    before = Forgotten.of(state)
    if before is None:
        if remove:
            return 0
        before = Forgotten(KeyedHash(b""), frozenset())
    named = digests_of(state, pseudonyms)
    after = before.digests - named if remove else before.digests | named
    _write(state, after)
    return len(before.digests ^ after)


def _write(state: AgentState, digests: frozenset[bytes]) -> None:
    lines = [_HEAD, *sorted(each.hex() for each in digests), ""]
    replace_secret(list_file(state), "\n".join(lines).encode())
