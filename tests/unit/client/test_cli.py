# SPDX-License-Identifier: Apache-2.0
"""The command without a hub: profiles, sentences, exit statuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from accord.client import cli
from accord.client.profile import load_profiles
from accord.rpc.command import run_command
from accord.rpc.tokens import TokenKind, mint

TOKEN = str(mint(TokenKind.ANALYST, bytes(32)))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test's profiles to itself."""
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path))
    for name in ("ACCORD_HUB", "ACCORD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, token: str | None = None
) -> int:
    """Run ``accord`` and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["accord", *arguments])
    if token is not None:
        monkeypatch.setenv("ACCORD_TOKEN", token)
    return run_command(cli.app, unharmed="")


def test_profiles_are_added_listed_and_removed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
) -> None:
    """And the token is never shown again."""
    add = ("profile", "add", "work", "--hub", "hub.example.org:8443", "--json")
    assert run(monkeypatch, *add, token=TOKEN) == 0
    assert load_profiles(folder / "profiles.toml")["work"].token == TOKEN
    assert run(monkeypatch, "profile", "list", "--json") == 0
    assert run(monkeypatch, "profile", "remove", "work", "--json") == 0
    assert run(monkeypatch, "profile", "remove", "work") == 3
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert lines[1] == {"profiles": [{"name": "work", "hub": "hub.example.org:8443"}]}
    assert lines[2] == {"removed": "work"}
    assert "There is no profile 'work'" in printed.err
    assert TOKEN not in printed.out + printed.err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("agreements",), 3, "accord profile add"),
        (("agreements", "--profile", "x"), 3, "There is no profile"),
        (("profile", "add", "--hub", "hub:x"), 3, "host:port"),
        (("query", "--purpose", "p"), 2, "--epsilon"),
        (("query", "--epsilon", "much", "--purpose", "p"), 2, "--epsilon"),
        (("qurey",), 2, "query"),
    ],
)
def test_mistakes_end_with_a_sentence_and_their_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    """Never a traceback."""
    token = TOKEN if arguments[:2] == ("profile", "add") else None
    assert run(monkeypatch, *arguments, token=token) == status
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


def test_nobody_at_the_address_is_exit_six(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason for machines when they ask for it."""
    arguments = ("agreements", "--hub", "127.0.0.1:1", "--json")
    assert run(monkeypatch, *arguments, token=TOKEN) == 6
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["reason"] == "HUB_UNREACHABLE"


def test_a_malformed_token_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would only be shown to a stranger."""
    arguments = ("agreements", "--hub", "127.0.0.1:1")
    assert run(monkeypatch, *arguments, token="accord_a1_nonsense") == 4
    assert "nonsense" not in capsys.readouterr().err


def test_an_unexpected_mistake_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the type of the exception and nothing of its text."""

    def broken() -> None:
        message = "a secret"
        raise KeyError(message)

    monkeypatch.setattr(sys, "argv", ["accord"])
    assert run_command(broken, unharmed="") == 70
    printed = capsys.readouterr().err
    assert "KeyError" in printed
    assert "secret" not in printed
