# SPDX-License-Identifier: Apache-2.0
"""Fuzz questions in SQL: nothing but an `AccordError` ever comes out.

python -m tests.fuzz.sql_target -max_total_time=20 CORPUS
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["accord.client.sql", "sqlglot.parser"]):
    from accord.client.sql.error import SqlError
    from accord.client.sql.translation import translate

from tests.unit.client.sql_offer import offered

OFFER = offered()


def one_input(data: bytes) -> None:
    """Translate the bytes as text; an error must be able to say itself."""
    text = data.decode("utf-8", errors="surrogateescape")
    try:
        translate(text, OFFER)
    except SqlError as error:
        str(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
