# SPDX-License-Identifier: Apache-2.0
"""What an invented agreement offers, as a hub describes it."""

from __future__ import annotations

from accord.client.sql.offer import Offer, offer_of
from accord.v1 import analyst_pb2 as pb

YEARS = (2025, 2026)
MONTHS = [f"{year}-{month:02}" for year in YEARS for month in range(1, 13)]
QUARTERS = [f"{year}-Q{quarter}" for year in YEARS for quarter in range(1, 5)]


def described() -> pb.DescribeAgreementResponse:
    """Return a description with dimensions of every kind."""
    return pb.DescribeAgreementResponse(
        measures=[
            *("persons", "cases", "sum(days_in_care)", "mean(days_in_care)"),
            *("quantile(days_in_care)", "share(means)", "values(means)", "share(harm)"),
        ],
        dimensions=[
            _dimension(
                "registered_month",
                month=[*MONTHS, "2026-Q1-??", "2026-??", "unknown"],
                quarter=[*QUARTERS, "2026-??", "unknown"],
                year=["2025", "2026", "unknown"],
            ),
            _dimension("region", region=["norvale", "eastmere", "sudmark", "unknown"]),
            _dimension(
                "citizenship",
                country=["nova", "ostia", "it's", "west ?", "zeta", "unknown"],
                part=["west", "east", "unknown"],
            ),
            _dimension("gender", gender=["female", "male", "unknown"]),
            _dimension(
                "means", several=True, means=["threats", "debt", "none", "unknown"]
            ),
        ],
        quantities=[pb.QuantityDescription(name="days_in_care")],
    )


def offered() -> Offer:
    """Return what it offers."""
    return offer_of("regional-trends", described())


def _dimension(
    name: str,
    *,
    several: bool = False,
    **levels: list[str],
) -> pb.DimensionDescription:
    return pb.DimensionDescription(
        name=name,
        multi_valued=several,
        levels=[
            pb.LevelDescription(name=level, values=values)
            for level, values in levels.items()
        ],
    )
