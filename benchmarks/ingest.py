# SPDX-License-Identifier: Apache-2.0
"""Cost of an ingest: from a raw file to pseudonyms, in order, and a store on disk.

The whole ingest runs as an agency runs it (mapping, sandbox, hashing, Parquet, columns,
fsync) in a process of its own; its CPU time counts, DuckDB's threads included. Beside
it stand the parts that hash: one pseudonym for each distinct person and one order key
for each case::

    python -m benchmarks.ingest            1 M rows of Parquet
    python -m benchmarks.ingest --csv      the same as CSV
    python -m benchmarks.ingest --large    10 M rows as well
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from accord.agent.intake.ingest import ingest
from accord.agent.intake.mapping import load_mapping
from accord.agent.intake.pseudonym import (
    KeyedHash,
    Kind,
    as_words,
    framed_one,
    order_keys,
    subject,
)
from accord.agent.state import AgentState
from accord.core.model import load_model
from benchmarks.case_table import (
    AGES,
    FORMS,
    GENDERS,
    MONTHS,
    REGIONS,
    case_table,
    write_parquet,
)

SMALL, LARGE = 1_000_000, 10_000_000
GOAL = 300_000
"""Rows per CPU second."""

HASHED = 1_000_000
"""Messages that the hashing alone is measured with."""

MAPPING = """\
mapping: benchmark
data_model: benchmark
person: [person_id]
dimensions:
  month: {column: month, date: month}
  region: {column: region}
  exploitation_type: {column: exploitation_type}
  gender: {column: gender}
  age_group: {column: age_group}
"""


def model_text() -> str:
    """Return the data model of the benchmark's table."""
    lines = ["data_model: benchmark", "dimensions:"]
    lines.append(
        "  month: {title: Month, calendar: "
        f'{{from: "{MONTHS[0]}", until: "{MONTHS[-1]}"}}}}'
    )
    for name, values in (
        ("region", REGIONS),
        ("exploitation_type", FORMS),
        ("gender", GENDERS),
        ("age_group", AGES),
    ):
        listed = ", ".join(f'"{value}"' for value in values if value != "unknown")
        lines.append(
            f"  {name}: {{title: {name}, levels: [{name}], values: [{listed}]}}"
        )
    return "\n".join(lines) + "\n"


def prepare(folder: Path, rows: int, kind: str) -> dict[str, float]:
    """Write the raw file."""
    source = folder / "raw.parquet"
    write_parquet(case_table(rows), source)
    if kind == "csv":
        import duckdb

        duckdb.connect().execute(
            f"COPY (FROM '{source}') TO '{folder / 'raw.csv'}' (FORMAT csv, HEADER)"
        )
    return {"raw_mb": (folder / f"raw.{kind}").stat().st_size / 1e6}


def build(folder: Path, kind: str) -> dict[str, float]:
    """Ingest the raw file; return CPU and wall seconds, and the peak of memory."""
    state = AgentState.create(folder / "state")
    mapping = load_mapping(MAPPING, "mapping", load_model(model_text(), "model"))
    now = datetime.datetime.now(datetime.UTC)
    limits = state.settings().ingest
    before, wall = _cpu(), time.perf_counter()
    done = ingest(state, mapping, [folder / f"raw.{kind}"], limits, now)
    if done.report.refused or done.report.kept != done.report.read:
        message = "rows were refused or lost"
        raise SystemExit(message)
    store = (path.stat() for path in state.current.resolve().glob("*"))
    return {
        "cpu_s": _cpu() - before,
        "wall_s": time.perf_counter() - wall,
        "persons": done.report.persons,
        "store_mb": sum(entry.st_size for entry in store) / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def hashing(_folder: Path, _kind: str) -> dict[str, float]:
    """Return the CPU seconds of a million pseudonyms and a million order keys."""
    key, prefix = KeyedHash(b"k" * 32), subject(Kind.PERSON)
    texts = [f"{number:027d}" for number in range(HASHED)]
    begun = _cpu()
    digests = key.digests(prefix + framed_one(text) for text in texts)
    as_words(digests)
    middle = _cpu()
    whose = [digests[start : start + 32] for start in range(0, len(digests), 32)]
    content = subject(Kind.ROW, "benchmark") + bytes(10)
    order_keys(key, (who + content for who in whose))
    return {"pseudonyms_s": middle - begun, "order_keys_s": _cpu() - middle}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(rows: int, kind: str) -> dict[str, float]:
    """Run every step in a process of its own and return all figures."""
    figures: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        for step in ("prepare", "build", "hashing"):
            command = [sys.executable, "-m", __spec__.name, "--step", step]
            command += ["--folder", folder, "--rows", str(rows), "--kind", kind]
            done = subprocess.run(
                command,
                check=True,
                cwd=Path(__file__).parent.parent,
                stdout=subprocess.PIPE,
            )
            figures |= json.loads(done.stdout)
    return figures


def show(figures: dict[str, float], kind: str) -> None:
    """Print the figures of one size."""
    rows, persons = figures["rows"], figures["persons"]
    speed = rows / figures["cpu_s"]
    verdict = "met" if speed >= GOAL else "MISSED"
    pseudonyms = HASHED / figures["pseudonyms_s"]
    keys = HASHED / figures["order_keys_s"]
    part = (persons / pseudonyms + rows / keys) / figures["cpu_s"]
    print(
        f"ingest, {rows:,.0f} case rows of {persons:,.0f} persons, {kind} of "
        f"{figures['raw_mb']:.0f} MB\n"
        f"  whole ingest              {figures['cpu_s']:9.2f} s CPU "
        f"({figures['wall_s']:.2f} s wall)  {speed:,.0f} rows/s per core "
        f"(goal {GOAL:,}: {verdict})\n"
        f"  pseudonyms alone          {pseudonyms / 1e6:9.2f} M/s per core\n"
        f"  order keys alone          {keys / 1e6:9.2f} M/s per core\n"
        f"  hashing, of the whole     {part:9.0%}\n"
        f"  store on disk             {figures['store_mb']:9.0f} MB\n"
        f"  peak of memory            {figures['peak_mb']:9.0f} MB"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.ingest")
    parser.add_argument("--large", action="store_true", help="10 M rows as well")
    parser.add_argument("--rows", type=int, help="another number of rows")
    parser.add_argument("--csv", action="store_true", help="a CSV file")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    kind = "csv" if chosen.csv else "parquet"
    if chosen.step == "prepare":
        print(json.dumps(prepare(chosen.folder, chosen.rows, chosen.kind)))
    elif chosen.step is not None:
        step = {"build": build, "hashing": hashing}[chosen.step]
        print(json.dumps(step(chosen.folder, chosen.kind)))
    else:
        sizes = [chosen.rows or SMALL, *([LARGE] if chosen.large else [])]
        for rows in sizes:
            figures = measure(rows, kind)
            if chosen.json:
                print(json.dumps(figures))
            else:
                show(figures, kind)


if __name__ == "__main__":
    main()
