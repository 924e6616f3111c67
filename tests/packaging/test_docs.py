# SPDX-License-Identifier: Apache-2.0
"""The documents and the program say the same: reasons, settings, commands, forms."""

from __future__ import annotations

import ast
import importlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest
import typer

from accord.agent.mapping import (
    DimensionEntry,
    MappingForm,
    QuantityEntry,
    SourceForm,
)
from accord.agent.report import SENTENCES
from accord.agent.settings import Settings as AgentSettings
from accord.agent.state import AgentState
from accord.client.decode import result_of
from accord.core import errors
from accord.core.agreement import Agreement, load_agreement
from accord.core.agreement_form import AgreementForm
from accord.core.epsilon_delta import exact_epsilon
from accord.core.interval import half_width
from accord.core.members import MembersForm
from accord.core.model import DataModel, load_model
from accord.core.query import canonical_query
from accord.core.terms import Terms, mechanism_for, terms
from accord.hub.db.tables import METADATA
from accord.hub.pricing import loss_for
from accord.hub.settings import HubSettings
from accord.ledger import SCHEMA
from accord.v1 import analyst_pb2, common_pb2
from tests.packaging.distributions import ROOT
from tools import documents

DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
PROGRAMS = {
    "accord-hub": "accord.hub.cli",
    "accord-agent": "accord.agent.cli",
    "accord": "accord.client.cli",
}
FIRST_CELL = re.compile(r"^\|\s*`(?P<name>[^`]+)`", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return a section of a page, up to the next heading of its level or above."""
    level = heading.split(" ", maxsplit=1)[0]
    body = text.split(f"\n{heading}\n", maxsplit=1)[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", body, maxsplit=1)[0]


def first_cells(text: str) -> list[str]:
    """Return the names in the first column of all tables."""
    return [match["name"] for match in FIRST_CELL.finditer(text)]


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
    for root in ("core", "hub", "agent", "client"):
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


def reasons_in_code() -> set[str]:
    """Return every reason that the program can give.

    Where it is no plain text, it is one of an agency's refusals or came from a peer.
    """
    raised = names_of_errors() | {"Rejected"}
    found = {
        reason
        for tree in product_trees()
        for node in ast.walk(tree)
        for reason in reasons_of(node, raised)
        if reason and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", reason)
    }
    refusals = {
        name.removeprefix("REFUSAL_REASON_") for name in common_pb2.RefusalReason.keys()
    }
    return found | (refusals - {"UNSPECIFIED"})


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
        *("DOCUMENT_INVALID", "ANSWER_OUT_OF_RANGE", "LOCAL_RULE"),
    } <= reasons_in_code()


def test_every_kind_of_error_has_its_statuses() -> None:
    rows = section(page("ref-errors.md"), "# Reference: reasons of errors")
    for name in names_of_errors() - {"AccordError", "DocumentError"}:
        kind = getattr(errors, name)
        row = rf"^\|[^|]*`{name}`[^|]*\| {kind.code} \| {kind.exit_code} \|$"
        assert re.search(row, rows, re.MULTILINE), name


def test_exit_statuses_are_explained() -> None:
    statuses = {0} | {
        getattr(errors, name).exit_code for name in names_of_errors() - {"DocumentError"}
    }
    text = section(page("ref-cli.md"), "## Exit status")
    assert {int(found) for found in re.findall(r"^\| (\d+) ", text, re.M)} == statuses


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


def _commands(name: str, command: Any) -> Iterator[tuple[str, frozenset[str]]]:
    below = getattr(command, "commands", None)
    if below is not None:
        for word, other in below.items():
            yield from _commands(f"{name} {word}", other)
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


# Languages and forms


def entries_of(form: type[pydantic.BaseModel]) -> Iterator[str]:
    """Yield the names of all entries of a form and of the forms in it."""
    for name, field in form.model_fields.items():
        yield field.alias or name
        for inner in _forms_in(field.annotation):
            yield from entries_of(inner)


def _forms_in(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _forms_in(inner)


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("ref-agreement.md", [AgreementForm, MembersForm]),
        ("ref-mapping.md", [MappingForm, SourceForm, DimensionEntry, QuantityEntry]),
    ],
)
def test_every_entry_of_a_language_is_explained(
    name: str, forms: list[type[pydantic.BaseModel]]
) -> None:
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`", page(name)))))
    known = {entry for form in forms for entry in entries_of(form)}
    assert sorted(known - words) == []


def test_every_reason_to_leave_a_row_out_is_explained() -> None:
    text = section(page("ref-mapping.md"), "## Why a row is left out")
    assert first_cells(text) == [reason.word for reason in SENTENCES]


def test_the_sample_reply_has_the_documented_entries() -> None:
    block = next(
        found for found in documents.blocks(page("ref-json.md")) if found.body[0] == "{"
    )
    sample = json.loads(block.body)
    release = analyst_pb2.Release(
        by=[common_pb2.Grouping(dimension="region", level="region")],
        rows=[analyst_pb2.Row(values=["norvale"])],
    )
    real = result_of(release, charged=None, from_archive=False).as_json()
    assert sample.keys() == real.keys()
    assert sample["release"].keys() == real["release"].keys()
    for row in sample["release"]["rows"]:
        assert row.keys() == real["release"]["rows"][0].keys()
    assert sample["charged"].keys() == real["charged"].keys()


def test_every_table_of_a_database_is_explained(tmp_path: Path) -> None:
    text = page("data-model.md")
    ledger = {
        name
        for statement in SCHEMA
        for name in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statement)
    }
    hub = section(text, "### Tables of hub.db")
    assert set(first_cells(hub)) == set(METADATA.tables) | ledger
    agent = section(text, "## The agent's state directory")
    with AgentState.create(tmp_path / "agent").ledger() as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
            "'sqlite_%'"
        ).fetchall()
    assert [name for (name,) in rows if f"`{name}`" not in agent] == []


# Claims and figures


def test_claims_point_to_tests_that_exist() -> None:
    text = page("privacy-guarantee.md")
    pattern = re.compile(r"`(test_\w+)`|\((?:\.\./)(tests/[\w/]+\.py)\)")
    waiting: list[str] = []
    pairs: list[tuple[str, Path]] = []
    for match in pattern.finditer(text):
        if match[1]:
            waiting.append(match[1])
        else:
            pairs += [(name, ROOT / match[2]) for name in waiting]
            waiting = []
    assert not waiting
    assert len(pairs) > 10
    for name, path in pairs:
        assert f"def {name}(" in path.read_text(encoding="utf-8"), name


@pytest.fixture(scope="module")
def sample() -> tuple[Agreement, DataModel, Terms]:
    """Return the sample agreement with the terms of a question about persons."""
    policies = ROOT / "policies"
    text = (policies / "models/cases-v1.yaml").read_text(encoding="utf-8")
    model = load_model(text, "cases-v1.yaml")
    text = (policies / "agreements/regional-trends.yaml").read_text(encoding="utf-8")
    agreement = load_agreement(text, "regional-trends.yaml", {model.name: model})
    query = canonical_query(
        agreement=agreement.name,
        edition="2026-01",
        measure="persons",
        group_by=[("region", None)],
        where={},
        model=model,
    )
    return agreement, model, terms(agreement, model, query)


def test_the_worked_sensitivity_is_right(
    sample: tuple[Agreement, DataModel, Terms],
) -> None:
    _, _, found = sample
    text = section(page("privacy-guarantee.md"), "## Sensitivity")
    assert f"D1 is {found.d1} and D2² is {found.d2_squared}" in text


def test_the_promised_accuracy_is_right(
    sample: tuple[Agreement, DataModel, Terms],
) -> None:
    agreement, _, found = sample
    text = section(page("how-to-analyst.md"), "## Price first")
    rows = re.findall(r"^\| ([\d.]+) \| ± (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    for epsilon, promised in rows:
        loss = loss_for(agreement, exact_epsilon(Fraction(epsilon)))
        mechanism = mechanism_for(agreement, found, at_most=loss)
        width = half_width(mechanism).half_width / found.vector.cells.scale
        assert abs(width - int(promised)) <= 0.5


def test_what_an_attacker_can_be_sure_of_is_right() -> None:
    text = section(page("how-to-board.md"), "## What ε means")
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) % \|$", text, re.MULTILINE)
    assert len(rows) == 6
    for epsilon, share in rows:
        odds = math.exp(float(epsilon))
        assert float(share) == pytest.approx(100 * odds / (1 + odds), abs=0.05)
