# SPDX-License-Identifier: Apache-2.0
"""Databases for the contract suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.ledger_stores import MAKERS, Store, core_on_postgres
from tests.contract.postgres import Cluster, postgres

__all__ = ["ledger_store", "postgres"]


@pytest.fixture(params=[*MAKERS, "postgresql"])
def ledger_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty ledger on each kind of database."""
    if request.param in MAKERS:
        made = MAKERS[request.param](tmp_path)
    else:
        pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
        server: Cluster = request.getfixturevalue("postgres")
        made = core_on_postgres(server.database(), isolation_level="READ COMMITTED")
    yield made
    made.close()
