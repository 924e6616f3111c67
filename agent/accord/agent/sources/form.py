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


Encoding = Literal[
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "cp874",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-13",
    "iso-8859-15",
    "koi8-r",
    "koi8-u",
    "cp850",
    "cp852",
    "cp866",
    "mac-roman",
    "big5",
    "gb18030",
    "shift_jis",
    "euc-kr",
]


class SourceForm(Strict):
    """How a file is written, found out where it can be; or which table is read."""

    format: Literal["csv", "excel", "parquet"] | None = None
    encoding: Encoding | None = None
    separator: Annotated[str, pydantic.Field(min_length=1, max_length=1)] | None = None
    header_row: Annotated[int, pydantic.Field(ge=1, le=1000)] | None = None
    sheets: Literal["all"] | Annotated[list[Column], pydantic.Field(min_length=1)] = (
        "all"
    )
    totals: dict[Column, Texts] = {}
    zone: Annotated[str, pydantic.Field(min_length=1, max_length=64)] | None = None
    database: Annotated[str, pydantic.Field(min_length=1, max_length=63)] | None = None
    table: Column | None = None
    changed: Column | None = None

    @property
    def of_files(self) -> frozenset[str]:
        """Entries that were written and go with files only."""
        return frozenset(
            self.model_fields_set - {"database", "table", "changed", "zone"}
        )
