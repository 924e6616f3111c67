# SPDX-License-Identifier: Apache-2.0
"""Whether a file is there, also where this user may not look.

`pathlib` raises there, up to Python 3.13. Somebody who names a file in another user's
folder is not told of our mistake but of theirs.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_seen(path: Path) -> bool:
    """Whether there is something that this user can see."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def may_be_file(path: Path) -> bool:
    """Whether it is a file, or hidden from this user: who reads it is told why."""
    try:
        return path.is_file()
    except OSError:
        return True
