# SPDX-License-Identifier: Apache-2.0
"""PipelineDP on its local backend, asked as it answers best.

``PRIVACY_ID_COUNT`` counts persons, whatever number of rows they have, and draws the
cells of a person uniformly. The cells are public partitions: choosing them privately
takes half of epsilon. With public ones and Laplace noise, delta is nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pipeline_dp

from benchmarks.peers.exchange import CELLS, Figure, asked, reply

EXTRACTORS = pipeline_dp.DataExtractors(
    privacy_id_extractor=lambda row: row[0],
    partition_extractor=lambda row: (row[1], row[2]),
    value_extractor=lambda _: 0,
)


def main() -> None:
    ask = asked()
    with ask.table.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    params = pipeline_dp.AggregateParams(
        metrics=[pipeline_dp.Metrics.PRIVACY_ID_COUNT],
        noise_kind=pipeline_dp.NoiseKind.LAPLACE,
        max_partitions_contributed=ask.bound,
        max_contributions_per_partition=1,
    )

    def release() -> Iterator[Figure]:
        budget = pipeline_dp.NaiveBudgetAccountant(
            total_epsilon=ask.epsilon, total_delta=0
        )
        engine = pipeline_dp.DPEngine(budget, pipeline_dp.LocalBackend())
        found = engine.aggregate(
            rows, params, EXTRACTORS, public_partitions=list(CELLS)
        )
        # What aggregate returns is lazy: it draws once the budget is shared out.
        budget.compute_budgets()
        for (month, region), metrics in found:
            yield month, region, metrics.privacy_id_count

    reply(ask, "pipeline-dp", release)


if __name__ == "__main__":
    main()
