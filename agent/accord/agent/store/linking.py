# SPDX-License-Identifier: Apache-2.0
"""A store once more without a copy: links into the build that an edition freezes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from accord.agent.store.form import DESCRIPTION

_COLUMN = re.compile(r"[a-z0-9_]+\.npy")


def link_store(build: Path, target: Path) -> None:
    """Link the store's own files, not its parts, into a new directory.

    Raises:
        FileNotFoundError: the build goes away meanwhile.
    """
    target.mkdir(mode=0o700)
    for entry in build.iterdir():
        if entry.name == DESCRIPTION or _COLUMN.fullmatch(entry.name):
            os.link(entry, target / entry.name)
    if not (target / DESCRIPTION).exists():
        raise FileNotFoundError(target / DESCRIPTION)
