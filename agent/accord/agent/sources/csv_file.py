# SPDX-License-Identifier: Apache-2.0
"""CSV files: checked before anything is made of them, and explained where they break.

Every complaint names file and line, and never shows what stands there.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from accord.agent.sources.encoding import as_utf8
from accord.agent.sources.form import SourceForm
from accord.agent.sources.table import Table, shown, told_apart
from accord.core.errors import SourceError

_SEPARATORS = (",", ";", "\t", "|")
_LONGEST_FIELD = 1 << 20
_LONGEST_LINE = 2 << 20
_MOST_COLUMNS = 16_384
_LIMIT = "field limit"
"""In the reader's own words for a field that is too long; they hold numbers alone."""


def open_csv(path: Path, form: SourceForm, copy: Path) -> Table:
    """Check a CSV file and return it with its header.

    Args:
        path: the file.
        form: what the mapping says of it.
        copy: where a UTF-8 copy goes, if one is needed.

    Raises:
        SourceError: SOURCE_EMPTY, SOURCE_ENCODING, SOURCE_MALFORMED or
            SOURCE_UNREADABLE.
        PreconditionFailed: STORE_NOT_WRITABLE, a copy has no room.
    """
    try:
        above = (form.header_row or 1) - 1
        text = as_utf8(path, form.encoding, copy, above=above)
        separator = form.separator or _sniffed(text)
        header = _header(text, separator, path.name, above)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(
            "SOURCE_UNREADABLE", f"{path.name} is a damaged gzip file."
        ) from None
    if form.totals:
        words = {text.strip().lower() for each in form.totals.values() for text in each}
        text = _with_whole_end(text, copy, (separator, len(header)), words)
    return Table(
        name=shown(path.name),
        path=text.resolve(),
        kind="csv",
        header=header,
        separator=separator,
        above=above,
    )


def _with_whole_end(
    text: Path, copy: Path, form: tuple[str, int], words: set[str]
) -> Path:
    """Return a copy in which a last line of totals has all fields: it is often short.

    Args:
        text: the file in UTF-8.
        copy: where the copy goes, or is.
        form: the separator, and how many fields a line has.
        words: of totals.
    """
    separator, columns = form
    if text != copy:
        shutil.copyfile(text, copy)
    with copy.open("r+b") as file:
        start = file.seek(max(0, copy.stat().st_size - _LONGEST_FIELD))
        whole = file.read()
        end = whole.rstrip(b"\r\n")
        last = end.rpartition(b"\n")[2].decode("utf-8", "replace")
        fields: list[str] = []
        # What is wrong with a line is said where all of them are read.
        with contextlib.suppress(csv.Error):
            fields = next(csv.reader([last], delimiter=separator), [])
        if len(fields) < columns and words & {each.strip().lower() for each in fields}:
            file.seek(start + len(end))
            file.truncate()
            line_end = "\r\n" if b"\r\n" in whole else "\n"
            file.write((separator * (columns - len(fields)) + line_end).encode())
    return copy


def csv_scan(table: Table, columns: Sequence[str]) -> tuple[str, list[str]]:
    """Return the FROM clause and the expressions of *columns*.

    No name of a column is put into the statement.
    """
    fields = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(table.header)))
    separator = table.separator.replace("'", "''")
    source = (
        f"read_csv($path, auto_detect = false, header = true, delim = '{separator}', "
        f"quote = '\"', escape = '\"', strict_mode = true, null_padding = false, "
        f"ignore_errors = false, compression = 'none', "
        f"max_line_size = {_LONGEST_LINE}, columns = {{{fields}}})"
    )
    return source, [f"c{table.header.index(name)}" for name in columns]


def csv_fault(table: Table) -> SourceError:
    """Say what is wrong with a CSV file that could not be read to its end."""
    last_line = table.above
    count = len(table.header)
    try:
        with _text(table.path) as stream:
            reader = csv.reader(_lines(stream), delimiter=table.separator, strict=True)
            for number, fields in enumerate(reader):
                line, last_line = last_line + 1, table.above + reader.line_num
                if fields and len(fields) != count:
                    return SourceError(
                        "SOURCE_MALFORMED",
                        f"{table.name}, line {line} (row {number}): it has "
                        f"{len(fields)} fields, and the header has {count}. A text "
                        "that holds the separator or a line break needs quotes.",
                    )
                if sum(map(len, fields)) * 4 > _LONGEST_LINE:
                    size = sum(len(field.encode()) for field in fields)
                    if size + count > _LONGEST_LINE:
                        return _too_long(table, line)
    except csv.Error as error:
        if _LIMIT in str(error):
            return _too_long(table, last_line + 1)
        return SourceError(
            "SOURCE_MALFORMED",
            f"{table.name}, line {last_line + 1}: a quote that begins here does not "
            "end where it should. Quotes inside a quoted text are written twice.",
        )
    return SourceError(
        "SOURCE_UNREADABLE",
        f"{table.name} cannot be read as CSV with {_named(table.separator)} between "
        "fields; the mapping can name another `separator`.",
    )


def _too_long(table: Table, line: int) -> SourceError:
    return SourceError(
        "SOURCE_MALFORMED",
        f"{table.name}, line {line}: a field has more than {_LONGEST_FIELD:,} "
        f"characters, or the row more than {_LONGEST_LINE:,} bytes. Export the file "
        "without that column, or see whether a quote was left open.",
    )


@contextlib.contextmanager
def _text(path: Path) -> Iterator[io.TextIOBase]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield stream


def _lines(stream: io.TextIOBase) -> Iterator[str]:
    """Yield lines; one that never ends is not read into memory.

    Raises:
        csv.Error: as for a field that is too long.
    """
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(_LIMIT)
        yield line


def _sniffed(path: Path) -> str:
    """Return the separator that stands most often in the first line."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        line = stream.readline(_LONGEST_FIELD)
    outside = "".join(line.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)


def _header(path: Path, separator: str, name: str, above: int) -> tuple[str, ...]:
    try:
        with _text(path) as stream:
            reader = csv.reader(_lines(stream), delimiter=separator, strict=True)
            fields = next(reader, [])
            more = not fields and any(map(str.strip, _lines(stream)))
    except csv.Error as error:
        raise SourceError(
            "SOURCE_MALFORMED",
            f"{name}, line {above + 1}: the header is too long."
            if _LIMIT in str(error)
            else f"{name}, line {above + 1}: a quote in the header does not end where "
            "it should.",
        ) from None
    if more:
        raise SourceError(
            "SOURCE_EMPTY",
            f"{name}, line {above + 1}: this line is empty, where the names of the "
            "columns are expected. Say in which line they stand, such as "
            f"`source: {{header_row: {above + 2}}}`.",
        )
    if not fields:
        where = f" in line {above + 1}" if above else ""
        raise SourceError(
            "SOURCE_EMPTY", f"{name} is empty: there is no header{where}."
        )
    if len(fields) > _MOST_COLUMNS:
        raise SourceError(
            "SOURCE_MALFORMED", f"{name} has more than {_MOST_COLUMNS} columns."
        )
    return told_apart(fields)


def _named(separator: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(separator, separator)
