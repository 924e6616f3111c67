# SPDX-License-Identifier: Apache-2.0
"""The help of ``accord-agent`` is ordered by what staff wants to do, and documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from accord.agent.cli import ANSWER, CARE, JOIN, LEAVES, RECORDS, app

PAGE = Path(__file__).parents[3] / "docs" / "ref-json.md"


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield every command below another one, with its words."""
    below = getattr(command, "commands", {})
    if not below:
        yield " ".join(words), command
    for name, each in below.items():
        yield from commands(each, (*words, name))


def forms() -> Iterator[str]:
    """Yield the commands of which the page says what they print as JSON."""
    text = PAGE.read_text("utf-8")
    yield from re.findall(r"`accord-agent ([a-z -]+?) --json`", text)
    for cell in re.findall(r"^\| (`accord-agent [^|]+) \|", text, re.MULTILINE):
        first, *others = (
            re.sub(r" --.*$", "", each) for each in re.findall("`([^`]+)`", cell)
        )
        first = first.removeprefix("accord-agent ")
        yield first
        for other in others:
            yield other
            yield " ".join([*first.split()[:-1], other])


def test_every_command_stands_in_a_panel() -> None:
    command: Any = typer.main.get_command(app)
    panels = {name: made.rich_help_panel for name, made in command.commands.items()}
    assert set(panels.values()) == {JOIN, RECORDS, ANSWER, LEAVES, CARE}, panels


def test_every_form_for_programs_is_documented() -> None:
    documented = set(forms())
    found = {
        name
        for name, each in commands(typer.main.get_command(app))
        if any(option.name == "as_json" for option in each.params)
    }
    assert len(found) > 30
    assert not found - documented
