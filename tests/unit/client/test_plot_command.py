# SPDX-License-Identifier: Apache-2.0
"""``accord plot``: a release of a hub becomes a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.client.hub_double import Accord, AnalystHub, release
from tests.unit.client.test_chart import outlines


def test_a_release_becomes_a_picture(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    """And the line says of which agencies."""
    stored = hub.store(release())
    file = tmp_path / "bars.png"
    status, out, _ = run("plot", stored, "--out", str(file))
    assert status == 0
    assert out.strip() == f"{file}: persons by region; 5 of 5 agencies"
    assert file.read_bytes().startswith(b"\x89PNG")
    status, out, _ = run("plot", stored, "--out", str(file), "--kind", "bars", "--json")
    assert json.loads(out) == {"picture": str(file), "release": stored}


def test_a_map_takes_outlines_from_a_file(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    stored = hub.store(release())
    shapes = tmp_path / "regions.geojson"
    shapes.write_text(json.dumps(outlines("norvale", "eastmere")), encoding="utf-8")
    file = tmp_path / "map.svg"
    status, *_ = run("plot", stored, "--out", str(file), "--map", str(shapes))
    assert status == 0
    assert "124 ±11" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--out", "x.gif"), "end its name in .png, .svg or .html"),
        (("--out", "x.png", "--kind", "trend"), "what fits: bars, map."),
        (("--out", "x.png", "--kind", "bars", "--map", "y"), "--map goes with"),
        (("--out", "x.png", "--map", "nowhere"), "cannot be read from nowhere"),
        (("--out", "x.png", "--kind", "map"), "needs the outlines"),
    ],
)
def test_mistakes_are_one_sentence(
    hub: AnalystHub, run: Accord, options: tuple[str, ...], words: str
) -> None:
    """Before anything is written."""
    status, _, err = run("plot", hub.store(release()), *options)
    assert status == 2
    assert words in err
    assert not Path("x.png").exists()
