# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""The cases of persons, by which they stay out under a corrected name too.

Parts have the key of every case whose mapping has ``case`` columns; parts that were
ingested before they had it are passed over.

Statements are put together from a path of our own, quoted, and names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np

from accord.agent.forgetting.listed import CasesOf
from accord.agent.forgetting.survey import Whom, ordinals
from accord.agent.intake.batches import CASE_KEY
from accord.agent.intake.build import CASES, PERSONS, case_rows
from accord.agent.intake.parts import PARTS, parts_of
from accord.agent.intake.pieces import load_persons
from accord.agent.intake.sandbox import sandbox
from accord.agent.settings import Ingest
from accord.agent.state import AgentState


def cases_held(
    state: AgentState, scratch: Path, limits: Ingest, whom: Whom
) -> dict[bytes, CasesOf]:
    """Return by pseudonym the cases that persons have in the parts of the store.

    Args:
        state: of the agency.
        scratch: private folder, which must not exist.
        limits: of the program that reads.
        whom: the persons.
    """
    found: dict[bytes, CasesOf] = {}
    scratch.mkdir(mode=0o700)
    for number, name in enumerate(parts_of(state.current)):
        folder = (state.current / PARTS / name).resolve()
        work = scratch / str(number)
        for pseudonym, held in _held_in(folder, work, limits, whom):
            before = found.get(pseudonym, CasesOf())
            found[pseudonym] = CasesOf(
                before.cases | held.cases, before.others | held.others
            )
    return found


def _held_in(
    folder: Path, scratch: Path, limits: Ingest, whom: Whom
) -> Iterator[tuple[bytes, CasesOf]]:
    """Yield each of the persons who are in a part, with their cases there."""
    numbers = ordinals(folder, whom)
    if not len(numbers):
        return
    scratch.mkdir(mode=0o700)
    with sandbox(scratch, [folder / CASES], limits) as connection:
        rows = _rows(connection, folder / CASES, numbers.tolist())
    held = load_persons(folder / PERSONS)
    within: dict[int, set[int]] = {}
    for person, case in rows:
        within.setdefault(case, set()).add(person)
    leaving = frozenset(numbers.tolist())
    for number in leaving:
        cases = frozenset(case for case, who in within.items() if number in who)
        others = frozenset(
            (case, np.asarray(held[other]).tobytes())
            for case in cases
            for other in within[case] - leaving
        )
        yield np.asarray(held[number]).tobytes(), CasesOf(cases, others)


def _rows(
    connection: duckdb.DuckDBPyConnection, path: Path, numbers: list[int]
) -> list[tuple[int, int]]:
    """Return person and case of all rows of the cases that persons are in."""
    cases = case_rows(path)
    described = connection.execute(f"DESCRIBE FROM {cases}").fetchall()
    if CASE_KEY not in {str(row[0]) for row in described}:
        return []
    found = connection.execute(
        f"SELECT DISTINCT person, {CASE_KEY} FROM {cases} WHERE {CASE_KEY} IN "
        f"(SELECT {CASE_KEY} FROM {cases} WHERE person IN (SELECT unnest($numbers)))",
        {"numbers": numbers},
    ).fetchall()
    return [(int(person), int(case)) for person, case in found]
