# SPDX-License-Identifier: Apache-2.0
"""Statements of our own in a Spark cluster.

Spark has no transactions, and changes one name at a time; `making` sees to the order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from accord.agent.pushdown.dialect import Dialect
from accord.agent.pushdown.rights import rights_explained
from accord.agent.pushdown.table import TableName
from accord.agent.sources.spark import SparkConnection


@dataclasses.dataclass(slots=True, kw_only=True)
class SparkSession:
    """A session in a cluster of the settings."""

    connection: SparkConnection
    dialect: Dialect = Dialect.SPARK

    def columns(self, table: TableName) -> frozenset[str]:
        with rights_explained(self.connection.access.name):
            return frozenset(self.connection.columns(self.dialect.text(table.node())))

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        with rights_explained(self.connection.access.name):
            return self.connection.rows(text)

    def run(self, text: str) -> None:
        with rights_explained(self.connection.access.name):
            self.connection.rows(text)

    def insert(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        values = [list(column) for column in zip(*rows, strict=True)]
        with rights_explained(self.connection.access.name):
            self.connection.insert(self.dialect.text(table.node()), names, values)

    def commit(self) -> None:
        """Nothing: each statement is one by itself."""
