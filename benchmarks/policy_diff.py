# SPDX-License-Identifier: Apache-2.0
"""Cost of comparing two versions of an agreement over all classes of requests.

Ours asks `decide` once about every subject, purpose, measure and shape; the other way
asks it about every single class, which is what the result means. Both take turns in one
process and must agree; figures are medians of wall time::

    python -m benchmarks.policy_diff
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from accord.core.approval import check_change
from accord.core.comparison.difference import compare
from accord.core.comparison.requests import space_of, status_of
from accord.core.policy import Policy, PolicySet, load_policy_set

SAMPLES = Path(__file__).resolve().parent.parent / "policies"
NAME = "regional-trends"
GOAL_S = 1.0
"""For ten thousand classes."""
CLASSES = 10_000
REPEATS = 5
CHANGES = (
    ("version: 1", "version: 2"),
    (
        "age_band: broad}",
        "age_band: all, case_status: all, source_type: all, victim_status: all}",
    ),
    ("roles: [analyst]", "roles: [analyst, editor]"),
    ("[prevention planning,", "[prevention planning, evaluation, research,"),
)
"""From the sample agreement to a looser one with about ten thousand classes."""


def samples(*changes: tuple[str, str]) -> PolicySet:
    """Return the sample policies with the agreement changed."""
    paths = ["members.yaml", "models/cases-v1.yaml", f"agreements/{NAME}.yaml"]
    documents = {path: (SAMPLES / path).read_bytes() for path in paths}
    text = documents[paths[-1]].decode()
    for old, new in changes:
        if old not in text:
            message = f"the sample agreement does not say {old!r} any more"
            raise SystemExit(message)
        text = text.replace(old, new)
    return load_policy_set(documents | {paths[-1]: text.encode()})


def one_by_one(before: Policy, after: Policy) -> tuple[int, int]:
    """Return how many classes become allowed and denied, by asking about each."""
    newly = lost = 0
    for request in space_of([before, after]).classes():
        old, new = status_of(before, request), status_of(after, request)
        newly += new > old
        lost += new < old
    return newly, lost


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of *work*."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure(repeats: int) -> dict[str, object]:
    """Return all figures."""
    first, second = samples(), samples(*CHANGES)
    before, after = first.policy(NAME), second.policy(NAME)
    if before is None or after is None:
        message = "the sample agreement is missing"
        raise SystemExit(message)
    found = compare(before, after)
    counted = found.newly_allowed.count, found.no_longer_allowed.count
    if counted != one_by_one(before, after):
        message = "the comparison and single decisions disagree"
        raise SystemExit(message)
    ours = seconds(lambda: compare(before, after), repeats)
    singly = seconds(lambda: one_by_one(before, after), max(1, repeats // 2))
    again = samples()
    return {
        "classes": found.classes,
        "newly_allowed": counted[0],
        "compare_s": round(ours, 4),
        "one_by_one_s": round(singly, 4),
        "ratio": round(singly / ours, 1),
        "per_10000_classes_s": round(ours / found.classes * CLASSES, 4),
        "unchanged_ms": round(
            seconds(lambda: check_change(first, again, {}), repeats) * 1000, 3
        ),
        "goal_s": GOAL_S,
        "met": found.classes >= CLASSES and ours <= GOAL_S,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and fail where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line for machines")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args(arguments)
    figures = measure(options.repeats)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:>20}  {figure}")
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
