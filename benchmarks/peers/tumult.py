# SPDX-License-Identifier: Apache-2.0
"""Tumult Analytics on a local Spark, asked as it answers best.

``MaxGroupsPerID`` takes one column, so month and region become one; with one row of a
person in each cell, rows are persons. ``count_distinct`` under ``MaxRowsPerID`` would
draw rows of a person, not cells: nearly three times the error at a million rows. Which
cells of a person count follows from the rows: all releases share it, and only the noise
is drawn anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from pyspark.sql import SparkSession, functions
from tmlt.analytics import (
    AddRowsWithID,
    KeySet,
    MaxGroupsPerID,
    MaxRowsPerGroupPerID,
    PureDPBudget,
    QueryBuilder,
    Session,
)

from benchmarks.peers.exchange import CELLS, Figure, asked, reply

BETWEEN = "|"


def spark() -> SparkSession:
    """Start Spark in this process, heard on this machine only."""
    # Its workers are started with this interpreter, or do not find Tumult.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.driver.memory": "4g",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main() -> None:
    ask = asked()
    session = spark()
    cell = functions.concat_ws(BETWEEN, "month", "region")
    rows = session.read.csv(
        str(ask.table),
        header=True,
        schema="person_id LONG, month STRING, region STRING",
    )
    rows = rows.select("person_id", cell.alias("cell")).cache()
    keys = KeySet.from_dict({"cell": [BETWEEN.join(names) for names in CELLS]})
    query = (
        QueryBuilder("cells")
        .enforce(MaxRowsPerGroupPerID("cell", 1))
        .enforce(MaxGroupsPerID("cell", ask.bound))
        .groupby(keys)
        .count(name="persons")
    )

    def release() -> Iterator[Figure]:
        budget = PureDPBudget(ask.epsilon)
        asking = Session.from_dataframe(
            budget, "cells", rows, protected_change=AddRowsWithID("person_id")
        )
        for row in asking.evaluate(query, budget).collect():
            month, region = row["cell"].split(BETWEEN)
            yield month, region, row["persons"]

    reply(ask, "tmlt.analytics", release)
    session.stop()


if __name__ == "__main__":
    main()
