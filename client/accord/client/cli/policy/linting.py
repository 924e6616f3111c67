# SPDX-License-Identifier: Apache-2.0
"""``accord policy lint``: every mistake of a board's documents, in one go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from accord.client.cli.options import AsJson, console, print_json
from accord.client.policy.folder import SUBFOLDERS, target_path, with_samples
from accord.core.errors import ConfigurationError
from accord.core.lint import Finding
from accord.core.lint import lint as lint_policies
from accord.core.lint_across import Severity
from accord.core.messages import sentence
from accord.core.policy import BOARD, LARGEST, MEMBERS, is_policy_path

_Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        exists=True,
        show_default=False,
        help="A board's folders or single documents; else the current folder.",
    ),
]


def lint(paths: _Paths = None, *, as_json: AsJson = False) -> None:
    """Show every mistake in a board's documents, and what to think about."""
    found = [
        (place, finding)
        for path in paths or [Path()]
        for place, finding in _findings(path)
    ]
    wrong = sum(finding.severity is Severity.ERROR for _, finding in found)
    thoughts = len(found) - wrong
    if as_json:
        records = [_record(place, finding) for place, finding in found]
        print_json({"findings": records, "errors": wrong, "warnings": thoughts})
    else:
        for place, finding in found:
            mark = "" if finding.severity is Severity.ERROR else "warning: "
            console.print(_line(place, finding, mark), soft_wrap=True, highlight=False)
    summary = sentence("lint.summary", errors=wrong, warnings=thoughts)
    if wrong:
        raise ConfigurationError("DOCUMENT_INVALID", summary)
    if not as_json:
        console.print(summary, highlight=False)


def _findings(path: Path) -> Iterator[tuple[Path, Finding]]:
    """Yield what is wrong with a folder, or with one document of it."""
    if path.is_dir():
        for finding in lint_policies(_everything_in(path)):
            yield path / finding.path, finding
        return
    documents, own = _around(path)
    for finding in lint_policies(documents):
        if finding.path == own:
            yield path, finding


def _around(file: Path) -> tuple[dict[str, bytes], str]:
    """Return a document among those of its folder, whatever is wrong with them.

    Samples stand in for members, models and presets where there are none.
    """
    content, above = _read(file), file.absolute().parent
    own = file.name if file.name in (BOARD, MEMBERS) else f"{above.name}/{file.name}"
    documents: dict[str, bytes] = {}
    if is_policy_path(own):
        documents = _everything_in(above.parent if "/" in own else above)
    else:
        own = target_path(file.name, content)
    documents[own] = content
    return with_samples(documents), own


def _everything_in(folder: Path) -> dict[str, bytes]:
    """Return all documents, also those under a name that no policy can have.

    Raises:
        ConfigurationError: FOLDER_UNREADABLE.
    """
    files = [folder / BOARD, folder / MEMBERS]
    for below in SUBFOLDERS:
        files += sorted((folder / below).glob("*.yaml"))
        files += sorted((folder / below).glob("*.yml"))
    found: dict[str, bytes] = {}
    for file in files:
        if file.is_file():
            found[file.relative_to(folder).as_posix()] = _read(file)
    return found


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError:
        raise ConfigurationError(
            "FOLDER_UNREADABLE", f"The file {file} cannot be read."
        ) from None


def _line(place: Path, finding: Finding, mark: str) -> str:
    entry = f"{finding.entry}: " if finding.entry else ""
    where = f"{place}:{finding.line}:{finding.column}"
    return f"{where}: {entry}{mark}{finding.sentence}"


def _record(place: Path, finding: Finding) -> dict[str, object]:
    return {
        "file": str(place),
        "line": finding.line,
        "column": finding.column,
        "entry": finding.entry,
        "severity": finding.severity.value,
        "sentence": finding.sentence,
    }
