# SPDX-License-Identifier: Apache-2.0
"""What leaves frozen editions: the forgotten, ended consent; and editions too old.

Where it is not said otherwise, whoever calls holds `AgentState.freezing`.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.state import AgentState, disk_trouble
from accord.agent.store.columns import Columns
from accord.agent.store.durable import created_file, sync_directory
from accord.agent.store.editions import (
    CLOSED,
    EDITION,
    IN_DATABASE,
    delete_edition,
    edition_in,
)
from accord.agent.store.generations import (
    edition_folders,
    edition_name,
    folder_of,
    partial_folder,
    succeed,
    sweep_partial,
)
from accord.agent.store.leaving import Leaving, months_before
from accord.agent.store.rewriting import write_without
from accord.core.errors import AccordError

Flags = npt.NDArray[np.bool_]
Chosen = Callable[[Path, Columns], Flags | None]
"""Folder and columns of a store -> which cases leave it; none: all of them stay."""


def erase_from_edition(folder: Path, chosen: Chosen) -> Path:
    """Take cases out of an edition; return the folder where it is now.

    Raises:
        OSError: the disk cannot be written; the edition is as it was.
        PreconditionFailed: STORE_NOT_WRITABLE, the same.
    """
    with Columns.open(folder) as columns:
        leaving = chosen(folder, columns)
    if leaving is None or not leaving.any():
        return folder
    return replace_edition(folder, lambda made: write_without(folder, made, leaving))


def close_edition(folder: Path, why: str) -> Path:
    """Let an edition be answered from no more; what it had is removed."""

    def closed(made: Path) -> None:
        made.mkdir(mode=0o700)
        with created_file(made / CLOSED) as file:
            file.write(why.encode())

    return replace_edition(folder, closed)


def open_editions(state: AgentState) -> list[Path]:
    """Return the folders of all editions that are answered from, oldest first."""
    found: list[Path] = []
    for home in sorted(state.editions.iterdir()):
        found += [each for each in edition_folders(home) if not closed(each)]
    return found


def on_each_open_edition(state: AgentState, act: Callable[[str, Path], object]) -> None:
    """Call *act* with name and folder of one after the other.

    Nothing is frozen meanwhile: *act* runs in `AgentState.freezing`, which whoever
    calls does not hold. Between two of them it is free, for an agent that runs waits
    for it before it answers.
    """
    with state.freezing():
        for home in state.editions.iterdir():
            sweep_partial(home)
        names = [(each.parent, edition_name(each)) for each in open_editions(state)]
    for home, name in names:
        with state.freezing():
            folder = folder_of(home, name.partition("/")[2])
            if folder.exists():
                act(name, folder)


def closed(folder: Path) -> bool:
    """Tell whether an edition is answered from no more."""
    return (folder / CLOSED).exists()


def without_ended(state: AgentState, folder: Path, today: datetime.date) -> Path:
    """Take the cases out of an edition whose consent has ended by *today*.

    Returns:
        The folder where the edition is then.

    Raises:
        PreconditionFailed: STORE_NOT_WRITABLE.
        IntegrityError: the edition is damaged.
    """
    leaving = Leaving(today=today)
    with Columns.open(folder) as columns:
        if leaving.flags(columns, None) is None:
            return folder
    try:
        with state.freezing():
            return erase_from_edition(folder, lambda _, held: leaving.flags(held, None))
    except OSError as error:
        raise disk_trouble(error, state) from error


def end_consent(state: AgentState, today: datetime.date) -> None:
    """Do so with all editions.

    Raises:
        AccordError: as `without_ended`, of the first that cannot be seen to.
    """
    for folder in open_editions(state):
        if not (folder / IN_DATABASE).exists():
            without_ended(state, folder, today)


def old_editions(state: AgentState, leaving: Leaving) -> list[Path]:
    """Return the folders of editions that were frozen too long ago."""
    if leaving.months is None:
        return []
    before = months_before(leaving.today, leaving.months)
    return [
        folder
        for home in sorted(state.editions.iterdir())
        for folder in edition_folders(home)
        if edition_in(folder).frozen_at.date() < before
    ]


def delete_old_editions(state: AgentState, leaving: Leaving) -> tuple[str, ...]:
    """Remove them; return their names, which are never frozen again."""
    if leaving.months is None:
        return ()
    names = []
    try:
        with state.freezing():
            for folder in old_editions(state, leaving):
                delete_edition(state, folder)
                names.append(edition_name(folder))
    except OSError as error:
        raise disk_trouble(error, state) from error
    return tuple(names)


def replace_edition(folder: Path, make: Callable[[Path], object]) -> Path:
    """Let what *make* leaves take the place of an edition's folder.

    Raises:
        OSError: the disk cannot be written; the edition is as it was.
        PreconditionFailed: STORE_NOT_WRITABLE, the same.
    """
    made = partial_folder(folder.parent)
    try:
        make(made)
        with created_file(made / EDITION) as file:
            file.write((folder / EDITION).read_bytes())
        (made / EDITION).chmod(0o400)
        sync_directory(made)
        return succeed(folder, made)
    except (OSError, AccordError):
        shutil.rmtree(made, ignore_errors=True)
        raise
