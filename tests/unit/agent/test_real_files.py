# SPDX-License-Identifier: Apache-2.0
"""Published tables go through the shipped mappings without losing a row."""

from __future__ import annotations

import collections
import csv
import gzip
from pathlib import Path

import pytest

from accord.agent.intake.ingest import check, ingest
from accord.agent.intake.mapping import Mapping, load_mapping
from accord.agent.policies import model_for_mapping
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.core.layout import lay_out
from accord.core.measure import LEAST_CELL_SCALE, Bounds, component_vector
from accord.core.model import DataModel
from accord.core.privacy import Accounting
from accord.core.query import canonical_query
from tests.conftest import ROOT
from tests.unit.agent.agencies import LIMITS, NOW, new_state


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def model(state: AgentState) -> DataModel:
    return model_for_mapping(state, "cases-v1", None)


def shipped(name: str, model: DataModel) -> Mapping:
    text = (ROOT / "policies" / "mappings" / f"{name}.yaml").read_text()
    return load_mapping(text, f"{name}.yaml", model)


def counts(state: AgentState, model: DataModel, dimension: str) -> dict[str, int]:
    """Return the number of persons for each value, which nothing bounds here."""
    query = canonical_query(
        agreement="any",
        edition="2026-01",
        measure="persons",
        group_by=[(dimension, None)],
        where={},
        model=model,
    )
    layout = lay_out(query, model)
    bounds = Bounds(groups_per_person=64, cases_per_group=1, drop_cap=1)
    with Columns.open(state.current, model_digest=model.digest) as columns:
        vector = component_vector(query, model, bounds, Accounting.ZCDP)
        found = bounded_vector(columns, layout, (), vector).tolist()
    cells = zip(layout.axes[0].values, found, strict=False)
    return {value: count // LEAST_CELL_SCALE for value, count in cells if count}


def test_ctdc(state: AgentState, model: DataModel, shared_data: Path) -> None:
    source = shared_data / "ctdc_global_synthetic_20210825.csv.gz"
    report = ingest(state, shipped("ctdc-2021", model), [source], LIMITS, NOW).report
    assert (report.read, report.kept, report.refused) == (193_025, 193_025, 0)
    assert report.persons == report.kept
    with gzip.open(source, "rt", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    years = collections.Counter(
        f"{each['yearOfRegistration']}-??" if each["yearOfRegistration"] else "unknown"
        for each in rows
    )
    assert counts(state, model, "registered_month") == dict(years)
    debt = sum(each["meansOfControlDebtBondage"] == "1" for each in rows)
    assert counts(state, model, "means_of_control")["debt_bondage"] == debt
    country = collections.Counter(each["citizenship"] or "unknown" for each in rows)
    assert counts(state, model, "citizenship") == dict(country)


def test_nrm(
    state: AgentState, model: DataModel, shared_data: Path, tmp_path: Path
) -> None:
    with (shared_data / "uk_nrm_leaf_2022Q2_2023Q4.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = [each for each in table for _ in range(int(each["people"]))]
    source = tmp_path / "nrm.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(rows)
    mapping = shipped("uk-nrm", model)
    assert check(state, mapping, [source], LIMITS).refused == 0
    report = ingest(state, mapping, [source], LIMITS, NOW).report
    assert (report.read, report.kept, report.persons) == (30_197,) * 3
    quarters = collections.Counter(
        f"{each['quarter'][:4]}-{each['quarter'][4:]}-??" for each in rows
    )
    assert counts(state, model, "registered_month") == dict(quarters)
    albanian = sum(each["nationality"] == "Albanian" for each in rows)
    assert counts(state, model, "citizenship")["ALB"] >= albanian > 0
