# SPDX-License-Identifier: Apache-2.0
"""A frozen edition written once more under the newest keys, with the same answers.

Which groups of a person count first is a matter of order keys. So the order of each
person's cases stays, ties too: the newest keys of these cases are given to them in the
order that they had. Editions and builds go on to have the same keys for a person.

Persons are put in the order of their newest pseudonyms. In the order of the older ones
a person's place would tell whoever has these keys about where to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.intake.chain import Chain, Chains, Keys
from accord.agent.intake.pieces import load_persons
from accord.agent.intake.pseudonym import Pseudonyms, as_words
from accord.agent.store.columns import Column, Columns, write_columns
from accord.agent.store.form import StoreForm
from accord.agent.store.rewriting import PERSONS, make_lasting
from accord.agent.store.units import begins
from accord.core.errors import IntegrityError

_PERSON = "person"
_ORDER_KEY = "order_key"

_Places = npt.NDArray[np.intp]


def write_rotated(source: Path, target: Path, chains: Chains) -> StoreForm:
    """Write the store in *source* under the newest keys into a new folder.

    Args:
        source: folder of a complete store.
        target: must not hold one.
        chains: of the agency.

    Raises:
        PreconditionFailed: STORE_NOT_WRITABLE.
        IntegrityError: STORE_BROKEN.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    with Columns.open(source) as columns:
        since = columns.form.generation
        keys = _reordered(columns, chains.store, since)
        persons = _persons(source, columns, chains.pseudonyms, since)
        starts = begins(columns.person)
        if persons is None:
            order = np.argsort(keys[starts], kind="stable")
        else:
            order = np.lexsort(as_words(persons.tobytes())[::-1])
        form = write_columns(
            target,
            _columns(columns, keys, order),
            model=columns.form.model,
            model_digest=columns.form.model_digest,
            created_at=columns.form.created_at,
            generation=chains.generation,
        )
    if persons is not None:
        with (target / PERSONS).open("xb") as file:
            np.save(file, persons[order], allow_pickle=False)
    make_lasting(target)
    return form


def _reordered(columns: Columns, chain: Chain, since: int) -> Keys:
    """Return the newest keys of all cases in the order that each person's have."""
    person, key = columns.person, columns.order_key
    new = np.ones(len(key), np.bool_)
    new[1:] = (person[1:] != person[:-1]) | (key[1:] != key[:-1])
    first = np.flatnonzero(new)
    later = chain.keys(key[first], since)
    later = later[np.lexsort((later, person[first]))]
    return np.repeat(later, np.diff(first, append=len(key)))


def _persons(
    folder: Path, columns: Columns, chain: Chain, since: int
) -> Pseudonyms | None:
    """Return the newest pseudonym of every person; none, if none is kept."""
    path = folder / PERSONS
    if not path.exists():
        return None
    held = load_persons(path)
    if len(held) != columns.form.persons:
        raise IntegrityError(
            "STORE_BROKEN",
            f"The store in {folder} is damaged: {PERSONS} is not of the length in "
            "its description. Move the directory away.",
        )
    return chain.pseudonyms(held, since)


def _columns(
    columns: Columns, keys: Keys, order: _Places
) -> Iterator[tuple[str, Column]]:
    """Yield every column with persons in *order*, numbered anew."""
    person = columns.person
    new = np.ones(len(person), np.bool_)
    np.not_equal(person[1:], person[:-1], out=new[1:])
    place = np.empty(len(order), np.uint32)
    place[order] = np.arange(len(order), dtype=np.uint32)
    moved = place[np.cumsum(new) - 1]
    rows = np.argsort(moved, kind="stable")
    for form in columns.form.columns:
        if form.name == _PERSON:
            yield form.name, moved[rows]
        elif form.name == _ORDER_KEY:
            yield form.name, keys[rows]
        else:
            yield form.name, columns.array(form.name)[rows]
