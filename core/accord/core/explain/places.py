# SPDX-License-Identifier: Apache-2.0
"""Where a clause stands: in the agreement, in its preset, or nowhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from accord.core.agreement import Agreement
from accord.core.document import plain_document, problem_at


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The document and line of a clause."""

    document: str
    """Path of the document among the policies."""
    line: int | None
    """Counted from 1; None where the document is silent and the default holds."""

    def __str__(self) -> str:
        """Return ``agreements/x.yaml:17``."""
        return self.document if self.line is None else f"{self.document}:{self.line}"


def place_of(agreement: Agreement, clause: str) -> Place:
    """Return where the clause called *clause* is written.

    The deepest entry on its path that exists counts, in the agreement first.
    """
    own = f"agreements/{agreement.name}.yaml"
    texts = [(own, agreement.text)]
    if agreement.preset is not None:
        path = f"presets/{agreement.preset.name}.yaml"
        texts.append((path, agreement.preset.text))
    for document, text in texts:
        written = _written(plain_document(text, document), clause)
        if written:
            line = problem_at(text, written, "").line
            return Place(document=document, line=line)
    return Place(document=own, line=None)


def _written(entries: Mapping[str, object], clause: str) -> tuple[str | int, ...]:
    """Return the path to the entry, or nothing where a document does not have it."""
    found: list[str | int] = []
    node: object = entries
    rest = clause
    while rest:
        if isinstance(node, Mapping):
            key = _longest(node, rest)
            if key is None:
                return ()
            found.append(key)
            node, rest = node[key], rest[len(key) + 1 :]
        elif isinstance(node, list) and rest.partition(".")[0].isdigit():
            head, _, rest = rest.partition(".")
            if int(head) >= len(node):
                return ()
            found.append(int(head))
            node = node[int(head)]
        else:
            break
    return tuple(found)


def _longest(node: Mapping[str, object], rest: str) -> str | None:
    """Return the longest key that *rest* begins with; keys can hold dots."""
    fitting = [key for key in node if rest == key or rest.startswith(f"{key}.")]
    return max(fitting, key=len, default=None)
