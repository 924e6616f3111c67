# SPDX-License-Identifier: Apache-2.0
"""Hold the documents to the program: links lead somewhere, examples are real.

Checked are relative links and their anchors, `make` targets, Python, YAML and TOML
blocks, and every command line of the three programs with its options.
"""

import ast
import contextlib
import importlib
import io
import itertools
import os
import re
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tools.tree import ROOT, files

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^ *```",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#+\s+(?P<text>.+?)\s*#*$", re.MULTILINE)
SPAN = re.compile(r"`(?P<code>[^`\n]+)`")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
PROGRAMS = {
    "accord": "accord.client.cli",
    "accord-agent": "accord.agent.cli",
    "accord-hub": "accord.hub.cli",
}
ENDS = {"|", ">", ">>", "<", "&&", "||", ";", "&", "#"}
PLAIN = re.compile(r"[a-z][a-z-]*")
OPTION = re.compile(r"--[a-z][a-z-]+(=|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced piece of a document."""

    language: str
    body: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a document."""
    for match in FENCE.finditer(text):
        yield Block(
            language=match["language"].lower(),
            body=textwrap.dedent(match["body"]),
            line=text.count("\n", 0, match.start()) + 1,
        )


def slug(heading: str) -> str:
    """Return the anchor that a heading gets on the usual forges."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with the links of a document."""
    prose = FENCE.sub("", text)
    for match in LINK.finditer(prose):
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists():
            yield f"the link to {target} leads nowhere."
        elif anchor and there.suffix == ".md":
            body = FENCE.sub("", there.read_text(encoding="utf-8"))
            if anchor not in {slug(found["text"]) for found in HEADING.finditer(body)}:
                yield f"{name or 'this page'} has no heading for #{anchor}."


def broken_examples(text: str) -> Iterator[str]:
    """Yield the blocks that are not in the language that they claim."""
    for block in blocks(text):
        try:
            if block.language in {"python", "py"}:
                ast.parse(block.body)
            elif block.language in {"yaml", "yml"}:
                list(YAML(typ="safe", pure=True).load_all(block.body))
            elif block.language == "toml":
                tomllib.loads(block.body)
        except (SyntaxError, YAMLError, tomllib.TOMLDecodeError):
            yield f"the block at line {block.line} is not {block.language}."


def command_lines(text: str) -> Iterator[str]:
    """Yield what a reader may type, from blocks and from code between backticks."""
    for block in blocks(text):
        if block.language in {"", "console", "sh", "bash", "shell", "text"}:
            body = block.body.replace("\\\n", " ")
            for line in body.splitlines():
                yield line.strip().removeprefix("$ ").removeprefix("# ")
    for match in SPAN.finditer(FENCE.sub("", text)):
        yield match["code"]


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile."""
    return frozenset(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


@cache
def help_of(program: str, words: tuple[str, ...]) -> str | None:
    """Return what the program answers to --help, or None where it knows no such."""
    main = importlib.import_module(PROGRAMS[program]).main
    answer = io.StringIO()
    before = sys.argv
    sys.argv = [program, *words, "--help"]
    try:
        with contextlib.redirect_stdout(answer), contextlib.redirect_stderr(answer):
            main()
    except SystemExit as end:
        return answer.getvalue() if not end.code else None
    finally:
        sys.argv = before
    return answer.getvalue()


def words_of(line: str) -> list[str]:
    """Return the words of a command line up to its first pipe or redirection."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    while words and re.fullmatch(r"\w+=.*|sudo", words[0]):
        del words[0]
    return list(itertools.takewhile(lambda word: word not in ENDS, words))


def wrong_command(line: str) -> str | None:
    """Return what is wrong with a command line, if it is one of ours."""
    program, *rest = words_of(line) or [""]
    program = program.removeprefix(".venv/bin/")
    if program == "make" and rest and PLAIN.fullmatch(rest[0]):
        return None if rest[0] in targets() else f"there is no `make {rest[0]}`."
    if program not in PROGRAMS or not rest:
        return None
    words = list(itertools.takewhile(PLAIN.fullmatch, rest))
    answer = help_of(program, tuple(words))
    called = " ".join([program, *words])
    if answer is None:
        return f"`{called}` is not a command."
    options = (word.partition("=")[0] for word in rest if OPTION.match(word))
    unknown = [option for option in options if option not in answer]
    return f"`{called}` has no {unknown[0]}." if unknown else None


def main() -> int:
    """Print every place where a document is out of step."""
    os.environ |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "250"}
    os.environ |= {"TERMINAL_WIDTH": "250"}
    found = []
    for path in files():
        if path.suffix != ".md":
            continue
        text = path.read_text(encoding="utf-8")
        wrong = [wrong_command(line) for line in command_lines(text)]
        problems = [
            *broken_links(path, text),
            *broken_examples(text),
            *filter(None, wrong),
        ]
        found += [f"{path.relative_to(ROOT)}: {problem}" for problem in problems]
    for problem in dict.fromkeys(found):
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
