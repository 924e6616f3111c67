# SPDX-License-Identifier: Apache-2.0
"""What is said where a database does not let the agent at its own tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from accord.core.errors import PreconditionFailed, SourceError


@contextlib.contextmanager
def rights_explained(database: str) -> Iterator[None]:
    """Say of a right that is missing which one it is.

    Raises:
        PreconditionFailed: PUSHDOWN_RIGHTS
    """
    try:
        yield
    except SourceError as error:
        if error.reason != "DATABASE_RIGHTS":
            raise
        raise PreconditionFailed(
            "PUSHDOWN_RIGHTS",
            f"The user of the database {database!r} may not do that with the agent's "
            "tables there. It has to read them, and for `accord-agent pushdown export` "
            "and for editions to make, rename and drop tables in their schema.",
            database=database,
        ) from None
