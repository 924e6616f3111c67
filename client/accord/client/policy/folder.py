# SPDX-License-Identifier: Apache-2.0
"""The folder in which a board keeps its policies as files.

::

    board.yaml  members.yaml  models/  presets/  agreements/  emergencies/
    .accord/repository/     what was fetched from a hub, signed
    .accord/base/           the documents of it, to compare drafts with

Nothing else of the folder is read, except that misnamed documents are refused: one
that is overlooked would not be in force.
"""

from __future__ import annotations

import importlib.resources
import re
from importlib.resources.abc import Traversable
from pathlib import Path

from accord.core.errors import ConfigurationError
from accord.core.policy import (
    AGREEMENTS,
    BOARD,
    EMERGENCIES,
    LARGEST,
    MEMBERS,
    MODELS,
    PRESETS,
    is_policy_path,
)

SUBFOLDERS = (MODELS, PRESETS, AGREEMENTS, EMERGENCIES)

_KINDS = {
    "agreement": AGREEMENTS,
    "preset": PRESETS,
    "data_model": MODELS,
    "emergency": EMERGENCIES,
}
"""First entry of a document -> the folder that it belongs in."""

_ALONE = {"board": BOARD, "network": MEMBERS}

_ENTRY = re.compile(r"^([a-z_]+):[ \t]*['\"]?([A-Za-z0-9_-]*)", re.MULTILINE)


def documents_in(folder: Path) -> dict[str, bytes]:
    """Return every policy in *folder*, by its path.

    Raises:
        ConfigurationError: FOLDER_UNREADABLE, or DOCUMENT_MISNAMED.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            "FOLDER_UNREADABLE", f"There is no folder {folder} that can be read."
        )
    found = {
        name: _read(folder / name)
        for name in (BOARD, MEMBERS)
        if (folder / name).is_file()
    }
    for below in SUBFOLDERS:
        if (folder / below).is_dir():
            for file in sorted((folder / below).iterdir()):
                path = f"{below}/{file.name}"
                if file.suffix not in {".yaml", ".yml"}:
                    continue
                if not is_policy_path(path):
                    raise ConfigurationError(
                        "DOCUMENT_MISNAMED",
                        f"{file} cannot be a policy under that name: it needs "
                        "lower-case letters, digits, hyphens or underscores, and .yaml "
                        "at its end.",
                    )
                found[path] = _read(file)
    return found


def documents_around(file: Path) -> tuple[dict[str, bytes], str]:
    """Return the policies that *file* belongs to, and its own path among them.

    A file in ``agreements/`` belongs to the folder above; so do its siblings. For what
    that folder lacks of members, models and presets the shipped samples stand in, so
    that a draft can be tried before there is a board.

    Raises:
        ConfigurationError: FOLDER_UNREADABLE, or DOCUMENT_MISNAMED.
    """
    content = _read(file)
    path, folder = _place(file, content)
    documents = documents_in(folder) if folder is not None else {}
    documents[path] = content
    return with_samples(documents), path


def target_path(name: str, content: bytes) -> str:
    """Return the path under which a document is signed.

    Its first known entry tells: ``agreement: x`` is ``agreements/x.yaml``. A text that
    tells nothing is taken for an agreement, so that lint says what is missing in it.

    Args:
        name: of the file that it came in.
        content: the document.
    """
    for entry, value in _ENTRY.findall(content.decode("utf-8", "replace")):
        if entry in _ALONE:
            return _ALONE[entry]
        if entry in _KINDS:
            path = f"{_KINDS[entry]}/{value}.yaml"
            if is_policy_path(path):
                return path
    path = f"{AGREEMENTS}/{Path(name).stem}.yaml"
    return path if is_policy_path(path) else f"{AGREEMENTS}/draft.yaml"


def with_samples(documents: dict[str, bytes]) -> dict[str, bytes]:
    """Return *documents* with shipped members, models and presets where they lack."""
    found = dict(documents)
    for path, content in sample_documents().items():
        kind = path.partition("/")[0]
        if kind == MEMBERS and MEMBERS not in documents:
            found[path] = content
        if kind in {MODELS, PRESETS} and not any(
            each.startswith(f"{kind}/") for each in documents
        ):
            found[path] = content
    return found


def sample_documents() -> dict[str, bytes]:
    """Return the policies that are shipped, as a board can start from them."""
    package = importlib.resources.files("accord.policies")
    found: dict[str, bytes] = {}
    for below in (MODELS, PRESETS, AGREEMENTS):
        folder = package / below
        if folder.is_dir():
            for file in folder.iterdir():
                path = f"{below}/{file.name}"
                if is_policy_path(path):
                    found[path] = file.read_bytes()
    members: Traversable = package / MEMBERS
    found[MEMBERS] = members.read_bytes()
    return dict(sorted(found.items()))


def _place(file: Path, content: bytes) -> tuple[str, Path | None]:
    above = file.absolute().parent
    if file.name in (BOARD, MEMBERS):
        return file.name, above
    if above.name in SUBFOLDERS and is_policy_path(f"{above.name}/{file.name}"):
        return f"{above.name}/{file.name}", above.parent
    return target_path(file.name, content), None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError:
        raise ConfigurationError(
            "FOLDER_UNREADABLE", f"The file {file} cannot be read."
        ) from None
    if len(content) > LARGEST:
        raise ConfigurationError(
            "DOCUMENT_INVALID", f"{file} is longer than {LARGEST} bytes."
        )
    return content
