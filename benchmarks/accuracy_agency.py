# SPDX-License-Identifier: Apache-2.0
"""The agency that `benchmarks.accuracy` asks: its agreement and its store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import write_columns
from accord.core.dimension import UNKNOWN
from accord.core.model import DataModel
from accord.core.policy import Policy, load_policy_set
from benchmarks.agent_answer import store_columns
from benchmarks.case_table import CaseTable

COUNTS: Final = ("persons", "cases")
OTHERS: Final = (
    "sum(days)",
    "mean(days)",
    "quantile(days)",
    "share(exploitation_type)",
    "values(exploitation_type)",
)
MOST_DAYS: Final = 730
CASES_PER_GROUP: Final = 3


def documents(
    table: CaseTable, bound: int, accounting: str, drop_cap: int
) -> dict[str, bytes]:
    """Return policies of one agreement with a bound."""
    dimensions = {
        name: {
            "title": name,
            "levels": [name],
            "values": [each for each in values if each != UNKNOWN],
        }
        for name, values in table.domains.items()
    }
    model = {
        "data_model": "bench-1",
        "dimensions": dimensions,
        "quantities": {
            "days": {"title": "Days", "unit": "days", "bounds": [0, MOST_DAYS]}
        },
    }
    member = {
        "remit": {"description": "everything"},
        "lifetime": {
            "zcdp": {"epsilon": 100, "delta": 1e-9},
            "pure": {"epsilon": 100},
        },
    }
    labels = ["north", "south", "west"]
    delta = {"delta": 1e-9} if accounting == "zcdp" else {}
    agreement = {
        "agreement": "bench",
        "version": 1,
        "purpose": ["measuring"],
        "hub_operator": "nobody",
        "parties": labels,
        "recipients": {"roles": ["analyst"], "organisations": ["bench"]},
        "data_model": "bench-1",
        "editions": {"every": "month"},
        "may_ask": {
            "measures": [*COUNTS, *OTHERS],
            "group_by": dict.fromkeys(dimensions, "all"),
            "at_most_dimensions": 3,
        },
        "protect": {
            "person_in_at_most": 1,
            "reason_for_fewer_agencies": "one agency has all records",
            "groups_per_person": bound,
            "cases_per_group": CASES_PER_GROUP,
            "drop_cap": drop_cap,
            "suppress_below": 0,
            "noise": "hub",
            "hub_sees_exact_pooled_sums": "accepted",
        },
        "spend": {
            "accounting": accounting,
            **delta,
            "each_release_at_most": {"epsilon": 50},
            "each_analyst": {"epsilon": 50, "every": 90},
            "everyone": {"epsilon": 50, "every": 365},
        },
        "approval": {"quorum": 1},
        "valid": {
            "from": "2026-01-01",
            "until": "2027-12-31",
            "review_by": "2027-06-30",
        },
    }
    members = {
        "network": "bench",
        "members": {label: {"name": label, **member} for label in labels},
    }
    return {
        "members.yaml": json.dumps(members).encode(),
        "models/bench-1.yaml": json.dumps(model).encode(),
        "agreements/bench.yaml": json.dumps(agreement).encode(),
    }


def policy_of(table: CaseTable, bound: int, accounting: str, drop_cap: int) -> Policy:
    """Return the agreement with a bound."""
    found = load_policy_set(documents(table, bound, accounting, drop_cap)).policy(
        "bench"
    )
    if found is None:
        message = "the set has this agreement"
        raise RuntimeError(message)
    return found


def write_store(folder: Path, table: CaseTable, model: DataModel) -> None:
    """Write the agency's store in the codes of *model*."""

    def coded() -> Iterator[tuple[str, npt.NDArray[Any]]]:
        for name, values in store_columns(table):
            if name not in table.domains:
                yield name, values
                continue
            dimension = model.dimension(name)
            codes = [dimension.code(value) for value in table.domains[name]]
            yield name, np.array(codes, np.uint8).take(values)
        days = np.random.default_rng(11).gamma(1.6, 90, table.rows)
        yield "days", np.minimum(days, MOST_DAYS).astype(np.int32)

    write_columns(
        folder,
        coded(),
        model=model.name,
        model_digest=model.digest,
        created_at=dt.datetime.now(dt.UTC),
    )
