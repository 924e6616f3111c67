# SPDX-License-Identifier: Apache-2.0
"""HTML that cannot be broken by what is put into it: all text is escaped once."""

from __future__ import annotations

import html
from typing import Final, TypeAlias

_EMPTY: Final = frozenset({"meta", "circle", "line", "rect"})
"""Elements without content."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = Markup | str
"""A plain ``str`` is text, and is escaped."""


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Markup:
    """Return one element.

    Args:
        name: such as ``p``.
        *content: elements and text.
        **attributes: a final underscore is dropped (``class_``), others become hyphens;
            True stands for an attribute without a value, None or False for none.
    """
    shown = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _EMPTY:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{joined(*content)}</{name}>")


def joined(*content: Content) -> Markup:
    """Return elements and text one after the other."""
    return Markup(
        "".join(
            each if isinstance(each, Markup) else html.escape(each) for each in content
        )
    )
