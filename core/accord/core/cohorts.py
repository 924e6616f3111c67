# SPDX-License-Identifier: Apache-2.0
"""Whether answers for several cohorts would, taken together, give one party away.

Noise protects persons, not an agency's total. Whoever holds the pooled answers of
several cohorts can add and subtract them; what comes out is the total of one party
exactly if that party's unit vector lies in the span of the cohorts' 0/1 vectors. So
abc, bde and abcde give ``b`` away, although no two of them differ by one party.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction


def singled_out(cohorts: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return the parties whose own total the cohorts' answers determine, sorted.

    A unit vector is in the row space exactly if it is a row of the reduced echelon
    form. Exact arithmetic: agreements have few parties.
    """
    members = [frozenset(cohort) for cohort in cohorts]
    parties = sorted(frozenset[str]().union(*members))
    rows = [[Fraction(party in cohort) for party in parties] for cohort in members]
    return tuple(
        parties[next(index for index, entry in enumerate(row) if entry)]
        for row in _reduced(rows)
        if sum(1 for entry in row if entry) == 1
    )


def _reduced(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the non-zero rows of the reduced row echelon form."""
    done = 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((r for r in range(done, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        head = rows[done][column]
        rows[done] = [entry / head for entry in rows[done]]
        for other, row in enumerate(rows):
            if other != done and row[column]:
                factor = row[column]
                rows[other] = [
                    entry - factor * lead
                    for entry, lead in zip(row, rows[done], strict=True)
                ]
        done += 1
    return rows[:done]
