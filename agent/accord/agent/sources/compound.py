# SPDX-License-Identifier: Apache-2.0
"""Compound files, the form of .xls and of workbooks under a password [MS-CFB]."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

_MARK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LAST: Final = 0xFFFFFFFA
"""Numbers of sectors from here on have another meaning."""

_ENTRY: Final = 128
_STREAM: Final = 2
_SHIFTS: Final = (9, 12)


def is_compound(content: bytes) -> bool:
    """Return whether the first bytes are those of a compound file."""
    return content.startswith(_MARK)


def names_in(content: bytes) -> set[str]:
    """Return the names of all entries; nothing where the file is damaged."""
    try:
        return set(_Compound(content).entries)
    except (struct.error, ValueError):
        return set()


def stream_of(content: bytes, names: Sequence[str]) -> bytes:
    """Return the first of the named streams, or nothing.

    Raises:
        struct.error or ValueError: the file is damaged.
    """
    found = _Compound(content)
    for name in names:
        if name in found.entries:
            return found.read(name)
    return b""


class _Compound:
    """Chains of sectors, and the directory that names them."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        shift, short_shift = struct.unpack_from("<HH", content, 30)
        if shift not in _SHIFTS:
            message = "no such size of sectors"
            raise ValueError(message)
        self._size, self._short_size = 1 << shift, 1 << short_shift
        fat_sectors, directory = struct.unpack_from("<II", content, 44)
        self._cutoff, short_start = struct.unpack_from("<II", content, 56)
        self._table = self._allocation(fat_sectors)
        self._short_start = short_start
        self.entries: dict[str, tuple[int, int, int]] = {}
        listed = self._chain(directory)
        self._root = (0, 0, 0)
        for at in range(0, len(listed) - _ENTRY + 1, _ENTRY):
            entry = listed[at : at + _ENTRY]
            (length,) = struct.unpack_from("<H", entry, 64)
            name = entry[: max(length - 2, 0)].decode("utf-16-le", "replace")
            start, size = struct.unpack_from("<II", entry, 116)
            found = (entry[66], start, size)
            if at == 0:
                self._root = found
            if name:
                self.entries.setdefault(name, found)

    def read(self, name: str) -> bytes:
        kind, start, size = self.entries[name]
        if kind != _STREAM:
            return b""
        if size >= self._cutoff:
            return self._chain(start)[:size]
        found, step = bytearray(), self._short_size
        short = self._chain(self._root[1])
        for sector in _followed(start, _numbers(self._chain(self._short_start))):
            found += short[sector * step : (sector + 1) * step]
        return bytes(found[:size])

    def _allocation(self, sectors: int) -> list[int]:
        """Return the allocation table, whose own sectors are listed in two places."""
        # A file can name more of them than it has room for.
        sectors = min(sectors, len(self._content) // (self._size**2 // 4) + 1)
        listed = list(struct.unpack_from("<109I", self._content, 76))
        more, _ = struct.unpack_from("<II", self._content, 68)
        seen: set[int] = set()
        while more < _LAST and more not in seen and len(listed) < sectors:
            seen.add(more)
            numbers = _numbers(self._sector(more))
            listed += numbers[:-1]
            more = numbers[-1]
        table: list[int] = []
        for number in listed[:sectors]:
            if number < _LAST:
                table += _numbers(self._sector(number))
        return table

    def _chain(self, start: int) -> bytes:
        return b"".join(self._sector(each) for each in _followed(start, self._table))

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        found = self._content[start : start + self._size]
        if len(found) != self._size:
            found += bytes(self._size - len(found))
        return found


def _followed(start: int, table: Sequence[int]) -> list[int]:
    """Return the sectors of a chain.

    Raises:
        ValueError: it leads nowhere, or in a circle.
    """
    found: list[int] = []
    while start < _LAST:
        if start >= len(table) or len(found) > len(table):
            message = "a chain of sectors is broken"
            raise ValueError(message)
        found.append(start)
        start = table[start]
    return found


def _numbers(sectors: bytes) -> list[int]:
    return list(
        struct.unpack(f"<{len(sectors) // 4}I", sectors[: len(sectors) // 4 * 4])
    )
