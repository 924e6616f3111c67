# SPDX-License-Identifier: Apache-2.0
"""Twenty seconds of coverage-guided fuzzing; one input that breaks it is a failure."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.client.test_sql import REFUSED

ROOT = Path(__file__).parents[2]
SECONDS = 20
LEAST_RUNS = 2000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="atheris is not installed; it has no wheel for every platform",
    ),
]


def test_only_errors_of_ours_come_out(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, block in REFUSED.items():
        (corpus / name).write_text(block.partition("\n---\n")[0], encoding="utf-8")
    words = tmp_path / "words"
    words.write_text("\n".join(map('"{}"'.format, WORDS)), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.sql_target", f"-dict={words}"),
            *(f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=10"),
            *(f"-artifact_prefix={tmp_path}/", str(corpus)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS * 8,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    runs = re.search(r"Done (\d+) runs", said)
    assert runs is not None
    assert int(runs[1]) > LEAST_RUNS


WORDS = (
    *("SELECT ", " FROM cases ", " WHERE ", " GROUP BY ", "COUNT(DISTINCT person)"),
    *(
        "COUNT(*)",
        "AVG(days_in_care)",
        "QUANTILE(",
        "SHARE(",
        "LEVEL(",
        " AND ",
        " OR ",
    ),
    *(
        " NOT ",
        " IN (",
        " BETWEEN ",
        "region",
        "registered_month",
        "means",
        "'norvale'",
    ),
    *("'2026-03'", "'year'", " HAVING ", " CASE ", "::", " AS ", "{{", "[", "$$", "@"),
)
