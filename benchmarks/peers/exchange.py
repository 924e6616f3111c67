# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.accuracy_peers` and an engine's process hand each other: two files.

Both sides import this module, the engine from an environment of its own: it may use
nothing but the standard library and NumPy, which every engine brings.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import importlib.metadata
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.case_table import MONTHS, REGIONS, CaseTable

CELLS = tuple((month, region) for month in MONTHS for region in REGIONS)
"""The figures of an answer, in this order."""

COLUMNS = ("person_id", "month", "region")

Figure = tuple[str, str, float]
"""Month, region and what an engine says of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Distinct persons by month and region, in pure differential privacy."""

    table: Path
    """The case rows: CSV with `COLUMNS`, several rows of a person."""

    epsilon: int
    bound: int
    """Cells of one person that count at most."""

    releases: int
    """As many answers, each with a whole epsilon of its own."""

    answers: Path
    """Where `reply` writes them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an engine released."""

    version: str
    releases: list[list[float | None]]
    """In the order of `CELLS`; none where a release has no such row."""


def write_rows(table: CaseTable, path: Path) -> None:
    """Write the three columns that are asked for, names for codes."""
    months = [MONTHS[code] for code in table.codes["month"].tolist()]
    regions = [REGIONS[code] for code in table.codes["region"].tolist()]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(zip(table.person.tolist(), months, regions, strict=True))


def command_line(asked: Asked) -> list[str]:
    """Return the options that `asked` reads back."""
    return [f"--{name}={value}" for name, value in dataclasses.asdict(asked).items()]


def asked() -> Asked:
    """Return what this process was started for."""
    parser = argparse.ArgumentParser()
    for field, form in (
        ("table", Path),
        ("epsilon", int),
        ("bound", int),
        ("releases", int),
        ("answers", Path),
    ):
        parser.add_argument(f"--{field}", type=form, required=True)
    return Asked(**vars(parser.parse_args()))


def reply(
    asked: Asked, distribution: str, release: Callable[[], Iterable[Figure]]
) -> None:
    """Write the answers of so many releases.

    Args:
        asked: the question.
        distribution: whose version is told.
        release: asks the engine anew, with all of epsilon, its own choice of the cells
            of a person included.
    """
    releases = []
    for _ in range(asked.releases):
        found = {(month, region): float(value) for month, region, value in release()}
        releases.append([found.get(cell) for cell in CELLS])
    answered = Answered(
        version=importlib.metadata.version(distribution), releases=releases
    )
    asked.answers.write_text(json.dumps(dataclasses.asdict(answered)), encoding="utf-8")


def read_answers(path: Path) -> Answered:
    """Return what `reply` wrote."""
    return Answered(**json.loads(path.read_text(encoding="utf-8")))
