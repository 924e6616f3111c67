# SPDX-License-Identifier: Apache-2.0
"""Hold the tree to the rules that no linter knows.

One namespace without ``__init__.py``, modules that fit in a head, names that say what
a thing is, and no address of the machine that a file was written on.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.tree import ROOT, files

LONGEST = 400
VAGUE = {"manager", "helper", "util", "utils", "handler", "processor", "data", "info"}
MACHINE = re.compile(
    r"/(?:work|opt|root|home/\w+)/|/tmp/\w|"  # somebody's disk
    r"https?://(?:[\w.-]*\.)?(?:pypi|pythonhosted|npmjs|debian)\.",  # a registry
)
TERMS = ("DataModel",)  # what statisticians call it
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
LICENSED = {".py", ".proto", ".toml", ".sh"}
LICENCE = "SPDX-License-Identifier: Apache-2.0"
ITSELF = Path(__file__).resolve()


def vague(name: str) -> bool:
    """Say whether a name is made of words that tell nothing."""
    for term in TERMS:
        name = name.replace(term, "")
    return any(word.lower() in VAGUE for word in WORDS.findall(name))


def problems_of_module(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with one Python file."""
    lines = text.count("\n")
    if lines > LONGEST and "tests" not in path.parts:
        yield f"{lines} lines; split what is more than {LONGEST}."
    if vague(path.stem):
        yield "the name of the module says nothing about it."
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and vague(node.name):
            yield f"line {node.lineno}: {node.name} says nothing about the class."


def problems_of(path: Path) -> Iterator[str]:
    """Yield what is wrong with one file."""
    relative = path.relative_to(ROOT)
    if relative.parts[1:] == ("accord", "__init__.py"):
        yield "a file here hides the other roots of the namespace."
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if path != ITSELF and MACHINE.search(line):
            yield f"line {number} names a place on one machine, or a registry."
    if path.suffix in LICENSED and LICENCE not in text[:200]:
        yield f"the first line is `{LICENCE}` in a comment."
    if path.suffix == ".py":
        yield from problems_of_module(path, text)


def main() -> int:
    """Print every breach with its file."""
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in files()
        for problem in problems_of(path)
    ]
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
