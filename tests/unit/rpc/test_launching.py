# SPDX-License-Identifier: Apache-2.0
"""The browser is started with the name of a private file, which soon is gone."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from accord.rpc.loopback.guard import Session
from accord.rpc.loopback.launching import launched

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="asks for $BROWSER")

OPENED = """\
import json, pathlib, sys, urllib.request
file = pathlib.Path(urllib.request.url2pathname(sys.argv[1].removeprefix("file://")))
seen = {"arguments": sys.argv[1:], "file": str(file), "text": file.read_text()}
seen |= {"mode": file.stat().st_mode, "folder": file.parent.stat().st_mode}
target = pathlib.Path(__file__).with_name("seen.json")
target.with_suffix(".new").write_text(json.dumps(seen))
target.with_suffix(".new").rename(target)
"""


COMMAND = "from accord.client.cli import main; main()"


def waited(path: Path) -> str:
    for _ in range(600):
        if path.exists():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(path.name)


def test_the_invitation_is_on_no_command_line(tmp_path: Path) -> None:
    script = tmp_path / "browser.py"
    script.write_text(OPENED)
    page = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "board", "--json"],
        env={
            **os.environ,
            "BROWSER": f"{sys.executable} {script} %s &",
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert page.stdout is not None
        said = json.loads(page.stdout.readline())
        assert said["address"] is None
        seen = json.loads(waited(tmp_path / "seen.json"))
        assert stat.S_IMODE(seen["mode"]) == 0o600
        assert stat.S_IMODE(seen["folder"]) == 0o700
        found = re.search(r"url=([^\"]+)", seen["text"])
        assert found is not None
        address = html.unescape(found.group(1))
        invitation = address.partition("invitation=")[2]
        assert len(invitation) > 40
        assert invitation not in " ".join(seen["arguments"])
        assert str(said["port"]) in address
        assert Path(seen["file"]).exists()
        with urllib.request.urlopen(address) as answer:  # noqa: S310  # our own
            assert answer.status == 200
            assert "invitation" not in answer.read().decode()
        assert not Path(seen["file"]).exists()
    finally:
        page.send_signal(signal.SIGINT)
        page.wait()
        page.stdout.close()  # type: ignore[union-attr]
    assert not Path(seen["file"]).parent.exists()


def test_nothing_is_written_where_no_browser_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with launched(Session(cookie_name="c"), 1, browser=False) as opened:
        assert not opened
        assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_removed_keeps_nobody_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as one that a browser on Windows still reads."""

    def busy(_: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(missing_ok)

    session = Session(cookie_name="c")
    invitation = session.address(1).partition("invitation=")[2]
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    with launched(session, 1, browser=True), monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", busy)
        assert session.knows(session.enter(invitation))
