# SPDX-License-Identifier: Apache-2.0
"""No secret of this process in a file of its memory.

Neither limit changes what a command does; where a system has none, it does without.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

_PR_SET_DUMPABLE = 4


def refuse_dumps() -> None:
    """Let no crash write this process's memory, and no other of the user's read it."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A pipe of the kernel's core_pattern pays no heed to the limit, but to this.
        with contextlib.suppress(OSError, AttributeError, MemoryError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
