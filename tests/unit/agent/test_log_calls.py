# SPDX-License-Identifier: Apache-2.0
"""Every line that the agent can log, read from its own source.

The allow-list drops keys at run time; here no call may need that, no text that was put
together may be logged, and no sentence of an error, which could name what it is about.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from accord.agent.settings import Settings
from accord.rpc.logs import ALLOWED, configure, goes_to_journal

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for folder in ("agent/accord/agent", "core/accord")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
LEVELS = frozenset({"info", "warning", "error"})
EVENT = re.compile(r"[a-z]+(\.[a-z_]+)+")

TELLING = frozenset({"sentence", "args", "message", "payload", "path", "name"})
"""Attributes that may hold what a line must not; but for names of types."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield where each call of a logger stands, its method, and the call."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Attribute) and _is_logger(function.value):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield place, function.attr, node
            for first, given in _partials(node):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield place, first, given


def _partials(node: ast.Call) -> Iterator[tuple[str, ast.Call]]:
    """Yield a call of a logger that is put off: ``partial(log.info, ...)``."""
    if not (
        isinstance(node.func, ast.Name) and node.func.id == "partial" and node.args
    ):
        return
    first = node.args[0]
    if isinstance(first, ast.Attribute) and _is_logger(first.value):
        yield (
            first.attr,
            ast.Call(func=first, args=node.args[1:], keywords=node.keywords),
        )


def _is_logger(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "log"
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("get_logger", "log.bind")
    )


LINES = [(place, node) for place, method, node in calls() if method in LEVELS]
BOUND = [(place, node) for place, method, node in calls() if method == "bind"]


def test_there_are_some() -> None:
    assert len(LINES) > 20
    assert {method for _, method, _ in calls()} <= LEVELS | {"bind"}


@pytest.mark.parametrize(("place", "node"), LINES, ids=[place for place, _ in LINES])
def test_a_line_has_a_fixed_event_and_known_keys(place: str, node: ast.Call) -> None:
    assert len(node.args) == 1, place
    event = node.args[0]
    if isinstance(event, ast.Constant):
        assert EVENT.fullmatch(str(event.value)), place
    else:  # one of a few that its function is called with
        assert isinstance(event, ast.Name), place
    _check_values(place, node)


@pytest.mark.parametrize(("place", "node"), BOUND, ids=[place for place, _ in BOUND])
def test_what_is_bound_has_known_keys(place: str, node: ast.Call) -> None:
    assert not node.args, place
    _check_values(place, node)


def _check_values(place: str, node: ast.Call) -> None:
    for each in node.keywords:
        if each.arg is None:  # ``**about``, of a function that is checked where called
            continue
        assert each.arg in ALLOWED, f"{place}: {each.arg}"
        for inner in ast.walk(each.value):
            assert not isinstance(inner, ast.JoinedStr), place
            if isinstance(inner, ast.Attribute) and inner.attr in TELLING:
                assert (each.arg, inner.attr) in {
                    ("library", "name"),
                    ("rpc", "name"),
                }, f"{place}: {ast.unparse(each.value)}"
            if isinstance(inner, ast.Call):
                assert ast.unparse(inner.func) not in {"str", "repr"}, place


class TestLevels:
    def lines(self, level: str) -> list[dict[str, object]]:
        out = io.StringIO()
        try:
            configure("agent", out, level=level)
            log = structlog.get_logger()
            log.info("question.asked", reason="EXPIRED")
            log.warning("hub.doubted", sentence="Maribel")
            log.error("state.restored")
        finally:
            structlog.reset_defaults()
        return [json.loads(line) for line in out.getvalue().splitlines()]

    @pytest.mark.parametrize(
        ("level", "number"), [("info", 3), ("warning", 2), ("error", 1)]
    )
    def test_what_is_less_important_is_not_written(
        self, level: str, number: int
    ) -> None:
        lines = self.lines(level)
        assert len(lines) == number
        assert all(line.keys() <= ALLOWED for line in lines)
        assert "Maribel" not in json.dumps(lines)

    def test_the_setting_has_no_other(self) -> None:
        assert Settings().log_level == "info"
        with pytest.raises(ValueError, match="log_level"):
            Settings.model_validate({"log_level": "debug"})


def test_lines_for_the_journal_have_its_priorities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As systemd starts a service: its journal is at the other end of the stream."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        found = os.fstat(out.fileno())
        assert not goes_to_journal(out)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert goes_to_journal(out)
        assert not goes_to_journal(io.StringIO())
        try:
            configure("agent", out)
            log = structlog.get_logger()
            for write in (log.info, log.warning, log.error):
                write("question.asked")
        finally:
            structlog.reset_defaults()
        out.seek(0)
        lines = out.read().splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<4>", "<3>"]
    assert all(json.loads(line[3:])["event"] == "question.asked" for line in lines)
