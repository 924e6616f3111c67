# SPDX-License-Identifier: Apache-2.0
"""``accord export``: releases of a hub become one file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.unit.client.hub_double import Accord, AnalystHub, partial, release


def test_several_releases_become_one_file(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    """An id that is given twice is in it once; who is missing is said."""
    first = hub.store(release(edition="2026-10"))
    second = hub.store(partial(edition="2026-09"))
    file = tmp_path / "figures.csv"
    status, out, err = run("export", first, second, first, "--out", str(file))
    assert status == 0, err
    said = " ".join(err.split())
    assert said.startswith("These releases do not stand on the same agencies")
    assert "Warning" not in said
    written, notes, *citations = out.splitlines()
    assert written == f"wrote {file}"
    assert notes == f"wrote {file.with_suffix('.notes.txt')}"
    for line, identifier in zip(citations, (first, second), strict=True):
        assert line.startswith("cite as: Accord, ")
        assert identifier in line
    with file.open(encoding="utf-8", newline="") as stream:
        ids = [line["release"] for line in csv.DictReader(stream)]
    assert ids == [first] * 2 + [second] * 2


def test_one_release_is_exported_in_the_same_way(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    stored = hub.store(release())
    file = tmp_path / "figures.xlsx"
    status, out, err = run("export", stored, "--out", str(file), "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["releases"] == [stored]
    assert found["files"] == [str(file)]
    (line,) = found["citations"]
    assert stored in line


def test_measures_with_other_columns_are_refused_in_one_sentence(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    first = hub.store(release())
    second = hub.store(release(measure="cases"))
    file = tmp_path / "figures.csv"
    status, out, err = run("export", first, second, "--out", str(file))
    assert (status, out) == (2, "")
    assert "has other columns than" in err
    assert "only releases of one measure" in err
    assert not [*tmp_path.glob("figures*")]
