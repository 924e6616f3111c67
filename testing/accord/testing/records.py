# SPDX-License-Identifier: Apache-2.0
"""Invented cases in the agent's own store, one folder per agency.

The cases are those of the demo (`accord.client.demo.casefiles`), already coded: an
agency's mapping, its spellings and its dates are left out. Everything else of the store
is real, its order included. Stores are written once in a process and read by every
world with the same seed and size.
"""

from __future__ import annotations

import atexit
import dataclasses
import datetime as dt
import functools
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.intake.codes import code_type, mask_columns, mask_of
from accord.agent.store.columns import Columns, write_columns
from accord.client.demo.casefiles import (
    AGENCIES,
    Agency,
    SyntheticCase,
    draw_cases,
)
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.model import NOT_RECORDED, DataModel

_PERSONS = 17_672
"""Persons, counted in each agency, that the demo's agencies have together."""

_TOP = 2**63


def agencies(count: int, persons: int) -> tuple[Agency, ...]:
    """Return so many agencies that have about so many persons together.

    Beyond the demo's five, each is the double of one of them under another name.
    """
    chosen = [
        dataclasses.replace(
            AGENCIES[number % len(AGENCIES)],
            label=_label(AGENCIES[number % len(AGENCIES)], number // len(AGENCIES)),
        )
        for number in range(count)
    ]
    have = sum(agency.cases for agency in chosen)
    all_cases = sum(agency.cases for agency in AGENCIES)
    wanted = persons * all_cases / _PERSONS
    return tuple(
        dataclasses.replace(agency, cases=max(round(agency.cases * wanted / have), 1))
        for agency in chosen
    )


def _label(agency: Agency, double: int) -> str:
    return f"{agency.label}-{double + 1}" if double else agency.label


@functools.lru_cache(maxsize=8)
def cases(
    chosen: tuple[str, ...], persons: int, until: dt.date, seed: int
) -> tuple[SyntheticCase, ...]:
    """Return the invented cases of all agencies.

    Args:
        chosen: labels; they only tell one world from another here.
        persons: of all agencies together, about.
        until: last day of registration.
        seed: the same seed gives the same cases.
    """
    return draw_cases(until=until, seed=seed, agencies=agencies(len(chosen), persons))


def stores(
    chosen: tuple[str, ...], persons: int, until: dt.date, seed: int, model: DataModel
) -> Mapping[str, Columns]:
    """Return the open store of every agency, written on first use."""
    folder = _written(chosen, persons, until, seed, model.digest, _Model(model))
    return {
        label: Columns.open(folder / label, model_digest=model.digest)
        for label in chosen
    }


class _Model:
    """A data model that takes no part in the key of a cache; its digest does."""

    def __init__(self, model: DataModel) -> None:
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Model)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=8)
def _written(
    chosen: tuple[str, ...],
    persons: int,
    until: dt.date,
    seed: int,
    digest: str,
    wrapped: _Model,
) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="accord-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    drawn = cases(chosen, persons, until, seed)
    for label in chosen:
        own = [case for case in drawn if case.agency == label]
        write_columns(
            folder / label,
            _columns(own, wrapped.model, random.Random(f"{seed}/{label}")),  # noqa: S311  # invented cases need no secrecy
            model=wrapped.model.name,
            model_digest=digest,
            created_at=dt.datetime.combine(until, dt.time(), dt.UTC),
        )
    return folder


def _columns(
    own: Sequence[SyntheticCase], model: DataModel, rng: random.Random
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the columns of one agency in the order of its store."""
    serials = {case.client.serial for case in own}
    ordinals = {serial: number for number, serial in enumerate(sorted(serials))}
    keyed = sorted(
        ((ordinals[case.client.serial], rng.randrange(_TOP), case) for case in own),
        key=lambda each: each[:2],
    )
    ordered = [case for _, _, case in keyed]
    yield "person", np.array([person for person, _, _ in keyed], np.uint32)
    yield "person_known", np.array([bool(c.client.given) for c in ordered], np.uint8)
    yield "order_key", np.array([key for _, key, _ in keyed], np.uint64)
    for dimension in model.dimensions.values():
        yield from _coded(dimension, ordered)
    for quantity in model.quantities.values():
        held = [case.numbers.get(quantity.name) for case in ordered]
        numbers = [
            NOT_RECORDED if each is None else each * quantity.scale for each in held
        ]
        yield quantity.name, np.array(numbers, np.int32)


def _coded(
    dimension: Dimension, ordered: Sequence[SyntheticCase]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    values = [case.values.get(dimension.name, (UNKNOWN,)) for case in ordered]
    code = {
        value: dimension.code(value) for value in {v for held in values for v in held}
    }
    if dimension.single:
        kind = code_type(len(dimension.leaves))
        yield dimension.name, np.array([code[held[0]] for held in values], kind)
        return
    masks = {held: mask_of(dimension, [code[v] for v in held]) for held in set(values)}
    yield from mask_columns(
        dimension, np.array([masks[held] for held in values])
    ).items()
