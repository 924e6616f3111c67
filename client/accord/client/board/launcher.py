# SPDX-License-Identifier: Apache-2.0
"""Something to double-click, so that nobody needs a terminal after installation."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from accord.client.policy.proposal_files import write_whole

_RUN = ("-m", "accord.client.cli", "board")

_DESKTOP = """[Desktop Entry]
Type=Application
Version=1.5
Name=Accord board
Comment=Read, compare and sign agreements on this machine
Exec={command}
Terminal=false
Categories=Office;
StartupNotify=true
"""


def write_launcher(system: str = sys.platform) -> Path:
    """Write what this system starts by a double click, and return its path.

    Raises:
        ConfigurationError: FOLDER_UNWRITABLE.
    """
    if system == "win32":
        path = Path.home() / "Desktop" / "Accord board.cmd"
        # Without a console window there is nothing to close by mistake.
        python = Path(sys.executable).with_name("pythonw.exe")
        text = f'@start "" "{python}" {" ".join(_RUN)}\r\n'
    elif system == "darwin":
        path = Path.home() / "Desktop" / "Accord board.command"
        text = f"#!/bin/sh\nexec {shlex.join([sys.executable, *_RUN])}\n"
    else:
        data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        path = Path(data) / "applications" / "accord-board.desktop"
        command = " ".join([_quoted(sys.executable), *_RUN])
        text = _DESKTOP.format(command=command)
    write_whole(path, text.encode())
    if system != "win32":
        path.chmod(0o755)
    return path


def _quoted(argument: str) -> str:
    r"""Quote as the desktop entry specification wants it.

    Within double quotes ``"``, backtick, ``$`` and backslash are escaped, which
    as a string value doubles every backslash; a literal percent sign is two.
    """
    escaped = "".join(f"\\{each}" if each in '"`$\\' else each for each in argument)
    return '"' + escaped.replace("\\", "\\\\").replace("%", "%%") + '"'
