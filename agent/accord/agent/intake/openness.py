# SPDX-License-Identifier: Apache-2.0
"""Questions that a draft of a mapping leaves to the staff."""

from __future__ import annotations

import re
from collections.abc import Iterator

from accord.core.document import DocumentError, Problem

OPEN = "TODO"
"""Stands in a draft where a question is open."""

_OPEN = re.compile(rf"(?<=[:\[,\s]){OPEN}(?=\s*(?:[,\]}}#]|$))")


def refuse_open(text: str, source: str) -> None:
    """Raise if a mapping has a question that nobody has answered.

    Raises:
        DocumentError: one problem for each question.
    """
    problems = list(_open_questions(text))
    if problems:
        raise DocumentError(source, problems)


def _open_questions(text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if found := _OPEN.search(line):
            what = line[: found.start()].strip().rstrip(":[ ")
            about = "which columns identify a person" if what == "person" else "this"
            yield Problem(
                line=number,
                column=found.start() + 1,
                path="person" if what == "person" else "",
                sentence=f"a question of the draft is open here: say {about}, in the "
                f"place of {OPEN}; the comment beside it has what to choose from.",
            )
