# SPDX-License-Identifier: Apache-2.0
"""The documents and the program say the same: reasons, settings, commands."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pydantic
import pytest
import typer

from accord.agent.settings import Settings as AgentSettings
from accord.core import errors
from accord.hub.settings import HubSettings
from accord.v1 import common_pb2
from tests.packaging.distributions import ROOT
from tests.packaging.pages import DOCS, first_cells, page, section
from tools import documents

PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
PROGRAMS = {
    "accord-hub": "accord.hub.cli",
    "accord-agent": "accord.agent.cli",
    "accord": "accord.client.cli",
}


# Links, examples, targets


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_examples_are_real(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    made = [line for line in documents.command_lines(text) if line.startswith("make ")]
    wrong = [
        *documents.broken_links(path, text),
        *documents.broken_examples(text),
        *filter(None, map(documents.wrong_command, made)),
    ]
    assert wrong == []


def test_the_first_page_leads_to_every_page_for_readers() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {match["target"] for match in documents.LINK.finditer(text)}
    pages = {f"docs/{path.name}" for path in DOCS.glob("*.md")}
    assert pages <= linked
    assert "make demo" in text


def test_every_decision_is_listed() -> None:
    listed = page("adr/README.md")
    for path in (DOCS / "adr").glob("0*.md"):
        assert f"({path.name})" in listed
        assert "Status: " in path.read_text(encoding="utf-8")


# Reasons


def product_trees() -> Iterator[ast.Module]:
    for root in ("core", "hub", "agent", "client", "testing"):
        for path in sorted((ROOT / root / "accord").rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def names_of_errors() -> set[str]:
    """Return the names of `AccordError` and everything that derives from it."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for tree in product_trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {errors.AccordError.__name__}
    while more := {name for name in bases if bases[name] & found} - found:
        found |= more
    return found


def text_of(node: ast.expr | None) -> str | None:
    return (
        node.value
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        else None
    )


def reasons_of(node: ast.AST, raised: set[str]) -> Iterator[str | None]:
    """Yield the reasons that a piece of code gives to an error."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in raised:
            yield text_of(first)
        case ast.Call(func=ast.Attribute(attr="__init__"), args=[first, *_]):
            yield text_of(first)
        case ast.Tuple(elts=[ast.Name(id=name), second, *_]) if name in raised:
            yield text_of(second)
        case ast.keyword(arg="reason", value=value):
            yield text_of(value)
        case ast.Assign(
            targets=[ast.Name(id="reason")], value=ast.IfExp(body=one, orelse=other)
        ):
            yield from (text_of(one), text_of(other))
        case ast.AnnAssign(
            target=ast.Name(id=name), value=ast.Constant(value=text)
        ) if name == text:
            yield name  # a constant that is called as its reason
        case _:
            pass


@functools.cache
def reasons_in_code() -> frozenset[str]:
    """Return every reason that the program can give.

    Where it is no plain text, it is one of an agency's refusals or came from a peer.
    """
    raised = names_of_errors() | {"Rejected", "lack"}
    found = {
        reason
        for tree in product_trees()
        for node in ast.walk(tree)
        for reason in reasons_of(node, raised)
        if reason and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", reason)
    }
    refusals = {
        value.name.removeprefix("REFUSAL_REASON_")
        for value in common_pb2.RefusalReason.DESCRIPTOR.values
    }
    return frozenset(found | (refusals - {"UNSPECIFIED"}))


def reasons_in_docs() -> list[str]:
    return [
        name
        for name in first_cells(page("ref-errors.md"))
        if re.fullmatch(r"[A-Z0-9_]+", name)
    ]


def test_every_reason_is_explained_and_nothing_else() -> None:
    explained = reasons_in_docs()
    assert len(explained) == len(set(explained))
    assert sorted(reasons_in_code() - set(explained)) == []
    assert sorted(set(explained) - reasons_in_code()) == []


def test_the_scan_finds_reasons_in_every_form() -> None:
    """One of each: raised, in a table of errors, passed on, in a base class."""
    assert {
        *("UNKNOWN_LEVEL", "HUB_UNREACHABLE", "AGENCIES_AWAITED"),
        *("DOCUMENT_INVALID", "OPENING_INCOMPLETE", "LOCAL_RULE"),
        *("POLICY_SEAT_MISSING", "POLICY_VERSION_REUSED"),
    } <= reasons_in_code()


ELSEWHERE = {"DocumentError", "SqlError"}
"""Kinds that stand beside what they are about, and have their base's statuses."""


def test_every_kind_of_error_has_its_statuses() -> None:
    rows = page("ref-errors.md").split("\n## ")[0]
    for name in names_of_errors() - {"AccordError", *ELSEWHERE}:
        kind = getattr(errors, name)
        row = rf"^\|[^|]*`{name}`[^|]*\| {kind.code} \| {kind.exit_code} \|$"
        assert re.search(row, rows, re.MULTILINE), name


def test_exit_statuses_are_explained() -> None:
    statuses = {0} | {
        getattr(errors, name).exit_code for name in names_of_errors() - ELSEWHERE
    }
    text = section(page("ref-cli.md"), "## Exit status")
    assert {
        int(found) for found in re.findall(r"^\| (\d+) ", text, re.MULTILINE)
    } == statuses


# Settings


def settings_of(
    form: type[pydantic.BaseModel], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Yield the name and default of every setting, tables with dots."""
    for name, field in form.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            yield from settings_of(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


@pytest.mark.parametrize(
    ("heading", "form"), [("## Hub", HubSettings), ("## Agent", AgentSettings)]
)
def test_every_setting_is_explained_with_its_default(
    heading: str, form: type[pydantic.BaseModel]
) -> None:
    text = section(page("ref-settings.md"), heading)
    prefix = form.model_config["env_prefix"]  # type: ignore[typeddict-item]  # settings
    known = dict(settings_of(form))
    assert sorted(first_cells(text)) == sorted(known)
    for name, default in known.items():
        variable = prefix + name.upper().replace(".", "__")
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{variable}`" in row
        assert shown(default) in {written(cell) for cell in row.split("|")}


def shown(default: object) -> object:
    if default is None:
        return "none"
    if isinstance(default, bool) or not isinstance(default, int | float | Fraction):
        return json.dumps(default) if not isinstance(default, str) else default
    return Fraction(default)


def written(cell: str) -> object:
    text = cell.strip().strip("`")
    try:
        return Fraction(text)
    except ValueError:
        return text


# Commands


def commands(program: str) -> Mapping[str, frozenset[str]]:
    """Return the options of every command by its full name."""
    root = typer.main.get_command(importlib.import_module(PROGRAMS[program]).app)
    return dict(_commands(program, root))


def _commands(
    name: str,
    command: Any,  # noqa: ANN401 - typer has no name for it in all versions
) -> Iterator[tuple[str, frozenset[str]]]:
    below = getattr(command, "commands", None)
    if below is not None:
        for word, other in below.items():
            yield from _commands(f"{name} {word}", other)
        if not command.invoke_without_command:
            return
    options = (
        option
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name != "help"
        for option in (*parameter.opts, *parameter.secondary_opts)
    )
    yield name, frozenset(options)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_explained_with_its_options(program: str) -> None:
    text = section(page("ref-cli.md"), f"## {program}")
    parts = dict(part.split("\n", 1) for part in text.split("\n### ")[1:])
    known = commands(program)
    assert sorted(parts) == sorted(known)
    for name, body in parts.items():
        usage = next(documents.blocks(body)).body
        assert usage.startswith(name)
        found = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage)
        assert set(found) == known[name], name
