# SPDX-License-Identifier: Apache-2.0
"""The tutorial runs from beginning to end, and shows what it did when it was kept.

Make its outputs anew with::

    .venv/bin/jupyter-execute --inplace --kernel_name=python3 docs/tutorial.ipynb
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "docs/tutorial.ipynb"
MOST_BYTES = 150_000


def cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells with code."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(cell: dict[str, Any]) -> str:
    """Return the text of a cell's outputs."""
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell["outputs"]
    ]
    return "".join("".join(text) for text in texts)


def kinds(cell: dict[str, Any]) -> list[str]:
    """Return what a cell's outputs are."""
    return [
        kind
        for output in cell["outputs"]
        for kind in (output["output_type"], *sorted(output.get("data", {})))
    ]


def test_it_asks_ten_questions_and_is_small() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r'"## (\d+)\. ', text)] == list(range(1, 11))
    assert len(text) < MOST_BYTES


def test_nothing_in_it_is_of_one_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert re.search(r"/(home|root|work|tmp|Users)/", text) is None
    assert "traceback" not in text.lower()


def test_every_cell_was_run_in_order() -> None:
    kept = cells(NOTEBOOK)
    assert [cell["execution_count"] for cell in kept] == list(range(1, len(kept) + 1))
    assert "SYNTHETIC" in printed(kept[0])


@pytest.mark.slow
def test_it_runs_and_has_the_same_figures_again(tmp_path: Path) -> None:
    copy = tmp_path / NOTEBOOK.name
    copy.write_bytes(NOTEBOOK.read_bytes())
    subprocess.run(
        [
            str(Path(sys.executable).parent / "jupyter-execute"),
            "--inplace",
            "--kernel_name=python3",
            "--KernelManager.transport=ipc",
            copy.name,
        ],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        timeout=200,
    )
    before, now = cells(NOTEBOOK), cells(copy)
    for kept, made in zip(before, now, strict=True):
        assert kinds(made) == kinds(kept)
    (table,) = [
        number for number, cell in enumerate(before) if "port_calla" in printed(cell)
    ][:1]
    assert printed(now[table]) == printed(before[table])
