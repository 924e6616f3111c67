# SPDX-License-Identifier: Apache-2.0
"""No floating point takes part in a draw: nothing in the source could make one."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import accord.noise
from accord.noise.bernoulli import bernoulli_exp
from accord.noise.randomness import Words

FOLDER = Path(accord.noise.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))
INEXACT = {"cmath", "float", "float64", "float_", "math", "random"}


def inexact(source: str) -> list[str]:
    """Return what in a module divides, names or holds inexact numbers."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() | complex()):
                found.append(f"line {node.lineno}: an inexact number")
            case ast.Div():
                found.append("a true division")
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in INEXACT:
                found.append(f"line {node.lineno}: {name}")
            case ast.Import(names=names):
                found += [one.name for one in names if one.name in INEXACT]
            case ast.ImportFrom(module=module) if module in INEXACT:
                found.append(str(module))
            case _:
                pass
    return found


def test_all_modules_are_looked_at() -> None:
    names = {path.stem for path in MODULES}
    assert names >= {"bernoulli", "gaussian", "poisson", "polya", "tables"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_holds_whole_numbers_only(path: Path) -> None:
    """The reference divides fractions, which is exact; nothing else divides at all."""
    found = inexact(path.read_text(encoding="utf-8"))
    if path.stem == "reference":
        found = [one for one in found if one != "a true division"]
    assert not found


@pytest.mark.parametrize(
    "source", ["x = 0.5", "x = 1 / 2", "import math", "x = float(1)", "np.random.x()"]
)
def test_an_inexact_number_would_be_noticed(source: str) -> None:
    assert inexact(source)


def test_large_numbers_keep_their_last_bit() -> None:
    """A float cannot tell 2^62 - 1 from 2^62; the coin of exp(-0) always succeeds."""
    numerators = np.array([2**62 - 1], np.uint64)
    words = Words(bytes(32))
    whole_e = [bernoulli_exp(words, numerators, 2**62 - 1)[0] for _ in range(400)]
    assert 80 < sum(map(int, whole_e)) < 220
