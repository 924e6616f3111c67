# SPDX-License-Identifier: Apache-2.0
"""How the bound on one person is kept, chosen from what was released before.

Where persons often stand in more groups than may count, giving each of their groups
less weight (`Bounding.WEIGH`) loses less of the total than leaving groups out, and the
noise is the same: a person with m > L0 groups adds about sqrt(L0 m) instead of L0.
Where they do not, keeping is simpler and exact. Only public facts decide: the measure,
the accounting, and whether an earlier release with the same groups shows a dropped
share above its own noise.
"""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from accord.core.agreement import Agreement
from accord.core.measure import Bounding
from accord.core.privacy import Accounting
from accord.core.query import GroupBy, Kind, Query
from accord.hub.releases import archive

MOST_READ = 100
"""Summaries of the newest releases that are looked through."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What an earlier release with the same groups and bounds says was left out."""

    release: str
    """Its id."""
    dropped_share: float
    is_above_noise: bool
    """Whether the interval of what was left out lies above 0."""


def choose_bounding(agreement: Agreement, query: Query, past: Past | None) -> Bounding:
    """Return how the bound on one person is kept in the answer to a question."""
    weighed = past is not None and past.is_above_noise
    if weighed and Bounding.WEIGH in boundings(agreement, query):
        return Bounding.WEIGH
    return Bounding.KEEP


def boundings(agreement: Agreement, query: Query) -> tuple[Bounding, ...]:
    """Return the ways in which the bound can be kept in the answer to a question."""
    if query.measure.kind is Kind.PERSONS and agreement.accounting is Accounting.ZCDP:
        return Bounding.KEEP, Bounding.WEIGH
    return (Bounding.KEEP,)


def newest_like(
    tx: sa.Connection, query: Query, archive_digest: str, *, unsafe: bool
) -> Past | None:
    """Return what the newest release with the same groups says, if there is one.

    Args:
        tx: the caller's transaction.
        query: what is asked; filter, edition and measure may differ.
        archive_digest: of the data model and the bounds, which may not.
        unsafe: whether releases of the unsafe test mode are meant, or the others.
    """
    for listed in archive.newest(
        tx, query.agreement, archive_digest, MOST_READ, unsafe=unsafe
    ):
        groups = {GroupBy(group.dimension, group.level) for group in listed.by}
        stored = archive.get(tx, listed.id) if groups == {*query.group_by} else None
        if stored is not None and stored.content is not None:
            release = stored.release
            return Past(
                release=release.id,
                dropped_share=release.dropped_share,
                is_above_noise=release.dropped.lower > 0,
            )
    return None
