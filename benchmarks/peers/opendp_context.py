# SPDX-License-Identifier: Apache-2.0
"""OpenDP's Context on Polars, asked as it answers best.

The rows are made distinct and a person's cells drawn here, uniformly; OpenDP is told
the bound. Its own ``truncate_num_groups`` fails with ``keep="sample"``. With
``keep="first"`` it keeps one cell less than the noise pays for, and the earliest ones
of everybody: the same three cells would cost the noise of four. Cells are public keys,
and ``signed=True`` leaves estimates below nothing as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import opendp.prelude as dp
import polars as pl
from opendp.extras.polars import Bound, dp_len

from benchmarks.peers.exchange import CELLS, COLUMNS, Figure, asked, reply

BY = ["month", "region"]


def drawn(rows: pl.DataFrame, bound: int) -> pl.DataFrame:
    """Return at most so many cells of each person, any of them equally likely."""
    place = pl.int_range(pl.len()).shuffle().over("person_id")
    return rows.filter(place < bound).select(BY)


def main() -> None:
    ask = asked()
    dp.enable_features("contrib")
    rows = pl.read_csv(ask.table, columns=list(COLUMNS)).unique()
    keys = pl.DataFrame(CELLS, schema=BY, orient="row")
    bound = Bound(by=BY, per_group=1, num_groups=ask.bound)

    def release() -> Iterator[Figure]:
        context = dp.Context.compositor(
            data=drawn(rows, ask.bound).lazy(),
            privacy_unit=dp.unit_of(contributions=[bound]),
            privacy_loss=dp.loss_of(epsilon=float(ask.epsilon)),
            split_evenly_over=1,
        )
        query = context.query().group_by(BY).agg(dp_len(signed=True)).with_keys(keys)
        yield from query.release().collect().select(*BY, "len").iter_rows()

    reply(ask, "opendp", release)


if __name__ == "__main__":
    main()
