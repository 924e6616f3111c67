# SPDX-License-Identifier: Apache-2.0
"""What a mapping says of its source: the entries below ``source``."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from accord.core.document import Strict


def as_text(value: object) -> object:
    """Take whole numbers as text: codes are often digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _texts(value: object) -> object:
    """Take one text as a list of one."""
    value = as_text(value)
    return [value] if isinstance(value, str) else value


Text = Annotated[str, pydantic.BeforeValidator(as_text), pydantic.Field(max_length=300)]
Column = Annotated[Text, pydantic.Field(min_length=1)]
Texts = Annotated[
    list[Text], pydantic.BeforeValidator(_texts), pydantic.Field(min_length=1)
]
Columns = Annotated[list[Column], pydantic.Field(min_length=1, max_length=64)]


class SourceForm(Strict):
    """How the file is written; found out where it can be."""

    format: Literal["csv", "parquet"] | None = None
    encoding: Literal["utf-8", "utf-8-sig", "utf-16", "windows-1252"] = "utf-8"
    separator: Annotated[str, pydantic.Field(min_length=1, max_length=1)] | None = None
