# SPDX-License-Identifier: Apache-2.0
"""Sources of records: CSV and Parquet files, checked before anything is made of them.

A CSV file is decoded as its mapping says. If it is UTF-8 already it is read where it
lies; else a UTF-8 copy is made in the private folder of the ingest. Every complaint
names file and line, and never shows what stands there.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import duckdb

from accord.agent.intake.mapping import SourceForm
from accord.agent.intake.sandbox import reading
from accord.core.errors import SourceError

_CHUNK = 1 << 22
_SEPARATORS = (",", ";", "\t", "|")
_LONGEST_FIELD = 1 << 20
_MOST_COLUMNS = 4096


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A source that can be read from the first row to the last."""

    name: str
    """The file's own name, for messages."""
    path: Path
    """What is read: the file itself, or its UTF-8 copy."""
    kind: Literal["csv", "parquet"]
    header: tuple[str, ...]
    separator: str = ","


def open_table(path: Path, form: SourceForm, folder: Path, number: int) -> Table:
    """Check a source and return it with its header.

    Args:
        path: the file.
        form: what the mapping says of it.
        folder: private; gets the copy, if one is needed.
        number: tells the copies of several sources apart.

    Raises:
        SourceError: SOURCE_ABSENT, SOURCE_EMPTY, SOURCE_ENCODING, SOURCE_MALFORMED or
            SOURCE_UNREADABLE.
    """
    if not path.is_file():
        raise SourceError("SOURCE_ABSENT", f"There is no file {path}.")
    kind = form.format or _kind_of(path)
    try:
        if kind == "parquet":
            return Table(name=path.name, path=path.resolve(), kind="parquet", header=())
        text = _as_utf8(path, form.encoding, folder / f"source-{number}.csv")
        separator = form.separator or _sniffed(text)
        return Table(
            name=path.name,
            path=text.resolve(),
            kind="csv",
            header=_header(text, separator, path.name),
            separator=separator,
        )
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(
            "SOURCE_UNREADABLE", f"{path.name} is a damaged gzip file."
        ) from None
    except PermissionError:
        raise SourceError(
            "SOURCE_UNREADABLE", f"{path.name} may not be read by this user."
        ) from None


def with_header(table: Table, connection: duckdb.DuckDBPyConnection) -> Table:
    """Return *table* with the header that a Parquet file carries itself."""
    if table.kind == "csv":
        return table
    with reading(table.name):
        rows = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet(?)", [str(table.path)]
        ).fetchall()
    return dataclasses.replace(table, header=tuple(str(row[0]) for row in rows))


def select_columns(table: Table, columns: list[str]) -> tuple[str, list[str]]:
    """Return the expressions of *columns* and the FROM clause, both without values.

    No name of a column is put into the text of a CSV statement; those of Parquet are
    quoted as identifiers.
    """
    if table.kind == "parquet":
        names = ['"' + name.replace('"', '""') + '"' for name in columns]
        return "read_parquet($path)", [f"CAST({name} AS VARCHAR)" for name in names]
    fields = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(table.header)))
    separator = table.separator.replace("'", "''")
    source = (
        f"read_csv($path, auto_detect = false, header = true, delim = '{separator}', "
        f"quote = '\"', escape = '\"', strict_mode = true, null_padding = false, "
        f"ignore_errors = false, compression = 'none', columns = {{{fields}}})"
    )
    return source, [f"c{table.header.index(name)}" for name in columns]


def explain(table: Table) -> SourceError:
    """Say what is wrong with a CSV file that could not be read to its end."""
    last_line = 0
    count = len(table.header)
    try:
        with _text(table.path) as stream:
            reader = csv.reader(stream, delimiter=table.separator, strict=True)
            for number, fields in enumerate(reader):
                line, last_line = last_line + 1, reader.line_num
                if fields and len(fields) != count:
                    return SourceError(
                        "SOURCE_MALFORMED",
                        f"{table.name}, line {line} (row {number}): it has "
                        f"{len(fields)} fields, and the header has {count}. A text "
                        "that holds the separator or a line break needs quotes.",
                    )
    except csv.Error:
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


def _kind_of(path: Path) -> Literal["csv", "parquet"]:
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    if name.endswith((".csv", ".csv.gz", ".tsv", ".txt")):
        return "csv"
    raise SourceError(
        "SOURCE_FORMAT",
        f"{path.name} ends neither in .csv nor in .parquet; say in the mapping what it "
        "is, such as `source: {format: csv}`.",
    )


def _as_utf8(path: Path, encoding: str, copy: Path) -> Path:
    """Return *path* if it is clean UTF-8, else a clean copy of it."""
    packed = path.name.lower().endswith(".gz")
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    if not packed and name == "utf-8-sig":
        both = feeds = 0
        for text in _decoded(path, name):
            both += text.count("\r\n")
            feeds += text.count("\n")
        if both in (0, feeds):
            return path
    # DuckDB takes one kind of line end in a file; the copy has one.
    with copy.open("x", encoding="utf-8", newline="") as file:
        held = ""
        for text in _decoded(path, name):
            whole = held + text
            held = "\r" if whole.endswith("\r") else ""
            file.write(whole.removesuffix("\r").replace("\r\n", "\n"))
        file.write("\n" if held else "")
    return copy


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """Yield the file's text in pieces.

    Raises:
        SourceError: SOURCE_ENCODING or SOURCE_MALFORMED, with the line.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with _opened(path) as file:
        start = file.read(4)
        _check_mark(start, encoding, path.name)
        chunk = start + file.read(_CHUNK)
        final = False
        while not final:
            following = file.read(_CHUNK)
            final = not following
            try:
                text = decoder.decode(chunk, final)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "ignore")
                raise _undecodable(path, line + before.count("\n"), encoding) from None
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                raise SourceError(
                    "SOURCE_MALFORMED",
                    f"{path.name}, line {line}: there is a NUL character, which no "
                    "text has. The file may be damaged, or UTF-16 (then say "
                    "`source: {encoding: utf-16}`).",
                )
            line += text.count("\n")
            chunk = following
            yield text


_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _check_mark(start: bytes, encoding: str, name: str) -> None:
    """Refuse a file whose first bytes say that it has another encoding."""
    for mark, meant in _MARKS.items():
        if start.startswith(mark) and not encoding.startswith(meant):
            raise SourceError(
                "SOURCE_ENCODING",
                f"{name}, line 1: the file begins with the mark of {meant}, and the "
                f"mapping says {encoding.removesuffix('-sig')}. Say "
                f"`source: {{encoding: {meant}}}` in the mapping.",
            )


def _undecodable(path: Path, line: int, encoding: str) -> SourceError:
    if encoding == "utf-8-sig":
        return SourceError(
            "SOURCE_ENCODING",
            f"{path.name}, line {line}: this is not UTF-8. If the file comes from an "
            "older Windows program, say `source: {encoding: windows-1252}` in the "
            "mapping.",
        )
    return SourceError(
        "SOURCE_ENCODING",
        f"{path.name}, line {line}: this is not {encoding}, as the mapping says; "
        "another encoding may be.",
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads like a file
        else:
            yield file


@contextlib.contextmanager
def _text(path: Path) -> Iterator[io.TextIOBase]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield stream


def _sniffed(path: Path) -> str:
    """Return the separator that stands most often in the first line."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        line = stream.readline(_LONGEST_FIELD)
    outside = "".join(line.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)


def _header(path: Path, separator: str, name: str) -> tuple[str, ...]:
    try:
        with _text(path) as stream:
            fields = next(csv.reader(stream, delimiter=separator, strict=True), [])
    except csv.Error:
        raise SourceError(
            "SOURCE_MALFORMED",
            f"{name}, line 1: a quote in the header does not end where it should.",
        ) from None
    if not fields:
        raise SourceError("SOURCE_EMPTY", f"{name} is empty: there is no header.")
    if len(fields) > _MOST_COLUMNS:
        raise SourceError(
            "SOURCE_MALFORMED", f"{name} has more than {_MOST_COLUMNS} columns."
        )
    return tuple(field.strip() for field in fields)


def _named(separator: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(separator, separator)
