# SPDX-License-Identifier: Apache-2.0
"""What the agent costs an agency's machine: disk, and what a start imports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import MEBIBYTE, run, tell

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]

MOST_ON_DISK = 280 * MEBIBYTE

LATER = (
    *("duckdb", "jinja2", "opentelemetry", "prometheus_client", "pymssql", "pymysql"),
    *("pyspark", "python_calamine", "sqlalchemy", "sqlglot", "starlette", "uvicorn"),
    "xlsxwriter",
)
"""What only some commands, or only some agencies, ever need."""

LOADED = (
    "import sys, accord.agent.cli; "
    "print(*sorted({n.partition('.')[0] for n in sys.modules} & set(sys.argv[1:])))"
)


def test_a_start_loads_nothing_that_only_some_need() -> None:
    """Drivers, pages and the reader of sources are imported where they are used."""
    done = run(sys.executable, "-c", LOADED, *LATER)
    assert done.split() == []


@pytest.mark.slow
def test_the_agent_is_small_on_disk(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = disk(installed)
    tell(capsys, "the agent on disk, without database drivers", used)
    assert used < MOST_ON_DISK


def disk(folder: Path) -> int:
    """Return what files take from a disk, in blocks as `du` counts them."""
    places = {
        (found.st_dev, found.st_ino): found.st_blocks * 512
        for found in (path.lstat() for path in folder.rglob("*"))
    }
    return sum(places.values())
