# SPDX-License-Identifier: Apache-2.0
"""How exact other engines' figures are, and ours, on one table with one guarantee.

Everybody counts the distinct persons of `benchmarks.case_table` by month and region
(1,800 known cells) in pure differential privacy at epsilon 1, of one person's cells so
many at most (`--bound`). What comes out is compared with what the rows say at no bound:
the error is noise and what the bound leaves out. Each engine is asked in its best
configuration, which its module under `benchmarks.peers` describes with its traps, and
runs in an environment of its own that is made here with pinned versions and hashes.

Ours is what `benchmarks.accuracy` measures. It pays, from the same epsilon, for more
than the cells: for how much the bound leaves out, which no other engine tells. The last
line is the exact discrete Laplace on the same bounded cells, and nothing else::

    python -m benchmarks.accuracy_peers                      1 M rows, three cells
    python -m benchmarks.accuracy_peers --bound 6            fewer left out, more noise
    python -m benchmarks.accuracy_peers --engines tumult     one of them

Medians of several releases. What an engine says of itself while it runs is kept in
`.venv-peers`; one that cannot be asked is named with the reason, and the status is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import Columns
from accord.core._version import __version__
from benchmarks.accuracy import (
    CELLS,
    EPSILON,
    SMALL,
    asked,
    column,
    drawn_alone,
)
from benchmarks.accuracy_agency import policy_of, write_store
from benchmarks.case_table import MONTHS, REGIONS, CaseTable, case_table
from benchmarks.peers.exchange import Asked, command_line, read_answers, write_rows

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / ".venv-peers"
BOUND = 3
RELEASES = 9
DROP_CAP = 1

Figures = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Somebody else's: a module of `benchmarks.peers`, with a lock beside it."""

    name: str
    title: str
    needs_java: bool = False


ENGINES = (
    Engine(name="opendp_context", title="OpenDP Context"),
    Engine(name="pipelinedp", title="PipelineDP"),
    Engine(name="smartnoise", title="SmartNoise SQL"),
    Engine(name="tumult", title="Tumult Analytics", needs_java=True),
)


class LeftOut(Exception):
    """An engine cannot be asked here, and why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far releases are from the truth."""

    who: str
    version: str
    error: float
    """Mean absolute error of a figure; the median of the releases."""

    least: float
    most: float
    bias: float
    """Mean error with its sign; the median of the releases."""

    missing: int
    """Cells that a release did not name, at most; a reader takes them for nobody."""


def truth(table: CaseTable) -> Figures:
    """Count distinct persons in every cell, of all their cells."""
    cells = len(MONTHS) * len(REGIONS)
    cell = table.codes["month"].astype(np.int64) * len(REGIONS) + table.codes["region"]
    pairs = np.unique(table.person * cells + cell)
    return np.bincount(pairs % cells, minlength=cells).astype(np.float64)


def measured(
    who: str, version: str, releases: Sequence[Figures], true: Figures
) -> Measured:
    """Compare releases, not a number where a cell is missing, with the truth."""
    off = [np.nan_to_num(release) - true for release in releases]
    errors = [float(np.abs(each).mean()) for each in off]
    return Measured(
        who=who,
        version=version,
        error=statistics.median(errors),
        least=min(errors),
        most=max(errors),
        bias=statistics.median(float(each.mean()) for each in off),
        missing=max(int(np.isnan(release).sum()) for release in releases),
    )


def environment(engine: Engine) -> Path:
    """Return the interpreter of an engine's environment, which is made where needed.

    Raises:
        LeftOut: there is no Java, or what the lock names cannot be installed.
    """
    if engine.needs_java and not (shutil.which("java") or os.getenv("JAVA_HOME")):
        raise LeftOut(
            "it runs on Java, and there is none here; install one (on Debian: "
            "openjdk-17-jre-headless)"
        )
    lock = ROOT / "benchmarks" / "peers" / f"{engine.name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    home, stamp = MADE / engine.name, MADE / engine.name / ".stamp"
    python = home / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
        print(f"making {home.relative_to(ROOT)} …", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _run(engine, [sys.executable, "-m", "venv", str(home)], ROOT)
        install = ["-m", "pip", "--disable-pip-version-check", "--require-virtualenv"]
        wanted = ["install", "--quiet", "--require-hashes", "-r", str(lock)]
        _run(engine, [str(python), *install, *wanted], ROOT)
        stamp.write_text(digest, encoding="utf-8")
    return python


def theirs(engine: Engine, asked: Asked, true: Figures) -> Measured:
    """Ask an engine, in its own environment.

    Raises:
        LeftOut: it cannot be asked, or it failed.
    """
    python = environment(engine)
    command = [str(python), "-m", f"benchmarks.peers.{engine.name}"]
    print(f"asking {engine.title} …", file=sys.stderr, flush=True)
    _run(engine, [*command, *command_line(asked)], asked.answers.parent)
    answered = read_answers(asked.answers)
    releases = [np.array(release, np.float64) for release in answered.releases]
    return measured(engine.title, answered.version, releases, true)


def _run(engine: Engine, command: list[str], folder: Path) -> None:
    MADE.mkdir(exist_ok=True)
    log = MADE / f"{engine.name}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        errors = [line for line in said if line.startswith("ERROR: ")] or said[-1:]
        first = errors[0] if errors else f"it ended with status {done.returncode}"
        raise LeftOut(f"{first.rstrip('.')} (all of it in {log.relative_to(ROOT)})")


def ours(
    table: CaseTable, bound: int, releases: int, true: Figures, folder: Path
) -> Iterator[Measured]:
    """Yield our figures, and the best noise on the same cells."""
    policy = policy_of(table, bound, "pure", DROP_CAP)
    write_store(folder, table, policy.model)
    with Columns.open(folder) as columns:
        one = asked(columns, policy, "persons", *CELLS)
    made = [column(one.released(), "estimate") for _ in range(releases)]
    yield measured("Accord", __version__, made, true)
    bounded = column(one.target(), "estimate")
    best = [drawn_alone(one, 1, bounded) for _ in range(releases)]
    yield measured("the cells' noise alone", "", best, true)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def show(found: Sequence[Measured]) -> None:
    """Print one line for each, the error beside ours."""
    (accord,) = (each.error for each in found if each.who == "Accord")
    print(
        f"  {'':<24}{'version':<12}{'error':>8}{'least – most':>18}{'bias':>9}"
        f"{'missing':>9}{'error / ours':>14}"
    )
    for each in found:
        spread = f"{each.least:.2f} – {each.most:.2f}"
        print(
            f"  {each.who:<24}{each.version:<12}{each.error:>8.2f}{spread:>18}"
            f"{each.bias:>9.2f}{each.missing:>9}{each.error / accord:>14.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask everybody and print how they did."""
    parser = argparse.ArgumentParser(prog="benchmarks.accuracy_peers")
    for option, usual, meaning in (
        ("--rows", SMALL, "case rows"),
        ("--bound", BOUND, "cells of one person that count"),
        ("--releases", RELEASES, "the median of so many"),
    ):
        parser.add_argument(option, type=_positive, default=usual, help=meaning)
    names = [engine.name for engine in ENGINES]
    parser.add_argument("--engines", nargs="*", choices=names, default=names)
    parser.add_argument("--json", action="store_true", help="figures for programs")
    chosen = parser.parse_args(arguments)
    table = case_table(chosen.rows)
    true = truth(table)
    found, left_out = [], {}
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as name:
        folder = Path(name)
        rows = folder / "rows.csv"
        write_rows(table, rows)
        for engine in ENGINES:
            if engine.name not in chosen.engines:
                continue
            question = Asked(
                table=rows,
                epsilon=int(EPSILON),
                bound=chosen.bound,
                releases=chosen.releases,
                answers=folder / f"{engine.name}.json",
            )
            try:
                found.append(theirs(engine, question, true))
            except LeftOut as why:
                left_out[engine.title] = str(why)
        found += ours(table, chosen.bound, chosen.releases, true, folder / "store")
    if chosen.json:
        fixed = {"rows": chosen.rows, "bound": chosen.bound}
        for each in found:
            print(json.dumps({**fixed, **dataclasses.asdict(each)}))
    else:
        print(
            f"mean absolute error of persons by month and region, {chosen.rows:,} case "
            f"rows, epsilon {EPSILON}, {chosen.bound} cells a person, "
            f"medians of {chosen.releases}"
        )
        show(found)
    for title, reason in left_out.items():
        print(f"{title} is left out: {reason}.", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
