# SPDX-License-Identifier: Apache-2.0
"""A board's folder: what belongs to it, and under which path."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.client.policy.folder import (
    documents_around,
    documents_in,
    sample_documents,
    target_path,
)
from accord.core.errors import ConfigurationError
from accord.core.policy import LARGEST, load_policy_set


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"# {path}\n", "utf-8")


def test_only_policies_are_read(tmp_path: Path) -> None:
    """Notes, drafts elsewhere, and what was fetched are no policies."""
    write(
        tmp_path,
        "board.yaml",
        "agreements/one.yaml",
        "agreements/notes.txt",
        "mappings/mine.yaml",
        ".accord/repository/targets/agreements/two.yaml",
    )
    assert documents_in(tmp_path) == {
        "board.yaml": b"# board.yaml\n",
        "agreements/one.yaml": b"# agreements/one.yaml\n",
    }


@pytest.mark.parametrize("name", ["One.yaml", "my draft.yaml", "one.yml", "-x.yaml"])
def test_a_misnamed_policy_is_not_overlooked(tmp_path: Path, name: str) -> None:
    """It would look as if it were in force."""
    write(tmp_path, f"agreements/{name}")
    with pytest.raises(ConfigurationError, match="cannot be a policy") as caught:
        documents_in(tmp_path)
    assert caught.value.reason == "DOCUMENT_MISNAMED"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """And never taken for an empty one."""
    with pytest.raises(ConfigurationError) as caught:
        documents_in(tmp_path / "away")
    assert caught.value.reason == "FOLDER_UNREADABLE"


def test_a_huge_document_is_not_read(tmp_path: Path) -> None:
    """Not into memory, either."""
    (tmp_path / "members.yaml").write_bytes(b"#" * (LARGEST + 10))
    with pytest.raises(ConfigurationError) as caught:
        documents_in(tmp_path)
    assert caught.value.reason == "DOCUMENT_INVALID"


def test_a_file_in_a_boards_folder_brings_its_siblings(tmp_path: Path) -> None:
    """Samples stand in only for kinds that the folder lacks."""
    write(tmp_path, "agreements/one.yaml", "agreements/two.yaml", "models/own.yaml")
    documents, path = documents_around(tmp_path / "agreements" / "one.yaml")
    assert path == "agreements/one.yaml"
    assert "agreements/two.yaml" in documents
    assert [each for each in documents if each.startswith("models/")] == [
        "models/own.yaml"
    ]
    assert documents["members.yaml"] == sample_documents()["members.yaml"]


def test_a_file_alone_is_tried_with_the_samples(tmp_path: Path) -> None:
    """Under the name that its text gives, so that drafts may be called anything."""
    draft = tmp_path / "Draft of Tuesday.yaml"
    draft.write_bytes(sample_documents()["agreements/regional-trends.yaml"])
    documents, path = documents_around(draft)
    assert path == "agreements/regional-trends.yaml"
    assert set(load_policy_set(documents).agreements) == {"regional-trends"}


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("x.yaml", "agreement: one-two\n", "agreements/one-two.yaml"),
        ("x.yaml", "# c\npreset: 'own_1'\n", "presets/own_1.yaml"),
        ("x.yaml", "data_model: cases-v2\n", "models/cases-v2.yaml"),
        ("x.yaml", "emergency: flood\n", "emergencies/flood.yaml"),
        ("x.yaml", "board: b\n", "board.yaml"),
        ("x.yaml", "network: n\n", "members.yaml"),
        ("x.yaml", "agreement: ../../etc\n", "agreements/x.yaml"),
        ("../x.yaml", "nothing", "agreements/x.yaml"),
        ("Über.yaml", "nothing", "agreements/draft.yaml"),
    ],
)
def test_a_text_tells_where_it_belongs(name: str, text: str, path: str) -> None:
    """And never a path outside the policies."""
    assert target_path(name, text.encode()) == path
