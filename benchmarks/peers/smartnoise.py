# SPDX-License-Identifier: Apache-2.0
"""SmartNoise SQL, asked as it answers best.

* The rows are made distinct first, and counted. Asked for ``COUNT(DISTINCT person_id)``
  of the table as it is, it draws *max_ids* rows of a person, not cells, before it looks
  for distinct ones: nearly three times the error at a million rows.
* ``censor_dims`` is off. With it on, small cells vanish and the count costs epsilon a
  second time. With it off, that a cell has anybody in it is not protected (there is no
  way to name the cells beforehand), which is in its favour here.
* ``clamp_counts`` is off: an estimate may be negative, as everybody's may.

It draws Laplace noise in floating point and cuts what is behind the point, towards
nothing: half a person less in each cell. There is no setting for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import snsql

from benchmarks.peers.exchange import Figure, asked, reply

# A column named month is a syntax error to its parser.
QUERY = "SELECT mon, region, COUNT(*) AS persons FROM db.Cells GROUP BY mon, region"

NO_DELTA = 1e-12
"""What it adds up in floating point for a delta of nothing."""


def metadata(rows: int, bound: int) -> dict[str, Any]:
    """Return what SmartNoise has to know of the table of persons and cells."""
    cells = {
        "row_privacy": False,
        "max_ids": bound,
        "sample_max_ids": True,
        "censor_dims": False,
        "clamp_counts": False,
        "rows": rows,
        "person_id": {"type": "int", "private_id": True},
        "mon": {"type": "string"},
        "region": {"type": "string"},
    }
    return {"": {"db": {"Cells": cells}}}


def main() -> None:
    ask = asked()
    rows = pd.read_csv(ask.table).rename(columns={"month": "mon"}).drop_duplicates()
    known = metadata(len(rows), ask.bound)

    def release() -> Iterator[Figure]:
        privacy = snsql.Privacy(epsilon=float(ask.epsilon), delta=0.0)
        reader = snsql.from_df(rows, privacy=privacy, metadata=known)
        _, *found = reader.execute(QUERY)
        # It never refuses: that the answer cost what was agreed is looked up.
        epsilon, delta = reader.odometer.spent
        if epsilon > ask.epsilon or delta > NO_DELTA:
            message = f"the answer cost epsilon {epsilon}, delta {delta}"
            raise RuntimeError(message)
        yield from found

    reply(ask, "smartnoise-sql", release)


if __name__ == "__main__":
    main()
