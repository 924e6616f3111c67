# SPDX-License-Identifier: Apache-2.0
"""A store written once more without some of its cases; persons are numbered anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import Column, Columns, write_columns
from accord.agent.store.durable import sync_directory, sync_file
from accord.agent.store.form import StoreForm

PERSONS = "persons.npy"
"""The pseudonym of every ordinal, beside the columns."""

Flags = npt.NDArray[np.bool_]


def write_without(source: Path, target: Path, leaving: Flags) -> StoreForm:
    """Write the store in *source*, without the flagged cases, into a new folder.

    What is left is what an ingest without these cases would have written. Nobody's
    pseudonym is written who has no case left.

    Args:
        source: folder of a complete store.
        target: must not hold one.
        leaving: a flag for each case.

    Raises:
        PreconditionFailed: STORE_NOT_WRITABLE.
        IntegrityError: STORE_BROKEN.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    with Columns.open(source) as columns:
        stays = ~leaving
        person = columns.person
        left = np.unique(person[stays])
        form = write_columns(
            target,
            _columns(columns, stays, left),
            model=columns.form.model,
            model_digest=columns.form.model_digest,
            created_at=columns.form.created_at,
            generation=columns.form.generation,
        )
    if (source / PERSONS).exists():
        pseudonyms = np.load(source / PERSONS, mmap_mode="r", allow_pickle=False)
        with (target / PERSONS).open("xb") as file:
            np.save(file, pseudonyms[left], allow_pickle=False)
    make_lasting(target)
    return form


def make_lasting(folder: Path) -> None:
    """Put all files of a folder on disk, and let nobody write to them any more."""
    for file_path in folder.iterdir():
        sync_file(file_path)
        file_path.chmod(0o400)
    sync_directory(folder)


def _columns(
    columns: Columns, stays: Flags, left: npt.NDArray[np.uint32]
) -> Iterator[tuple[str, Column]]:
    for form in columns.form.columns:
        values = columns.array(form.name)[stays]
        if form.name == "person":
            values = np.searchsorted(left, values).astype(np.uint32)
        yield form.name, values
