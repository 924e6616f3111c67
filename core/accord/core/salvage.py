# SPDX-License-Identifier: Apache-2.0
"""What can still be checked of a document whose form is broken.

Entries that are wrong are left out, those that are missing get a stand-in, and both are
remembered, so that checks across entries can run on the rest and say nothing about
them. The result is for finding mistakes only; nothing is ever decided on it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import pydantic

from accord.core.document import (
    DocumentError,
    Problem,
    entries_of,
    merged,
    parse_document,
    plain_document,
)

Form = TypeVar("Form", bound=pydantic.BaseModel)

ANY = "*"
"""In stand-ins: an entry of any name."""

_ROUNDS = 8
"""Leaving an entry out can make another one wrong; documents are not deep."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged(Generic[Form]):
    """A form, as far as it could be read."""

    form: Form | None
    problems: tuple[Problem, ...] = ()
    """Everything that is wrong with the document's form."""
    broken: frozenset[str] = frozenset()
    """Dotted paths of entries that are not in `form` as the document has them."""
    content: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """The document's entries, unchecked."""
    left_out: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """Places in the document's lists whose items are not in `form`."""

    def place(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Return where the document has an entry of `form`."""
        return _place(path, self.left_out)


def salvage(
    text: str,
    form: type[Form],
    *,
    source: str,
    stand_in: Mapping[str, object],
    beneath: Mapping[str, object] | None = None,
) -> Salvaged[Form]:
    """Read a document as far as it goes.

    Args:
        text: the whole document.
        form: the pydantic model that describes it.
        source: what to call it in problems.
        stand_in: entries for those that are missing or wrong, and needed.
        beneath: as for `parse_document`.
    """
    try:
        read = parse_document(text, form, source=source, beneath=beneath)
    except DocumentError as error:
        problems = error.problems
    else:
        return Salvaged(form=read, content=plain_document(text, source))
    try:
        content = plain_document(text, source)
    except DocumentError:
        return Salvaged(form=None, problems=problems)
    repaired = copy.deepcopy(merged(beneath or {}, content))
    broken: set[str] = set()
    left_out: dict[str, tuple[int, ...]] = {}
    tried: set[tuple[str | int, ...]] = set()
    for _ in range(_ROUNDS):
        try:
            found = form.model_validate(repaired)
        except pydantic.ValidationError as error:
            wrong = {tuple(entries_of(detail)) for detail in error.errors()}
        else:
            return Salvaged(
                form=found,
                problems=problems,
                broken=frozenset(broken),
                content=content,
                left_out=left_out,
            )
        for path in sorted(wrong, key=_later_first, reverse=True):
            place = _place(path, left_out)
            broken.add(_dotted(place))
            again = path in tried
            tried.add(path)
            cut = len(_replace(repaired, path, {} if again else stand_in))
            broken.add(_dotted(place[:cut]))
            if cut and isinstance(place[cut - 1], int):
                above = _dotted(place[: cut - 1])
                left_out[above] = (*left_out.get(above, ()), int(place[cut - 1]))
    return Salvaged(form=None, problems=problems, content=content)


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _place(
    path: Sequence[str | int], left_out: Mapping[str, tuple[int, ...]]
) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for part in path:
        place = part
        if isinstance(place, int):
            for gone in sorted(left_out.get(_dotted(found), ())):
                place += gone <= place
        found.append(place)
    return tuple(found)


def _later_first(path: tuple[str | int, ...]) -> tuple[tuple[bool, int, str], ...]:
    """Order paths so that leaving a list's item out does not move another one."""
    return tuple(
        (isinstance(part, int), part if isinstance(part, int) else 0, str(part))
        for part in path
    )


def _replace(
    content: Any,  # noqa: ANN401 - a tree of plain containers
    path: Sequence[str | int],
    stand_in: Mapping[str, object],
) -> Sequence[str | int]:
    """Put a stand-in at *path*, or leave out what is there.

    Where nothing is there and nothing stands in, what is around it is left out.

    Returns:
        Path of what was replaced or left out; empty where nothing can be done.
    """
    if not path:
        return ()
    node = content
    for part in path[:-1]:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return ()
    last = path[-1]
    if isinstance(node, dict):
        there = node.pop(last, None) is not None
        instead = _entry(stand_in, path)
        if instead is not None:
            node[last] = _plain(instead)
        elif not there:
            return _replace(content, path[:-1], {})
        return path
    if isinstance(node, list) and isinstance(last, int) and last < len(node):
        del node[last]
        return path
    return ()


def _entry(tree: object, path: Sequence[str | int]) -> object:
    for part in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part, tree.get(ANY))
    return tree


def _plain(tree: object) -> object:
    """Return a copy without the entries for any name."""
    if not isinstance(tree, Mapping):
        return copy.deepcopy(tree)
    return {name: _plain(each) for name, each in tree.items() if name != ANY}
