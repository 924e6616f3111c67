# SPDX-License-Identifier: Apache-2.0
"""The files of the project: what is committed, or would be."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GIT = shutil.which("git") or "git"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi", ".binpb", ".mo")


def files() -> list[Path]:
    """Return every file that git keeps or would keep, generated ones left out."""
    listed = subprocess.run(
        [GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return [
        path
        for path in paths
        if path.is_file()
        and not path.is_symlink()
        and not path.name.endswith(GENERATED)
    ]
