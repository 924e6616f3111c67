# SPDX-License-Identifier: Apache-2.0
"""Cost of one bounded answer at an agency, against unprotected SQL on its raw file.

Persons by month and region (1,800 cells), at most three groups of a person. Ours runs
over the column store; DuckDB, one thread, runs ``COUNT(DISTINCT person_id)`` and
``COUNT(*)`` with the same ``GROUP BY`` over the raw Parquet file. All three take turns
in one process; figures are medians of CPU time, and what the column store cost to
build stands beside them. Memory is measured in a process of its own::

    python -m benchmarks.agent_answer            1 M rows
    python -m benchmarks.agent_answer --large    1 M and 10 M rows
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.core.layout import Axis, Layout
from accord.core.measure import LEAST_CELL_SCALE, ComponentVector
from accord.core.privacy import Accounting
from accord.core.query import PERSONS
from benchmarks.case_table import (
    MONTHS,
    MOST_GROUPS,
    REGIONS,
    CaseTable,
    case_table,
    write_parquet,
)

SMALL, LARGE = 1_000_000, 10_000_000
REPEATS = 5
GROUPS, DROP_CAP = 3, 6
DISTINCT_GOAL, COUNT_GOAL, MEMORY_GOAL = 0.5, 3.0, 64.0

LAYOUT = Layout(
    measure=PERSONS,
    axes=tuple(
        Axis(
            dimension=name,
            level=name,
            values=values,
            cell_of_leaf=tuple(range(len(values))),
        )
        for name, values in (("month", MONTHS), ("region", REGIONS))
    ),
)


def declaration(groups: int, drop_cap: int) -> ComponentVector:
    return ComponentVector.of_counts(Accounting.ZCDP, groups=groups, drop_cap=drop_cap)


def answer(store: Path) -> npt.NDArray[np.int64]:
    """Open the store and answer, as an agent does for every requisition."""
    with Columns.open(store) as columns:
        return bounded_vector(columns, LAYOUT, (), declaration(GROUPS, DROP_CAP))


def store_columns(table: CaseTable) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Sort and code the table; random order keys stand for the keyed hashes."""
    _, ordinal = np.unique(table.person, return_inverse=True)
    key = np.random.default_rng(3).integers(0, 2**64, table.rows, np.uint64)
    order = np.lexsort((key, ordinal))
    yield "person", ordinal.astype(np.uint32)[order]
    yield "person_known", np.ones(table.rows, np.uint8)
    yield "order_key", key[order]
    for name, codes in table.codes.items():
        yield name, codes[order]


def prepare(folder: Path, rows: int) -> dict[str, float]:
    """Write raw file and store into *folder*; return what that cost."""
    table = case_table(rows)
    write_parquet(table, folder / "raw.parquet")
    begun = time.process_time()
    form = write_columns(
        folder / "store",
        store_columns(table),
        model="benchmark",
        model_digest="0" * 64,
        created_at=datetime.datetime.now(datetime.UTC),
    )
    built = time.process_time() - begun
    size = sum(path.stat().st_size for path in (folder / "store").iterdir())
    return {"build_s": built, "store_mb": size / 1e6, "persons": form.persons}


def compare(folder: Path) -> dict[str, float]:
    """Return median CPU seconds of the three, measured in turns."""
    import duckdb

    raw, store = str(folder / "raw.parquet"), folder / "store"
    connection = duckdb.connect(config={"threads": 1})

    def sql(value: str) -> list[tuple[str, str, int]]:
        rows: list[tuple[str, str, int]] = connection.execute(
            f"SELECT month, region, {value} FROM read_parquet(?) GROUP BY ALL", [raw]
        ).fetchall()
        return rows

    programs: dict[str, Callable[[], object]] = {
        "ours_s": lambda: answer(store),
        "distinct_s": lambda: sql("count(DISTINCT person_id)"),
        "count_s": lambda: sql("count(*)"),
    }
    _check(store, sql("count(DISTINCT person_id)"))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(REPEATS + 1):  # the first turn only warms up
        for name, program in programs.items():
            begun = time.process_time()
            program()
            if turn:
                times[name].append(time.process_time() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def _check(store: Path, expected: list[tuple[str, str, int]]) -> None:
    """Compare with SQL where nobody reaches the bound: both must be equal."""
    cells = np.zeros(LAYOUT.n_cells, np.int64)
    for month, region, count in expected:
        cells[MONTHS.index(month) * len(REGIONS) + REGIONS.index(region)] = count
    with Columns.open(store) as columns:
        found = bounded_vector(columns, LAYOUT, (), declaration(MOST_GROUPS, 0))
    if not np.array_equal(found[:-2], cells * LEAST_CELL_SCALE):
        message = "the answer differs from COUNT(DISTINCT)"
        raise SystemExit(message)


def memory(folder: Path) -> dict[str, float]:
    """Return the private memory of one answer in MB, measured in two ways."""
    before = _anonymous_mb()
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.0005):
            peak = max(peak, _anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(3):
        answer(folder / "store")
    peak = max(peak, _anonymous_mb())
    done.set()
    watcher.join()
    tracemalloc.start()
    answer(folder / "store")
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"resident_mb": peak - before, "traced_mb": traced / 1e6}


def _anonymous_mb() -> float:
    """Return resident memory that no file backs; mapped columns are not in it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def measure(rows: int) -> dict[str, float]:
    """Run every step in a process of its own and return all figures."""
    figures: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        for step in ("prepare", "compare", "memory"):
            command = [sys.executable, "-m", __spec__.name, "--step", step]
            done = subprocess.run(
                [*command, "--folder", folder, "--rows", str(rows)],
                check=True,
                cwd=Path(__file__).parent.parent,
                stdout=subprocess.PIPE,
            )
            figures |= json.loads(done.stdout)
    return figures


def show(figures: dict[str, float]) -> None:
    """Print the figures of one size."""
    ours, build = figures["ours_s"], figures["build_s"]
    private = max(figures["resident_mb"], figures["traced_mb"])
    print(
        f"agent answer, {figures['rows']:,.0f} case rows of {figures['persons']:,.0f} "
        f"persons, {LAYOUT.n_cells:,} cells, L0 = {GROUPS}, drop cap {DROP_CAP}, "
        f"median of {REPEATS}\n"
        f"  ours                      {ours * 1e3:9.1f} ms CPU"
        f"  {figures['rows'] / ours / 1e6:.0f} M rows/s"
    )
    for title, name, goal in (
        ("COUNT(DISTINCT), raw file", "distinct_s", DISTINCT_GOAL),
        ("COUNT(*), raw file", "count_s", COUNT_GOAL),
    ):
        ratio = ours / figures[name]
        print(
            f"  {title:25} {figures[name] * 1e3:9.1f} ms CPU"
            f"  ours is {ratio:.2f}x{_verdict(ratio, goal)}"
        )
    print(
        f"  private memory            {private:9.1f} MB{_verdict(private, MEMORY_GOAL)}"
        f"  resident {figures['resident_mb']:.1f}, traced {figures['traced_mb']:.1f}\n"
        f"  building the store, once  {build * 1e3:9.1f} ms CPU"
        f"  {figures['rows'] / build / 1e6:.1f} M rows/s, "
        f"{figures['store_mb']:.0f} MB on disk"
    )


def _verdict(value: float, goal: float) -> str:
    return f" (goal {goal:g}: {'met' if value <= goal else 'MISSED'})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.agent_answer")
    parser.add_argument("--large", action="store_true", help="10 M rows as well")
    parser.add_argument("--rows", type=int, help="another number of rows")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.step == "prepare":
        print(json.dumps(prepare(chosen.folder, chosen.rows)))
    elif chosen.step is not None:
        step = {"compare": compare, "memory": memory}[chosen.step]
        print(json.dumps(step(chosen.folder)))
    else:
        sizes = [chosen.rows or SMALL, *([LARGE] if chosen.large else [])]
        for rows in sizes:
            figures = measure(rows)
            if chosen.json:
                print(json.dumps(figures))
            else:
                show(figures)


if __name__ == "__main__":
    main()
