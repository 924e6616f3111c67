# SPDX-License-Identifier: Apache-2.0
"""A private folder in the state directory for as long as sources are read.

Whatever ends the program, the folder is removed, at the latest by the next one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from accord.agent.machine.locking import lock_folder
from accord.agent.state import AgentState, disk_trouble


@contextlib.contextmanager
def workspace(state: AgentState) -> Iterator[Path]:
    """Make a private folder that is gone afterwards, whatever happens."""
    folder = state.scratch / f"ingest-{secrets.token_hex(6)}"
    owner: int | None = None
    try:
        with _locked(state.scratch):
            _sweep(state)
            folder.mkdir(mode=0o700)
            owner = lock_folder(folder, wait=False)
        yield folder
    except OSError as error:
        raise disk_trouble(error, state) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if owner is not None:
            os.close(owner)


def _sweep(state: AgentState) -> None:
    """Remove what killed runs left behind; a living one holds a lock on its folder."""
    for folder in state.scratch.iterdir():
        try:
            owner = lock_folder(folder, wait=False)
        except (BlockingIOError, FileNotFoundError, NotADirectoryError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    owner = lock_folder(folder)
    try:
        yield
    finally:
        os.close(owner)
