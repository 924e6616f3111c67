# SPDX-License-Identifier: Apache-2.0
"""What ``store.json`` says of the columns beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from accord.core.document import Strict
from accord.core.errors import PreconditionFailed

FORMAT: Literal[1] = 1
"""Goes up when a store of an older program could be misread."""

DESCRIPTION = "store.json"

REQUIRED: Mapping[str, str] = {
    "person": "<u4",
    "person_known": "|u1",
    "order_key": "<u8",
}
"""Columns that every store has, with their types."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
"""What a column may be called."""

Generation = Annotated[
    int, pydantic.Field(ge=0, exclude_if=lambda generation: generation == 0)
]
"""Of the keys that made pseudonyms and order keys; 0 goes unsaid, as it always did."""


class ColumnForm(Strict):
    """One column as ``store.json`` names it."""

    name: Annotated[str, pydantic.Field(pattern=rf"^{NAME.pattern}$")]
    dtype: Literal["|u1", "<u2", "<u4", "<u8", "<i4", "<i8"]


class StoreForm(Strict):
    """The whole description."""

    format: Literal[1]
    model: str
    model_digest: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
    rows: Annotated[int, pydantic.Field(ge=0)]
    persons: Annotated[int, pydantic.Field(ge=0)]
    """Distinct ordinals; records that name no person have one each."""
    order_key_ties: bool
    """Whether two cases of one person have one order key."""
    created_at: pydantic.AwareDatetime
    generation: Generation = 0
    columns: Annotated[list[ColumnForm], pydantic.Field(min_length=len(REQUIRED))]


def format_of(description: bytes) -> int | None:
    """Return the format that a description names, whatever else is in it."""
    try:
        content = json.loads(description)
    except ValueError:
        return None
    found = content.get("format") if isinstance(content, dict) else None
    return found if isinstance(found, int) else None


def require_format(description: bytes, directory: Path) -> None:
    """Refuse a description of another format; one that names none is not judged.

    Raises:
        PreconditionFailed: STORE_FORMAT.
    """
    found = format_of(description)
    if found is None or found == FORMAT:
        return
    if found < FORMAT:
        sentence = (
            f"The store in {directory} has the format {found} of an older version of "
            f"this program, which reads {FORMAT}. Run `accord-agent ingest` again."
        )
    else:
        sentence = (
            f"The store in {directory} has the format {found} of a newer version of "
            f"this program, which reads {FORMAT}: install the newer one again. Where "
            "this is no edition, `accord-agent ingest` can make it anew instead."
        )
    raise PreconditionFailed("STORE_FORMAT", sentence)
