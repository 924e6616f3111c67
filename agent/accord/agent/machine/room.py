# SPDX-License-Identifier: Apache-2.0
"""Room on a disk, and how much of it has to stay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

LEAST_FREE: Final = 256 << 20
"""Bytes that stay free for the ledger, whatever is read or copied."""


def free_bytes(folder: Path) -> int:
    """Return how much the disk of *folder* can still take."""
    return shutil.disk_usage(folder).free
