# SPDX-License-Identifier: Apache-2.0
"""Small agencies for tests: a state directory, a data model, sources as CSV."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Mapping as Fields
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.intake.ingest import Ingested, ingest
from accord.agent.intake.mapping import Mapping, load_mapping
from accord.agent.settings import Ingest
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.entries import leaf_filters
from accord.core.layout import lay_out
from accord.core.measure import Bounds, ComponentVector, component_vector
from accord.core.model import DataModel, load_model
from accord.core.privacy import Accounting
from accord.core.query import Query, canonical_query

NOW = datetime.datetime(2026, 3, 5, 12, tzinfo=datetime.UTC)
LIMITS = Ingest(memory="256MiB", spill="1GiB")

MODEL_TEXT = """\
data_model: small
dimensions:
  registered_month:
    title: Month
    calendar: {from: "2024-01", until: "2025-12"}
  region:
    title: Region
    levels: [region]
    values: [north, south, west]
  age_band:
    title: Age
    levels: [fine, broad]
    values: {"0-17": ["0-8", "9-17"], "18+": ["18-47", "48+"]}
  exploitation_type:
    title: Type
    multi: 3
    levels: [type]
    values: [labour, sexual, begging, military, none]
quantities:
  days:
    title: Days in care
    unit: days
    bounds: [0, 730]
    scale: 2
"""

MODEL = load_model(MODEL_TEXT, "small.yaml")

MAPPING_TEXT = """\
mapping: files
data_model: small
person: [first, last, born]
case: [number]
dimensions:
  registered_month: {column: date, date: day}
  region: {column: region}
  age_band: {birth_date: born, at: date}
  exploitation_type: {column: type, separator: ";"}
quantities:
  days: {column: days}
"""

HEADER = ("first", "last", "born", "number", "date", "region", "type", "days", "notes")

Row = Fields[str, str]


def row(**fields: str) -> dict[str, str]:
    """Return a row of `HEADER` with sensible fields where none are given."""
    usual = {
        "first": "Ana",
        "last": "Novak",
        "born": "2000-05-01",
        "number": "1",
        "date": "2024-02-03",
        "region": "north",
        "type": "labour",
        "days": "10",
        "notes": "",
    }
    return usual | fields


def write_csv(
    path: Path, rows: Sequence[Row], header: Sequence[str] = HEADER, **options: str
) -> Path:
    """Write rows as CSV; `encoding` and `separator` are options."""
    encoding = options.get("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, header, delimiter=options.get("separator", ","))
        writer.writeheader()
        writer.writerows(rows)
    return path


def mapping(text: str = MAPPING_TEXT, model: DataModel = MODEL) -> Mapping:
    """Return a mapping of the small model."""
    return load_mapping(text, "mapping.yaml", model)


def new_state(folder: Path) -> AgentState:
    """Make a state directory with keys that are the same in every test."""
    state = AgentState.create(folder)
    names = (("pseudonym.key", b"p"), ("store.key", b"s"), ("agency.key", b"a"))
    for name, byte in names:
        (state.keys / name).write_bytes(byte * 32)
    return state


def ingest_rows(
    state: AgentState,
    rows: Sequence[Row],
    text: str = MAPPING_TEXT,
    header: Sequence[str] = HEADER,
    now: datetime.datetime = NOW,
) -> Ingested:
    """Ingest rows through a CSV file."""
    source = write_csv(state.root.parent / f"{state.root.name}.csv", rows, header)
    return ingest(state, mapping(text), [source], LIMITS, now)


def ask(
    *group_by: str,
    measure: str = "persons",
    where: Fields[str, list[str]] | None = None,
) -> Query:
    """Return a query of the small model; `dimension:level` groups at a level."""
    parts = [name.partition(":") for name in group_by]
    return canonical_query(
        agreement="small-trends",
        edition="2026-01",
        measure=measure,
        group_by=[(name, level or None) for name, _, level in parts],
        where=where or {},
        model=MODEL,
    )


def declared(query: Query, groups: int = 2, cases: int = 2) -> ComponentVector:
    """Return the declaration of the vector that answers *query*."""
    bounds = Bounds(groups_per_person=groups, cases_per_group=cases, drop_cap=2)
    return component_vector(query, MODEL, bounds, Accounting.ZCDP)


def vector(
    state: AgentState, query: Query, groups: int = 2, cases: int = 2
) -> npt.NDArray[np.int64]:
    """Return the agency's bounded vector of the current store."""
    with Columns.open(state.current) as columns:
        return bounded_vector(
            columns,
            lay_out(query, MODEL),
            leaf_filters(query, MODEL),
            declared(query, groups, cases),
        )


def store_bytes(state: AgentState) -> dict[str, bytes]:
    """Return the store's columns and persons, byte for byte."""
    build = state.current.resolve()
    return {path.name: path.read_bytes() for path in build.glob("*.npy")}
