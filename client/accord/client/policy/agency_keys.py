# SPDX-License-Identifier: Apache-2.0
"""The lines that ``accord-agent keys`` prints, as people paste them.

An agency's entry has up to three keys, which belong together::

    key: ed25519:…
    exchange: x25519:…
    kem: mlkem768:…

They come by mail or on paper, so lines can be indented or broken; what follows a # at
the beginning of a line is for people. Several agencies are told apart by a line with
the agency's label before its keys.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from accord.core.agreement_form import LABEL
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.core.members import EXCHANGE, KEM, KEY
from accord.core.messages import sentence

LARGEST: Final = 100_000
"""Bytes of a file with an agency's lines."""

_FORMS: Final[Mapping[str, str]] = {"key": KEY, "exchange": EXCHANGE, "kem": KEM}
_LENGTHS: Final[Mapping[str, int]] = {
    "key": len("ed25519:") + 64,
    "exchange": len("x25519:") + 64,
    "kem": len("mlkem768:") + 1580,
}
_KEY_LINE: Final = re.compile(r"(key|exchange|kem)\s*:\s*(\S*)")
_LABEL_LINE: Final = re.compile(rf"(?P<label>{LABEL})\s*[:=]?\s*(?P<rest>.*)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgencyKeys:
    """The public keys of one agency's entry in ``members.yaml``."""

    key: str
    exchange: str
    kem: str | None = None
    """None where the agency's machine cannot make one."""

    def entries(self) -> dict[str, str | None]:
        """Return them by the names of their lines."""
        return {"key": self.key, "exchange": self.exchange, "kem": self.kem}


def agency_keys(label: str, given: str, language: str = "en") -> AgencyKeys:
    """Return one agency's keys: the lines themselves, or a file that holds them.

    Raises:
        InvalidQuery: AGENCY_KEYS_INCOMPLETE, KEY_INVALID or OPTION_MALFORMED.
        ConfigurationError: KEY_UNREADABLE.
    """
    text = given if ":" in given and not _is_file(given) else _content(given)
    found = pasted_keys(f"{label}= {text.strip()}", language)
    if list(found) != [label]:
        raise _malformed(language)
    return found[label]


def pasted_keys(text: str, language: str = "en") -> dict[str, AgencyKeys]:
    """Return the keys of several agencies, by label.

    Raises:
        InvalidQuery: AGENCY_KEYS_INCOMPLETE, KEY_INVALID or OPTION_MALFORMED.
    """
    found: dict[str, dict[str, str]] = {}
    label, open_entry = "", ""
    for line in (each.strip() for each in text.splitlines() if each.strip()[:1] != "#"):
        own = found.get(label, {})
        named = _KEY_LINE.fullmatch(line)
        if named is not None:
            open_entry = named[1]
            if not label or open_entry in own:
                raise _malformed(language)
            own[open_entry] = named[2]
        elif open_entry and _goes_on(own[open_entry], open_entry, line):
            own[open_entry] += line
        elif line:
            label, open_entry = _begin(line, found, language)
    return {label: _complete(label, own, language) for label, own in found.items()}


def _begin(
    line: str, found: dict[str, dict[str, str]], language: str
) -> tuple[str, str]:
    """Read the line before an agency's keys; its first key can stand on it."""
    match = _LABEL_LINE.fullmatch(line)
    if match is None or match["label"] in found:
        raise _malformed(language)
    rest, entries = match["rest"], found.setdefault(match["label"], {})
    named = _KEY_LINE.fullmatch(rest)
    if named is not None:
        entries[named[1]] = named[2]
    elif re.fullmatch(KEY, rest) is not None:
        entries["key"] = rest
    elif rest:
        raise _malformed(language)
    return match["label"], next(iter(entries), "")


def _malformed(language: str) -> InvalidQuery:
    return InvalidQuery(
        "OPTION_MALFORMED", sentence("board.page.agency-lines", language)
    )


def _goes_on(value: str, entry: str, line: str) -> bool:
    """Tell whether *line* can be the rest of a key that was broken off."""
    missing = _LENGTHS[entry] - len(value)
    return (
        0 < len(line) <= missing and re.fullmatch(r"[0-9A-Za-z:+/=]+", line) is not None
    )


def _complete(label: str, entries: Mapping[str, str], language: str) -> AgencyKeys:
    for name, value in entries.items():
        if re.fullmatch(_FORMS[name], value) is None:
            raise InvalidQuery(
                "KEY_INVALID",
                sentence("board.page.agency-key", language, agency=label, line=name),
            )
    missing = [name for name in ("key", "exchange") if name not in entries]
    if missing:
        raise InvalidQuery(
            "AGENCY_KEYS_INCOMPLETE",
            sentence(
                "board.page.agency-lacks",
                language,
                agency=label,
                lines=", ".join(f"{name}:" for name in missing),
            ),
        )
    return AgencyKeys(
        key=entries["key"], exchange=entries["exchange"], kem=entries.get("kem")
    )


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):
        return False


def _content(given: str) -> str:
    try:
        with Path(given).open(encoding="utf-8") as file:
            return file.read(LARGEST)
    except (OSError, UnicodeDecodeError, ValueError):
        raise ConfigurationError(
            "KEY_UNREADABLE",
            f"{given[:100]} is no file that can be read, and no lines as "
            "`accord-agent keys` prints them.",
        ) from None
