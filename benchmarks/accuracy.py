# SPDX-License-Identifier: Apache-2.0
"""Whether the intervals of releases hold, how wide they are, and how exact figures are.

One agency has the table of `benchmarks.case_table`. Its kernel bounds, the hub's
sampler adds noise and the hub's own code makes the release, by month and region (1,800
cells) at every bound from 1 to 8 groups of a person. Every figure is compared

* with the same figure without noise, which its noise interval has to hold at the level
  that the release states (within 1 %);
* for counts, with what the records say at no bound, which the whole-error interval has
  to hold in at least 95 % of the figures; beside it stands what peers advertise at this
  bound (their noise alone), and how often that holds the same truth;
* for counts, in mean absolute error, with the best known mechanism at the same
  guarantee: the exact discrete Laplace or Gaussian with the cells alone
  (`benchmarks.accuracy_peers` asks the peers themselves)::

    python -m benchmarks.accuracy            1 M rows, epsilon 1
    python -m benchmarks.accuracy --large    1 M and 10 M rows
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.rounds.vectors import StoredEdition, counts
from accord.agent.store.columns import Columns
from accord.core.dimension import UNKNOWN
from accord.core.opened import half_width
from accord.core.policy import Policy
from accord.core.privacy import DiscreteLaplace, Loss, Mechanism
from accord.core.query import Query, canonical_query
from accord.core.terms import Terms, mechanism_for, noise_plan, terms
from accord.hub.questions.pricing import loss_for
from accord.hub.releases.noise import add_noise
from accord.hub.releases.release import Published, make_noisy, make_release
from accord.v1 import analyst_pb2
from benchmarks.accuracy_agency import (
    CASES_PER_GROUP,
    COUNTS,
    OTHERS,
    policy_of,
    write_store,
)
from benchmarks.case_table import MOST_GROUPS, CaseTable, case_table

SMALL, LARGE = 1_000_000, 10_000_000
EPSILON = Fraction(1)
BOUNDS = range(1, 9)
RELEASES = 5
"""Of every count at every bound; each has 1,800 figures."""

OTHER_RELEASES = 400
"""Of every other measure; they are by region, so that denominators are above the noise
and each has 30 cells."""

NOISE_GOAL, WHOLE_GOAL, ERROR_GOAL = 0.01, 0.95, 1.05
CELLS = ("month", "region")
ACCOUNTING = ("pure", "zcdp")

Figures = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question with everything that its release is made of."""

    published: Published
    exact: npt.NDArray[np.int64]

    @property
    def terms(self) -> Terms:
        """Layout and declared vector."""
        return self.published.terms

    def released(self) -> analyst_pb2.Release:
        """Return a release with fresh noise."""
        noisy = make_noisy(
            self.published, self.exact.tolist(), charged=self.published.loss
        )
        return make_release(self.published, noisy)

    def target(self) -> analyst_pb2.Release:
        """Return what it would be without noise."""
        return make_release(self.published, self.exact.tolist())


def asked(columns: Columns, policy: Policy, measure: str, *by: str) -> Asked:
    """Return a measure by some dimensions, at epsilon 1 or the same as rho."""
    agreement, model = policy.agreement, policy.model
    query: Query = canonical_query(
        agreement=agreement.name,
        edition="2026-01",
        measure=measure,
        group_by=[(name, None) for name in by],
        where={},
        model=model,
    )
    found = terms(agreement, model, query)
    loss: Loss = loss_for(agreement, EPSILON)
    mechanism = mechanism_for(agreement, found, at_most=loss)
    published = Published(
        id="00000000-0000-4000-8000-000000000000",
        policy=policy,
        query=query,
        terms=found,
        plan=noise_plan(agreement, found, mechanism, len(agreement.parties)),
        cohort="all",
        at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC),
        unsafe=False,
    )
    held = StoredEdition(columns=columns)
    return Asked(published=published, exact=counts(held, found, query, model))


def column(release: analyst_pb2.Release, name: str) -> Figures:
    """Return one number of every row; not a number where the row has none.

    Nothing in the table is unknown: those cells are empty, easy to get right, and left
    out.
    """
    groups = len(release.by)
    return np.array(
        [
            math.nan if row.estimate.suppressed else getattr(row.estimate, name)
            for row in release.rows
            if UNKNOWN not in row.values[:groups]
        ]
    )


def expected_error(mechanism: Mechanism) -> float:
    """Return the mean absolute value of a mechanism's noise, in stored integers."""
    scale = float(mechanism.scale)
    if isinstance(mechanism, DiscreteLaplace):
        q = math.exp(-1 / scale)
        return 2 * q / (1 - q * q)
    reach = np.arange(1, int(40 * scale) + 2)
    weight = np.exp(-(reach**2) / (2 * scale * scale))
    return float(2 * (reach * weight).sum() / (1 + 2 * weight.sum()))


def alone(one: Asked, cases: int) -> Mechanism:
    """Return the best known mechanism for the cells alone, at the same guarantee.

    Args:
        one: the question.
        cases: of one person that count in one cell at most.
    """
    bound = one.terms.vector.groups
    return type(one.published.mechanism).for_loss(
        one.published.loss, d1=bound * cases, d2_squared=bound * cases * cases
    )


def drawn_alone(one: Asked, cases: int, target: Figures) -> Figures:
    """Return what peers would publish: the bounded figures with that noise."""
    bound = one.terms.vector.groups
    exact = np.rint(target).astype(np.int64)
    return np.array(
        add_noise(
            exact.tolist(),
            alone(one, cases),
            d1=bound * cases,
            d2_squared=bound * cases * cases,
        ),
        np.float64,
    )


def measure_counts(
    columns: Columns, table: CaseTable, accounting: str, measure: str, drop_cap: int
) -> Iterator[dict[str, float | str]]:
    """Yield the figures of a count at every bound."""
    unbounded = policy_of(table, MOST_GROUPS, accounting, drop_cap)
    raw = column(asked(columns, unbounded, measure, *CELLS).target(), "estimate")
    for bound in BOUNDS:
        policy = policy_of(table, bound, accounting, drop_cap)
        one = asked(columns, policy, measure, *CELLS)
        cases = 1 if measure == "persons" else CASES_PER_GROUP
        target = column(one.target(), "estimate")
        advertised = half_width(alone(one, cases)).half_width
        held, whole, peers, error, theirs, width, stated = [], [], [], [], [], [], 1.0
        for _ in range(RELEASES):
            release = one.released()
            estimate = column(release, "estimate")
            stated = release.level
            held.append(_inside(release, target))
            error.append(np.abs(estimate - raw))
            off = np.abs(drawn_alone(one, cases, target) - raw)
            theirs.append(off)
            peers.append(off <= advertised)
            if release.whole_level:
                low, high = (column(release, f"whole_{side}") for side in _SIDES)
                whole.append((low <= raw) & (raw <= high))
                width.append((high - low) / 2)
        noise = (
            expected_error(one.published.mechanism) / one.terms.vector.slots[0].scale
        )
        yield {
            "measure": measure,
            "accounting": accounting,
            "bound": bound,
            "stated": stated,
            "noise_coverage": _mean(held),
            "whole_coverage": _mean(whole),
            "whole_half_width": _mean(width),
            "peers_half_width": advertised,
            "peers_coverage": _mean(peers),
            "raw_error": _mean(error),
            "peers_error": _mean(theirs),
            "error_ratio": noise / expected_error(alone(one, cases)),
        }


def measure_other(
    columns: Columns, table: CaseTable, accounting: str, measure: str
) -> Iterator[dict[str, float | str]]:
    """Yield the figures of another measure at every bound."""
    for bound in BOUNDS:
        policy = policy_of(table, bound, accounting, 1)
        one = asked(columns, policy, measure, "region")
        target = column(one.target(), "estimate")
        held, shown, stated = [], [], 1.0
        for _ in range(OTHER_RELEASES):
            release = one.released()
            stated = release.level
            known = ~np.isnan(column(release, "estimate")) & ~np.isnan(target)
            held.append(_inside(release, target)[known])
            shown.append(known)
        yield {
            "measure": measure,
            "accounting": accounting,
            "bound": bound,
            "stated": stated,
            "noise_coverage": _mean(held),
            "shown": _mean(shown),
        }


_SIDES = ("lower", "upper")


def _inside(release: analyst_pb2.Release, target: Figures) -> npt.NDArray[np.bool_]:
    low, high = (column(release, side) for side in _SIDES)
    # Targets are fractions in floating point: the last digit is no error.
    small = 1e-9 * np.maximum(1.0, np.abs(target))
    found: npt.NDArray[np.bool_] = (low - small <= target) & (target <= high + small)
    return found


def _mean(parts: Sequence[npt.NDArray[Any]]) -> float:
    return float(np.concatenate(parts).mean()) if parts else math.nan


def show(found: dict[str, float | str]) -> None:
    """Print one line of figures."""
    stated, noise = float(found["stated"]), float(found["noise_coverage"])
    line = (
        f"  {found['measure']:<26}{found['accounting']:<5} L0={found['bound']}"
        f"  noise {noise:.4f} of {stated:.4f}"
        f"{_verdict(abs(noise - stated) <= NOISE_GOAL, above=noise > stated)}"
    )
    if "whole_coverage" in found:
        whole = float(found["whole_coverage"])
        line += (
            "  whole withheld"
            if math.isnan(whole)
            else f"  whole {whole:.4f} ± {found['whole_half_width']:.1f}"
            f"{_verdict(whole >= WHOLE_GOAL)}"
        )
        line += (
            f"  peers {found['peers_coverage']:.4f} ± {found['peers_half_width']:.1f}"
            f"  error {found['raw_error']:.2f}, theirs {found['peers_error']:.2f},"
            f" noise × {found['error_ratio']:.3f}"
            f"{_verdict(float(found['error_ratio']) <= ERROR_GOAL)}"
        )
    else:
        line += f"  shown {found['shown']:.3f}"
    print(line, flush=True)


def _verdict(met: bool, *, above: bool = False) -> str:  # noqa: FBT001  # yes or no
    return " ok" if met else " WIDER" if above else " MISSED"


def measure(rows: int, drop_cap: int, chosen: Sequence[str], *, as_json: bool) -> None:
    """Measure everything on a table of so many rows."""
    table = case_table(rows)
    model = policy_of(table, 1, "pure", 1).model
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        write_store(Path(folder) / "store", table, model)
        if not as_json:
            print(
                f"accuracy, {rows:,} case rows, epsilon {EPSILON}, drop cap {drop_cap}"
            )
        with Columns.open(Path(folder) / "store") as columns:
            for accounting in ACCOUNTING:
                lines = [
                    measure_counts(columns, table, accounting, name, drop_cap)
                    if name in COUNTS
                    else measure_other(columns, table, accounting, name)
                    for name in chosen
                ]
                for each in lines:
                    for found in each:
                        if as_json:
                            print(json.dumps({"rows": rows, **found}), flush=True)
                        else:
                            show(found)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.accuracy")
    parser.add_argument("--large", action="store_true", help="10 M rows as well")
    parser.add_argument("--rows", type=int, help="another number of rows")
    parser.add_argument(
        "--drop-cap",
        type=int,
        default=1,
        help="groups beyond the bound that are counted of one person",
    )
    parser.add_argument(
        "--measures",
        nargs="*",
        choices=[*COUNTS, *OTHERS],
        default=[*COUNTS, *OTHERS],
        help="these only",
    )
    parser.add_argument("--json", action="store_true", help="figures for programs")
    chosen = parser.parse_args(arguments)
    for rows in [chosen.rows or SMALL, *([LARGE] if chosen.large else [])]:
        measure(rows, chosen.drop_cap, chosen.measures, as_json=chosen.json)


if __name__ == "__main__":
    main()
