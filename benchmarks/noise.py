# SPDX-License-Identifier: Apache-2.0
"""Cost of the hub's noise for one answer, and of the arithmetic around it.

Noise for 1,800 cells and the two extra entries: our one vector call into OpenDP (with
the check of its privacy map), OpenDP called entry by entry, and numpy's continuous
noise, which is fast, seeded by a generator that is not for secrets, and unsafe in its
low bits: a floor to look at, not to reach. All take turns in one process; figures are
medians of wall time::

    python -m benchmarks.noise
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import opendp.prelude as dp

from accord.core.interval import half_width, noisiest_within, standard_deviation
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace, Mechanism
from accord.hub.questions.conversion import epsilon_of, largest_rho
from accord.hub.releases.noise import add_noise

CELLS = 1800
REPEATS = 15
GOAL_MS = 40.0
ARITHMETIC_GOAL_MS = 1.0
D1, D2_SQUARED = 70, 1250
SCALES = (10, 100)
ARITHMETIC = "arithmetic"
MECHANISMS: tuple[type[Mechanism], ...] = (DiscreteLaplace, DiscreteGaussian)


def programs(mechanism: Mechanism) -> dict[str, Callable[[], object]]:
    """Return the three ways to add noise to one answer."""
    vector = np.random.default_rng(7).integers(0, 10_000, CELLS + 2)
    scale = float(mechanism.scale)
    random = np.random.default_rng(8)
    atom = dp.atom_domain(T="i64")
    if isinstance(mechanism, DiscreteGaussian):
        single = dp.m.make_gaussian(atom, dp.absolute_distance(T="f64"), scale=scale)
        draw = random.normal
    else:
        single = dp.m.make_laplace(atom, dp.absolute_distance(T="i64"), scale=scale)
        draw = random.laplace
    return {
        "vector_ms": lambda: add_noise(vector, mechanism, d1=D1, d2_squared=D2_SQUARED),
        "scalar_ms": lambda: [single(entry) for entry in vector.tolist()],
        "unsafe_ms": lambda: vector + draw(0.0, scale, len(vector)),
    }


def medians(
    chosen: dict[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, float]:
    """Return median milliseconds of programs that take turns."""
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for turn in range(repeats + 1):  # the first turn only warms up
        for name, program in chosen.items():
            begun = time.perf_counter()
            program()
            if turn:
                times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def arithmetic() -> dict[str, float]:
    """Return median milliseconds of what stands around the noise, nothing cached."""

    def fresh_intervals() -> None:
        half_width.cache_clear()
        standard_deviation.cache_clear()
        for kind in MECHANISMS:
            for numerator in (11, 5_000, 65_000, 10**9):
                mechanism = kind(scale=Fraction(numerator, 1024))
                half_width(mechanism)
                standard_deviation(mechanism)

    turn = iter(range(10**6))
    figures = medians(
        {
            "intervals_ms": fresh_intervals,
            "error_to_scale_ms": lambda: noisiest_within(
                DiscreteGaussian.accounting, 60 + next(turn)
            ),
            "largest_rho_ms": lambda: largest_rho(
                Fraction(1000 + next(turn), 1000), 1e-9
            ),
            "epsilon_of_ms": lambda: epsilon_of(10**7 + next(turn), 1e-9),
        }
    )
    figures["interval_ms"] = figures.pop("intervals_ms") / (4 * len(MECHANISMS))
    return figures


def measure() -> dict[str, dict[str, float]]:
    """Return all figures, by law and scale, and those of the arithmetic."""
    dp.enable_features("contrib")
    found = {
        f"{kind.__name__} {scale}": medians(programs(kind(scale=Fraction(scale))))
        for kind in MECHANISMS
        for scale in SCALES
    }
    return {**found, ARITHMETIC: arithmetic()}


def show(figures: dict[str, dict[str, float]]) -> None:
    """Print the figures."""
    print(f"noise for {CELLS:,} cells, median of {REPEATS}")
    around = figures[ARITHMETIC]
    for name, row in figures.items():
        if name == ARITHMETIC:
            continue
        vector, scalar, unsafe = row["vector_ms"], row["scalar_ms"], row["unsafe_ms"]
        print(
            f"  {name:20} one vector call {vector:5.1f} ms{_verdict(vector, GOAL_MS)}, "
            f"entry by entry {scalar:5.1f} ms ({scalar / vector:.1f}x), "
            f"numpy, unsafe {unsafe:4.2f} ms ({unsafe / vector:.3f}x)"
        )
    interval = around["interval_ms"]
    print(
        f"  interval and spread of a new law {interval:.3f} ms"
        f"{_verdict(interval, ARITHMETIC_GOAL_MS)}, scale for a wanted error "
        f"{around['error_to_scale_ms']:.2f} ms, largest rho for (epsilon, delta) "
        f"{around['largest_rho_ms']:.1f} ms, epsilon of a rho "
        f"{around['epsilon_of_ms']:.1f} ms"
    )


def _verdict(value: float, goal: float) -> str:
    return f" (goal {goal:g}: {'met' if value <= goal else 'MISSED'})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.noise")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    chosen = parser.parse_args(arguments)
    figures = measure()
    if chosen.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
