# SPDX-License-Identifier: Apache-2.0
"""Shares of noise that an agency can draw in a second, beside other programs.

Polya shares beside the prototype that this design began with, where it lies in
``../shared/prototypes``; Gaussian shares beside OpenDP's discrete Gaussian, which an
agent does not install. All draw for the same number of cells, exactly, from a
cryptographic generator, and take turns in one process; figures are medians of wall
time::

    python -m benchmarks.noise_shares
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import opendp.prelude as dp

from accord.noise.gaussian import discrete_gaussian
from accord.noise.polya import polya
from accord.noise.randomness import Words

CELLS = 100_000
SMALL = 1800
"""Cells of an ordinary answer; its time is what an agency waits for."""

REPEATS = 7
GOAL = 1e6
"""Polya shares in a second, at the scale and number of parts below."""

GOAL_SCALE, GOAL_PARTS = 10, 9
POLYA = ((1, 9), (GOAL_SCALE, GOAL_PARTS), (100, 9), (1000, 9), (10_000, 9), (100, 199))
PROTOTYPE_UP_TO = 1000
"""The prototype's cost grows with the scale: above this one it takes minutes."""

GAUSSIAN = (2, 30, 500)
PROTOTYPE = (
    Path(__file__).resolve().parent.parent.parent
    / "shared/prototypes/secure_aggregation"
)

Draw = Callable[[int], object]
"""Draws so many shares."""


def prototype(scale: int, parts: int) -> Draw | None:
    """Return the prototype's way to draw Polya shares, if it is there."""
    if scale > PROTOTYPE_UP_TO or not (PROTOTYPE / "noise.py").is_file():
        return None
    sys.path.insert(0, str(PROTOTYPE))
    try:
        module = importlib.import_module("noise")
    finally:
        sys.path.remove(str(PROTOTYPE))
    table = module.NBTable(1, parts, 1, scale)
    return lambda cells: table.share(module.Vec(), cells)


def opendp_gaussian(scale: int) -> Draw:
    """Return OpenDP's way to draw Gaussian shares."""
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    measurement = dp.m.make_gaussian(
        domain, dp.l2_distance(T="f64"), scale=float(scale)
    )
    return lambda cells: measurement([0] * cells)


def rates(programs: dict[str, Draw], cells: int = CELLS) -> dict[str, float]:
    """Return shares in a second of programs that take turns."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(REPEATS + 1):  # the first turn only warms up
        for name, program in programs.items():
            begun = time.perf_counter()
            program(cells)
            if turn:
                times[name].append(time.perf_counter() - begun)
    return {name: cells / statistics.median(one) for name, one in times.items()}


def measure() -> dict[str, dict[str, float]]:
    """Return shares in a second, by law, and ours for a small answer."""
    dp.enable_features("contrib")
    found: dict[str, dict[str, float]] = {}
    for scale, parts in POLYA:

        def shares(cells: int, scale: int = scale, parts: int = parts) -> object:
            return polya(Words(os.urandom(32)), Fraction(scale), parts, cells)

        other = prototype(scale, parts)
        found[_polya(scale, parts)] = _compared(shares, "prototype", other)
    for scale in GAUSSIAN:

        def draws(cells: int, scale: int = scale) -> object:
            return discrete_gaussian(Words(os.urandom(32)), Fraction(scale), cells)

        other = opendp_gaussian(scale)
        found[f"Gaussian, scale {scale}"] = _compared(draws, "OpenDP", other)
    return found


def _polya(scale: int, parts: int) -> str:
    return f"Polya, scale {scale}, {parts} parts"


def _compared(ours: Draw, name: str, other: Draw | None) -> dict[str, float]:
    """Return our rate, that of another program and ours for a small answer."""
    found = rates({"ours": ours} | ({name: other} if other else {}))
    return found | {"small": rates({"ours": ours}, SMALL)["ours"]}


def show(figures: dict[str, dict[str, float]]) -> None:
    """Print the figures."""
    print(f"shares of noise for {CELLS:,} cells, median of {REPEATS}")
    for name, row in figures.items():
        ours, small = row["ours"], SMALL / row["small"] * 1e3
        verdict = ""
        if name == _polya(GOAL_SCALE, GOAL_PARTS):
            verdict = f" (goal {GOAL / 1e6:g} M: {'met' if ours >= GOAL else 'MISSED'})"
        beside = "".join(
            f", {other} {rate / 1e6:.3f} M/s ({ours / rate:.1f}x)"
            for other, rate in row.items()
            if other not in {"ours", "small"}
        )
        print(
            f"  {name:28} {ours / 1e6:5.2f} M/s{verdict}{beside}; "
            f"{SMALL:,} cells {small:.1f} ms"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.noise_shares")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    chosen = parser.parse_args(arguments)
    figures = measure()
    if chosen.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
