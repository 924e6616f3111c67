# SPDX-License-Identifier: Apache-2.0
"""The documents and the program say the same: languages, forms, tables, figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pydantic
import pytest

from accord.agent.intake.mapping import (
    DimensionEntry,
    MappingForm,
    QuantityEntry,
)
from accord.agent.intake.report import SENTENCES
from accord.agent.sources.form import SourceForm
from accord.agent.state import AgentState
from accord.client.decode import result_of
from accord.core.afford import Sensitivity, noise_of, width_for
from accord.core.agreement import Agreement, load_agreement
from accord.core.agreement_form import AgreementForm
from accord.core.board import BoardForm, DeclarationForm
from accord.core.epsilon_delta import (
    epsilon_to_rho_tight,
    exact_epsilon,
    rho_to_epsilon_tight,
)
from accord.core.members import MembersForm
from accord.core.model import DataModel, DataModelForm, load_model
from accord.core.placement import HUB_SEES
from accord.core.preset import PresetForm
from accord.core.query import canonical_query
from accord.core.terms import Terms, terms
from accord.hub.db.revisions import VERSION
from accord.hub.db.tables import METADATA
from accord.hub.questions.pricing import loss_for
from accord.ledger import SCHEMA
from accord.v1 import analyst_pb2, common_pb2
from tests.packaging.distributions import ROOT
from tests.packaging.pages import first_cells, page, section
from tools import documents


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
        (
            "ref-agreement.md",
            [AgreementForm, MembersForm, BoardForm, DeclarationForm, PresetForm],
        ),
        ("data-model.md", [DataModelForm]),
        ("ref-mapping.md", [MappingForm, SourceForm, DimensionEntry, QuantityEntry]),
    ],
)
def test_every_entry_of_a_language_is_explained(
    name: str, forms: list[type[pydantic.BaseModel]]
) -> None:
    code = re.findall(r"```.*?```|`[^`]+`", page(name), re.DOTALL)
    words = set(re.findall(r"[a-z_]+", " ".join(code)))
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
    assert set(first_cells(hub)) == set(METADATA.tables) | ledger | {VERSION.name}
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


def test_what_the_hub_learns_over_time_is_right() -> None:
    text = section(page("privacy-guarantee.md"), "### What the hub learns over time")
    found = re.search(
        r"δ = (\S+), where ε = ([\d., and]+) are the limits for everybody else,\s+"
        r"([\d., and]+) are those for the hub",
        text,
    )
    assert found is not None
    delta = Fraction(found[1])
    limits, hub = (re.findall(r"[\d.]+", found[part]) for part in (2, 3))
    assert len(limits) == len(hub) == 3
    for epsilon, stated in zip(limits, hub, strict=True):
        rho = epsilon_to_rho_tight(Fraction(epsilon), delta)
        exact = rho_to_epsilon_tight(HUB_SEES * rho, delta)
        step = Fraction(1, 10) if exact < 10 else 1
        assert 0 <= Fraction(stated) - exact < step  # two digits, rounded up


def test_the_promised_accuracy_is_right(
    sample: tuple[Agreement, DataModel, Terms],
) -> None:
    agreement, _, found = sample
    wide = Sensitivity(
        d1=found.d1,
        d2_squared=found.d2_squared,
        scale=found.vector.slots[0].scale,
    )
    text = section(page("how-to-analyst.md"), "## Price first")
    rows = re.findall(r"^\| ([\d.]+) \| ± (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    for epsilon, promised in rows:
        loss = loss_for(agreement, exact_epsilon(Fraction(epsilon)))
        width = width_for(noise_of(agreement), loss.nano_rho, wide)
        assert width is not None
        assert abs(width - int(promised)) <= 0.5


def test_what_an_attacker_can_be_sure_of_is_right() -> None:
    text = section(page("how-to-board.md"), "## What ε means")
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) % \|$", text, re.MULTILINE)
    assert len(rows) == 6
    for epsilon, share in rows:
        odds = math.exp(float(epsilon))
        assert float(share) == pytest.approx(100 * odds / (1 + odds), abs=0.05)
