# SPDX-License-Identifier: Apache-2.0
"""What a program meets that another user has started than the one whose files it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_NOBODY = 65534


@contextlib.contextmanager
def hidden(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder; root becomes another user for as long."""
    root = os.geteuid() == 0
    folder.chmod(0)
    try:
        if root:
            os.seteuid(_NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
