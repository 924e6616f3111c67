# SPDX-License-Identifier: Apache-2.0
"""What keeps secrets on Windows: DPAPI around a key, and who may read a file.

Windows has no mode 0600. A file is private when its access list lets nobody read it but
its owner, the system and administrators, who can take any file anyway. A key that is
wrapped with DPAPI opens only in the account, on the machine, that wrapped it: a copy of
the file alone is of no use.

The two calls of Windows are parameters, so that what is done with them is tested
everywhere. **Not run on Windows**; docs/how-to-agency.md says so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from accord.core.errors import ConfigurationError

MAGIC = b"ACCORD-DPAPI\x01"
"""How a wrapped key begins, with the version of its form."""

_READ_DATA, _CHANGE_LIST, _CHANGE_OWNER = 0x1, 0x40000, 0x80000
_GENERIC_ALL, _GENERIC_READ = 0x10000000, 0x80000000
_READS = _READ_DATA | _CHANGE_LIST | _CHANGE_OWNER | _GENERIC_ALL | _GENERIC_READ
_READING_WORDS = frozenset({"FA", "FR", "GA", "GR", "KA", "KR", "CC", "WD", "WO"})
"""Rights by which somebody may read a file, or give himself the right to."""

_HARMLESS = frozenset({"SY", "BA", "OW", "CO", "S-1-5-18", "S-1-5-32-544", "S-1-3-4"})
"""The system, administrators, and whoever owns the file."""

_ENTRY = re.compile(
    r"\((?P<kind>[^;()]*);[^;]*;(?P<rights>[^;]*);[^;]*;[^;]*;(?P<who>[^;()]*)"
)

Crypt = Callable[[bytes, bool], bytes]
"""DPAPI: bytes, and whether they are to be protected or opened."""

Descriptor = Callable[[Path], str]
"""The security descriptor of a file, with its owner, as a text in SDDL."""


def wrap(key: bytes, crypt: Crypt | None = None) -> bytes:
    """Return a key such that only this account on this machine opens it.

    Raises:
        ConfigurationError: DPAPI_REFUSED
    """
    return MAGIC + (crypt or _crypt)(key, True)  # noqa: FBT003 - a callable has no names


def is_wrapped(content: bytes) -> bool:
    """Whether a file holds what `wrap` made."""
    return content.startswith(MAGIC)


def unwrap(content: bytes, crypt: Crypt | None = None) -> bytes:
    """Return the key that `wrap` was given.

    Raises:
        ConfigurationError: DPAPI_REFUSED, another account or machine wrapped it, or
            it is damaged.
    """
    if not is_wrapped(content):
        raise ConfigurationError(
            "DPAPI_REFUSED",
            "This is no key that Windows' data protection has wrapped: make it with "
            "the agent itself.",
        )
    return (crypt or _crypt)(content[len(MAGIC) :], False)  # noqa: FBT003 - the same


def readers(path: Path, descriptor: Descriptor | None = None) -> list[str]:
    """Return who else may read a file: identifiers of accounts and groups.

    Empty for a private file. An access list that denies somebody counts as if it did
    not; one that is missing lets everybody in.
    """
    text = (descriptor or _descriptor)(path)
    owner = re.match(r"O:(S-[0-9-]+|[A-Z]{2})", text)
    mine = _HARMLESS | ({owner[1]} if owner else set())
    _, found, list_ = text.partition("D:")
    if not found or "NO_ACCESS_CONTROL" in list_:
        return ["WD"]
    list_ = list_.partition("S:(")[0]
    others = {
        entry["who"]
        for entry in _ENTRY.finditer(list_)
        if entry["kind"] in {"A", "XA", "OA"}
        and _may_read(entry["rights"])
        and entry["who"] not in mine
    }
    return sorted(others)


def _may_read(rights: str) -> bool:
    """Whether rights as SDDL writes them, a number or words of two letters, read."""
    if rights.startswith("0"):
        return bool(int(rights, 0) & _READS)
    words = {rights[place : place + 2] for place in range(0, len(rights), 2)}
    return bool(words & _READING_WORDS)


def require_private(path: Path, descriptor: Descriptor | None = None) -> None:
    """Refuse a secret that others may read.

    Raises:
        ConfigurationError: SECRET_EXPOSED
    """
    others = readers(path, descriptor)
    if others:
        raise ConfigurationError(
            "SECRET_EXPOSED",
            f"{path} can be read by others than its owner ({', '.join(others)}). Take "
            "them off: icacls FILE /inheritance:r /grant:r %USERNAME%:F, and consider "
            "who may have seen it.",
        )


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class _Blob(ctypes.Structure):
        _fields_ = [
            ("size", wintypes.DWORD),
            ("data", ctypes.POINTER(ctypes.c_char)),
        ]

    _NO_QUESTIONS = 0x1  # CRYPTPROTECT_UI_FORBIDDEN
    _LABEL = b"accord-agent"
    _FILE_OBJECT = 1
    _OWNER_AND_LIST = 0x1 | 0x4
    _REVISION = 1

    def _crypt(content: bytes, protect: bool) -> bytes:  # noqa: FBT001 - as Crypt
        library = ctypes.WinDLL("crypt32", use_last_error=True)
        call = library.CryptProtectData if protect else library.CryptUnprotectData
        given, label, made = _blob(content), _blob(_LABEL), _Blob()
        if not call(
            *(ctypes.byref(given), None, ctypes.byref(label), None, None),
            *(_NO_QUESTIONS, ctypes.byref(made)),
        ):
            raise ConfigurationError(
                "DPAPI_REFUSED",
                "Windows' data protection did not take the key: it opens only in the "
                "account, on the machine, that made it.",
            )
        try:
            return ctypes.string_at(made.data, made.size)
        finally:
            ctypes.WinDLL("kernel32").LocalFree(made.data)

    def _blob(content: bytes) -> _Blob:
        buffer = ctypes.create_string_buffer(content, len(content))
        return _Blob(len(content), ctypes.cast(buffer, ctypes.POINTER(ctypes.c_char)))

    def _descriptor(path: Path) -> str:
        library = ctypes.WinDLL("advapi32", use_last_error=True)
        kernel = ctypes.WinDLL("kernel32")
        kernel.LocalFree.argtypes = [ctypes.c_void_p]
        found, text = ctypes.c_void_p(), wintypes.LPWSTR()
        status = library.GetNamedSecurityInfoW(
            *(ctypes.c_wchar_p(str(path)), _FILE_OBJECT, _OWNER_AND_LIST),
            *(None, None, None, None, ctypes.byref(found)),
        )
        if status != 0:
            raise ConfigurationError(
                "SECRET_UNREADABLE", f"{path}: Windows does not say who may read it."
            )
        try:
            convert = library.ConvertSecurityDescriptorToStringSecurityDescriptorW
            if not convert(
                *(found, _REVISION, _OWNER_AND_LIST, ctypes.byref(text), None),
            ):
                raise ConfigurationError(
                    "SECRET_UNREADABLE", f"{path}: its access list cannot be read."
                )
            return str(text.value)
        finally:
            kernel.LocalFree(found)
            kernel.LocalFree(ctypes.cast(text, ctypes.c_void_p))

else:

    def _crypt(_content: bytes, _protect: bool) -> bytes:  # noqa: FBT001 - as Crypt
        raise ConfigurationError(
            "DPAPI_REFUSED",
            "This key was wrapped by Windows' data protection and opens only there: "
            "take the copy that was made when the key was.",
        )

    def _descriptor(path: Path) -> str:
        raise ConfigurationError(
            "SECRET_UNREADABLE", f"{path}: only Windows has access lists of its kind."
        )
