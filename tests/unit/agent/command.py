# SPDX-License-Identifier: Apache-2.0
"""Runs of the command ``accord-agent`` within the test's own process."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from accord.agent.cli import main

SCRIPT = "from accord.agent.cli import main; main()"
"""For a test that needs a process of its own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


class Command:
    """Runs the command and returns all that it says."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self._patch = patch
        self._capture = capture

    def __call__(self, *arguments: object) -> Said:
        self._capture.readouterr()
        self._patch.setattr(sys, "argv", ["accord-agent", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capture.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(status=ended.value.code, stdout=said.out, stderr=said.err)
