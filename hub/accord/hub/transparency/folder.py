# SPDX-License-Identifier: Apache-2.0
"""An export as files that anybody can put on a web server or a disk.

All of them can be read by everybody. An older export in the same folder is replaced;
any other folder that is not empty is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from accord.core.errors import ConfigurationError
from accord.hub.transparency.page import page
from accord.hub.transparency.publication import Publication
from accord.hub.transparency.sheets import document, tables

_MARK: Final = "export.json"
"""What tells an older export from somebody else's folder."""

_OWN: Final = frozenset(
    {_MARK, "index.html", "questions.csv", "releases.csv", "releases"}
)


def files_of(shown: Publication, language: str) -> dict[str, bytes]:
    """Return the files of an export by their names."""
    return {
        "index.html": page(shown, language).encode(),
        **dict(tables(shown, language)),
        _MARK: document(shown),
    }


def write_export(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put an export into a folder that is empty, not there yet, or has an older one.

    Raises:
        ConfigurationError: EXPORT_FOLDER_USED, or EXPORT_UNWRITABLE.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {each.name for each in folder.iterdir()}
        if found and (_MARK not in found or found - _OWN):
            raise ConfigurationError(
                "EXPORT_FOLDER_USED",
                f"{folder} has files that are no part of an export: name a new or an"
                " empty folder. Nothing was changed.",
            )
        (folder / "releases").mkdir(exist_ok=True)
        for old in (folder / "releases").iterdir():
            if f"releases/{old.name}" not in files:
                old.unlink()
        for name, content in files.items():
            _replace(folder / name, content)
    except OSError as error:
        raise ConfigurationError(
            "EXPORT_UNWRITABLE",
            f"{folder} cannot be written: {error.strerror or 'no reason is known'}.",
        ) from None


def _replace(path: Path, content: bytes) -> None:
    """Write a file that readers see whole, the old one or the new one."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o644)
    new.replace(path)
