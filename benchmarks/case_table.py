# SPDX-License-Identifier: Apache-2.0
"""A synthetic table of case rows with the skew of life, at any size.

There are 0.3 persons per row. A person stands in one to twelve groups of month and
region (1.4 on average, 2.5 % in more than three) and has at least one row, more with
a heavy tail. Rows come in random order, as from a case management system.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MONTHS = tuple(f"{2019 + month // 12}-{month % 12 + 1:02d}" for month in range(60))
REGIONS = tuple(f"R{region:02d}" for region in range(30))
FORMS = (
    "sexual",
    "labour",
    "domestic_servitude",
    "forced_criminality",
    "forced_marriage",
    "other",
)
GENDERS = ("F", "M", "X", "unknown")
AGES = ("0-11", "12-17", "18-24", "25-34", "35-49", "50+")

MOST_GROUPS = 12
"""Groups of month and region that one person can have."""

PERSONS_PER_ROW = 0.3

AT_HOME = 0.9
"""Share of groups that lie in the person's own region."""

Codes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseTable:
    """Rows as codes; ``domains`` names them."""

    person: npt.NDArray[np.int64]
    codes: Mapping[str, Codes]
    domains: Mapping[str, tuple[str, ...]]

    @property
    def rows(self) -> int:
        """Number of case rows."""
        return len(self.person)


def case_table(rows: int, seed: int = 7) -> CaseTable:
    """Draw a table; the same arguments give the same rows."""
    rng = np.random.default_rng(seed)
    persons = int(rows * PERSONS_PER_ROW)
    groups = 1 + np.minimum(rng.geometric(0.55, persons) - 1, MOST_GROUPS - 1)
    weight = rng.gamma(0.8, 1.0, persons) * groups
    extra = rng.multinomial(rows - persons, weight / weight.sum())
    person = np.repeat(np.arange(persons), 1 + extra)
    group = (rng.random(rows) * groups[person]).astype(np.int64)
    group = np.minimum(group, groups[person] - 1)
    # Month and region belong to a person's group, not to a row.
    place = person * MOST_GROUPS + group
    moved = rng.random(persons * MOST_GROUPS)
    later = rng.integers(0, 12, persons * MOST_GROUPS)
    home = rng.choice(len(REGIONS), persons, p=_zipf(len(REGIONS), 0.7))
    start = rng.integers(0, len(MONTHS), persons)
    elsewhere = (moved[place] * 1e6).astype(np.int64) % len(REGIONS)
    region = np.where(moved[place] < AT_HOME, home[person], elsewhere)
    month = start[person] + np.where(group == 0, 0, later[place])
    month = np.minimum(month, len(MONTHS) - 1)
    form = rng.choice(6, persons, p=[0.42, 0.36, 0.08, 0.07, 0.02, 0.05])[person]
    gender = rng.choice(4, persons, p=[0.62, 0.33, 0.01, 0.04])[person]
    age = rng.choice(6, persons, p=[0.05, 0.18, 0.28, 0.27, 0.16, 0.06])[person]
    label = rng.permutation(persons)[person]
    order = rng.permutation(rows)
    columns = {
        "month": month,
        "region": region,
        "exploitation_type": form,
        "gender": gender,
        "age_group": age,
    }
    return CaseTable(
        person=label[order],
        codes={name: codes.astype(np.uint8)[order] for name, codes in columns.items()},
        domains={
            "month": MONTHS,
            "region": REGIONS,
            "exploitation_type": FORMS,
            "gender": GENDERS,
            "age_group": AGES,
        },
    )


def write_parquet(table: CaseTable, path: Path) -> None:
    """Write the rows as an agency's system would export them: names, not codes."""
    import pyarrow as pa
    import pyarrow.parquet

    arrays: dict[str, Any] = {"person_id": pa.array(table.person)}
    for name, codes in table.codes.items():
        values = pa.array(table.domains[name])
        arrays[name] = pa.DictionaryArray.from_arrays(codes, values)
    pyarrow.parquet.write_table(
        pa.table(arrays), path, compression="zstd", row_group_size=250_000
    )


def _zipf(size: int, exponent: float) -> npt.NDArray[np.float64]:
    weight = 1 / np.arange(1, size + 1) ** exponent
    share: npt.NDArray[np.float64] = weight / weight.sum()
    return share
