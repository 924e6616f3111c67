# SPDX-License-Identifier: Apache-2.0
"""Questions that this user has asked and has not read the answers of.

One small file for each, in the user's data directory, so that somebody who comes back
days later finds them by themselves and not by an id on a slip of paper::

    asked/<fingerprint of the hub's authority>/<id>.json

It says what was asked, and nothing of any answer. It is a convenience: where it cannot
be written nothing fails, and the id, or the same question asked again, leads back too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import re
from typing import Final

from accord.client.profile import data_folder

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PRIVATE: Final = 0o600


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question, as it is kept."""

    id: str
    agreement: str
    question: str
    """In one line."""
    asked_at: datetime.datetime


class AskedQuestions:
    """What was asked of one hub."""

    def __init__(self, hub: str) -> None:
        """Name the folder; nothing is read or written yet.

        Args:
            hub: fingerprint of its certificate authority, in hexadecimal.
        """
        self._folder = data_folder() / "asked" / hub

    def keep(self, asked: Asked) -> None:
        """Remember a question until its answer is read."""
        if _ID.fullmatch(asked.id) is None:
            return
        kept = dataclasses.asdict(asked) | {"asked_at": asked.asked_at.isoformat()}
        path = self._folder / f"{asked.id}.json"
        beside = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE
            )
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, ensure_ascii=False)
            beside.replace(path)

    def forget(self, identifier: str) -> None:
        """Forget a question; folders that are empty then are removed too."""
        if _ID.fullmatch(identifier) is None:
            return
        with contextlib.suppress(OSError):
            (self._folder / f"{identifier}.json").unlink(missing_ok=True)
            self._folder.rmdir()
            self._folder.parent.rmdir()

    def all(self) -> list[Asked]:
        """Return what is remembered, oldest first; files that make no sense are not."""
        found = []
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                found.append(
                    Asked(
                        id=path.stem,
                        agreement=str(kept["agreement"]),
                        question=str(kept["question"]),
                        asked_at=datetime.datetime.fromisoformat(kept["asked_at"]),
                    )
                )
        return sorted(found, key=lambda each: (each.asked_at, each.id))
