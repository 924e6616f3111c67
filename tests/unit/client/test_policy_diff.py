# SPDX-License-Identifier: Apache-2.0
"""``accord policy diff``, as a board calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accord.client.cli import app
from accord.core.errors import InvalidQuery
from tests.unit.core.small_policies import (
    AGREEMENT,
    BOARD,
    MEMBERS,
    MODEL,
    changed,
    policy_set,
)

LOOSER = changed(AGREEMENT, version=2, spend__each_release_at_most={"epsilon": 3})
SECOND = changed(AGREEMENT, agreement="second")


def folder(place: Path, *agreements: dict[str, object], **more: object) -> Path:
    """Write a board's folder and return it."""
    chosen = {"board": BOARD, "members": MEMBERS, "model": MODEL} | more
    found = policy_set(*agreements, **chosen)  # type: ignore[arg-type]
    for path, content in found.documents.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return place


def diff(before: Path, after: Path, *options: str) -> str:
    """Return what the command prints."""
    result = CliRunner().invoke(
        app, ["policy", "diff", str(before), str(after), *options]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_two_agreements_are_compared_whatever_lies_beside_them(tmp_path: Path) -> None:
    """A broken sibling is not in the way."""
    before = folder(tmp_path / "a", AGREEMENT) / "agreements" / "trends.yaml"
    after = folder(tmp_path / "b", LOOSER) / "agreements" / "trends.yaml"
    (after.parent / "draft.yaml").write_text("agreement: draft\n")
    text = diff(before, after)
    assert "One release may now cost up to ε 3 instead of 2." in text
    assert text.endswith("Seats that must sign: survivors.\n")
    found = json.loads(diff(before, after, "--json"))
    assert found["loosens"] is True
    assert found["agreements"][0]["seats"] == ["survivors"]
    back = json.loads(diff(after, before, "--json"))
    assert (back["loosens"], back["agreements"][0]["seats"]) == (False, [])


def test_two_folders_are_compared_by_the_names_in_them(tmp_path: Path) -> None:
    """New ones, ended ones, unchanged ones, and the board."""
    before = folder(tmp_path / "a", AGREEMENT, SECOND)
    after = folder(
        tmp_path / "b",
        AGREEMENT,
        changed(AGREEMENT, agreement="third"),
        board=changed(BOARD, seats={"survivors": "bela"}),
    )
    text = diff(before, after)
    assert "Agreement second: version 1 ends." in text
    assert "Agreement third: new, version 1." in text
    assert "Agreements that mean the same as before: trends." in text
    assert "The seat `survivors` would end or change hands: alice" in text
    found = json.loads(diff(before, after, "--json"))
    assert found["unchanged"] == ["trends"]
    assert len(found["board"]) == 1


def test_a_folder_is_not_compared_with_an_agreement(tmp_path: Path) -> None:
    """That would say that everything else ends."""
    place = folder(tmp_path / "a", AGREEMENT)
    with pytest.raises(InvalidQuery) as caught:
        diff(place, place / "agreements" / "trends.yaml")
    assert caught.value.reason == "DIFF_KINDS"
