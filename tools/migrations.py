# SPDX-License-Identifier: Apache-2.0
"""Migrations of the hub's database never change once somebody may have run them.

``versions.sha256`` lists every one with its digest. A *draft* is not released yet and
may change (``list`` writes it anew); ``keep``, on a release, makes promises of drafts.
``check`` refuses a file that differs from its line, and a line that differs from what
any commit before has promised.
"""

import argparse
import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "hub/accord/hub/db/migrations/versions"
LIST = FOLDER.with_suffix(".sha256")
DRAFT = "draft"

Lines = dict[str, tuple[str, bool]]
"""Digest of every file by its name, and whether it is a draft."""


def parse(text: str) -> Lines:
    """Read a list: digest, name and perhaps ``draft`` on each line."""
    found = {}
    for line in text.splitlines():
        digest, name, *rest = line.split()
        found[name] = (digest, rest == [DRAFT])
    return found


def rendered(lines: Lines) -> str:
    return "".join(
        f"{digest}  {name}{f'  {DRAFT}' if draft else ''}\n"
        for name, (digest, draft) in sorted(lines.items())
    )


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every migration by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.py"))
    }


def listed(lines: Lines, files: Mapping[str, str], *, keep: bool) -> Lines:
    """Return the list for the files of today; promises stay as they were."""
    drafts = {name: (digest, not keep) for name, digest in files.items()}
    promised = {name: line for name, line in lines.items() if not line[1]}
    return drafts | promised


def problems(
    lines: Lines, files: Mapping[str, str], history: Sequence[Lines]
) -> Iterator[str]:
    """Yield every migration that is not what it has to be.

    Args:
        lines: the list.
        files: digest of every migration that is there.
        history: the lists of earlier commits.
    """
    for name in sorted(lines.keys() | files.keys()):
        if name not in files:
            yield f"{name} is gone: a database that went through it needs it."
        elif name not in lines:
            yield f"{name} is not listed: run `python -m tools.migrations list`."
        elif lines[name][0] != files[name] and lines[name][1]:
            yield f"{name} has changed: run `python -m tools.migrations list`."
        elif lines[name][0] != files[name]:
            yield f"{name} has changed: undo it, and add a step that comes after."
    promised = {
        (name, line[0]) for old in history for name, line in old.items() if not line[1]
    }
    for name, digest in sorted(promised):
        if lines.get(name) != (digest, False):
            yield f"{name} is no more what an earlier commit has promised: put it back."


def history_of(path: Path, root: Path) -> list[Lines]:
    """Return a list as earlier commits had it; nothing where there is no history."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],  # noqa: S607  # whichever git is there
            cwd=root,
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout if done.returncode == 0 else ""

    place = path.relative_to(root).as_posix()
    commits = git("log", "--format=%H", "--", place).split()
    return [parse(git("show", f"{commit}:{place}")) for commit in commits]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list, or say what breaks it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["list", "keep", "check"])
    action = parser.parse_args(arguments).action
    lines = parse(LIST.read_text(encoding="utf-8")) if LIST.is_file() else {}
    files = digests(FOLDER)
    if action != "check":
        made = listed(lines, files, keep=action == "keep")
        LIST.write_text(rendered(made), encoding="utf-8")
        return 0
    found = list(problems(lines, files, history_of(LIST, ROOT)))
    for problem in found:
        print(f"{LIST.parent.relative_to(ROOT)}: {problem}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
