# SPDX-License-Identifier: Apache-2.0
"""A page opened in a browser without its address on any command line.

Other users of the machine can read the arguments of every program. The address has an
invitation that works once, so a browser is started with the name of a private file that
leads there.
"""

from __future__ import annotations

import contextlib
import functools
import html
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from accord.rpc.loopback.guard import Session

_LEADS = """\
<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
"""


@contextlib.contextmanager
def launched(session: Session, port: int, *, browser: bool) -> Iterator[bool]:
    """Open a page, and say whether a browser took it.

    The file is removed when somebody is let in, and at the latest with the block.

    Args:
        session: of the page.
        port: where it is served.
        browser: else nothing is opened.
    """
    if not browser:
        yield False
        return
    with tempfile.TemporaryDirectory(
        prefix="accord-", ignore_cleanup_errors=True
    ) as folder:  # of mode 0700
        file = Path(folder, "open.html")
        content = _LEADS.format(address=html.escape(session.address(port)))
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as opened:
            opened.write(content)
        session.on_entry = functools.partial(_forget, file)
        yield webbrowser.open(file.as_uri())


def _forget(file: Path) -> None:
    """Remove the file; who is being let in does not wait for a browser to close it."""
    with contextlib.suppress(OSError):
        file.unlink()
