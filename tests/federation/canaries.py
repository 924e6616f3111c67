# SPDX-License-Identifier: Apache-2.0
"""Looks for what was planted in records, in bytes of any kind.

Words are looked for as text in the usual encodings, without regard to case; hashes and
keys as bytes, in hex or base64. A search that finds nothing proves nothing by itself:
tests look for the same things where they must be, too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import duckdb
import numpy as np

from tests.federation.small_world import WORDS, Case

_PLANTED = (
    *WORDS,
    "Maribel",
    "Quillfeather",
    "Nguyễn",
    "Ольга",
    "Петрова",
    "فاطمة",
    "李娜",
)

_BIRTH_DATE = re.compile(rb"(?<!\d)(19[6-9]\d|200[0-4])-[01]\d-[0-3]\d(?!\d)")

_WINDOW = 8
"""Bytes of a digest by which it is recognised: chance finds one in 2**64 places."""


def words_in(content: bytes) -> set[str]:
    """Return the planted words that stand in *content*."""
    folded = content.lower()
    return {
        word
        for word in _PLANTED
        if any(form in folded for form in _forms(word))
        or any(form in content for form in _in_base64(word))
    }


def birth_dates_in(content: bytes) -> set[bytes]:
    """Return what looks like the birth date of somebody in the records."""
    return {match[0] for match in _BIRTH_DATE.finditer(content)}


def digests_in(content: bytes, digests: Iterable[bytes]) -> int:
    """Return how many places of *content* begin like one of the digests do."""
    starts = {digest[:_WINDOW] for digest in digests if len(digest) >= _WINDOW}
    starts |= {start.hex().encode()[:_WINDOW] for start in set(starts)}
    starts |= {base64.b64encode(start)[:_WINDOW] for start in set(starts)}
    wanted = np.unique(np.frombuffer(b"".join(sorted(starts)), "<u8"))
    found = 0
    for shift in range(_WINDOW):
        length = (len(content) - shift) // _WINDOW
        if length > 0:
            here = np.frombuffer(content, "<u8", count=length, offset=shift)
            found += int(np.isin(here, wanted).sum())
    return found


def plain_digests(cases: Iterable[Case]) -> set[bytes]:
    """Return what anybody could compute from names and numbers, without any key."""
    found: set[bytes] = set()
    for case in cases:
        whole = f"{case.given_name}{case.family_name}{case.birth_date}"
        spaced = f"{case.given_name} {case.family_name} {case.birth_date}"
        for text in {*case.secrets, whole, spaced}:
            for form in {text, text.lower(), text.casefold(), text.upper()}:
                for kind in ("md5", "sha1", "sha256"):
                    found.add(hashlib.new(kind, form.encode()).digest())
    return found


def forms_of_key(key: bytes) -> set[bytes]:
    """Return the bytes by which a key could be found again."""
    texts = {key.hex(), key.hex().upper()}
    for before in range(3):
        coded = base64.b64encode(b" " * before + key).decode()
        texts.add(coded[4 if before else 0 : -4])
    found = {key}
    for text in texts:
        found |= {text.encode(), text.encode("utf-16-le")}
    return found


def files_in(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files; compressed tables as the text of their cells."""
    found: dict[Path, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found[path] = path.read_bytes()
            if path.suffix == ".parquet":
                found[path] += _cells(path)
    return found


def _cells(path: Path) -> bytes:
    with duckdb.connect() as connection:
        rows = connection.execute("FROM read_parquet(?)", [str(path)]).fetchall()
        notes = connection.execute(
            "FROM parquet_kv_metadata(?)", [str(path)]
        ).fetchall()
    return b"\n".join(
        each if isinstance(each, bytes) else str(each).encode()
        for row in [*rows, *notes]
        for each in row
    )


def _forms(word: str) -> set[bytes]:
    """Return the bytes of a word, to be found where ASCII is in small letters."""
    found: set[bytes] = set()
    for text in (word, word.casefold(), word.upper()):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            found.add(text.encode(encoding).lower())
        found.add(text.encode().hex().encode())
    return found


def _in_base64(word: str) -> set[bytes]:
    """Return what a word becomes inside a longer text, at each of three places."""
    found: set[bytes] = set()
    for form in (word, word.casefold()):
        for before in range(3):
            coded = base64.b64encode(b" " * before + form.encode())
            end = len(coded) - 4 if (before + len(form.encode())) % 3 else len(coded)
            found.add(coded[4 if before else 0 : end])
    return {each for each in found if len(each) >= _WINDOW}
