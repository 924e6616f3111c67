# SPDX-License-Identifier: Apache-2.0
"""What a build says of its parts, for those who show it; `build` makes and joins them.

Needs no DuckDB: an agent that answers, or shows its status, does not load it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pydantic

from accord.agent.store.form import Generation
from accord.core.document import Strict
from accord.core.errors import IntegrityError

PART = "part.json"
PARTS = "parts"


Digest = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]


class Followed(Strict):
    """What the next ingest needs to read only what changed."""

    reading: Digest
    """Keyed hash of everything that decides what becomes of a row."""


class Part(Strict):
    """What ``part.json`` says of the cases beside it."""

    name: str
    data_model: str
    model_digest: Digest
    rows: Annotated[int, pydantic.Field(ge=0)]
    persons: Annotated[int, pydantic.Field(ge=0)]
    ingested_at: pydantic.AwareDatetime
    followed: Followed | None = None
    """Only where the mapping says which column tells that a row changed."""
    generation: Generation = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "part": self.name,
            "cases": self.rows,
            "persons": self.persons,
            "data_model": self.data_model,
            "data_model_digest": self.model_digest,
            "ingested_at": self.ingested_at.isoformat(),
        }


def parts_of(build: Path) -> dict[str, Part]:
    """Return the parts of a build by name.

    Raises:
        IntegrityError: STORE_BROKEN, a part cannot be read.
    """
    found: dict[str, Part] = {}
    folder = build / PARTS
    if not folder.is_dir():
        return found
    for entry in sorted(folder.iterdir()):
        try:
            part = Part.model_validate_json((entry / PART).read_bytes())
        except (OSError, pydantic.ValidationError):
            raise IntegrityError(
                "STORE_BROKEN",
                f"The part {entry.name!r} of the store is damaged. Ingest its mapping "
                "again.",
            ) from None
        found[part.name] = part
    return found
