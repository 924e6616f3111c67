# SPDX-License-Identifier: Apache-2.0
"""Chains of keys: what a rotation puts behind the keys that are there.

The keys of generation 0 make pseudonyms, order keys and case keys from what identifies
(`accord.agent.intake.pseudonym`). Those of generation n make theirs from what
generation n - 1 made, and from nothing else: the whole hash of a pseudonym, the first 8
bytes of that of a number. So what lies in the store is brought from one generation to
the next without any source, and an ingest finds the same from the source. Without the
newest key, what it made cannot be compared with anything that the older ones make.

A pseudonym of generation 0 is a person's *first* one; all later ones follow from it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from accord.agent.intake.pseudonym import (
    DIGEST_BYTES,
    KeyedHash,
    Pseudonyms,
    order_keys,
    sliced,
)
from accord.agent.keys.files import make_key, read_key
from accord.agent.state import PSEUDONYM_KEY, STORE_KEY, AgentState
from accord.core.errors import ConfigurationError

Keys = npt.NDArray[np.uint64]
"""Order keys or case keys."""

_PSEUDONYM_LABEL = b"accord pseudonym link 1\0"
_KEY_LABEL = b"accord order key link 1\0"
_NUMBER_BYTES = 4
_BLOCK = 1 << 18

_Made = TypeVar("_Made", Pseudonyms, Keys)


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """The keyed hashes of all generations, oldest first."""

    links: tuple[KeyedHash, ...]

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> Self:
        """Return the chain of keys; their bytes are not kept."""
        return cls(tuple(map(KeyedHash, keys)))

    @property
    def generation(self) -> int:
        """Of the newest key."""
        return len(self.links) - 1

    @property
    def first(self) -> KeyedHash:
        """Hash under the key of generation 0."""
        return self.links[0]

    @property
    def newest(self) -> KeyedHash:
        """Hash under the key that was made last."""
        return self.links[-1]

    def pseudonyms(self, earlier: Pseudonyms, since: int = 0) -> Pseudonyms:
        """Return the newest pseudonyms, in the order of *earlier* ones.

        Args:
            earlier: pseudonyms of one generation.
            since: that generation.
        """
        return _last(self.every_pseudonym(earlier, since))

    def every_pseudonym(
        self, earlier: Pseudonyms, since: int = 0
    ) -> Iterator[Pseudonyms]:
        """Yield *earlier* ones and those of each later generation, newest last."""
        return self._every(_next_pseudonyms, earlier, since)

    def keys(self, earlier: Keys, since: int = 0) -> Keys:
        """Return the newest order or case keys, in the order of *earlier* ones."""
        return _last(self.every_key(earlier, since))

    def every_key(self, earlier: Keys, since: int = 0) -> Iterator[Keys]:
        """Yield *earlier* ones and those of each later generation, newest last."""
        return self._every(_next_keys, earlier, since)

    def _every(
        self,
        turn: Callable[[KeyedHash, bytes, _Made], _Made],
        made: _Made,
        since: int,
    ) -> Iterator[_Made]:
        yield made
        for number in range(since + 1, len(self.links)):
            link, prefix = self.links[number], number.to_bytes(_NUMBER_BYTES, "big")
            blocks = [
                turn(link, prefix, made[start : start + _BLOCK])
                for start in range(0, len(made), _BLOCK)
            ]
            made = np.concatenate(blocks) if blocks else made
            yield made


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """The chains of an agency; a rotation makes both longer."""

    pseudonyms: Chain
    store: Chain

    @classmethod
    def of(cls, state: AgentState) -> Self:
        """Return the chains of the keys that are here.

        Raises:
            ConfigurationError: KEYS_LOST, one in the middle is missing; or one cannot
                be read.
        """
        return cls(
            pseudonyms=_chain(state, PSEUDONYM_KEY), store=_chain(state, STORE_KEY)
        )

    @property
    def generation(self) -> int:
        """Of the newest keys."""
        return self.pseudonyms.generation


def pseudonym_chain(state: AgentState) -> Chain:
    """Return the chain that makes pseudonyms.

    Raises:
        ConfigurationError: as `Chains.of`.
    """
    return _chain(state, PSEUDONYM_KEY)


def all_pseudonyms(state: AgentState, first: Iterable[bytes]) -> list[list[bytes]]:
    """Return for each person's first pseudonym all that follow it, newest last."""
    persons = list(first)
    table = np.frombuffer(b"".join(persons), np.uint8).reshape(-1, DIGEST_BYTES)
    found = map(sliced, pseudonym_chain(state).every_pseudonym(table))
    return [list(each) for each in zip(*found, strict=True)]


def generation_of_keys(state: AgentState) -> int:
    """Return the generation of the newest keys that are here.

    The store key of a generation is made before its pseudonym key, which tells that
    both are there.
    """
    stem, _, ending = PSEUDONYM_KEY.rpartition(".")
    form = re.compile(rf"{stem}\.([1-9][0-9]{{0,8}})\.{ending}")
    names = (form.fullmatch(path.name) for path in state.keys.iterdir())
    return max((int(match[1]) for match in names if match), default=0)


def key_files(state: AgentState, generation: int) -> tuple[Path, Path]:
    """Return where the pseudonym key and the store key of a generation lie."""
    return (
        _file(state, PSEUDONYM_KEY, generation),
        _file(state, STORE_KEY, generation),
    )


def make_store_key(state: AgentState, generation: int) -> None:
    """Make the store key of a generation, unless it is there."""
    _make_missing(_file(state, STORE_KEY, generation))


def make_pseudonym_key(state: AgentState, generation: int) -> None:
    """Make the pseudonym key of a generation: from now on it is the newest."""
    _make_missing(_file(state, PSEUDONYM_KEY, generation))


def keys_lost(path: Path) -> ConfigurationError:
    """Return the complaint that a key of a rotation is missing."""
    return ConfigurationError(
        "KEYS_LOST",
        f"{path} is missing, and what the agent holds was made with it: restore it "
        "from a copy. Without it nothing is ingested, forgotten or rotated.",
    )


def _chain(state: AgentState, name: str) -> Chain:
    keys = [read_key(state.keys / name)]
    for generation in range(1, generation_of_keys(state) + 1):
        path = _file(state, name, generation)
        if not path.exists():
            raise keys_lost(path)
        keys.append(read_key(path))
    return Chain.of(keys)


def _file(state: AgentState, name: str, generation: int) -> Path:
    if not generation:
        return state.keys / name
    stem, _, ending = name.rpartition(".")
    return state.keys / f"{stem}.{generation}.{ending}"


def _make_missing(path: Path) -> None:
    if not path.exists():
        make_key(path)


def _last(every: Iterator[_Made]) -> _Made:
    found = next(every)
    for each in every:
        found = each
    return found


def _next_pseudonyms(link: KeyedHash, number: bytes, made: Pseudonyms) -> Pseudonyms:
    prefix = _PSEUDONYM_LABEL + number
    digests = link.digests(prefix + each for each in sliced(made))
    return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)


def _next_keys(link: KeyedHash, number: bytes, made: Keys) -> Keys:
    prefix = _KEY_LABEL + number
    content = np.asarray(made, np.uint64).astype(">u8").view(np.uint8)
    return order_keys(link, (prefix + each for each in sliced(content.reshape(-1, 8))))
