# SPDX-License-Identifier: Apache-2.0
"""Workbooks of Excel and LibreOffice: every sheet is a stream of rows.

They are read by a process of its own (`accord.agent.sources.workbook_child`); here is
what is asked of it, and what is said where it cannot. Complaints name file and sheet,
and never show what stands there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from accord.agent.sources.form import SourceForm
from accord.agent.sources.table import (
    BATCH_ROWS,
    UNREADABLE,
    Batch,
    Stream,
    shown,
    told_apart,
)
from accord.core.errors import SourceError

ENDINGS: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

_LARGEST: Final = 256 << 20
"""Bytes of a workbook."""

_CHILD: Final = "accord.agent.sources.workbook_child"


def open_workbook(path: Path, form: SourceForm) -> list[Stream]:
    """Check a workbook and return its sheets that have rows.

    Raises:
        SourceError: SOURCE_EMPTY, SOURCE_FORMAT, SOURCE_LOCKED, SOURCE_MALFORMED,
            SOURCE_SHEET or SOURCE_UNREADABLE.
    """
    if importlib.util.find_spec("python_calamine") is None:
        raise SourceError(
            "SOURCE_FORMAT",
            f"{path.name} is a workbook, and this installation cannot read one: "
            "install the extra `excel`, or save the sheet as CSV.",
        )
    _refuse_locked(path)
    _refuse_large(path)
    found = list(_asked(path, None, form.header_row))
    chosen = _chosen(path, form, [each["sheet"] for each in found])
    sheets = [each for each in found if each["sheet"] in chosen and each["row"]]
    if not sheets:
        raise SourceError("SOURCE_EMPTY", f"{path.name} has no sheet with rows.")
    return [_sheet(path, each, form.header_row) for each in sheets]


def _chosen(path: Path, form: SourceForm, names: Sequence[str]) -> Sequence[str]:
    if form.sheets == "all":
        return names
    for name in form.sheets:
        if name not in names:
            raise SourceError(
                "SOURCE_SHEET",
                f"{path.name} has no sheet {name!r}. It has: "
                f"{', '.join(map(shown, names))}.",
            )
    return form.sheets


def _sheet(path: Path, found: dict[str, Any], header_row: int | None) -> Stream:
    """Return a sheet as a stream, whose rows have the numbers that Excel shows."""
    name = f"{shown(path.name)}, sheet {shown(found['sheet'])}"
    if not found["header"]:
        raise SourceError(
            "SOURCE_EMPTY",
            f"{name}: row {header_row}, where the mapping expects the names of the "
            "columns, is empty.",
        )
    header = told_apart(found["header"])
    numbers: array[int] = array("L")

    def rows(columns: Sequence[str]) -> Iterator[Batch]:
        del numbers[:]
        places = [header.index(column) for column in columns]
        for each in _asked(path, found["sheet"], found["row"], places):
            numbers.extend(each["numbers"])
            yield each["columns"]

    return Stream(
        name=name, header=header, rows=rows, counted=lambda row: numbers[row - 1]
    )


def _refuse_locked(path: Path) -> None:
    """Refuse a workbook that somebody has open: what is on disk may be half of it."""
    if path.name.startswith("~$"):
        raise SourceError(
            "SOURCE_LOCKED",
            f"{path.name} is no workbook but Excel's mark of one that is open. Name "
            "the workbook itself, and close it first.",
        )
    for mark in (f"~${path.name}", f".~lock.{path.name}#"):
        if path.with_name(mark).exists():
            raise SourceError(
                "SOURCE_LOCKED",
                f"{path.name} is open in a spreadsheet program: {mark} stands beside "
                "it. Close it there, or read a copy. If nobody has it open, delete "
                f"{mark}.",
            )


def _refuse_large(path: Path) -> None:
    if path.stat().st_size > _LARGEST:
        raise _too_large(path)


def _asked(
    path: Path, sheet: str | None, header_row: int | None, columns: Sequence[int] = ()
) -> Iterator[dict[str, Any]]:
    """Ask the reading process and yield what it finds.

    Raises:
        SourceError: as of `open_workbook`.
    """
    request = {
        "path": str(path.resolve()),
        "sheet": sheet,
        "header_row": header_row,
        "columns": list(columns),
        "unreadable": UNREADABLE,
        "batch": BATCH_ROWS,
    }
    command = [sys.executable, "-P", "-m", _CHILD]
    with subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A panic of the parser could quote a value.
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as child:
        try:
            yield from _answers(child, json.dumps(request), path)
        finally:
            child.kill()


def _answers(
    child: subprocess.Popen[str], request: str, path: Path
) -> Iterator[dict[str, Any]]:
    assert child.stdin is not None  # noqa: S101  # both are pipes
    assert child.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(request)
    for line in child.stdout:
        if not line.endswith("\n"):
            break  # it was ended in the middle of a word
        found = json.loads(line)
        if "end" in found:
            return
        if "fault" in found:
            raise _FAULTS[found["fault"]](path)
        yield found
    # It ended without a word: its limits, or its parser, ended it.
    raise _too_large(path)


def _strange(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_UNREADABLE",
        f"{path.name} is no workbook, or a damaged one. Some programs give the "
        "name of a workbook to a web page or a text: open it in a spreadsheet "
        "program and save it as .xlsx or .csv.",
    )


def _protected(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_LOCKED",
        f"{path.name} is under a password. Open it and save a copy without one, on an "
        "encrypted disk; Accord takes no passwords of workbooks.",
    )


def _too_large(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_MALFORMED",
        f"{path.name} needs more memory or time than a workbook is given. It may be "
        "damaged, or have cells far outside of its rows. Save the sheet as CSV, which "
        "may have any size.",
    )


def _damaged(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_UNREADABLE",
        f"{path.name} is a damaged workbook. Open it in a spreadsheet program, which "
        "may repair it, and save it anew.",
    )


def _unreadable(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_UNREADABLE",
        f"{path.name} may not be read by this user, or another program holds it. Close "
        "it there, or give this user the right to read it.",
    )


_FAULTS: Final = {
    "strange": _strange,
    "password": _protected,
    "memory": _too_large,
    "damaged": _damaged,
    "permission": _unreadable,
}
