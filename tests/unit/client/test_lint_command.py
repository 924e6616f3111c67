# SPDX-License-Identifier: Apache-2.0
"""``accord policy lint``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import accord.core
from accord.client.cli.policy import linting
from tests.policies import shipped


def test_every_message_has_a_sentence_and_every_sentence_a_use() -> None:
    """Of the catalogue of this subject."""
    (folder,) = accord.core.__path__
    used: set[str] = set()
    for root in (Path(folder), Path(linting.__file__).parent):
        for file in root.rglob("*.py"):
            used.update(re.findall(r'"(lint\.[a-z-]+)"', file.read_text()))
    catalogue = Path(folder, "locale", "en", "LC_MESSAGES", "lint.po").read_text()
    assert used == set(re.findall(r'msgid "(lint\.[a-z-]+)"', catalogue))


def run(*arguments: str) -> tuple[int, str]:
    """Return exit status and output of ``accord policy lint``."""
    out = subprocess.run(
        [sys.executable, "-m", "accord.client.cli", "policy", "lint", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    return out.returncode, out.stdout


def test_the_command_shows_everything_and_fails_only_for_mistakes(
    tmp_path: Path,
) -> None:
    """One line for each, with the file as it was named; JSON for machines."""
    for path, content in shipped().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    status, output = run(str(tmp_path))
    assert status == 0
    assert "Mistakes: 0. Warnings: 7." in output
    draft = tmp_path / "agreements" / "regional-trends.yaml"
    draft.write_text(draft.read_text().replace("region: region", "region: regio"))
    (tmp_path / "agreements" / "Misnamed.yml").write_text("agreement: x")
    status, output = run(str(tmp_path))
    assert status == 3
    assert f"{draft}:27:39: may_ask.group_by.region: it has no level" in output
    assert f"{tmp_path}/agreements/Misnamed.yml:1:1: a policy is called" in output
    status, output = run("--json", str(draft))
    assert status == 3
    (record,) = json.loads(output)["findings"]
    assert record["file"] == str(draft)
    assert (record["line"], record["column"]) == (27, 39)
    assert record["severity"] == "error"
