# SPDX-License-Identifier: Apache-2.0
"""Secret files."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.agent.keys.files import (
    make_key,
    read_key,
    read_secret,
    replace_secret,
    write_secret,
)
from accord.core.errors import ConfigurationError, Conflict


def test_a_key_is_private_and_random(tmp_path: Path) -> None:
    make_key(tmp_path / "a.key")
    make_key(tmp_path / "b.key")
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert len(read_key(tmp_path / "a.key")) == 32
    assert read_key(tmp_path / "a.key") != read_key(tmp_path / "b.key")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"first")
    with pytest.raises(Conflict, match="exists already"):
        write_secret(tmp_path / "a.key", b"second")
    assert read_secret(tmp_path / "a.key") == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_secret_can_be_replaced(tmp_path: Path) -> None:
    replace_secret(tmp_path / "a.pem", b"first")
    replace_secret(tmp_path / "a.pem", b"second")
    assert read_secret(tmp_path / "a.pem") == b"second"
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_exposed_key_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "a.key")
    (tmp_path / "a.key").chmod(mode)
    with pytest.raises(ConfigurationError, match="0600"):
        read_key(tmp_path / "a.key")


def test_a_missing_short_or_linked_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing"):
        read_key(tmp_path / "a.key")
    write_secret(tmp_path / "a.key", b"short")
    with pytest.raises(ConfigurationError, match="5 bytes"):
        read_key(tmp_path / "a.key")
    (tmp_path / "b.key").symlink_to(tmp_path / "a.key")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key(tmp_path / "b.key")


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        make_key(tmp_path / "absent" / "a.key")
