# SPDX-License-Identifier: Apache-2.0
"""Fuzz mapping files: nothing but an `AccordError` ever comes out.

python -m tests.fuzz.mapping_target -max_total_time=20 CORPUS
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(
    include=["accord.agent.intake", "accord.core.document", "accord.agent.sources.form"]
):
    from accord.agent.intake.mapping import load_mapping, peek_model
    from accord.core.errors import AccordError

from tests.unit.agent.agencies import MODEL


def one_input(data: bytes) -> None:
    """Read the bytes as a mapping; an error must be able to say itself."""
    text = data.decode("utf-8", errors="surrogateescape")
    for read in (
        lambda: peek_model(text, "m.yaml"),
        lambda: load_mapping(text, "m.yaml", MODEL),
    ):
        try:
            read()
        except AccordError as error:
            str(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
