# SPDX-License-Identifier: Apache-2.0
"""Results made by hand, as a hub would send them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from accord.client.decode import result_of
from accord.client.derive.figure import reach
from accord.client.described import (
    AgreementSummary,
    Description,
    DimensionDescription,
)
from accord.client.result import Result
from accord.client.reviewed import Review
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2

ID = "9f0c8d7e-6c1e-4c5e-9d42-0d8f2a6d5c11"


def estimate(value: float | None, sd: float = 5.0, level: float = 0.95) -> pb.Estimate:
    """Return an estimate with its interval; without a number, a suppressed one."""
    if value is None:
        return pb.Estimate(suppressed=True, why="small")
    half = reach(sd, level, laplace=False)
    return pb.Estimate(estimate=value, lower=value - half, upper=value + half, sd=sd)


def made(
    rows: Mapping[Any, float | None],
    by: Sequence[str],
    *,
    sd: float = 5.0,
    persons: float = 0.0,
    **fields: Any,  # noqa: ANN401
) -> Result:
    """Return a result with these estimates."""
    given: dict[str, Any] = {
        "id": ID,
        "agreement": "regional-trends",
        "agreement_version": 1,
        "edition": "2026-09",
        "measure": "persons",
        "mechanism": "discrete-gaussian",
        "level": 0.95,
        "suppress_below": 10,
        "coverage": pb.Coverage(answered=["a", "b", "c"], cohort="all"),
        "cost": pb.Cost(epsilon=0.5),
        "groups_per_person": 3,
        "released_at": 1_790_000_000,
    }
    release = pb.Release(
        by=[common_pb2.Grouping(dimension=name, level=name) for name in by],
        rows=[
            pb.Row(values=values, estimate=estimate(value, sd))
            for values, value in rows.items()
        ],
        persons=estimate(persons, sd),
        dropped=estimate(0, sd),
        **(given | fields),
    )
    return result_of(release, charged=None, from_archive=True)


def described(*names: str, constant: bool = True, multi: bool = False) -> Description:
    """Return an agreement with these dimensions."""
    return Description(
        summary=AgreementSummary(
            name="regional-trends",
            version=1,
            purposes=(),
            parties=("a", "b", "c"),
            valid_from="2026-01-01",
            valid_until="2026-12-31",
            accounting="zcdp",
        ),
        measures=("persons", "cases"),
        dimensions=tuple(
            DimensionDescription(
                name=name, title=name, multi_valued=multi, levels={}, constant=constant
            )
            for name in names
        ),
        editions=(),
        document="",
        at_most_dimensions=3,
        each_release_epsilon=3.0,
        delta=1e-9,
        suppress_below=10,
        review=Review(),
    )


def other(result: Result, identifier: str, **fields: Any) -> Result:  # noqa: ANN401
    """Return the same result under another id."""
    return dataclasses.replace(result, id=identifier, **fields)
