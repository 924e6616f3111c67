# SPDX-License-Identifier: Apache-2.0
"""Texts of files decoded as the mapping says, and copied as UTF-8 where they are not.

A file that is clean UTF-8 already is read where it lies. Every complaint names file
and line, and never shows what stands there.

A copy ends before it fills the disk, on which the ledger has to be written, and a
packed file before it has become far larger than any that holds records.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from accord.agent.machine.room import LEAST_FREE, free_bytes
from accord.core.errors import PreconditionFailed, SourceError

_CHUNK = 1 << 22

_MOST_TIMES: Final = 200
"""How many times its size a packed file may have unpacked.

Records pack to a tenth, and to a fiftieth where they are much alike; only what repeats
itself without end packs further, to a thousandth.
"""

_ALWAYS: Final = 1 << 28
"""Bytes that any packed file may have unpacked, however small it is."""


def as_utf8(path: Path, encoding: str | None, copy: Path, *, above: int = 0) -> Path:
    """Return *path* if it is clean UTF-8, else a clean copy of it.

    Args:
        path: the file.
        encoding: as the mapping says; none: by the file's own mark, else UTF-8.
        copy: where a copy goes.
        above: lines to leave away at the top; with any there is always a copy.

    Raises:
        SourceError: SOURCE_ENCODING or SOURCE_MALFORMED, with the line.
        PreconditionFailed: STORE_NOT_WRITABLE, a copy has no room.
    """
    packed = path.name.lower().endswith(".gz")
    name = encoding or _marked(path)
    name = "utf-8-sig" if name == "utf-8" else name
    both = feeds = returns = 0
    if not packed and not above and name == "utf-8-sig":
        for text in _decoded(path, name):
            feeds += text.count("\n")
            if "\r" in text:
                both += text.count("\r\n")
                returns += text.count("\r")
        if both in (0, feeds) and (feeds or not returns):
            return path
    # DuckDB takes one kind of line end in a file; the copy has one.
    with copy.open("x", encoding="utf-8", newline="") as file:
        held, alone = "", None
        for text in _decoded(path, name):
            if alone is None:
                # Lines that end in returns alone come from an old Macintosh.
                alone = "\r" in text and "\n" not in text
            whole = held + text
            held = "\r" if whole.endswith("\r") else ""
            lines = whole.removesuffix("\r").replace("\r\n", "\n")
            lines = lines.replace("\r", "\n") if alone else lines
            while above and lines:
                _, end, lines = lines.partition("\n")
                above -= len(end)
            if free_bytes(copy.parent) < LEAST_FREE:
                raise _no_room(path)
            file.write(lines)
        file.write("\n" if held else "")
    return copy


def _marked(path: Path) -> str:
    """Return the encoding that the file's first bytes name, or UTF-8."""
    with _opened(path) as file:
        start = file.read(4)
    return next(
        (name for mark, name in _MARKS.items() if start[: len(mark)] == mark), "utf-8"
    )


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """Yield the file's text in pieces.

    Raises:
        SourceError: SOURCE_ENCODING or SOURCE_MALFORMED, with the line.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    packed = path.name.lower().endswith(".gz")
    most = max(_ALWAYS, _MOST_TIMES * path.stat().st_size) if packed else None
    with _opened(path) as file:
        start = file.read(4)
        _check_mark(start, encoding, path.name)
        chunk = start + file.read(_CHUNK)
        final, first = False, True
        while not final:
            following = file.read(_CHUNK)
            final = not following
            if most is not None and file.tell() > most:
                raise _bomb(path)
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
            yield text.removeprefix("\ufeff") if first else text
            first = False


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
            "mapping; windows-1250 for Central Europe, -1251 for Cyrillic, -1256 for "
            "Arabic.",
        )
    return SourceError(
        "SOURCE_ENCODING",
        f"{path.name}, line {line}: this is not {encoding}, as the mapping says; "
        "another encoding may be.",
    )


def _bomb(path: Path) -> SourceError:
    return SourceError(
        "SOURCE_MALFORMED",
        f"{path.name} unpacks to more than {_MOST_TIMES} times its size, as no file of "
        "records does; it may be damaged, or made to fill a disk. If it is right, "
        "unpack it yourself and name the CSV file.",
    )


def _no_room(path: Path) -> PreconditionFailed:
    return PreconditionFailed(
        "STORE_NOT_WRITABLE",
        f"{path.name} has to be copied to be read, and the disk of the state directory "
        f"has less than {LEAST_FREE >> 20} MiB left. Make room there, or save the file "
        "as CSV in UTF-8, unpacked, which is read where it lies.",
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            if path.name.lower().endswith(".gz"):
                with gzip.open(file) as unpacked:
                    yield unpacked  # type: ignore[misc]  # a GzipFile reads like a file
            else:
                yield file
    except (PermissionError, gzip.BadGzipFile):
        raise
    except OSError as error:
        raise SourceError(
            "SOURCE_UNREADABLE",
            f"{path.name} cannot be read to its end: {error.strerror}. If it lies on a "
            "network drive or a stick, see whether that is there, or copy the file to "
            "this machine.",
        ) from None
