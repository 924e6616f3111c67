# SPDX-License-Identifier: Apache-2.0
"""The boundary of a command: an error is one sentence and an exit status.

What `accord.rpc.interceptors.ErrorBoundary` is for a call, this is for a program that
somebody typed. With ``--json`` the error is one line of JSON on standard error, so that
standard output holds answers only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from accord.core.errors import AccordError, InternalError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run_command(command: Callable[[], object], *, unharmed: str) -> int:
    """Run *command* and return its exit status; nothing is ever raised.

    Args:
        command: a typer application, or anything without parameters.
        unharmed: what is safe after a mistake of ours, as a sentence.
    """
    try:
        command()
    except AccordError as error:
        return _say(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        return _say(
            InternalError(
                "INTERNAL_ERROR",
                f"The program made a mistake ({type(error).__name__}); please report "
                f"what you did. {unharmed}",
            )
        )
    return 0


def _say(error: AccordError) -> int:
    # Sentences name files and servers; none of them is to steer the terminal.
    text = "".join(
        each if each.isprintable() or each == "\n" else "\ufffd"
        for each in f"Error: {error}"
    )
    if "--json" in sys.argv:
        content = {
            "reason": error.reason,
            "text": error.sentence,
            "metadata": error.metadata,
        }
        text = json.dumps({"error": content}, ensure_ascii=False)
    print(text, file=sys.stderr)  # noqa: T201 - the command's last words
    return error.exit_code
