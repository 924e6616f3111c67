# SPDX-License-Identifier: Apache-2.0
"""Starts a program with the system calls that a systemd unit leaves it, and no others.

::

    python confined.py CALLS COMMAND…

CALLS is a file with one name a line. What systemd does for ``SystemCallFilter``,
``SystemCallErrorNumber=EPERM``, ``MemoryDenyWriteExecute`` and ``NoNewPrivileges`` is
done here for a machine on which systemd does not run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_SET_NO_NEW_PRIVILEGES = 38
_SET_MDWE = 65  # Linux 6.3
_REFUSE_EXEC_GAIN = 1


def main() -> None:
    """Confine this process for good, and become the command."""
    names, *command = sys.argv[1:]
    calls = Path(names).read_text(encoding="utf-8").split()
    process = ctypes.CDLL(None, use_errno=True)
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    if process.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        sys.exit("this kernel knows no PR_SET_NO_NEW_PRIVS")
    if process.prctl(_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.stderr.write("this kernel knows no PR_SET_MDWE\n")
    rules = ctypes.c_void_p(seccomp.seccomp_init(_ERRNO | errno.EPERM))
    for name in calls:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else another architecture's
            seccomp.seccomp_rule_add(rules, _ALLOW, number, 0)
    if seccomp.seccomp_load(rules) != 0:
        sys.exit("the filter could not be loaded")
    os.execv(command[0], command)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
