# SPDX-License-Identifier: Apache-2.0
"""Cost of one bounded answer in PostgreSQL, against the same rule typed by hand.

A million coded cases are exported into a server of the benchmark's own. Each question
is asked by the statement that the agent writes, and by one that a database
administrator would type for it: same bounds, same places, same answer. Both take turns;
figures are medians. The goal is a ratio of at most 1.3. Beside them stands the local
store on the same machine::

    python -m benchmarks.pushdown                1 M rows
    python -m benchmarks.pushdown --rows 100000
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.pushdown.dialect import Dialect
from accord.agent.pushdown.export import export
from accord.agent.pushdown.fold import fold
from accord.agent.pushdown.plan import plan
from accord.agent.pushdown.session import DatabaseSession, Session
from accord.agent.pushdown.table import CodedTable, TableName
from accord.agent.settings import Database
from accord.agent.sources.access import Access
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.entries import LeafFilter
from accord.core.layout import Axis, Layout, Numbers
from accord.core.measure import Bounding, Component, ComponentVector
from accord.core.privacy import Accounting
from accord.core.query import CASES, PERSONS, Kind, Measure
from benchmarks.case_table import MONTHS, REGIONS, CaseTable, case_table
from tests.contract.postgres import Cluster, PostgresUnavailableError, cluster

ROWS = 1_000_000
REPEATS = 5
GOAL = 1.3
GROUPS, LINF, DROP_CAP = 3, 2, 6
MEANS = 12
MOST_DAYS = 730
UNRECORDED = 0.1
TABLE = TableName(name="accord_cases")

MONTH = Axis(
    dimension="month",
    level="month",
    values=MONTHS,
    cell_of_leaf=tuple(range(len(MONTHS))),
)
YEAR = Axis(
    dimension="month",
    level="year",
    values=tuple(str(2019 + year) for year in range(len(MONTHS) // 12)),
    cell_of_leaf=tuple(month // 12 for month in range(len(MONTHS))),
)
REGION = Axis(
    dimension="region",
    level="region",
    values=REGIONS,
    cell_of_leaf=tuple(range(len(REGIONS))),
)
MEAN = Axis(
    dimension="means",
    level="means",
    values=tuple(f"m{number}" for number in range(MEANS)),
    cell_of_leaf=tuple(range(MEANS)),
)
WOMEN = LeafFilter(dimension="gender", wanted=(True, False, False, False))
SUM = Measure(Kind.SUM, "days")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and how somebody types it."""

    name: str
    layout: Layout
    vector: ComponentVector
    by_hand: str
    where: tuple[LeafFilter, ...] = ()


def counted(cases: int = 1) -> ComponentVector:
    return ComponentVector.of_counts(
        Accounting.ZCDP, groups=GROUPS, drop_cap=DROP_CAP, cases=cases
    )


def summed() -> ComponentVector:
    unit = MOST_DAYS
    return ComponentVector(
        groups=GROUPS,
        bounding=Bounding.KEEP,
        slots=(
            Component(bound=LINF * unit, scale=1, stored=LINF * unit),
            Component(bound=LINF, scale=unit),
        ),
        cell_d1=LINF * unit,
        cell_d2_squared=(LINF * unit) ** 2,
        persons=Component(bound=1, scale=1),
        dropped=Component(bound=DROP_CAP, scale=1),
        cases=LINF,
    )


LAST = f"""
ranked AS (
  SELECT cell, n, row_number() OVER (PARTITION BY person ORDER BY least, cell) AS place
  FROM groups
)
SELECT cell,
  sum(n) FILTER (WHERE place <= {GROUPS}),
  count(*) FILTER (WHERE place = 1),
  count(*) FILTER (WHERE place > {GROUPS})
FROM ranked WHERE place <= {GROUPS + DROP_CAP} GROUP BY cell
"""

ASKED = (
    Asked(
        name="persons by month and region",
        layout=Layout(measure=PERSONS, axes=(MONTH, REGION)),
        vector=counted(),
        by_hand=f"""WITH groups AS (
          SELECT person, month * {len(REGIONS)} + region AS cell,
            min(order_key) AS least, 1 AS n
          FROM accord_cases WHERE person_known = 1 GROUP BY 1, 2
        ), {LAST}""",
    ),
    Asked(
        name="persons by year, women",
        layout=Layout(measure=PERSONS, axes=(YEAR,)),
        vector=counted(),
        where=(WOMEN,),
        by_hand=f"""WITH groups AS (
          SELECT person, month / 12 AS cell, min(order_key) AS least, 1 AS n
          FROM accord_cases WHERE person_known = 1 AND gender = 0 GROUP BY 1, 2
        ), {LAST}""",
    ),
    Asked(
        name="persons by means (several of a case)",
        layout=Layout(measure=PERSONS, axes=(MEAN,)),
        vector=counted(),
        by_hand=f"""WITH groups AS (
          SELECT person, bit AS cell, min(order_key) AS least, 1 AS n
          FROM accord_cases JOIN generate_series(0, {MEANS - 1}) AS bit
            ON means__0 >> bit & 1 = 1
          WHERE person_known = 1 GROUP BY 1, 2
        ), {LAST}""",
    ),
    Asked(
        name="cases by month and region",
        layout=Layout(measure=CASES, axes=(MONTH, REGION)),
        vector=counted(LINF),
        by_hand=f"""WITH groups AS (
          SELECT person, month * {len(REGIONS)} + region AS cell,
            min(order_key) AS least, least(count(*), {LINF}) AS n
          FROM accord_cases GROUP BY 1, 2
        ), {LAST}""",
    ),
    Asked(
        name="sum of days by year",
        layout=Layout(
            measure=SUM,
            axes=(YEAR,),
            slots=("sum", "unknown"),
            numbers=Numbers(quantity="days", lower=0, upper=MOST_DAYS, edges=()),
        ),
        vector=summed(),
        by_hand=f"""WITH turns AS (
          SELECT person, month / 12 AS cell, days,
            min(order_key) OVER (PARTITION BY person, month / 12) AS least,
            row_number() OVER (
              PARTITION BY person, month / 12 ORDER BY case_place) AS turn
          FROM accord_cases
        ), ranked AS (
          SELECT *, dense_rank() OVER (PARTITION BY person ORDER BY least, cell)
            AS place FROM turns
        )
        SELECT cell,
          sum(days)
            FILTER (WHERE place <= {GROUPS} AND turn <= {LINF}),
          count(*) FILTER (
            WHERE place <= {GROUPS} AND turn <= {LINF} AND days IS NULL),
          count(*) FILTER (WHERE place = 1 AND turn = 1),
          count(*) FILTER (WHERE place > {GROUPS} AND turn = 1)
        FROM ranked WHERE place <= {GROUPS + DROP_CAP} GROUP BY cell""",
    ),
)


def store_columns(table: CaseTable) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Sort and code the table; random order keys stand for the keyed hashes."""
    rng = np.random.default_rng(3)
    _, ordinal = np.unique(table.person, return_inverse=True)
    key = rng.integers(0, 2**64, table.rows, np.uint64)
    order = np.lexsort((key, ordinal))
    yield "person", ordinal.astype(np.uint32)[order]
    yield "person_known", np.ones(table.rows, np.uint8)
    yield "order_key", key[order]
    for name, codes in table.codes.items():
        yield name, codes[order]
    masks = 1 << rng.integers(0, MEANS, table.rows) | 1 << rng.integers(
        0, MEANS, table.rows
    )
    yield "means__0", masks.astype(np.uint16)
    days = rng.integers(0, MOST_DAYS, table.rows)
    yield (
        "days",
        np.where(rng.random(table.rows) < UNRECORDED, -(2**31), days).astype("<i4"),
    )


@contextlib.contextmanager
def connected(server: Cluster, folder: Path) -> Iterator[Session]:
    user, _, rest = server.database().partition("://")[2].partition(":")
    password, _, place = rest.partition("@")
    secret = folder / "password"
    secret.write_text(password, encoding="ascii")
    secret.chmod(0o600)
    database = Database(
        url=f"postgresql://{user}@{place}", password_file=secret.name, tls="off"
    )
    access = Access(name="own", database=database, folder=folder, writes=True)
    with access.connected() as connection:
        yield DatabaseSession(
            access=access, connection=connection, dialect=Dialect.POSTGRESQL
        )


def in_turns(programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(REPEATS + 1):  # the first turn only warms up
        for name, program in programs.items():
            begun = time.perf_counter()
            program()
            if turn:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(session: Session, columns: Columns) -> bool:
    """Ask everything both ways, print the table, and tell whether the goal is met."""
    table = CodedTable(name=TABLE, columns=session.columns(TABLE))
    print(f"{'question':<40} {'ours':>8} {'by hand':>8} {'ratio':>6} {'store':>8}")
    met = True
    for each in ASKED:
        asked = plan(table, each.layout, each.where, each.vector, session.dialect)
        text = asked.text()
        found = fold(asked, session.rows(text))
        kept = bounded_vector(columns, each.layout, each.where, each.vector)
        if not np.array_equal(found, kept):
            message = f"{each.name}: the database and the store differ"
            raise SystemExit(message)
        _check(each, session, found)
        seconds = in_turns(
            {
                "ours": lambda text=text: session.rows(text),  # type: ignore[misc]  # bound now
                "hand": lambda each=each: session.rows(each.by_hand),  # type: ignore[misc]  # bound now
                "store": lambda each=each: bounded_vector(  # type: ignore[misc]  # bound now
                    columns, each.layout, each.where, each.vector
                ),
            }
        )
        ratio = seconds["ours"] / seconds["hand"]
        met = met and ratio <= GOAL
        print(
            f"{each.name:<40} {seconds['ours']:>7.2f}s {seconds['hand']:>7.2f}s "
            f"{ratio:>6.2f} {seconds['store']:>7.2f}s"
        )
    print(f"goal: ratio at most {GOAL}: {'met' if met else 'MISSED'}")
    return met


def _check(asked: Asked, session: Session, found: npt.NDArray[np.int64]) -> None:
    """Make sure that what is typed by hand answers the same question."""
    rows = session.rows(asked.by_hand)
    slots, scales = len(asked.layout.slots), [s.scale for s in asked.vector.slots]
    cells = np.zeros((asked.layout.n_cells, slots), np.int64)
    persons = dropped = 0
    for cell, *amounts, person, left_out in rows:
        cells[int(cell)] = [
            int(amount or 0) * scale
            for amount, scale in zip(amounts, scales, strict=True)
        ]
        persons += int(person)
        dropped += int(left_out)
    if not np.array_equal(cells.reshape(-1), found[:-2]) or (persons, dropped) != (
        found[-2] // asked.vector.persons.scale,
        found[-1] // asked.vector.dropped.scale,
    ):
        message = f"{asked.name}: the statement by hand gives another answer"
        raise SystemExit(message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with (
        tempfile.TemporaryDirectory(prefix="accord-bench-") as place,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(place)
        write_columns(
            folder / "store",
            store_columns(case_table(rows)),
            model="benchmark",
            model_digest="0" * 64,
            created_at=datetime.datetime.now(datetime.UTC),
        )
        try:
            server = stack.enter_context(cluster())
        except PostgresUnavailableError as problem:
            message = f"no PostgreSQL server here: {problem}"
            raise SystemExit(message) from None
        session = stack.enter_context(connected(server, folder))
        with Columns.open(folder / "store") as columns:
            begun = time.perf_counter()
            export(session, columns, TABLE)
            taken = time.perf_counter() - begun
            print(f"pushdown, PostgreSQL, {rows:,} case rows")
            print(f"export {taken:.1f} s, {rows / taken:,.0f} rows/s")
            met = measure(session, columns)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
