# SPDX-License-Identifier: Apache-2.0
"""The manual page of ``accord-agent``: its commands and what each says of itself."""

from __future__ import annotations

import datetime
import re
from typing import Any

import typer

from accord.agent.cli import app

_HEAD = r""".\" SPDX-License-Identifier: Apache-2.0
.TH ACCORD\-AGENT 1 "{date}" "Accord {version}" "Accord"
.SH NAME
accord\-agent \- answer agreed questions about an agency's records; the records stay
.SH SYNOPSIS
.B accord\-agent
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
The agency's side of Accord. It keeps a coded copy of case files on this machine, calls
one hub, and answers questions that a signed agreement allows, as masked sums. Nobody
calls it: it listens on no port of the network.
.PP
.B accord\-agent
.I COMMAND
.B \-\-help
tells the options of a command. Most take
.B \-\-json
for programs and
.B \-\-state
for another state directory.
.SH COMMANDS
"""

_TAIL = r""".SH ENVIRONMENT
.TP
.B ACCORD_AGENT_STATE
The state directory.
.TP
.BI ACCORD_AGENT_ NAME
Overrides a setting of config.toml.
.SH FILES
.TP
.I /var/lib/accord\-agent
The state directory of the Debian package: keys, the coded store, the agency's ledger.
It is never removed by itself. Treat it like the case files.
.TP
.I config.toml
Settings, in the state directory.
.SH EXIT STATUS
0 done; 2 wrong use; 3 wrong settings or state; 4 refused; 5 budget; 6 a peer is not
reached; 70 a defect of the program.
.SH SEE ALSO
.BR systemd.exec (5)
"""


def page(version: str, moment: datetime.datetime) -> str:
    """Return the page as troff."""
    head = _HEAD.replace("{date}", f"{moment:%Y-%m-%d}")
    command: Any = typer.main.get_command(app)
    return head.replace("{version}", version) + _entries(command, ()) + _TAIL


def _entries(group: Any, above: tuple[str, ...]) -> str:  # noqa: ANN401 - typer has no name for it in all versions
    found = ""
    for name, command in sorted(group.commands.items()):
        words = (*above, name)
        if getattr(command, "hidden", False):
            continue
        if getattr(command, "commands", None):
            found += _entries(command, words)
        else:
            said = " ".join((command.help or "").split("\n\n")[0].split())
            found += f".TP\n.B {_troff(' '.join(words))}\n{_troff(said)}\n"
    return found


def _troff(text: str) -> str:
    """Return plain text such that troff shows it as it is."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)
