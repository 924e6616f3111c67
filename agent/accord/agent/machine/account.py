# SPDX-License-Identifier: Apache-2.0
"""Under which account of this machine somebody does something that is remembered."""

from __future__ import annotations

import getpass
import os
import sys

if sys.platform != "win32":
    import pwd


def account_name() -> str:
    """Return under which account of this machine the command runs.

    As the system knows it: anybody can set the variables that `getpass.getuser` reads.
    """
    if sys.platform == "win32":
        return getpass.getuser()  # there is nothing else to ask
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may know no name for its user
        return f"user {number}"
