# SPDX-License-Identifier: Apache-2.0
"""Fuzz what an agent takes from a hub: refusals come out, and never a stranger's error.

python -m tests.fuzz.stream_target -max_total_time=20 CORPUS
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(
    include=[
        "accord.agent.network",
        "accord.agent.rounds",
        "accord.rpc.codec",
        "accord.rpc.contact",
        "accord.rpc.rounds",
        "accord.secagg",
    ]
):
    from tests.fuzz.stream import Listener

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        listener = Listener(Path(made))
        corpus = Path(sys.argv[-1])
        for number, example in enumerate(listener.examples):
            (corpus / f"example-{number}").write_bytes(example)
        atheris.Setup(sys.argv, listener.hear)
        atheris.Fuzz()
