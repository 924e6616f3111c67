# SPDX-License-Identifier: Apache-2.0
"""Run every check that needs no test, and say at the end which of them failed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
GENERATOR = ROOT / ".venv-proto" / "bin" / "python"

CHECKS: dict[str, list[str | Path]] = {
    "format": [BIN / "ruff", "format", "--check", "--quiet"],
    "lint": [BIN / "ruff", "check", "--quiet"],
    "types": [BIN / "mypy"],
    "layers": [BIN / "lint-imports", "--no-cache", "--no-logo"],
    "protocol": [GENERATOR, "-m", "tools.stubs", "check"],
    "catalogues": [sys.executable, "-m", "tools.catalogues", "check"],
    "schemas": [sys.executable, "-m", "tools.schemas", "check"],
    "migrations": [sys.executable, "-m", "tools.migrations", "check"],
    "house rules": [sys.executable, "-m", "tools.rules"],
    "documents": [sys.executable, "-m", "tools.documents"],
}


def main() -> int:
    """Run the checks in order; a failed one does not hide the next."""
    failed = []
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else "== all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
