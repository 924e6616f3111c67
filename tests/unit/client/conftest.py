# SPDX-License-Identifier: Apache-2.0
"""A hub for the SDK and the ``accord`` command, and somebody who types."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.client import cli
from accord.rpc.command import run_command
from tests.unit.client.hub_double import Accord, AnalystHub, serving


@pytest.fixture(scope="module")
def serving_hub() -> Iterator[AnalystHub]:
    """Return a hub that serves all tests of a file."""
    with serving() as running:
        yield running


@pytest.fixture
def hub(
    serving_hub: AnalystHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalystHub:
    """Return a hub that nobody has asked anything yet, and set up a user for it."""
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("ACCORD_HUB", serving_hub.address)
    monkeypatch.setenv("ACCORD_TOKEN", serving_hub.token)
    monkeypatch.setenv("COLUMNS", "200")
    serving_hub.begin_anew()
    return serving_hub


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Accord:
    """Run ``accord`` and return its exit status, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["accord", *arguments])
        status = run_command(cli.app, unharmed="")
        said = capsys.readouterr()
        return status, said.out, said.err

    return call
