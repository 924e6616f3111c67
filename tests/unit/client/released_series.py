# SPDX-License-Identifier: Apache-2.0
"""Releases with figures that a test chooses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from accord.client.decode import result_of
from accord.client.result import Result
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2

FOUR = ("city-police", "health-service", "hotline", "shelter-north")
FIVE = (*FOUR, "labour")


def months(first: int, count: int, year: int = 2024) -> list[str]:
    """Return names of months in a row."""
    numbers = range(first - 1, first - 1 + count)
    return [f"{year + number // 12}-{number % 12 + 1:02d}" for number in numbers]


def figure(value: float | None, sd: float = 10.0) -> pb.Estimate:
    """Return an estimate; without a value it is suppressed."""
    if value is None:
        return pb.Estimate(suppressed=True, why="small")
    half = 1.96 * sd
    return pb.Estimate(estimate=value, lower=value - half, upper=value + half, sd=sd)


def released(
    rows: Mapping[Any, float | None],
    *,
    by: Sequence[str] = ("registered_month",),
    sd: float = 10.0,
    where: Mapping[str, Sequence[str]] | None = None,
    answered: Sequence[str] = FIVE,
    missing: Sequence[str] = (),
    edition: str = "2026-12",
    **changes: Any,  # noqa: ANN401 - fields of the message
) -> Result:
    """Return a release with these rows, by the tuple of their values."""
    message = pb.Release(
        id=str(uuid.uuid4()),
        agreement="regional-trends",
        agreement_version=changes.pop("agreement_version", 2),
        edition=edition,
        measure=changes.pop("measure", "persons"),
        unit=changes.pop("unit", "persons"),
        by=[common_pb2.Grouping(dimension=name, level=name) for name in by],
        where=[
            common_pb2.Filter(dimension=name, values=values)
            for name, values in (where or {}).items()
        ],
        rows=[
            pb.Row(values=values, estimate=figure(value, sd))
            for values, value in rows.items()
        ],
        persons=figure(1000.0),
        dropped=figure(3.0),
        cost=pb.Cost(epsilon=0.5, rho=0.0031),
        delta=1e-9,
        coverage=pb.Coverage(answered=answered, missing=missing, cohort="all"),
        level=0.95,
        mechanism=changes.pop("mechanism", "discrete-gaussian"),
        noise_scale=4.0 * sd,
        groups_per_person=changes.pop("groups_per_person", 3),
        cases_per_group=1,
        bounding=changes.pop("bounding", "keep"),
        person_in_at_most=5,
        suppress_below=10,
        released_at=changes.pop("released_at", 1_790_000_000),
        not_covered=["Linkage errors are not covered."],
    )
    for name, value in changes.items():
        if isinstance(value, str):
            setattr(message, name, value)
        else:
            getattr(message, name).extend(value)
    return result_of(message, charged=None, from_archive=True)


def by_month(values: Sequence[float | None], **changes: Any) -> Result:  # noqa: ANN401
    """Return a release of months from January 2024 on."""
    names = months(1, len(values))
    rows = {(name,): value for name, value in zip(names, values, strict=True)}
    return released(rows, **changes)
