# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import ROOT, ROOTS

PLANTED = (
    ("layers", "core/accord/core/planted.py", "import accord.rpc"),
    ("layers", "client/accord/client/planted.py", "import accord.hub"),
    ("pure-core", "core/accord/core/planted.py", "import sqlite3"),
    ("slim-agent", "agent/accord/agent/planted.py", "import sqlalchemy"),
    ("slim-agent", "agent/accord/agent/sources/planted.py", "import pandas"),
    ("plain-ledger", "core/accord/ledger/planted.py", "import grpc"),
    ("plain-noise", "core/accord/noise/planted.py", "import grpc"),
    ("plain-secagg", "core/accord/secagg/planted.py", "import sqlite3"),
    ("plain-merkle", "core/accord/merkle/planted.py", "import sqlite3"),
    ("no-rows-at-the-hub", "hub/accord/hub/planted.py", "import duckdb"),
)


def lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the modules of a tree."""
    roots = os.pathsep.join(str(tree / root) for root in ROOTS)
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_keep_the_contracts() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout in which a test may plant a bad import."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for root in ROOTS:
        shutil.copytree(ROOT / root, tree / root)
    return tree


@pytest.mark.parametrize(("contract", "name", "line"), PLANTED)
def test_contract_catches_a_planted_import(
    copy: Path, contract: str, name: str, line: str
) -> None:
    planted = copy / name
    planted.write_text(f"{line}\n", encoding="utf-8")
    try:
        done = lint(copy, "--contract", contract)
    finally:
        planted.unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert "planted" in done.stdout
