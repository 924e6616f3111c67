# SPDX-License-Identifier: Apache-2.0
"""Resolve the dependencies again and write the hashed locks.

The locks name no registry, so that they install from whichever one a machine uses.
With ``--keep``, what the last run on this machine chose stays; only new names come in.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNLOCKED = "spark"
"""An extra whose client has the modules of the whole of Spark, which tests need."""

ADDRESS = re.compile(r"^\s*--|[a-z]+://| @ ", re.MULTILINE)


def main() -> int:
    """Write the locks of everybody, an agency alone, the generator, other engines."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--keep", action="store_true", help="keep what uv.lock chose")
    upgrade = [] if words.parse_args().keep else ["--upgrade"]
    uv = Path(sys.executable).with_name("uv")
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    python = ["--python", sys.executable]
    form = ["--quiet", "--no-header"]
    export = ["export", "--format=requirements-txt", "--no-emit-project"]
    compiled = [
        *("pip", "compile", "--universal", "--generate-hashes"),
        *("--python-version=3.11", "--no-emit-index-url"),
    ]
    agency = [*export, "--frozen", "--no-dev"]
    commands = {
        "requirements.lock": [
            *(*export, *upgrade, "--all-extras", "--all-groups"),
            *("--no-extra", UNLOCKED),
        ],
        # The same choice of versions: the first command has written it to uv.lock.
        "deploy/agent/requirements.lock": [*agency, "--extra", "agent"],
        "deploy/agent/extras.lock": [
            *(*agency, "--extra", "agent"),
            *(word for name in extras_of_agents() for word in ("--extra", name)),
        ],
        "deploy/agent/build.lock": [*export, "--frozen", "--only-group", "build"],
        "tools/proto.lock": [*compiled, *upgrade, "tools/proto.in"],
    }
    # What was measured stays, whatever else moves: never upgraded.
    for wanted in sorted((ROOT / "benchmarks" / "peers").glob("*.in")):
        name = wanted.relative_to(ROOT)
        commands[str(name.with_suffix(".lock"))] = [*compiled, str(name)]
    for lock, command in commands.items():
        subprocess.run(
            [uv, *command, *form, *python, "--output-file", lock],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        named = [
            line
            for line in (ROOT / lock).read_text().splitlines()
            if "--hash=" not in line and ADDRESS.search(line)
        ]
        if named:
            print(f"{lock} would name an address: {named[0].strip()}", file=sys.stderr)
            return 1
        print(f"wrote {lock}")
    return 0


def extras_of_agents() -> list[str]:
    """Return the extras of the agent's wheel that are locked."""
    text = (ROOT / "agent/pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    return sorted(set(extras) - {UNLOCKED})


if __name__ == "__main__":
    raise SystemExit(main())
